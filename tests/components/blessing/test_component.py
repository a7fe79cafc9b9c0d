"""The executor on real artifacts: what Pusher and the resolver find."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tfx.components.util import model_utils
from tfx.types import standard_artifacts

from components.blessing.component import Executor, other_question
from components.blessing.settings import BlessingSettings
from components.ranking.data import Dataset
from components.ranking.evaluation import Scorer, evaluate, scorers
from components.ranking.floors import Ratings
from components.ranking.settings import RankingSettings
from components.resolvers.models import LatestOtherBlessedModelStrategy
from components.shared.artifact_types import BlessingReport, RankingEvaluation
from components.shared.artifacts import METRICS_FILE, PER_USER_FILE
from components.shared.features import EVAL_SPLIT, TEST_SPLIT, TRAIN_SPLIT


def artifact(kind, uri, number: int):
    made = kind()
    made.uri, made.id = str(uri), number
    return made


@pytest.fixture(scope="module")
def ranking(tmp_path_factory) -> Path:
    """An evaluation of a model that knows the truth, against one that does not, as files."""
    import pyarrow.parquet as pq

    random = np.random.default_rng(0)
    users, movies = np.repeat(np.arange(200), 30), np.tile(np.arange(30), 200)
    probability = 1 / (1 + np.exp(-2 * random.normal(size=(200, 30))))
    liked = random.random(len(users)) < probability[users, movies]
    split = random.integers(0, 3, len(users))
    parts = [Ratings(users[split == i], movies[split == i], liked[split == i]) for i in range(3)]
    data = Dataset(
        dict(zip((TRAIN_SPLIT, EVAL_SPLIT, TEST_SPLIT), parts, strict=True)),
        np.array([str(user).encode() for user in range(200)], object),
        np.array([str(movie).encode() for movie in range(30)], object),
        np.arange(30),
    )
    settings = RankingSettings(bootstrap_samples=100)
    models = {
        name: Scorer(p[parts[2].users, parts[2].movies], lambda of, p=p: p[of])
        for name, p in (("candidate", probability), ("baseline", np.full((200, 30), 0.5)))
    }
    found = evaluate(data, models | scorers(data, {}, settings), ([], np.zeros((30, 0), bool)), settings)
    folder = tmp_path_factory.mktemp("ranking")
    comparison = {"known": True, "rows": len(parts[2]), "left_out": 0}
    (folder / METRICS_FILE).write_text(json.dumps({**found.report, "comparison": comparison}))
    pq.write_table(found.per_user, folder / PER_USER_FILE)
    return folder


def bless(
    ranking: Path,
    tmp_path: Path,
    tfma: bool = True,
    min_auc: float = 0.65,
    baseline: bool = True,
    rules: tuple[float, float] = (4.0, 4.0),
    objective: str = "like",
):
    evaluation = artifact(standard_artifacts.ModelEvaluation, tmp_path / "evaluation", 3)
    evaluation.set_float_custom_property("auc", 0.8)
    evaluation.set_float_custom_property("log_loss", 0.5)
    evaluation.set_string_custom_property("failures", "[]")
    of_tfma = artifact(standard_artifacts.ModelBlessing, tmp_path / "tfma", 4)
    of_tfma.set_int_custom_property("blessed", int(tfma))
    inputs = {
        "model": [artifact(standard_artifacts.Model, "/models/2", 2)],
        "baseline_model": [artifact(standard_artifacts.Model, "/models/1", 1)] if baseline else [],
        "evaluation": [evaluation],
        "tfma_blessing": [of_tfma],
        "ranking": [artifact(RankingEvaluation, ranking, 5)],
    }
    for model, rule in zip(inputs["model"] + inputs["baseline_model"], rules, strict=False):
        model.set_float_custom_property("min_rating", rule)
    outputs = {
        "blessing": [artifact(standard_artifacts.ModelBlessing, tmp_path / "blessing", 6)],
        "report": [artifact(BlessingReport, tmp_path / "report", 7)],
    }
    settings = {
        "objective": objective,
        "min_ranking": 0.0,
        "min_auc": min_auc,
        "max_log_loss": 0.693,
        "settings": BlessingSettings().model_dump_json(),
    }
    Executor().Do(inputs, outputs, settings)
    decision = json.loads((tmp_path / "report" / "decision.json").read_text())
    return inputs, outputs["blessing"][0], outputs["report"][0], decision


def test_a_blessing_is_that_of_the_stock_evaluator(ranking, tmp_path):
    _, blessing, report, decision = bless(ranking, tmp_path)
    assert model_utils.is_model_blessed(blessing)
    assert [path.name for path in (tmp_path / "blessing").iterdir()] == ["BLESSED"]
    assert blessing.get_string_custom_property("current_model") == "/models/2"
    assert blessing.get_int_custom_property("current_model_id") == 2
    assert blessing.get_string_custom_property("baseline_model") == "/models/1"
    assert blessing.get_int_custom_property("baseline_model_id") == 1
    assert blessing.get_string_custom_property("component_id") == "Blessing"
    assert set(blessing.mlmd_artifact.custom_properties) <= {
        "blessed",
        "current_model",
        "current_model_id",
        "baseline_model",
        "baseline_model_id",
        "component_id",
    }
    assert (decision["blessed"], decision["first"], decision["failures"]) == (True, False, [])
    assert json.loads(report.get_string_custom_property("failures")) == []
    assert {"change: log_loss", "change: auc", "change: ndcg@10"} <= {r["rule"] for r in decision["rules"]}


@pytest.mark.parametrize("broken", [{"tfma": False}, {"min_auc": 0.9}])
def test_a_refusal_has_its_reasons(ranking, tmp_path, broken):
    _, blessing, report, decision = bless(ranking, tmp_path, **broken)
    assert not model_utils.is_model_blessed(blessing)
    assert [path.name for path in (tmp_path / "blessing").iterdir()] == ["NOT_BLESSED"]
    assert blessing.get_int_custom_property("blessed") == 0
    assert not decision["blessed"]
    assert len(decision["failures"]) == 1
    assert json.loads(report.get_string_custom_property("failures")) == decision["failures"]


def test_a_first_run_says_so(ranking, tmp_path):
    """With no baseline model, whatever the evaluation has of one is not the last blessed one's."""
    _, blessing, _, decision = bless(ranking, tmp_path, baseline=False)
    assert not blessing.has_custom_property("baseline_model")
    assert decision["first"]
    assert decision["baseline"] is None


def test_the_resolver_follows_this_blessing_and_not_that_of_tfma(ranking, tmp_path):
    inputs, blessing, _, _ = bless(ranking, tmp_path, min_auc=0.9)
    of_tfma = inputs["tfma_blessing"][0]
    of_tfma.set_int_custom_property("current_model_id", 2)
    channels = {
        "model": inputs["model"],
        "model_blessing": [of_tfma, blessing],
        "candidate": [artifact(standard_artifacts.Model, "/models/9", 9)],
    }
    resolve = LatestOtherBlessedModelStrategy().resolve_artifacts
    assert resolve(None, channels)["model"] == []
    _, blessing, _, _ = bless(ranking, tmp_path / "again")
    channels["model_blessing"] = [of_tfma, blessing]
    assert [model.id for model in resolve(None, channels)["model"]] == [2]


@pytest.mark.parametrize(
    ("own", "others", "words"),
    [
        ({}, {}, ""),
        ({"min_rating": 4.0}, {}, ""),  # a model of before
        ({"min_rating": 4.0, "positives": "liked"}, {"min_rating": 4.0, "positives": "liked"}, ""),
        (
            {"min_rating": 3.0},
            {"min_rating": 4.0},
            "label.min_rating is 3, the baseline was trained with 4",
        ),
        ({"objective": "like+interaction"}, {"objective": "like"}, ""),
        (
            {"objective": "interaction"},
            {"objective": "like+interaction"},
            "model.objective is interaction, the baseline was trained with like+interaction",
        ),
        (
            {"objective": "like", "positives": "liked"},
            {"objective": "interaction", "positives": "rated"},
            "model.objective is like, the baseline was trained with interaction and label.positives is liked,"
            " the baseline was trained with rated",
        ),
    ],
)
def test_models_of_another_question(own, others, words):
    def model(properties):
        made = artifact(standard_artifacts.Model, "/models", 1)
        for key, value in properties.items():
            if isinstance(value, float):
                made.set_float_custom_property(key, value)
            else:
                made.set_string_custom_property(key, value)
        return made

    assert other_question(model(own), model(others)) == words


def test_the_report_says_what_the_decision_rests_on(ranking, tmp_path):
    _, _, report, decision = bless(ranking, tmp_path)
    assert (decision["objective"], decision["metric"], decision["left_out_rows"]) == ("like", "log_loss", 0)
    assert decision["compared_rows"] > 1000
    assert decision["candidate_metric"] < decision["baseline_metric"]
    assert report.get_string_custom_property("metric") == "log_loss"
    assert report.get_float_custom_property("baseline_metric") == decision["baseline_metric"]
    assert report.get_int_custom_property("compared_rows") == decision["compared_rows"]


def test_with_a_model_for_each_question_the_rules_of_both_are_gates(ranking, tmp_path):
    _, _, report, decision = bless(ranking, tmp_path, objective="like+interaction")
    actions = {rule["rule"]: rule["action"] for rule in decision["rules"]}
    assert (
        actions.items()
        >= {
            "bar: auc": "gate",
            "bar: log_loss": "gate",
            "bar: ndcg@10": "gate",
            "change: log_loss": "gate",
            "change: ndcg@10": "gate",
        }.items()
    )
    assert (decision["metric"], decision["retrieval_metric"]) == ("log_loss", "ndcg@10")
    assert report.get_string_custom_property("retrieval_metric") == "ndcg@10"
    for key in ("retrieval_candidate_metric", "retrieval_baseline_metric"):
        assert report.get_float_custom_property(key) == decision[key]


def test_what_is_not_compared_is_told(ranking, tmp_path):
    reason = "log-loss is not compared: label.min_rating is 3, the baseline was trained with 4"
    _, _, report, decision = bless(ranking, tmp_path / "other", rules=(3.0, 4.0))
    assert (decision["blessed"], decision["metric"]) == (True, "auc")
    assert reason in json.loads(report.get_string_custom_property("warnings"))
    for name, kwargs in (("same", {}), ("first", {"baseline": False})):
        *_, decision = bless(ranking, tmp_path / name, **kwargs)
        assert not any(
            "not compared" in warning or "no earlier" in warning for warning in decision["warnings"]
        )


@pytest.mark.parametrize(("known", "rows", "words"), [(False, 0, "are gone"), (True, 0, "are too few")])
def test_a_champion_with_nothing_to_compare_on_refuses_nothing(ranking, tmp_path, known, rows, words):
    """Bars and floors decide alone, and the baseline is still named."""
    folder = tmp_path / "ranking"
    shutil.copytree(ranking, folder)
    report = json.loads((folder / METRICS_FILE).read_text())
    report["comparison"] = {"known": known, "rows": rows, "left_out": 2000 if known else 0}
    (folder / METRICS_FILE).write_text(json.dumps(report))
    _, blessing, report, decision = bless(folder, tmp_path)
    assert (decision["blessed"], decision["compared_rows"], decision["baseline_metric"]) == (True, 0, None)
    assert blessing.get_int_custom_property("baseline_model_id") == 1
    assert not report.has_custom_property("baseline_metric")
    (told,) = (warning for warning in decision["warnings"] if "is not compared with" in warning)
    assert words in told
    assert [rule["rule"] for rule in decision["rules"] if rule["kind"] == "change"] == ["change"]
