"""The built-in data set is found without an import, and a changed file is refused."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from components.example_gen import builtin
from components.shared.errors import DataError


def test_found_in_the_package() -> None:
    assert (Path(builtin.movielens_100k()) / "ml-100k.inter").stat().st_size == 1_979_230


def test_package_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(DataError, match=r"recbole==1\.2\.1\n.*to fix:"):
        builtin.movielens_100k()


@pytest.mark.parametrize(
    ("text", "message"), [(None, "cannot be read"), ("changed", "not the one that was published")]
)
def test_file_missing_or_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, message: str
) -> None:
    if text:
        (tmp_path / "ml-100k.inter").write_text(text)
    package = SimpleNamespace(locate_file=lambda _: tmp_path)
    monkeypatch.setattr(importlib.metadata, "distribution", lambda _: package)
    with pytest.raises(DataError, match=message) as caught:
        builtin.movielens_100k()
    assert str(tmp_path / "ml-100k.inter") in str(caught.value)
