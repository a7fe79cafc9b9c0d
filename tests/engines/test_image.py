"""What the Dockerfile does, without Docker: its files are there, and its commands work in an empty folder."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.conftest import REPOSITORY

pytestmark = pytest.mark.engines


def instructions() -> Iterator[tuple[str, str]]:
    """Each instruction with what follows it."""
    text = re.sub(r"^#.*\n", "", (REPOSITORY / "Dockerfile").read_text(), flags=re.MULTILINE)
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, rest = line.partition(" ")
            yield name, rest


def test_the_commands_of_the_image_work_in_an_empty_folder(tmp_path):
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    folder = tmp_path / "image"
    folder.mkdir()
    variables = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }

    def run(command: str) -> str:
        done = subprocess.run(
            command, shell=True, cwd=folder, env=variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    allowed = (REPOSITORY / ".dockerignore").read_text().splitlines()
    ran = []
    for name, rest in instructions():
        if name == "COPY" and "--from" not in rest:
            *sources, _ = shlex.split(rest)
            for source in sources:
                assert f"!{source}" in allowed
                path = REPOSITORY / source
                if path.is_dir():
                    shutil.copytree(path, folder / source, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(path, folder)
        elif name == "RUN" and not rest.startswith("useradd"):  # the user is the image's alone
            run(rest)
            ran.append(rest.split()[0])
    assert ran == ["sed", "uv"]
    assert "builtin:ml-100k" in run("marquee config")
    assert "Blessed:" in run(f"marquee run --set root={tmp_path / 'root'}")
