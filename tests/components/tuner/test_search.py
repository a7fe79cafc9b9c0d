"""A real search over a few hundred rows: what it searches by, what it starts from, how it goes on when interrupted."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from components.models import VocabularySizes
from components.models.dot_product import DotProductConfig
from components.models.hyperparameters import ModelConfig
from components.models.mlp import MlpConfig
from components.models.search_space import decoded, search_space, with_values
from components.shared.errors import ModelError
from components.trainer.training import fit
from components.tuner import search as searching
from components.tuner.search import Rows, Search
from components.tuner.settings import TuningSettings, metric_of

SIZES = VocabularySizes(user_id=31, movie_id=41, genres=4)
SMALL = {"batch_size": 64, "epochs": 2}


def rows(count: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    user, movie = rng.integers(0, 30, count), rng.integers(0, 40, count)
    return {"user_id_xf": user, "movie_id_xf": movie}, (user % 2 == movie % 2).astype(np.int64)


DATA = Rows(*rows(400, 0), *rows(100, 1), catalogue={})


def make(folder, model: ModelConfig | None = None, metric: str = "val_loss", **settings) -> Search:
    model = model or DotProductConfig(**SMALL)
    tuning = TuningSettings(**{"max_trials": 3, "keys": ("embedding_dim", "learning_rate"), **settings})
    space = search_space(model, tuning.space, tuning.keys)
    return Search(model, SIZES, DATA, space, tuning, metric, str(folder))


def trials(search: Search) -> list[tuple[str, dict, float]]:
    found = search.oracle.trials
    return [(id_, found[id_].hyperparameters.values, found[id_].score) for id_ in sorted(found)]


def test_the_metric_is_that_of_the_gate():
    assert metric_of("like", "ndcg") == "val_loss"
    assert metric_of("interaction", "ndcg") == metric_of("interaction", "mrr") == "val_ndcg@10"
    assert metric_of("interaction", "recall") == "val_recall@10"


def test_a_search_starts_from_the_configured_values_and_scores_as_the_trainer_trains(tmp_path, caplog):
    """The score of a trial is the validation metric of training with its values, and the least one wins."""
    search = make(tmp_path)
    with caplog.at_level(logging.INFO, "marquee.progress"):
        search.search()
    (_, first, first_score), *others = trials(search)
    assert decoded(first) == {"embedding_dim": 32, "learning_rate": 0.02}
    assert len(others) == 2
    best = search.completed[0]
    assert best.score == min(first_score, *(score for _, _, score in others))
    config = with_values(search.model, best.hyperparameters.values)
    _, history = fit(config, SIZES, DATA.x, DATA.y, DATA.x_eval, DATA.y_eval, {})
    assert history.best["val_loss"] == pytest.approx(best.score, rel=1e-4)
    lines = [one.getMessage() for one in caplog.records if one.name == "marquee.progress"]
    assert len(lines) == 3
    assert lines[0].startswith("trial 1 of 3: validation log-loss 0.")
    assert lines[0].endswith(", the best: embedding_dim 32, learning_rate 0.02")


@pytest.mark.parametrize(
    ("model", "metric", "keys"),
    [
        (MlpConfig(objective="interaction", batch_size=256), "val_ndcg@10", ("negatives", "hidden_units")),
        (DotProductConfig(objective="interaction"), "val_recall@10", ("vector_dropout", "embedding_l2")),
    ],
    ids=["binary", "softmax"],
)
def test_interaction_is_searched_by_its_ranking_metric(tmp_path, model, metric, keys):
    """Greater is better; choices may be lists, such as layers."""
    search = make(tmp_path, model, metric, max_trials=2, epochs=1, keys=keys)
    search.search()
    assert search.completed[0].score == max(score for *_, score in trials(search))
    for _, values, score in trials(search):
        assert 0 <= score <= 1
        assert decoded(values).keys() == set(keys)
        assert isinstance(with_values(model, values), type(model))


@pytest.mark.parametrize("algorithm", ["bayesian", "hyperband"])
def test_a_search_that_was_interrupted_goes_on_as_if_nothing_had_happened(
    tmp_path, monkeypatch, caplog, algorithm
):
    """The second trial dies: its error is raised, the first is not done again, and all trials are as without it."""
    model = DotProductConfig(batch_size=64, epochs=3 if algorithm == "hyperband" else 1)
    settings = {"algorithm": algorithm, "max_trials": 4 if algorithm == "hyperband" else 3, "model": model}
    whole = make(tmp_path / "whole", **settings)
    whole.search()

    calls = 0

    def dies(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return fit(*arguments, **options)

    monkeypatch.setattr(searching, "fit", dies)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "cut", **settings).search()
    again = make(tmp_path / "cut", **settings)
    with caplog.at_level(logging.INFO, "marquee.progress"):
        again.search()
    assert "goes on after 1 trial that is" in caplog.text
    assert calls == 1 + len(trials(whole))
    assert [(id_, values) for id_, values, _ in trials(again)] == [
        (id_, values) for id_, values, _ in trials(whole)
    ]
    if algorithm == "hyperband":  # the best of the three short ones is the long one
        *short, (_, values, _) = trials(whole)
        assert [one["tuner/epochs"] for _, one, _ in short] == [1, 1, 1]
        assert values["tuner/epochs"] == 3
        assert decoded(values) == decoded(min(short, key=lambda one: one[2])[1])
    assert [score for *_, score in trials(again)] == pytest.approx([score for *_, score in trials(whole)])


def test_no_value_is_beyond_its_range(tmp_path):
    """Also where everything says that more is better: KerasTuner would go to 65."""
    space = {"embedding_dim": {"min": 2, "max": 64}}
    oracle = make(tmp_path, max_trials=12, keys=("embedding_dim",), space=space).oracle
    dims = []
    for _ in range(12):
        trial = oracle.create_trial("tuner0")
        dims.append(trial.hyperparameters.values["embedding_dim"])
        oracle.update_trial(trial.trial_id, {"val_loss": 1 / dims[-1]})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert max(dims) == 64


def test_an_error_is_no_failed_trial(tmp_path, monkeypatch):
    """KerasTuner would count a full disk as three bad trials, and never go on."""

    def fails(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(searching, "fit", fails)
    with pytest.raises(OSError, match="No space"):
        make(tmp_path).search()


def test_more_trials_go_on_from_those_there_are(tmp_path):
    make(tmp_path, max_trials=1, epochs=1).search()
    more = make(tmp_path, max_trials=2, epochs=1)
    assert len(more.completed) == 1
    more.search()
    assert len(more.completed) == 2


@pytest.mark.filterwarnings("ignore:overflow", "ignore:All-NaN")
def test_a_search_whose_trials_all_diverge_finds_nothing(tmp_path, caplog):
    """A score that is not a number is a failed trial; the best of none is an error."""
    model = DotProductConfig(**SMALL, embedding_l2=1e39)  # beyond float32
    with caplog.at_level(logging.INFO, "marquee.progress"), pytest.raises(ModelError, match="No trial"):
        make(tmp_path, model, max_trials=2, epochs=1).search()
    assert caplog.text.count("is not a number") == 2
