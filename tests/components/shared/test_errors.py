"""What a message looks like."""

from __future__ import annotations

from components.shared.errors import DataError, cut


def test_a_text_is_cut_to_what_was_asked_for_and_no_further() -> None:
    assert cut("x" * 100, 100) == "x" * 100
    text = "begin" + "x" * 1_000_000 + "end"
    short = cut(text, 100)
    assert len(short) == 100
    assert short.startswith("begin")
    assert short.endswith("end")
    assert "(1,000,008 characters)" in short
    assert cut(short, 100) == short


def test_a_message_shows_no_field_whole_that_is_as_large_as_a_file() -> None:
    """Line by line, so that a list of findings keeps its lines."""
    huge = "x" * 50_000_000
    error = DataError("A problem.", where=f"/in/{huge}.csv:7", found=f"\n    1. {huge}\n    2. short")
    assert len(str(error)) < 1200
    assert ".csv:7" in str(error)
    assert str(error).endswith("\n    2. short")
    assert error.found is not None
    assert len(error.found) > 50_000_000
