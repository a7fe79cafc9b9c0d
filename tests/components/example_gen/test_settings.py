"""Settings: what is refused, and that reading them needs neither TensorFlow nor TFX."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from components.example_gen import settings as settings_module
from components.example_gen.settings import IngestSettings
from components.shared.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"layot": "csv"}, "layot"),
        ({"layout": "netflix"}, "ml-100k"),
        ({"layout": "netflix"}, "the dotted path of a module"),
        *[
            ({"layout": path}, "dotted path")
            for path in ("", ".", "a.", "a..b", "my-package.layout", "a/b.py", "1.2")
        ],
        ({"encoding": "utf-99"}, "unknown encoding"),
        ({"encoding": "utf-16"}, "does not contain ASCII"),
        ({"delimiter": '"'}, "delimiter"),
        ({"max_malformed_rate": 1.0}, "less than 1"),
        ({"split": {"eval_fraction": 0.5, "test_fraction": 0.5}}, "sum must be below 1"),
        ({"split": {"eval_fraction": 0}}, "greater than 0"),
        ({"columns": {"user_id": "a", "movie_id": "a"}}, "column of its own"),
        ({"timestamp_unit": "minutes"}, "'iso'"),
        ({"ratings_file": "a\0b"}, "NUL"),
        ({"movies_file": "\0"}, "NUL"),
    ],
)
def test_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        IngestSettings.model_validate(values)


@pytest.mark.parametrize("method", ["user_time", "time", "leave_last_out"])
def test_a_split_by_time_without_times_is_refused_with_both_keys(method: str) -> None:
    with pytest.raises(ConfigError) as caught:
        IngestSettings.model_validate({"columns": {"timestamp": None}, "split": {"method": method}})
    message = str(caught.value)
    for part in (
        f"The split {method} needs times",
        "keys data.columns.timestamp and data.split.method",
        "set data.split.method to random",
        "user_hash",
        "name the column in data.columns.timestamp",
    ):
        assert part in message


@pytest.mark.parametrize("method", ["random", "user_hash"])
def test_a_split_that_looks_at_no_times_needs_none(method: str) -> None:
    values = {"columns": {"timestamp": None}, "split": {"method": method}}
    assert IngestSettings.model_validate(values).columns.timestamp is None


def test_a_layout_may_be_the_dotted_path_of_a_module() -> None:
    """Which is not imported for it."""
    assert IngestSettings(layout="no_such_package.no_such_module").layout == "no_such_package.no_such_module"


def test_json_round_trip() -> None:
    """The executor gets them as JSON."""
    settings = IngestSettings.model_validate(
        {"layout": "csv", "movie_columns": {"title": None}, "delimiter": "\t"}
    )
    assert IngestSettings.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize("name", ["IngestSettings", "SplitSettings", "RatingColumns", "MovieColumns"])
def test_every_field_is_described(name: str) -> None:
    for field in getattr(settings_module, name).model_fields.values():
        assert field.description
        assert field.description.endswith(".")


def test_detection_and_settings_import_no_tensorflow() -> None:
    """The preflight runs before anything heavy is imported."""
    code = (
        "import sys\n"
        "from components.example_gen import builtin, detection, settings\n"
        "print([m for m in ('tensorflow', 'tfx', 'apache_beam', 'recbole') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
