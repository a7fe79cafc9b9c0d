"""Values of a column, of whatever type a file has them in, as ids and numbers; null where one is none.

A column at a time, as the rows of a whole range pass through here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Ids and genres are keys: each stands in every example that has it, in a vocabulary, and in every export. One that is
# longer than any id scheme's is a field of another kind, or several that ran together.
MAX_ID_BYTES = 1024
MAX_GENRE_BYTES = 256
# Transform's vocabularies are files of lines, and leave out without a word what has a line break in it; the export
# puts \x1f between genres; of the others none is a part of a name.
CONTROL = "[\x00-\x1f\x7f\x85\u2028\u2029]"
_CONTROL_RE2 = r"[\x00-\x1f\x7f\x{85}\x{2028}\x{2029}]"
# Within a row read as text it stands for what would end the row, or a field, to Arrow; none of the above is accepted.
STAND_IN = "\x1e"
_MAX_NUMBER_CHARS = 1000


def is_text(kind: pa.DataType) -> bool:
    """Whether values of the type are text or bytes."""
    return any(
        is_kind(kind)
        for is_kind in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_fixed_size_binary,
        )
    )


def decoded(column: pa.Array) -> pa.Array:
    """Plain values of what may be a dictionary, and bytes of any kind as pa.large_binary or text."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.binary()) if pa.types.is_fixed_size_binary(column.type) else column


def to_text(column: pa.Array) -> pa.Array:
    """string[n]; null where there is none, or it is not UTF-8, which Parquet does not look at."""
    column = decoded(column)
    if not is_text(column.type):
        return column.cast(pa.string())
    raw = column.cast(pa.large_binary())
    try:
        return raw.cast(pa.large_string()).cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([_utf8_or_none(value) for value in raw.to_pylist()], pa.string())


def _utf8_or_none(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def to_ids(column: pa.Array) -> pa.Array:
    """string[n]; null where there is no id. A number with a fraction cannot be an id."""
    column = decoded(column)
    if pa.types.is_floating(column.type):  # integers with gaps, as pandas writes them
        column = to_integers(column.cast(pa.float64()))
    text = to_text(column)
    bad = pc.equal(pc.utf8_trim_whitespace(text), "")
    bad = pc.or_(bad, pc.greater(pc.binary_length(text), MAX_ID_BYTES))
    bad = pc.or_(bad, pc.match_substring_regex(text, _CONTROL_RE2))
    return pc.if_else(bad, pa.scalar(None, pa.string()), text)


def to_numbers(column: pa.Array) -> pa.Array:
    """float64[n]; null where there is no finite number."""
    column = decoded(column)
    if is_text(column.type):
        column = to_text(column)
    numbers = to_floats(column)
    return pc.if_else(
        pc.is_finite(numbers.cast(pa.float32(), safe=False)), numbers, pa.scalar(None, pa.float64())
    )


def to_floats(column: pa.Array) -> pa.Array:
    """float64[n] of numbers or their text, infinite ones too; null where there is none."""
    try:
        return column.cast(pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.array([_float(text) for text in column.to_pylist()], pa.float64())


def _float(value: Any) -> float | None:
    try:
        # No number is that long, and reading one takes time with the square of its length.
        if value is None or (isinstance(value, str) and ("_" in value or len(value) > _MAX_NUMBER_CHARS)):
            return None
        return float(value)
    except (ValueError, TypeError):
        return None


def to_integers(numbers: pa.Array) -> pa.Array:
    """int64[n] of float64[n]; null where there is a fraction or the number is too large to be exact."""
    values = numbers.to_numpy(zero_copy_only=False).astype(np.float64)
    with np.errstate(invalid="ignore"):
        good = np.isfinite(values) & (np.floor(values) == values) & (np.abs(values) < 2.0**53)
    return pa.array(np.where(good, values, 0).astype(np.int64), mask=~good)


def as_written(column: pa.Array) -> list[Any]:
    """The values as they were written; bytes where one is text that is not UTF-8."""
    if not is_text(column.type):
        try:
            return column.to_pylist()
        except ValueError:  # a moment that Python cannot hold
            return [str(value) if value.is_valid else None for value in column]
    raw = column.cast(pa.large_binary()).to_pylist()
    texts = map(_utf8_or_none, raw)
    return [
        value if text is None else text.replace(STAND_IN, "\r")
        for value, text in zip(raw, texts, strict=True)
    ]
