"""Rows as serialized tf.Examples, a feature at a time."""

from __future__ import annotations

import functools

import numpy as np
import pyarrow as pa
from tfx_bsl.coders import example_coder

_EXAMPLE_TAG = b"\x0a"  # tf.train.Example.features, length-delimited


class FeatureEncoder:
    """Encodes features of a row; what it gives for each, joined in any order, is a row's tf.train.Features."""

    def __init__(self) -> None:
        self._encoder = example_coder.RecordBatchToExamplesEncoder()

    def features(self, key: str, values: pa.Array) -> np.ndarray:
        """Serialized tf.train.Features of one feature for each value, as object[n].

        Protocol buffers merge when their bytes are joined, so a row is a join of these. That is the order of its
        features too; the encoder alone gives a map's entries in an order that differs from one process to the next.
        """
        if not pa.types.is_list(values.type):
            values = pa.ListArray.from_arrays(pa.array(np.arange(len(values) + 1, dtype=np.int32)), values)
        examples = self._encoder.encode(pa.RecordBatch.from_arrays([values], [key]))
        parts = np.empty(len(examples), object)
        for i, example in enumerate(examples):  # without the tag and length of Example.features
            start = 2
            while example[start - 1] > 127:
                start += 1
            parts[i] = example[start:]
        return parts


def example(features: bytes) -> bytes:
    """A serialized tf.train.Example of serialized tf.train.Features."""
    return _EXAMPLE_TAG + _varint(len(features)) + features


@functools.cache
def _varint(value: int) -> bytes:
    """A length as protocol buffers write it."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
