"""Executor of the ratings ExampleGen: the movies table whole, then the Beam steps over ranges of the ratings.

The number of ranges and buckets depends on the size of the input alone, so the same input gives the same bytes on any
number of workers.
"""

# Paths may be URIs, which pathlib would mangle.
# ruff: noqa: PTH118, PTH120

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tfx import types
from tfx.components.example_gen import utils
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, proto_utils

from components.example_gen import files, layouts, steps
from components.example_gen.movies import read_movies
from components.example_gen.readers import FileRange, plan
from components.example_gen.readers.parquet import ParquetFormat
from components.example_gen.reports import check_rejects, duplicates_error, empty_split_error, summarise
from components.example_gen.rows import MOVIES, MOVIES_SCHEMA, RATINGS, Reject, rejects_csv
from components.example_gen.settings import IngestSettings
from components.shared import columns
from components.shared.artifacts import (
    FIRST_SPAN,
    LAST_SPAN,
    MOVIES_FILE,
    NUM_SPANS,
    REJECTS_FILE,
    TYPICAL_USER,
    WITHOUT_TIMES,
)
from components.shared.errors import DataError
from components.shared.features import MOVIE_KEY, SPLITS

SETTINGS_KEY = "settings"
MOVIES_KEY = "movies"

_RANGE_BYTES = 8 << 20
_BUCKET_BYTES = 64 << 20  # one shard a split for each; what a worker holds at a time
_WORK = ".work"


class Executor(base_beam_executor.BaseBeamExecutor):
    """Writes the artifacts `examples` and `movies`.

    `examples`: TFRecords of tf.Examples, one folder a split, the same as columns, see `shared.columns`, and
    rejects.csv (file, line, reason, text) where malformed rows were allowed and met. Its integer custom properties
    are num_rows, num_train, num_eval, num_test, num_users, num_movies (rated ones), num_rejected (rows of either
    table), num_duplicates, num_ratings_without_movie (where there is a movies table), and oldest_timestamp and
    newest_timestamp in seconds; of a window of spans also num_spans, and as text first_span and last_span. Where
    the ratings have no times, `timestamp` is 0 in every example, and the property without_times is 1 instead of the
    last two. Of text is typical_user: the user in the middle by number of train ratings among those of the first
    shard, and the movies they rated best, as JSON.

    `movies`: movies.parquet, sorted by movie_id, with the columns of `rows.MOVIES_SCHEMA`; every movie of
    the movies table, and every rated movie that it lacks with an empty title and no genres.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the class.

        Raises:
            DataError: More rows are malformed than allowed, a (user, movie) pair is there twice where that is
                an error, a split would be empty, a file was written while it was read, or what
                `detection.detect` raises.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        try:
            self._ingest(output_dict, exec_properties)
        except Exception:
            # A file that is not whole yet is often malformed first of all.
            _check_unchanged(exec_properties)
            raise
        _check_unchanged(exec_properties)

    def _ingest(self, output_dict: dict[str, list[types.Artifact]], exec_properties: dict[str, Any]) -> None:
        settings = IngestSettings.model_validate_json(exec_properties[SETTINGS_KEY])
        examples = artifact_utils.get_single_instance(output_dict[standard_component_specs.EXAMPLES_KEY])
        movies = artifact_utils.get_single_instance(output_dict[MOVIES_KEY])
        inputs = _input_files(exec_properties)

        catalogue = MOVIES_SCHEMA.empty_table()
        rejects: list[Reject] = []
        if MOVIES in inputs:
            path = files.sole_file(inputs[MOVIES])
            catalogue, rejects = read_movies(path, settings.layout, settings)
            check_rejects(rejects, len(rejects), catalogue.num_rows + len(rejects), "movies", settings)
        catalogue_path = os.path.join(movies.uri, MOVIES_FILE)
        _write_parquet(catalogue, catalogue_path)  # the workers read it from there

        parts, buckets = _plan(inputs[RATINGS], settings)
        examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
        work = os.path.join(examples.uri, _WORK)
        fileio.makedirs(work)
        split_uris = [artifact_utils.get_split_uri([examples], split) for split in SPLITS]
        for uri in split_uris:
            fileio.makedirs(uri)
            fileio.makedirs(columns.folder_of(uri))
        with self._make_beam_pipeline() as pipeline:
            steps.build(pipeline, parts, buckets, settings, catalogue_path, split_uris, work)

        summary = summarise(work)
        check_rejects(
            summary["rejects"],
            summary["num_rejects"],
            summary["rows_read"] + summary["num_rejects"],
            "ratings",
            settings,
        )
        if settings.duplicates == "error" and summary["num_duplicates"]:
            raise duplicates_error(summary, parts)
        if not all(summary["num_by_split"]):
            raise empty_split_error(summary, settings)

        rejects += summary["rejects"]
        if rejects:
            with fileio.open(os.path.join(examples.uri, REJECTS_FILE), "w") as file:
                file.write(rejects_csv(rejects))
        _write_parquet(_complete(catalogue, summary["movies"]), catalogue_path)
        fileio.rmtree(work)

        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(examples, "tfrecords_gzip")
        summary["num_rejected"] = len(rejects)
        for name, value in _properties(
            summary, MOVIES in inputs, settings.columns.timestamp is not None
        ).items():
            examples.set_int_custom_property(name, value)
        spans = _spans(exec_properties)
        if spans:
            examples.set_string_custom_property(FIRST_SPAN, spans[0])
            examples.set_string_custom_property(LAST_SPAN, spans[-1])
            examples.set_int_custom_property(NUM_SPANS, len(spans))
        examples.set_string_custom_property(TYPICAL_USER, json.dumps(summary[TYPICAL_USER]))


def _properties(summary: Mapping[str, Any], has_movies: bool, has_times: bool) -> dict[str, int]:
    counts = summary["num_by_split"]
    counted = ["num_users", "num_rejected", "num_duplicates"]
    if has_movies:
        counted.append("num_ratings_without_movie")
    times = {WITHOUT_TIMES: 1}
    if has_times:
        times = {
            "oldest_timestamp": min(summary["timestamps"]),
            "newest_timestamp": max(summary["timestamps"]),
        }
    return {
        "num_rows": sum(counts),
        **{f"num_{split}": n for split, n in zip(SPLITS, counts, strict=True)},
        "num_movies": len(summary["movies"]),
        **{name: summary[name] for name in counted},
        **times,
    }


def _input_files(exec_properties: Mapping[str, Any]) -> dict[str, list[str]]:
    config = example_gen_pb2.Input()
    proto_utils.json_to_proto(exec_properties[standard_component_specs.INPUT_CONFIG_KEY], config)
    base = exec_properties[standard_component_specs.INPUT_BASE_KEY]
    inputs: dict[str, list[str]] = {}
    for split in config.splits:
        name, _, span = split.name.partition("-")
        found = files.glob_files(os.path.join(base, split.pattern))
        if not found:
            of_span = f" of span {span}" if span else ""
            raise DataError(
                f"The {name}{of_span} are not there any more.", where=os.path.join(base, split.pattern)
            )
        inputs.setdefault(name, []).extend(found)
    return inputs


def _check_unchanged(exec_properties: Mapping[str, Any]) -> None:
    """Of what was read: TFX's driver has looked at the files before."""
    before = exec_properties.get(utils.FINGERPRINT_PROPERTY_NAME)
    if not before:
        return
    config = example_gen_pb2.Input()
    proto_utils.json_to_proto(exec_properties[standard_component_specs.INPUT_CONFIG_KEY], config)
    base = exec_properties[standard_component_specs.INPUT_BASE_KEY]
    known = set(before.split("\n"))
    for split in config.splits:
        pattern = os.path.join(base, split.pattern)
        if io_utils.generate_fingerprint(split.name, pattern) not in known:
            name, _, span = split.name.partition("-")
            raise DataError(
                f"The {name}{f' of span {span}' if span else ''} were written while they were read.",
                where=pattern,
                fix="run again when they are whole; write new files aside and rename them",
            )


def _spans(exec_properties: Mapping[str, Any]) -> list[str]:
    """Names of the spans that are read, oldest first."""
    config = example_gen_pb2.Input()
    proto_utils.json_to_proto(exec_properties[standard_component_specs.INPUT_CONFIG_KEY], config)
    parts = (split.name.partition("-") for split in config.splits)
    return [span for name, _, span in parts if name == RATINGS and span]


def _plan(paths: list[str], settings: IngestSettings) -> tuple[list[FileRange], int]:
    """Ranges of the ratings, and into how many buckets their users go."""
    layout = layouts.find(settings.layout)
    parts = [
        part for path in paths for part in plan(path, layout.ratings_format(path, settings), _RANGE_BYTES)
    ]
    size = sum(part.end - part.start for part in parts)
    if isinstance(parts[0].format, ParquetFormat):
        size = len(parts) * _RANGE_BYTES
    return parts, -(-size // _BUCKET_BYTES)


def _write_parquet(table: pa.Table, path: str) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    fileio.makedirs(os.path.dirname(path))
    with fileio.open(path, "wb") as file:
        file.write(sink.getvalue().to_pybytes())


def _complete(catalogue: pa.Table, rated: set[str]) -> pa.Table:
    """The movies table with the rated movies it lacks, sorted by movie_id."""
    missing = sorted(rated - set(catalogue[MOVIE_KEY].to_pylist()))
    n = len(missing)
    extra = pa.table([missing, [""] * n, [[]] * n, [None] * n], schema=MOVIES_SCHEMA)
    return pa.concat_tables([catalogue, extra]).combine_chunks().sort_by(MOVIE_KEY)
