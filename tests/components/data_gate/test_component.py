"""The message of a refusal."""

from __future__ import annotations

from components.data_gate.component import refusal
from components.shared.features import SPLITS
from tests.components.data_gate.made import check, data, split


def test_a_refusal_has_the_first_and_the_number_of_the_others():
    findings = check(data(**{name: split(rows=10, positives=1) for name in SPLITS}))
    message = str(refusal(findings, 3))
    assert f"for {len(findings)} things" in message
    assert "1. train has too little to learn from: 10 rows" in message
    assert ("and 1 more" in message) == (len(findings) == 6)
    assert "and 3 warnings, in the log" in message
