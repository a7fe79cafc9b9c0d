"""What the command itself does, whatever the subcommand."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

import click
import pytest

from pipeline.cli.options import completed, flags_of, utf8
from pipeline.cli.releases import bless


@pytest.mark.parametrize(
    "arguments",
    [["recommend", "42"], ["similar", "Toy Story"], ["explain"], ["rollback"], ["gc", "--keep", "3"]],
    ids=lambda arguments: arguments[0],
)
def test_suggested_commands_carry_the_options_of_this_call(marquee, tmp_path, arguments):
    """So that what is suggested is about the same pipeline; a space in a value is quoted."""
    options = ["--config", "ml-1m", "--set", f"root={tmp_path / 'a root'}", "--set", "model.epochs=2"]
    done = marquee(*arguments, *options)
    assert done.returncode == 1
    (suggested,) = re.findall("`([^`]*)`", done.stderr)
    assert shlex.split(suggested)[1:] == ["run", *options], done.stderr


def test_every_suggestion_in_a_text_iscompleted():
    text = "`marquee gc` tries again; see `marquee history`, or `marquee rollback VERSION`; raise `ulimit -f`"
    assert completed(text, "--set root=x") == (
        "`marquee gc --set root=x` tries again; see `marquee history --set root=x`,"
        " or `marquee rollback VERSION --set root=x`; raise `ulimit -f`"
    )
    assert completed(text, "") == text


def test_what_is_printed_after_a_run_leads_to_the_same_pipeline():
    """Where it is and what its name follows from; not how the model was trained."""
    kept = ["root=r", "data={path: x}", "data.path=my ratings", "name=n", "metadata.kind=mysql"]
    assert shlex.split(flags_of("mine.yaml", ["model.epochs=2", *kept, "data.split.method=time"])) == [
        "--config",
        "mine.yaml",
        *(part for one in kept for part in ("--set", one)),
    ]


def test_a_reason_that_is_not_utf_8_can_be_recorded():
    context, parameter = click.Context(bless), bless.params[0]
    assert utf8(context, parameter, os.fsdecode(b"caf\xe9")) == "caf\ufffd"
    assert [one.callback for one in bless.params if one.name == "reason"] == [utf8]


@pytest.mark.parametrize(
    ("code", "without"),
    [
        # What --help needs.
        ("import pipeline.cli", ["pydantic", "rich", "yaml", "numpy", "ml_metadata", "tensorflow"]),
        ("import pipeline.cli.console, pipeline.config, pipeline.state.runs", ["numpy", "tfx", "tensorflow"]),
    ],
)
def test_a_command_imports_what_it_needs_alone(code, without):
    check = f"import sys; {code}; assert not {without} & sys.modules.keys()".replace("[", "{").replace(
        "]", "}"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
