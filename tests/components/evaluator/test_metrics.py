"""What the metrics make of arrays, by hand; that they are TFMA's is in test_component."""

from __future__ import annotations

import math

import numpy as np
import pytest

from components.evaluator.metrics import FORMULAS, ArrayMetric, Totals

LABELS = np.array([0, 1, 0, 1])
PREDICTIONS = np.array([0.1, 0.4, 0.6, 0.9], np.float32)


def test_by_hand():
    totals = Totals.of(LABELS, PREDICTIONS)
    assert {name: formula(totals) for name, formula in FORMULAS.items()} == pytest.approx(
        {
            "auc": 3 / 4,  # of the pairs of a positive and a negative, those in the right order
            "binary_crossentropy": -(math.log(0.9) + math.log(0.4)) / 2,
            "binary_accuracy": 1 / 2,
            "calibration": 2 / 2,
            "example_count": 4,
        },
        abs=1e-6,
    )


def test_totals_of_parts_are_those_of_the_whole():
    whole, parts = Totals.of(LABELS, PREDICTIONS), Totals.of(LABELS[:1], PREDICTIONS[:1])
    parts += Totals.of(LABELS[1:], PREDICTIONS[1:])
    for formula in FORMULAS.values():
        assert formula(parts) == pytest.approx(formula(whole), abs=1e-12)
    np.testing.assert_array_equal(parts.histogram, whole.histogram)


def test_probabilities_of_0_and_1_have_a_finite_loss():
    totals = Totals.of(LABELS, np.array([1, 0, 0, 1], np.float32))
    assert 7 < FORMULAS["binary_crossentropy"](totals) < 9
    assert FORMULAS["auc"](totals) == 0.5


def test_a_metric_of_another_name_is_told():
    with pytest.raises(ValueError, match="no metric is called 'AUC', only auc, binary_crossentropy"):
        ArrayMetric("AUC")
