"""Fixtures that several folders share."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest

REPOSITORY = Path(__file__).parent.parent
# For models of an epoch or two on a slice, where it is not their quality that matters.
LENIENT = [
    "evaluation.min_auc=0",
    "evaluation.max_log_loss=9",
    *(
        f"blessing.floors.{floor}.rule=warn"
        for floor in ("movie_mean", "bias_logistic_regression", "popularity")
    ),
    *(f"blessing.changes.{change}.rule=warn" for change in ("log_loss", "auc", "ranking")),
]
# Not the installed script, which may be of another checkout.
COMMAND = [sys.executable, "-c", "from pipeline.cli import main; main()"]

Marquee = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The system's temporary folder, for the processes of `marquee`."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="session")
def marquee(temporary: Path) -> Marquee:
    """Runs the command of this checkout in a process of its own."""

    def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            capture_output=True,
            text=True,
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "TMPDIR": str(temporary)},
            timeout=600,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def movielens_slice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 150 users of MovieLens 100K, as a folder in RecBole's layout."""
    return first_users(150, tmp_path_factory.mktemp("data") / "ml-slice")


@pytest.fixture(scope="session")
def small_slice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 60, where it is not the model that matters."""
    return first_users(60, tmp_path_factory.mktemp("data") / "ml-slice")


def first_users(number: int, folder: Path) -> Path:
    from components.example_gen.builtin import movielens_100k

    source = Path(movielens_100k())
    folder.mkdir()
    header, *rows = (source / "ml-100k.inter").read_text(encoding="utf-8").splitlines()
    kept = [row for row in rows if int(row.split("\t", 1)[0]) <= number]
    (folder / "ml-slice.inter").write_text("\n".join([header, *kept]) + "\n", encoding="utf-8")
    (folder / "ml-slice.item").write_bytes((source / "ml-100k.item").read_bytes())
    return folder


def pytest_unconfigure() -> None:
    """At its end the interpreter frees TensorFlow's tables and functions in no order, and may crash doing so."""
    gc.freeze()
