"""Exit codes, which schedulers rely on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from components.shared import errors
from pipeline.cli.group import CommandInterruptedError
from pipeline.operations.outcome import ExitCode, exit_code

CODES = {
    errors.ConfigError: 2,
    errors.DataError: 4,
    errors.LockedError: 75,
    errors.ModelError: 1,
    errors.StorageError: 1,
    CommandInterruptedError: 1,  # the signal decides
}


@pytest.mark.parametrize("kind", CODES, ids=lambda kind: kind.__name__)
def test_each_error_has_its_code(kind):
    assert exit_code(kind("Something is wrong.")) == CODES[kind]


def test_no_error_is_forgotten():
    assert set(errors.MarqueeError.__subclasses__()) == set(CODES)


def test_what_is_no_more_than_an_error_is_a_failure():
    assert exit_code(errors.MarqueeError("It failed.")) is ExitCode.FAILED


def test_the_codes_of_a_shell_are_free():
    """126 to 128 are a shell's, from 129 on they are of signals."""
    assert all(code < 126 for code in ExitCode)


@pytest.mark.parametrize("page", ["pipeline/README.md", "pipeline/operations/outcome.py"])
def test_the_tables_have_every_code(page):
    text = (Path(__file__).parents[3] / page).read_text()
    told = [code for row in re.findall(r"^\| ([\d, ]+) \|", text, re.MULTILINE) for code in row.split(", ")]
    assert sorted(map(int, told)) == sorted([*ExitCode, 130, 143])


def test_the_help_has_every_code(marquee):
    said = marquee("run", "--help").stdout.split("Examples:")[0]
    assert {int(code) for code in re.findall(r"\b\d+\b", said)} >= {*ExitCode, 130, 143}
