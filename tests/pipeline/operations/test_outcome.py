"""Exit codes, which schedulers rely on."""

from __future__ import annotations

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
