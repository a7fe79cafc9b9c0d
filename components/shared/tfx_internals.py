"""Where we lean on what TFX, ML Metadata and Beam do not promise: replaced methods, private attributes, the layout on
disk.

Each was checked with the versions of `CHECKED_WITH`; tests/components/shared/test_tfx_internals.py fails when this
ground moves. What needs TFX imports it inside, so that reading ML Metadata does not.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from google.protobuf import text_encoding
from google.protobuf.message import Message
from ml_metadata import errors
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

if TYPE_CHECKING:
    from tfx.dsl.components.base.base_executor import BaseExecutor

CHECKED_WITH = {"tfx": "1.16.0", "ml-metadata": "1.16.0", "apache-beam": "2.65.0"}

# Type names of TFX's contexts.
PIPELINE, PIPELINE_RUN, NODE = "pipeline", "pipeline_run", "node"
# What StatisticsGen and ExampleValidator write for each split.
STATISTICS_FILE, ANOMALIES_FILE = "FeatureStats.pb", "SchemaDiff.pb"
_SPLIT = "Split-"


# --- the layout on disk


def files_of_splits(uri: str, name: str) -> dict[str, Path]:
    """Split -> its file of that name, of an artifact with a folder a split."""
    found = sorted(Path(uri).glob(f"{_SPLIT}*/{name}"))
    return {path.parent.name.removeprefix(_SPLIT): path for path in found}


def execution_folders(root: Path, node: str, execution_id: int) -> list[Path]:
    """Folders of an execution: its outputs, and TFX's own."""
    system = root / node / ".system"
    return [
        *(root / node).glob(f"*/{execution_id}"),
        *system.glob(f"*/{execution_id}"),
        # Named at random, one an execution, and empty but for running ones.
        *system.glob("stateful_working_dir/*"),
    ]


# --- private attributes


def run_and_execution(executor: BaseExecutor) -> tuple[str, int]:
    """Id of the run and of the execution that an executor is at work for; "" and 0 outside of a run."""
    context = executor._context
    if not context:
        return "", 0
    return context.pipeline_run_id or "", int(context._unique_id or 0)


# --- replaced methods


@contextmanager
def launches_observed(observe: Callable[[str, bool], None], check: Callable[[], None]) -> Iterator[None]:
    """Tells of each node that starts (True) and of each that has ended (False): LocalDagRunner has no hook.

    Args:
        observe: Called with the node's id.
        check: Called before a node starts, before what it has made is recorded, and when it has ended; what it raises
            ends the run, and leaves an execution that is not recorded yet as one that was interrupted.
    """
    from tfx.orchestration.portable.launcher import Launcher

    stock, stock_publish = Launcher.launch, Launcher._publish_successful_execution

    @wraps(stock)
    def launch(self: Launcher) -> Any:
        node = self._pipeline_node.node_info.id
        check()
        observe(node, True)
        done = stock(self)
        check()
        observe(node, False)
        return done

    @wraps(stock_publish)
    def publish(self: Launcher, *arguments: Any) -> None:
        check()
        stock_publish(self, *arguments)

    Launcher.launch, Launcher._publish_successful_execution = launch, publish
    try:
        yield
    finally:
        Launcher.launch, Launcher._publish_successful_execution = stock, stock_publish


@contextmanager
def in_order() -> Iterator[None]:
    """Artifacts and artifact types that are asked for by id come in the order of the ids.

    TFX's cache pairs them with the events by position. SQLite returns them so, PostgreSQL as they lie on its disk:
    the outputs of a cached component are swapped then, such as the transform graph and the transformed examples.
    """
    stock = {
        name: getattr(MetadataStore, name) for name in ("get_artifacts_by_id", "get_artifact_types_by_id")
    }

    def ordered(fetch: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(fetch)
        def get(self: MetadataStore, ids: Iterable[int], *arguments: Any, **options: Any) -> list[Any]:
            ids = list(ids)
            found = {one.id: one for one in fetch(self, ids, *arguments, **options)}
            return [found[id_] for id_ in ids if id_ in found]

        return get

    for name, fetch in stock.items():
        setattr(MetadataStore, name, ordered(fetch))
    try:
        yield
    finally:
        for name, fetch in stock.items():
            setattr(MetadataStore, name, fetch)


@contextmanager
def signatures_kept() -> Iterator[None]:
    """Beam looks at the arguments of a method once.

    It asks for those of every method of each DoFn time and again, 44,000 times in a pipeline of TensorFlow Transform,
    whose shortest run takes a sixth longer by that.
    """
    from apache_beam.transforms import core

    stock, known = core.get_function_args_defaults, {}

    @wraps(stock)
    def arguments(method: Callable[..., Any]) -> tuple[list[str], list[Any]]:
        if not isinstance(method, MethodType):
            found: tuple[list[str], list[Any]] = stock(method)
            return found
        if method.__func__ not in known:
            known[method.__func__] = stock(method)
        names, defaults = known[method.__func__]
        return [*names], [*defaults]

    core.get_function_args_defaults = arguments
    try:
        yield
    finally:
        core.get_function_args_defaults = stock


_STOCK_CALL = MetadataStore._call_method
# A character for private use, with a letter after it, in place of a backslash and of itself.
_MARK = "\ue05c"
_MARKED = re.compile(f"{_MARK}([bm])")


@contextmanager
def backslashes_kept(connection: mlmd.ConnectionConfig) -> Iterator[None]:
    """Texts with a backslash, such as JSON in JSON, can be written to PostgreSQL.

    ML Metadata puts PQescapeLiteral's answer between quotes of its own, and cuts off one character at each end. For a
    text with a backslash the answer is ` E'...'`, and PostgreSQL refuses the statement. So none gets there: it is
    marked on the way in, and is one again on the way out.
    """
    if connection.WhichOneof("config") == "postgresql":
        MetadataStore._call_method = _call_marked
    try:
        yield
    finally:
        MetadataStore._call_method = _STOCK_CALL


def _call_marked(self: MetadataStore, name: str, request: Message, response: Message) -> None:
    if b"\\" in (content := request.SerializeToString()) or _MARK.encode() in content:
        marked = type(request)()
        marked.CopyFrom(request)
        _replace_texts(marked, lambda text: text.replace(_MARK, f"{_MARK}m").replace("\\", f"{_MARK}b"))
        request = marked
    _STOCK_CALL(self, name, request, response)
    if _MARK.encode() in response.SerializeToString():
        _replace_texts(
            response, lambda text: _MARKED.sub(lambda found: {"b": "\\", "m": _MARK}[found[1]], text)
        )


def _replace_texts(message: Message, replace: Callable[[str], str]) -> None:
    """Replaces each text of a message and of those in it."""
    for field, value in message.ListFields():
        repeated = field.label == field.LABEL_REPEATED
        if field.type == field.TYPE_STRING:
            if repeated:
                value[:] = [replace(one) for one in value]
            else:
                setattr(message, field.name, replace(value))
        elif field.type == field.TYPE_MESSAGE:
            # Of a map there is nothing to replace but in its messages: its keys are names.
            is_map = field.message_type.GetOptions().map_entry
            inner = value.values() if is_map else value if repeated else [value]
            for one in inner:
                if isinstance(one, Message):
                    _replace_texts(one, replace)


class Connection(MetadataStore):
    """A connection to ML Metadata of which every call's error goes through a function, and which connects again after.

    Args:
        connection: Where to.
        failed: Makes the error to raise of that of ML Metadata.
    """

    _metadata_store: Any

    def __init__(self, connection: mlmd.ConnectionConfig, failed: Callable[[Exception], Exception]) -> None:
        self._connection, self._failed = connection, failed
        super().__init__(connection)

    def _call(self, *arguments: Any) -> Any:
        if self._metadata_store is None:
            super().__init__(self._connection)
        try:
            return super()._call(*arguments)
        except (errors.NotFoundError, errors.AlreadyExistsError):
            raise  # an answer, of which MetadataStore makes something
        except errors.StatusError as error:
            self._metadata_store = None  # a failed commit leaves its transaction open, for good
            raise self._failed(error) from error

    def _call_method(self, name: str, request: Message, response: Message) -> None:
        of_postgresql = self._connection.WhichOneof("config") == "postgresql"
        (_call_marked if of_postgresql else _STOCK_CALL)(self, name, request, response)


# --- what TFX's driver looks at


def fingerprint(name: str, pattern: str) -> str:
    """What ExampleGen's driver says of the files of a split of its input: how many, their bytes and times."""
    from tfx.utils import io_utils

    found: str = io_utils.generate_fingerprint(name, pattern)
    return found


# --- what TFX logs


class _Redacted(logging.Filter):
    """Puts a mark in place of secrets in a message, whatever it says; leaves out one that cannot be looked through."""

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__()
        self._forms = _all_forms(secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            text = record.getMessage()
        except Exception:
            return False
        shown = _replaced(text, self._forms)
        if shown != text:
            record.msg, record.args = shown, None
        return True


@contextmanager
def secrets_kept(secrets: Iterable[str]) -> Iterator[None]:
    """Keeps secrets out of the log: TFX logs how it connects to ML Metadata, password included."""
    from absl import logging as absl_logging

    redacted = _Redacted([secret for secret in secrets if secret])
    # A logger's filter sees its own records alone, a handler's all that reach it.
    where = [absl_logging.get_absl_logger(), logging.getLogger(), *logging.getLogger().handlers]
    for one in where:
        one.addFilter(redacted)
    try:
        yield
    finally:
        for one in where:
            one.removeFilter(redacted)


def redacted(text: str, secrets: Iterable[str]) -> str:
    """A text with a mark in place of secrets."""
    return _replaced(text, _all_forms(secrets))


def _replaced(text: str, forms: Iterable[str]) -> str:
    for form in forms:
        text = text.replace(form, "***")
    return text


def _all_forms(secrets: Iterable[str]) -> list[str]:
    return sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True)


def _forms(secret: str) -> set[str]:
    """A secret as text, protobuf, JSON, Python and addresses write it."""
    return {
        secret,
        text_encoding.CEscape(secret, as_utf8=True),
        text_encoding.CEscape(secret.encode(), as_utf8=False),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        quote(secret, safe=""),
    }
