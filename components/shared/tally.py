"""How often each value occurs in any number of Arrow arrays: exact, in memory that grows with distinct values alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

_WAITING = 1 << 20  # counts of parts that are not added up yet, at least


class Tally:
    """Counts values of arrays of one type; nulls are left out."""

    def __init__(self) -> None:
        self._parts: list[tuple[pa.Array, np.ndarray]] = []  # values, and how often each is in a part
        self._waiting, self._most = 0, _WAITING

    def add(self, values: pa.Array) -> None:
        """Adds the values of an array, of a dictionary array those that its codes stand for."""
        values = values.drop_null()
        if pa.types.is_dictionary(values.type):
            codes = values.indices.to_numpy()
            rows = np.bincount(codes, minlength=len(values.dictionary))
            first = np.empty(len(rows), np.int64)
            first[codes[::-1]] = np.arange(len(codes))[::-1]
            present = np.flatnonzero(rows)
            present = present[np.argsort(first[present])]
            self._append(values.dictionary.take(pa.array(present)), rows[present])
        else:
            counted = values.value_counts()
            self._append(counted.field("values"), counted.field("counts").to_numpy())

    def merge(self, other: Tally) -> None:
        """Adds what another one has counted."""
        for part in other._parts:
            self._append(*part)

    def total(self) -> tuple[pa.Array, np.ndarray]:
        """The values in the order in which they were first added, and how often each occurs, int64, (V,) both."""
        if not self._parts:
            return pa.array([], pa.binary()), np.zeros(0, np.int64)
        values, rows = zip(*self._parts, strict=True)
        encoded = pa.concat_arrays(values).dictionary_encode()
        # Sums of float64 are exact up to 2^53.
        sums = np.bincount(encoded.indices.to_numpy(), np.concatenate(rows), len(encoded.dictionary))
        return encoded.dictionary, sums.astype(np.int64)

    def _append(self, values: pa.Array, rows: np.ndarray) -> None:
        if len(values):
            self._parts.append((values, rows))
            self._waiting += len(values)
        if self._waiting > self._most:
            self._parts = [self.total()]
            self._waiting = len(self._parts[0][1])
            self._most = max(_WAITING, 2 * self._waiting)
