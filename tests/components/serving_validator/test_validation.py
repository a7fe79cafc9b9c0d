"""A good export is blessed with figures; each tampered one is refused with a sentence that says what is wrong."""

from __future__ import annotations

import json

import pytest

from tests.components.serving_validator.conftest import SETTINGS


@pytest.fixture(scope="module")
def report(exported, tmp_path_factory):
    from components.serving_validator.validation import validate

    return validate(str(exported.path), exported.examples, SETTINGS, tmp_path_factory.mktemp("blessing"))


def test_good_export(report):
    print(json.dumps(report, indent=2))
    assert report["failures"] == []
