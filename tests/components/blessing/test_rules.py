"""The rules on figures of simulated users: what is refused, what is chance, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest

from components.blessing import rules
from components.blessing.settings import BlessingSettings
from components.ranking import metrics
from components.ranking.figures import Figures

GOOD = rules.Bars(0.65, 0.693, 0.0, 0.8, 0.55, True)
USERS = 600


def users(seed: int = 0, **models: tuple[float, float, float]) -> dict[str, np.ndarray]:
    """Columns of per_user.parquet for models of (skill at likes, NDCG, noise of their own)."""
    random = np.random.default_rng(seed)
    owner = np.repeat(np.arange(USERS), random.integers(5, 40, USERS))
    logits = random.normal(size=USERS)[owner] + random.normal(size=len(owner))
    liked = random.random(len(owner)) < 1 / (1 + np.exp(-logits))
    columns = {"num_test": np.bincount(owner), "num_liked": np.bincount(owner, liked).astype(int)}
    columns["num_positives"] = columns["num_liked"]
    hard = random.random(USERS) * 0.1
    for name, (skill, ndcg, noise) in models.items():
        p = 1 / (1 + np.exp(-skill * logits - noise * random.normal(size=len(owner))))
        placed = metrics.placements(liked, p)
        columns |= {
            f"{name}.log_loss": np.bincount(owner, metrics.log_losses(liked, p)),
            f"{name}.auc_liked": np.bincount(owner, placed * liked),
            f"{name}.auc_others": np.bincount(owner, placed * ~liked),
            f"{name}.ndcg@10": np.where(
                columns["num_positives"] > 0, hard + ndcg + 0.02 * random.normal(size=USERS), np.nan
            ),
        }
    return columns


FLOORS = {
    "movie_mean": (0.3, 0.02, 0.0),
    "bias_logistic_regression": (0.6, 0.05, 0.0),
    "popularity": (0.0, 0.10, 0.0),
    "ease": (0.0, 0.15, 0.0),
}


def decide(columns, bars=GOOD, objective="like", **settings) -> dict[str, rules.Result]:
    comparison = compared(columns) if "baseline.log_loss" in columns else None
    valid = BlessingSettings.model_validate(settings)
    found = rules.decide(figures(columns, valid), bars, valid, 10, objective, comparison)
    return {result.rule: result for result in found}


def figures(columns, settings: BlessingSettings) -> Figures:
    return Figures(columns, ["ndcg@10"], settings)


def compared(columns, left_out: int = 0, known: bool = True, other: str = "") -> rules.Comparison:
    return rules.Comparison(columns, known, int(columns["num_test"].sum()), left_out, other)


def verdict(results: dict[str, rules.Result]) -> bool:
    return rules.blessed(list(results.values()))


def test_a_first_model_above_all_bars_and_like_floors_is_blessed():
    results = decide(users(candidate=(0.9, 0.05, 0.1), **FLOORS))
    assert verdict(results)
    assert [rule for rule, result in results.items() if result.passed is not True] == [
        "floor: popularity",
        "change",
    ]
    assert results["floor: popularity"].action == "warn"
    assert results["change"].passed is None
    assert "no earlier blessed model" in results["change"].sentence


def test_the_objective_decides_which_floors_gate():
    columns = users(candidate=(0.9, 0.05, 0.1), **FLOORS)
    results = decide(columns, objective="interaction")
    assert not verdict(results)
    assert results["floor: popularity"].action == "gate"
    assert not [rule for rule in results if "movie_mean" in rule or "auc" in rule or "log_loss" in rule]
    (sentence,) = rules.broken(list(results.values()), "gate")
    assert "below popularity's" in sentence
    assert "does not beat this floor" in sentence


def test_a_ranker_has_to_keep_up_with_ease_and_is_told_where_it_does_not():
    """By chance a little below is no matter, a real loss is a warning, and a gate where it is configured as one."""
    near = decide(users(candidate=(0.9, 0.1498, 0.1), **FLOORS), objective="interaction")
    assert near["floor: ease"].passed
    below = users(candidate=(0.9, 0.12, 0.1), **FLOORS)
    told = decide(below, objective="interaction")
    assert verdict(told)
    assert (told["floor: ease"].passed, told["floor: ease"].action) == (False, "warn")
    assert "below EASE's" in told["floor: ease"].sentence
    assert "does not keep up with this floor" in told["floor: ease"].sentence
    assert not verdict(decide(below, objective="interaction", floors={"ease": {"rule": "gate"}}))
    assert "floor: ease" not in decide(below)


@pytest.mark.parametrize(
    ("floor", "objective", "owner"),
    [
        ("bias_genre_logistic_regression", "like", "the user x genre regression's"),
        ("item_knn", "interaction", "ItemKNN's"),
    ],
)
def test_a_good_floor_warns_of_a_real_loss_where_it_is_there(floor, objective, owner):
    """Refuses where it is configured to, is of its objective alone, and missed by nobody where there is none."""
    rule = f"floor: {floor}"
    even = {**FLOORS, floor: (0.9, 0.20, 0.1)}
    near = decide(users(candidate=(0.9, 0.20, 0.1), **even), objective=objective)
    assert near[rule].low < 0 < near[rule].high
    assert near[rule].passed
    below = users(candidate=(0.65, 0.16, 0.1), **even)
    told = decide(below, objective=objective)
    assert verdict(told)
    assert (told[rule].passed, told[rule].action) == (False, "warn")
    assert owner in told[rule].sentence
    assert told[rule].sentence.endswith("it does not keep up with this floor")
    assert not verdict(decide(below, objective=objective, floors={floor: {"rule": "gate"}}))
    assert rule not in decide(below, objective=objective, floors={floor: {"rule": "ignore"}})
    other = {"like": "interaction", "interaction": "like"}[objective]
    assert rule not in decide(below, objective=other)
    assert rule not in decide(
        users(candidate=(0.9, 0.2, 0.1), **FLOORS), objective=objective, floors={floor: {"rule": "gate"}}
    )


def test_a_model_below_a_floor_is_refused():
    results = decide(users(candidate=(0.45, 0.2, 0.1), **FLOORS))
    assert not verdict(results)
    assert results["floor: movie_mean"].passed
    assert not results["floor: bias_logistic_regression"].passed
    assert results["floor: popularity"].passed


def test_a_floor_that_is_lost_by_chance_is_told_and_refuses_nothing():
    shared = {**FLOORS, "bias_logistic_regression": (0.9, 0.05, 0.2)}
    told = 0
    for seed in range(8):
        columns = users(seed, candidate=(0.9, 0.2, 0.2), baseline=(0.9, 0.05, 0.2), **shared)
        results = decide(columns, bootstrap_samples=400)
        floor = results["floor: bias_logistic_regression"]
        assert floor.passed is (floor.high < 0)
        if floor.low < 0 < floor.high:
            told += 1
            assert floor.action == "warn"
            assert "neither beaten nor lost" in floor.sentence
            assert verdict(results)
    assert told


@pytest.mark.parametrize(("rule", "expected"), [("gate", False), ("warn", True), ("ignore", True)])
def test_what_a_broken_rule_does_is_a_setting(rule, expected):
    columns = users(candidate=(0.45, 0.2, 0.1), **FLOORS)
    results = decide(columns, floors={"bias_logistic_regression": {"rule": rule}})
    assert verdict(results) is expected
    assert ("floor: bias_logistic_regression" in results) is (rule != "ignore")
    assert len(rules.broken(list(results.values()), "warn")) == (rule == "warn")


def test_a_margin_has_to_be_beaten_too():
    columns = users(candidate=(0.9, 0.2, 0.1), **FLOORS)
    assert verdict(decide(columns))
    refused = decide(columns, floors={"bias_logistic_regression": {"margin": 0.5}})
    assert not verdict(refused)
    assert refused["floor: bias_logistic_regression"].bar == -0.5
    assert "by 0.5" in refused["floor: bias_logistic_regression"].sentence


def test_a_real_loss_against_the_baseline_is_refused():
    columns = users(candidate=(0.7, 0.2, 0.4), baseline=(0.9, 0.2, 0.0), **FLOORS)
    results = decide(columns)
    assert not verdict(results)
    assert not results["change: log_loss"].passed
    assert not results["change: auc"].passed
    assert "a real loss" in results["change: auc"].sentence
    change = results["change: log_loss"]
    assert change.bar == 0 < change.low < change.value < change.high
    assert change.value == pytest.approx(change.candidate - change.reference)
    tolerant = {name: {"tolerance": 0.2} for name in ("log_loss", "auc")}
    columns = users(candidate=(0.7, 0.2, 0.2), baseline=(0.9, 0.2, 0.0), **FLOORS)
    assert not verdict(decide(columns))
    assert verdict(decide(columns, changes=tolerant))


def test_a_loss_that_may_be_chance_is_not():
    """The same quality with noise of their own: refused no more often than the level says."""
    chance, refused = 0, 0
    for seed in range(40):
        columns = users(seed, candidate=(0.9, 0.2, 0.2), baseline=(0.9, 0.2, 0.2), **FLOORS)
        results = decide(columns, bootstrap_samples=400)
        refused += not verdict(results)
        chance += any("it may be chance" in result.sentence for result in results.values())
    assert chance > 20
    # 2.5 % for each of two correlated metrics.
    assert refused <= 5


def test_a_higher_level_refuses_less():
    columns = users(candidate=(0.88, 0.2, 0.25), baseline=(0.9, 0.2, 0.2), **FLOORS)
    narrow, wide = decide(columns, confidence=0.6), decide(columns, confidence=0.9999)
    assert not narrow["change: log_loss"].passed
    assert wide["change: log_loss"].passed
    assert wide["change: log_loss"].low < 0 < narrow["change: log_loss"].low


def test_a_real_loss_in_ranking_is_a_warning_until_it_is_the_objective():
    columns = users(candidate=(0.9, 0.10, 0.1), baseline=(0.9, 0.20, 0.1), **FLOORS)
    assert verdict(decide(columns))
    assert not decide(columns)["change: ndcg@10"].passed
    assert not verdict(decide(columns, objective="interaction"))


def test_bars_are_held_against_the_figures_of_tfma():
    columns = users(candidate=(0.9, 0.2, 0.1), **FLOORS)
    bars = rules.Bars(
        0.99, 0.693, 0.0, 0.8, 0.55, False, ["auc of all examples is 0.8000, the floor is 0.99"]
    )
    results = decide(columns, bars)
    assert not verdict(results)
    # The reason is told once.
    (sentence,) = rules.broken(list(results.values()), "gate")
    assert "the floor is 0.99 (evaluation.min_auc)" in sentence
    assert not results["verdict: TFMA"].passed
    assert results["bar: auc"].low < results["bar: auc"].high


def test_tfma_has_a_say_beyond_the_bars():
    bars = rules.Bars(0.65, 0.693, 0.0, 0.8, 0.55, False, ["no example in the slice genres War"])
    results = decide(users(candidate=(0.9, 0.2, 0.1), **FLOORS), bars)
    assert not verdict(results)
    assert rules.broken(list(results.values()), "gate") == [
        "the Evaluator (TFMA) does not bless the model: no example in the slice genres War"
    ]


def test_no_user_with_likes_in_test_is_nothing_to_refuse_for():
    columns = users(candidate=(0.9, 0.2, 0.1), **FLOORS)
    for name in columns:
        if name.endswith("ndcg@10"):
            columns[name] = np.full(USERS, np.nan)
    columns["num_positives"] = np.zeros(USERS, int)
    results = decide(columns, objective="interaction")
    assert results["floor: popularity"].passed is None
    assert verdict(results)


def changes(comparison: rules.Comparison, **settings) -> dict[str, rules.Result]:
    columns = users(candidate=(0.9, 0.05, 0.1), **FLOORS)
    valid = BlessingSettings.model_validate(settings)
    found = rules.decide(figures(columns, valid), GOOD, valid, 10, "like", comparison)
    return {result.rule: result for result in found if result.kind == "change"}


def test_the_champion_is_compared_on_rows_that_it_was_not_trained_on_alone():
    """On the whole split it would have won by far: it knows rows of it."""
    rest = users(seed=1, candidate=(0.9, 0.05, 0.1), baseline=(0.9, 0.05, 0.1))
    found = changes(compared(rest, left_out=9_000))
    assert all(result.passed for result in found.values())
    rows = int(rest["num_test"].sum())
    for result in found.values():
        assert result.sentence.endswith(
            f"on {rows:,} of {rows + 9_000:,} test rows; 9,000 that the baseline was trained on are left out"
        )


def test_too_few_rows_are_compared_with_nothing_and_the_floors_decide_alone():
    few = {key: values[:2] for key, values in users(candidate=(0, 0, 0), baseline=(2, 0.5, 0)).items()}
    found = changes(compared(few, left_out=9_000))
    assert list(found) == ["change"]
    assert found["change"].passed is None
    assert "trained on 9,000 of the" in found["change"].sentence
    assert "blessing.min_compared_rows is 100" in found["change"].sentence
    assert "The floors decide alone" in found["change"].sentence
    assert "change: log_loss" in changes(compared(few, left_out=9_000), min_compared_rows=1)


def test_a_champion_whose_data_are_gone_is_compared_with_nothing():
    found = changes(rules.Comparison({}, False, 0, 0))
    assert "are gone" in found["change"].sentence


def test_a_champion_of_another_question_is_held_against_by_order_and_not_by_log_loss():
    better = users(candidate=(0.9, 0.05, 0.1), baseline=(2.0, 0.05, 0.1))
    found = changes(compared(better, other="label.min_rating is 3, the baseline was trained with 4"))
    assert found["change: log_loss"].passed is None
    assert found["change: log_loss"].sentence == (
        "log-loss is not compared: label.min_rating is 3, the baseline was trained with 4"
    )
    assert found["change: auc"].reference is not None
    assert found["change: ndcg@10"].reference is not None
    [(metric, candidate, baseline)] = rules.deciding(
        list(found.values()), figures(better, BlessingSettings()), BlessingSettings(), 10, "like"
    )
    assert (metric, candidate, baseline) == (
        "auc",
        found["change: auc"].candidate,
        found["change: auc"].reference,
    )


def test_a_floor_refuses_a_real_loss_alone():
    """Beaten, lost, and neither, which is a warning whatever the setting."""
    columns = users(candidate=(0.9, 0.05, 0.1), **{**FLOORS, "movie_mean": (0.9, 0.02, 0.1)})
    results = decide(columns)
    assert results["floor: bias_logistic_regression"].passed
    even = results["floor: movie_mean"]
    assert even.low < 0 < even.high
    assert (even.passed, even.action) == (False, "warn")
    assert even.sentence.endswith(": this floor is neither beaten nor lost: it may be chance")
    assert verdict(results)
    lost = decide(columns, floors={"movie_mean": {"margin": 0.5}})["floor: movie_mean"]
    assert (lost.passed, lost.action) == (False, "gate")
    assert lost.sentence.endswith("it does not beat this floor by 0.5")
