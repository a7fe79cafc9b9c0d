"""What the settings refuse."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from components.ranking.settings import RankingSettings


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"ks": (5, 20)}, "primary_k 10 must be one of ks"),
        ({"ks": (10, 10)}, "a number twice"),
        ({"ks": ()}, "at least 1"),
        ({"ks": (0,), "primary_k": 1}, "greater than or equal to 1"),
        ({"confidence": 1.0}, "less than 1"),
        ({"sampled": 3}, "not permitted"),
    ],
)
def test_what_is_refused(values, part):
    with pytest.raises(ValidationError, match=part):
        RankingSettings(**values)
