"""What is set on a model after training."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from components.models import CALIBRATION, VocabularySizes, build_model, config_of
from components.trainer.rows import MOVIE, USER, Rows
from components.trainer.validation import calibrate, like_validation, log_loss, predict, score_catalogue

SIZES = VocabularySizes(user_id=31, movie_id=21, genres=1)


@pytest.mark.parametrize("of_a_user", [1, 7, 20], ids=["one", "some", "all"])
def test_the_mean_probability_is_the_share_of_the_positives(of_a_user):
    """Also where everybody has watched everything: the offset is a number then, and not infinite."""
    config = config_of("dot_product", objective="interaction", embedding_init=1.0)
    model = build_model(config, SIZES)
    users = np.repeat(np.arange(30), 20)
    movies = np.tile(np.arange(20), 30)
    rows = Rows.of(config, SIZES, {USER: users, MOVIE: movies}, movies < of_a_user, None)
    slope, offset = calibrate(config, model, rows, None)
    assert (slope, offset) == (1, pytest.approx(float(model.get_layer(CALIBRATION).offset)))
    scores = score_catalogue(model, rows, np.arange(30), core=True)[:, :20]
    assert expit(scores + offset).mean() == pytest.approx(of_a_user / 20, abs=1e-4)


def test_the_metrics_of_an_epoch_are_those_of_the_model_as_it_is():
    """Traced once, a model that has learned since is asked with the weights that it has then."""
    random = np.random.default_rng(0)
    config = config_of("dot_product", embedding_init=1.0)
    model = build_model(config, SIZES)
    train, held = (
        Rows.of(
            config,
            SIZES,
            {USER: random.integers(0, 30, size), MOVIE: random.integers(0, 20, size)},
            random.integers(0, 2, size),
            None,
        )
        for size in (300, 70)
    )
    validate = like_validation(train, held)
    for _ in range(2):
        found = validate(model)
        for prefix, rows in (("train", train), ("val", held)):
            assert found[f"{prefix}_loss"] == pytest.approx(log_loss(rows.y, predict(model, rows)), rel=1e-5)
        model.set_weights([2 * values for values in model.get_weights()])
