"""Times of a column in whatever type and unit, as whole seconds since 1970."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pyarrow.compute as pc

from components.example_gen.values import decoded, is_text, to_floats, to_integers, to_text

# Ticks of a second.
TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
NO_MOMENT = 10**18  # beyond it nothing is a time, but in nanoseconds
_ISO = r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}(?::?\d{2})?)?)?$"
_ISO_ZONED = r":\d{2}(?:Z|[+-][\d:]+)$"


def to_seconds(column: pa.Array, unit: str = "s") -> pa.Array:
    """int64[n] seconds; null where the value is no time in the unit. Fractions of a second are dropped (floored),
    but a number of seconds has none. Moments and dates of Parquet have a unit of their own."""
    column = decoded(column)
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    if pa.types.is_timestamp(column.type):
        return _per_second(column.cast(pa.int64()), TICKS[column.type.unit])
    if is_text(column.type):
        column = to_text(column)
        return _moments(column) if unit == "iso" else _per_second(_ticks(column, unit), TICKS[unit])
    if unit == "iso":
        return pa.nulls(len(column), pa.int64())
    if pa.types.is_integer(column.type):
        return _per_second(column.cast(pa.int64(), safe=False), TICKS[unit])
    return _per_second(_float_ticks(column, unit), TICKS[unit])


def _per_second(ticks: pa.Array, per_second: int) -> pa.Array:
    """int64[n] seconds of int64[n] ticks; rounded down, before 1970 too, where pc.divide rounds up."""
    if per_second == 1:
        return ticks
    missing = ticks.is_null().to_numpy(zero_copy_only=False)
    return pa.array(ticks.fill_null(0).to_numpy() // per_second, mask=missing)


def _ticks(column: pa.Array, unit: str) -> pa.Array:
    """int64[n] of string[n], rounded down; null where the text is no number, or one of seconds with a fraction."""
    hexadecimal = pc.match_substring(column, "x", ignore_case=True)  # 0x10 is an integer to Arrow
    column = pc.if_else(hexadecimal, pa.scalar(None, column.type), column)
    # 18 digits are within 64 bits whatever they are, and no moment has more, but in nanoseconds.
    digits = r"-?(?:\d{1,18}|[1-8]\d{18})" if unit == "ns" else r"-?\d{1,18}"
    if pc.all(pc.match_substring_regex(column, f"^{digits}$")).as_py() is not False:
        return column.cast(pa.int64())
    # 964982703 and 964982703.0 are the same second; a value with an exponent is tried as a number.
    text = pc.utf8_trim_whitespace(column)
    fraction = "0*" if unit == "s" else r"\d*"
    whole = pc.replace_substring_regex(text, rf"^\+?({digits})(\.{fraction})?$", r"\1")
    exact = pc.match_substring_regex(whole, f"^{digits}$")
    integers = pc.if_else(exact, whole, pa.scalar(None, pa.string())).cast(pa.int64())
    below = pc.match_substring_regex(text, r"^-\d+\.\d*[1-9]")
    floats = pc.if_else(pc.match_substring_regex(whole, "[eE]"), whole, pa.scalar(None, pa.string()))
    return pc.coalesce(pc.subtract(integers, below.cast(pa.int64())), _float_ticks(floats, unit))


def _float_ticks(column: pa.Array, unit: str) -> pa.Array:
    """int64[n] of numbers or their text, as `_ticks`; null too where a number is too large to be exact."""
    numbers = to_floats(column)
    return to_integers(numbers if unit == "s" else pc.floor(numbers))


def _moments(column: pa.Array) -> pa.Array:
    """int64[n] seconds of ISO dates and times as string[n]; without a zone they are in UTC. Null for others."""
    none = pa.scalar(None, pa.string())
    text = pc.utf8_trim_whitespace(column)
    text = pc.if_else(pc.match_substring_regex(text, _ISO), text, none)
    text = pc.replace_substring_regex(text, r"\.\d+", "")
    zoned = pc.match_substring_regex(text, _ISO_ZONED)
    try:  # Arrow reads a column with zones, or one without
        return pc.coalesce(
            pc.if_else(zoned, text, none).cast(pa.timestamp("s", "UTC")).cast(pa.int64()),
            pc.if_else(zoned, none, text).cast(pa.timestamp("s")).cast(pa.int64()),
        )
    except pa.ArrowInvalid:  # one of them is no day, such as 2019-02-30
        return pa.array([_moment(value) for value in text.to_pylist()], pa.int64())


def _moment(text: str | None) -> int | None:
    try:
        moment = datetime.datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    if moment is not None and moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return None if moment is None else int(moment.timestamp())
