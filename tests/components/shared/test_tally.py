"""Values are counted exactly, however they come."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa

from components.shared import tally
from components.shared.tally import Tally


def counted(one: Tally) -> list[tuple[object, int]]:
    values, rows = one.total()
    return list(zip(values.to_pylist(), rows.tolist(), strict=True))


def test_plain_and_dictionary_arrays_and_nulls() -> None:
    """In the order in which they came first; entries of a dictionary that no row has do not count."""
    one = Tally()
    one.add(pa.array([b"b", None, b"a", b"b"]))
    one.add(pa.DictionaryArray.from_arrays(pa.array([2, 1, None, 2]), pa.array([b"x", b"a", b"c"])))
    assert counted(one) == [(b"b", 2), (b"a", 2), (b"c", 2)]


def test_nothing() -> None:
    assert counted(Tally()) == []
    one = Tally()
    one.add(pa.array([], pa.binary()))
    assert counted(one) == []


def test_parts_are_added_up_when_many_wait(monkeypatch) -> None:
    monkeypatch.setattr(tally, "_WAITING", 10)
    random, expected, one, other = np.random.default_rng(0), Counter(), Tally(), Tally()
    for number in range(40):
        values = random.integers(0, 30, 20)
        expected.update(values.tolist())
        (one if number % 2 else other).add(pa.array(values))
        assert one._waiting <= max(one._most, 10)
    one.merge(other)
    assert dict(counted(one)) == expected
    assert len(one._parts) <= 3
