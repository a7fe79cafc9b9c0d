"""Runs the probe on an export and judges what it found; knows nothing of TFX."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import message
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from components.serving_validator.settings import ServingValidatorSettings
from components.shared import features
from components.shared.artifacts import EXTRA, PROBE_LOG_FILE, REFERENCE_FILE, REPORT_FILE, WARMUP_FILE

PROBE = Path(__file__).parent / "probe" / "__main__.py"
_REQUEST_FILE, _ANSWER_FILE = "request.json", "answer.json"
_MB = 1e6
# What a busy machine may cause, so that it is measured a second time before it is held against the export.
_OF_TIME = {"latency", "load time"}


def validate(
    model: str, examples: Sequence[str], settings: ServingValidatorSettings, folder: Path
) -> dict[str, Any]:
    """Asks the export in a clean process, and holds its answers and figures against the settings.

    Args:
        model: Folder of the SavedModel.
        examples: Files (TFRecord, gzip) of raw tf.Examples, of which the first ones are sent.
        settings: How to ask, and the budgets.
        folder: Gets `report.json` and the log of the process.

    Returns:
        What `report.json` holds: `blessed`; `failures`, sentences; `findings`, the same in fields `check`, `where`,
        `sent`, `found`, `expected`; `attempts`; `size_mb`; `settings`; and what the probe measured (see there), as
        far as it came.
    """
    folder.mkdir(parents=True, exist_ok=True)
    request = _request(model, examples, settings)
    for attempt in (1, 2):
        report = _ask(request, settings, folder)
        report["size_mb"] = sum(p.stat().st_size for p in Path(model).rglob("*") if p.is_file()) / _MB
        report["findings"] += [*_warmup_findings(request), *budget_findings(report, settings)]
        report["attempts"] = attempt
        if not report["findings"] or {finding["check"] for finding in report["findings"]} - _OF_TIME:
            break
    report |= {
        "blessed": not report["findings"],
        "failures": [sentence(finding) for finding in report["findings"]],
        "settings": settings.model_dump(),
    }
    (folder / REPORT_FILE).write_text(json.dumps(report, indent=2) + "\n")
    return report


def sentence(finding: dict[str, str]) -> str:
    """`recommend: 3 users, k = 10 -> scores that rise; expected the best first`."""
    sent = f"sent {finding['sent']}, " if finding["sent"] else ""
    return f"{finding['where']}: {sent}found {finding['found']}; expected {finding['expected']}"


def budget_findings(report: dict[str, Any], settings: ServingValidatorSettings) -> list[dict[str, str]]:
    """One finding for each figure that is beyond its budget; a figure that was not reached is none."""
    figures = [
        ("size", "export", "size_mb", settings.max_size_mb, "MB of files", "max_size_mb"),
        ("memory", "export", "memory_mb", settings.max_memory_mb, "MB of memory", "max_memory_mb"),
        ("load time", "export", "load_seconds", settings.max_load_seconds, "s to load", "max_load_seconds"),
    ]
    found = [
        _finding(
            check,
            where,
            "",
            f"{report[key]:.2f} {unit}",
            f"at most {limit:g} (serving.{name})",
        )
        for check, where, key, limit, unit, name in figures
        if report.get(key, 0) > limit
    ]
    for signature, limit in settings.latency_ms.model_dump().items():
        p95 = report["latency_ms"].get(signature, {"p95": 0})["p95"]
        if p95 > limit:
            found.append(
                _finding(
                    "latency",
                    signature,
                    f"{settings.requests} requests of one row",
                    f"95 % of them within {p95:.2f} ms",
                    f"within {limit:g} ms (serving.latency_ms.{signature})",
                )
            )
    return found


def _finding(check: str, where: str, sent: str, found: str, expected: str) -> dict[str, str]:
    return {"check": check, "where": where, "sent": sent, "found": found, "expected": expected}


def _request(model: str, examples: Sequence[str], settings: ServingValidatorSettings) -> dict[str, Any]:
    dataset = tf.data.TFRecordDataset(sorted(examples), "GZIP").take(settings.requests)
    records = list(dataset.as_numpy_iterator())
    warmup, problem = _warmup_requests(Path(model) / EXTRA / WARMUP_FILE)
    reference = Path(model) / EXTRA / REFERENCE_FILE
    return {
        "model": model,
        "signatures": signatures(Path(model)),
        "examples": _text(records),
        "made": _text(_examples_of(reference)),
        "pairs": [_pair(record) for record in records],
        "reference": str(reference),
        "warmup": warmup,
        "warmup_problem": problem,
        "requests": settings.requests,
        "batch_size": settings.batch_size,
        "tolerance": settings.tolerance,
        "timeout_seconds": settings.timeout_seconds,
    }


def _text(records: Iterable[bytes]) -> list[str]:
    return [base64.b64encode(record).decode() for record in records]


def signatures(model: Path) -> dict[str, Any] | None:
    """Dtypes and tensors of the signatures; None where they cannot be read."""
    try:
        parsed = saved_model_pb2.SavedModel.FromString(
            (model / tf.saved_model.SAVED_MODEL_FILENAME_PB).read_bytes()
        )
        return _of_serving(parsed)
    except (OSError, message.DecodeError, TypeError):  # the last of a dtype that there is not
        return None


def _of_serving(parsed: saved_model_pb2.SavedModel) -> dict[str, Any]:
    return {
        name: {
            "inputs": {key: _tensors(info) for key, info in definition.inputs.items()},
            "outputs": {key: _tensors(info) for key, info in definition.outputs.items()},
        }
        for graph in parsed.meta_graphs
        if tf.saved_model.SERVING in graph.meta_info_def.tags
        for name, definition in graph.signature_def.items()
        if not name.startswith("__")  # the loader's own
    }


def _tensors(info: meta_graph_pb2.TensorInfo) -> tuple[str, list[str]]:
    sparse = info.coo_sparse
    return tf.as_dtype(info.dtype).name, (
        [sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name]
        if info.HasField("coo_sparse")
        else [info.name]
    )


def _examples_of(reference: Path) -> Iterator[bytes]:
    """The pairs of the reference as examples without anything but the ids; none where the probe cannot read them."""

    def of(value: Any) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[str(value).encode()]))

    try:
        with np.load(reference) as stored:
            pairs = [*zip(stored["user_ids"], stored["movie_ids"], strict=True)]
    except Exception:  # whatever a file that is not one may raise
        return
    for user, movie in pairs:
        feature = {features.USER_KEY: of(user), features.MOVIE_KEY: of(movie)}
        yield tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def _pair(record: bytes) -> list[str]:
    example = tf.train.Example.FromString(record).features.feature
    return [example[key].bytes_list.value[0].decode() for key in (features.USER_KEY, features.MOVIE_KEY)]


def _warmup_requests(path: Path) -> tuple[list[dict[str, Any]], str | None]:
    """The warm-up requests as the probe reads them, and what is wrong with the file."""
    try:
        return [*_parse_warmup(path)], None
    except Exception as error:  # whatever a file that is not one may raise
        return [], f"{type(error).__name__}: {str(error).splitlines()[0]}"


def _parse_warmup(path: Path) -> Iterator[dict[str, Any]]:
    # The protos are TensorFlow Serving's, which the probe has not.
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        inputs = {}
        for name, proto in request.inputs.items():
            array = tf.make_ndarray(proto)
            values = array.reshape(-1).tolist()
            text = array.dtype == object
            inputs[name] = [
                "string" if text else array.dtype.name,
                array.shape,
                _text(values) if text else values,
            ]
        yield {"signature": request.model_spec.signature_name, "inputs": inputs}


def _warmup_findings(request: dict[str, Any]) -> list[dict[str, str]]:
    where, expected = f"{EXTRA}/{WARMUP_FILE}", "a TFRecord of PredictionLogs, one a signature"
    if request["warmup_problem"]:
        return [_finding("warm-up", where, "", request["warmup_problem"], expected)]
    if not request["warmup"]:
        return [_finding("warm-up", where, "", "no request", expected)]
    return []


def _ask(request: dict[str, Any], settings: ServingValidatorSettings, folder: Path) -> dict[str, Any]:
    """Runs the probe; its report, or one with a single finding that says how it ended."""
    paths = [folder / _REQUEST_FILE, folder / _ANSWER_FILE]
    paths[0].write_text(json.dumps(request))
    log = folder / PROBE_LOG_FILE
    # -I: neither the variables of Python nor the folder of the script, this project's, count. A GPU is left to
    # whoever has it.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")} | {
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "1",
    }
    ended = None
    try:
        with log.open("wb") as stderr:
            # In a folder where nothing of the project is.
            done = subprocess.run(
                [sys.executable, "-I", "-W", "ignore", str(PROBE), *map(str, paths)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=folder,
                env=environment,
                timeout=settings.timeout_seconds,
                check=False,
            )
        steps = done.stdout
        if done.returncode:
            ended = _how(done.returncode, log)
    except subprocess.TimeoutExpired as error:
        steps = error.stdout or b""
        ended = f"no end after {settings.timeout_seconds:g} s (serving.timeout_seconds)"
    try:
        if ended is None:
            return json.loads(paths[1].read_text())
        last = (steps.decode(errors="replace").splitlines() or ["starting"])[-1]
        finding = _finding("process", last, "", ended, "answers")
        return {"findings": [finding], "latency_ms": {}, "calls": 0}
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


def _how(returncode: int, log: Path) -> str:
    if returncode < 0:
        try:
            name = signal.Signals(-returncode).name
        except ValueError:
            name = str(-returncode)
        memory = ", as when memory runs out" if name == "SIGKILL" else ""
        return f"the process was ended by signal {name}{memory}"
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return f"the process ended with code {returncode}: {(errors or lines or [''])[-1][:300]}"
