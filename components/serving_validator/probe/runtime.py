"""TensorFlow's runtime without Python: its C API, which the bindings of Java and Go use too.

The loader behind it, `tensorflow::LoadSavedModel`, is that of TensorFlow Serving: Python rebuilds functions and could
hide what it lacks. The functions are documented in `tensorflow/include/tensorflow/c` beside the libraries.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

# TF_DataType of tf_datatype.h.
_DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype(np.float32),
    2: np.dtype(np.float64),
    3: np.dtype(np.int32),
    4: np.dtype(np.uint8),
    5: np.dtype(np.int16),
    6: np.dtype(np.int8),
    7: np.dtype(object),
    9: np.dtype(np.int64),
    10: np.dtype(np.bool_),
    17: np.dtype(np.uint16),
    19: np.dtype(np.float16),
    22: np.dtype(np.uint32),
    23: np.dtype(np.uint64),
}
_NUMBERS = {dtype: number for number, dtype in _DTYPES.items()}
_STRING = 7
_STRING_BYTES = 24  # of a TF_TString
# TF_Code of tsl_status.h; the names are those of Python's tf.errors.
_CODES = {
    1: "CancelledError",
    2: "UnknownError",
    3: "InvalidArgumentError",
    4: "DeadlineExceededError",
    5: "NotFoundError",
    6: "AlreadyExistsError",
    7: "PermissionDeniedError",
    8: "ResourceExhaustedError",
    9: "FailedPreconditionError",
    10: "AbortedError",
    11: "OutOfRangeError",
    12: "UnimplementedError",
    13: "InternalError",
    14: "UnavailableError",
    15: "DataLossError",
}
# Of the operation by which a variable's value is fetched: what tf.Variable calls it.
_READ = "/Read/ReadVariableOp"


class TensorFlowError(Exception):
    """What the runtime said no to: the name of its code, and its message."""


class _Output(ctypes.Structure):
    """TF_Output."""

    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


class Runtime:
    """The shared libraries of the installed TensorFlow.

    Raises:
        ImportError: They are not there.
    """

    def __init__(self) -> None:
        spec = find_spec("tensorflow")
        folders = [Path(one) for one in (spec.submodule_search_locations or [])] if spec else []
        for name in ("framework", "cc"):
            # .so.2 on Linux, .2.dylib on macOS
            found = [path for folder in folders for path in sorted(folder.glob(f"libtensorflow_{name}.*"))]
            if not found:
                raise ImportError(f"no libtensorflow_{name} in {', '.join(map(str, folders)) or 'Python'}")
            self._library = ctypes.CDLL(str(found[0]))
        pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
        size = ctypes.c_size_t
        for function, result, *takes in [
            ("TF_Version", text),
            ("TF_NewStatus", pointer),
            ("TF_GetCode", number, pointer),
            ("TF_Message", text, pointer),
            ("TF_DeleteStatus", None, pointer),
            ("TF_NewSessionOptions", pointer),
            ("TF_NewGraph", pointer),
            (
                "TF_LoadSessionFromSavedModel",
                *(pointer, pointer, pointer, text, pointer, number, pointer, pointer, pointer),
            ),
            ("TF_GraphOperationByName", pointer, pointer, text),
            ("TF_GraphNextOperation", pointer, pointer, pointer),
            ("TF_OperationName", text, pointer),
            ("TF_OperationOutputType", number, _Output),
            ("TF_AllocateTensor", pointer, number, pointer, number, size),
            ("TF_DeleteTensor", None, pointer),
            ("TF_TensorData", pointer, pointer),
            ("TF_TensorType", number, pointer),
            ("TF_NumDims", number, pointer),
            ("TF_Dim", ctypes.c_int64, pointer, number),
            ("TF_StringInit", None, pointer),
            ("TF_StringCopy", None, pointer, text, size),
            ("TF_StringGetDataPointer", pointer, pointer),
            ("TF_StringGetSize", size, pointer),
            (
                "TF_SessionRun",
                None,
                *(pointer, pointer, pointer, pointer, number, pointer, pointer, number),
                *(pointer, number, pointer, pointer),
            ),
        ]:
            of = getattr(self._library, str(function))
            of.restype, of.argtypes = result, takes
            setattr(self, str(function), of)

    def __getattr__(self, name: str) -> Any:  # the functions, for who reads types
        raise AttributeError(name)

    @property
    def version(self) -> str:
        """TensorFlow's version."""
        return self.TF_Version().decode()

    def checked(self, function: Any, *args: Any) -> Any:
        """Calls a function whose last argument is a status.

        Raises:
            TensorFlowError: The status is not OK.
        """
        status = self.TF_NewStatus()
        try:
            result = function(*args, status)
            code = self.TF_GetCode(status)
            if code:
                message = self.TF_Message(status).decode(errors="replace")
                raise TensorFlowError(f"{_CODES.get(code, f'code {code}')}: {message}")
            return result
        finally:
            self.TF_DeleteStatus(status)

    def tensor(self, array: np.ndarray) -> int:
        """A TF_Tensor with the values of an array; one of bytes is one of strings.

        It is the caller's to delete. Its long strings are never freed: some kilobytes, of a process that soon ends.
        """
        array = np.ascontiguousarray(array).reshape(array.shape)
        if array.dtype not in _NUMBERS:
            raise TypeError(f"no tensor is made of {array.dtype}")
        number = _NUMBERS[array.dtype]
        dims = (ctypes.c_int64 * array.ndim)(*array.shape)
        size = array.size * (_STRING_BYTES if number == _STRING else array.dtype.itemsize)
        made = self.TF_AllocateTensor(number, dims, array.ndim, size)
        data = self.TF_TensorData(made) or 0
        if number == _STRING:
            for place, value in zip(range(data, data + size, _STRING_BYTES), array.flat, strict=True):
                self.TF_StringInit(place)
                self.TF_StringCopy(place, value, len(value))
        elif size:
            ctypes.memmove(data, array.ctypes.data, size)
        return made

    def array(self, tensor: int) -> np.ndarray:
        """The values of a TF_Tensor: of numbers while it is there, for strings an array of bytes."""
        kind = self.TF_TensorType(tensor)
        if kind not in _DTYPES:
            raise TypeError(f"a tensor of TensorFlow's data type {kind}, which NumPy has not")
        shape = [self.TF_Dim(tensor, axis) for axis in range(self.TF_NumDims(tensor))]
        count = int(np.prod(shape, dtype=np.int64))
        if not count:
            return np.zeros(shape, _DTYPES[kind])
        itemsize = _STRING_BYTES if kind == _STRING else _DTYPES[kind].itemsize
        raw = (ctypes.c_ubyte * (count * itemsize)).from_address(self.TF_TensorData(tensor))
        if kind == _STRING:
            return np.array([*self._strings(raw)], object).reshape(shape)
        values: np.ndarray = np.ctypeslib.as_array(raw).view(_DTYPES[kind])
        return values.reshape(shape)

    def _strings(self, raw: ctypes.Array[ctypes.c_ubyte]) -> Iterator[bytes]:
        # One of up to 22 bytes is in the TF_TString itself (ctstring_internal.h): type and size in a byte, then the
        # characters.
        start, inside = ctypes.addressof(raw), bytes(raw)
        for at in range(0, len(inside), _STRING_BYTES):
            if inside[at] & 3 == 0:
                yield inside[at + 1 : at + 1 + (inside[at] >> 2)]
            else:
                size = self.TF_StringGetSize(start + at)
                yield ctypes.string_at(self.TF_StringGetDataPointer(start + at), size)


class SavedModel:
    """A SavedModel in a session of its own, variables and tables restored.

    Attributes:
        seconds: How long TensorFlow took for the last run.

    Raises:
        TensorFlowError: It cannot be loaded.
    """

    def __init__(self, runtime: Runtime, path: str) -> None:
        self._runtime, self.seconds = runtime, 0.0
        self._graph = runtime.TF_NewGraph()
        tags = (ctypes.c_char_p * 1)(b"serve")
        self._session = runtime.checked(
            runtime.TF_LoadSessionFromSavedModel,
            *(runtime.TF_NewSessionOptions(), None, path.encode(), tags, 1, self._graph, None),
        )

    def run(self, feeds: Mapping[str, np.ndarray], fetches: Sequence[str]) -> list[np.ndarray]:
        """The values of tensors, by names such as `serving_default_user_ids:0`.

        Raises:
            TensorFlowError: A tensor is not there, or the run fails.
            TypeError: It is of a dtype that one of the two does not have.
        """
        with self._answer(feeds, fetches) as arrays:
            return [array.copy() for array in arrays]

    def not_finite(self) -> dict[str, tuple[int, int]]:
        """Name of each variable of floats -> how many of its numbers are not finite, and how many it has."""
        runtime, place = self._runtime, ctypes.c_size_t(0)
        names = []
        while operation := runtime.TF_GraphNextOperation(self._graph, ctypes.byref(place)):
            name = runtime.TF_OperationName(operation).decode()
            if not name.endswith(_READ):
                continue
            kind = _DTYPES.get(runtime.TF_OperationOutputType(_Output(operation, 0)))
            if kind is not None and kind.kind == "f":
                names.append(name)
        if not names:
            return {}
        # In one run, as each of other tensors is planned anew; and where they lie, as they may be most of the memory.
        with self._answer({}, [f"{name}:0" for name in names]) as values:
            counts = [(of.size - int(np.isfinite(of).sum()), of.size) for of in values]
        return dict(zip((name.removesuffix(_READ) for name in names), counts, strict=True))

    @contextmanager
    def _answer(self, feeds: Mapping[str, np.ndarray], fetches: Sequence[str]) -> Iterator[list[np.ndarray]]:
        runtime = self._runtime
        fed = (_Output * len(feeds))(*map(self._output, feeds))
        asked = (_Output * len(fetches))(*map(self._output, fetches))
        inputs = [runtime.tensor(array) for array in feeds.values()]
        outputs = (ctypes.c_void_p * len(fetches))()
        started = time.perf_counter()
        try:
            runtime.checked(
                runtime.TF_SessionRun,
                *(self._session, None, fed, (ctypes.c_void_p * len(inputs))(*inputs), len(inputs)),
                *(asked, outputs, len(fetches), None, 0, None),
            )
            self.seconds = time.perf_counter() - started
            yield [runtime.array(tensor) for tensor in outputs if tensor]
        finally:
            for tensor in [*inputs, *filter(None, outputs)]:
                runtime.TF_DeleteTensor(tensor)

    def _output(self, name: str) -> _Output:
        operation, _, index = name.rpartition(":")
        found = self._runtime.TF_GraphOperationByName(self._graph, operation.encode())
        if not found:
            raise TensorFlowError(f"NotFoundError: no tensor {name!r} in the graph")
        return _Output(found, int(index))
