"""The component: spec and executor of the ranking evaluator."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow.parquet as pq
from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts, standard_component_specs
from tfx.utils import path_utils

from components.export.export import read_movies
from components.ranking import answers, data, evaluation
from components.ranking.comparison import compare
from components.ranking.exported import ExportedModel
from components.ranking.sampling import rows_of_sample
from components.ranking.settings import RankingSettings
from components.shared.artifact_types import Movies, RankingEvaluation
from components.shared.artifacts import (
    ANSWERS_FILE,
    COMPARED_FILE,
    COMPARED_ROWS,
    LEFT_OUT_ROWS,
    METRICS_FILE,
    PER_USER_FILE,
    TYPICAL_USER,
    WITHOUT_TIMES,
)
from components.shared.features import EVAL_SPLIT, SPLITS, TEST_SPLIT, TRAIN_SPLIT, USER_KEY, LabelRule
from components.shared.fingerprint import code_fingerprint

BASELINE_EXAMPLES = "baseline_examples"


class Executor(base_executor.BaseExecutor):
    """Reads the examples, asks the exports, and writes metrics and the table of users.

    Of more users than `max_users` all models are asked for the same sample, and `sampled_from_users` of the metrics is
    how many there are.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        self._log_startup(input_dict, output_dict, exec_properties)
        settings = RankingSettings.model_validate_json(exec_properties["settings"])
        examples, movies = input_dict[standard_component_specs.EXAMPLES_KEY], input_dict["movies"]
        uris = {split: artifact_utils.get_split_uri(examples, split) for split in SPLITS}
        ratings = data.read(uris, LabelRule.model_validate_json(exec_properties["label"]))
        whole, test = ratings, ratings.splits[TEST_SPLIT]
        sample = rows_of_sample(ratings, settings.max_users, settings.seed)
        if sample is not None:
            ratings = replace(ratings, splits={**ratings.splits, TEST_SPLIT: test[sample]})
        models = {
            name: ExportedModel(path_utils.serving_model_path(artifact.uri))
            for name, key in (
                (evaluation.CANDIDATE, standard_component_specs.MODEL_KEY),
                (evaluation.BASELINE, standard_component_specs.BASELINE_MODEL_KEY),
            )
            for artifact in input_dict.get(key) or []
        }
        genres = data.genres(read_movies(movies[0].uri), ratings.movie_ids)
        scorers = evaluation.scorers(ratings, models, genres, settings)
        found = evaluation.evaluate(ratings, scorers, genres, settings)
        (output,) = output_dict["ranking"]
        folder = Path(output.uri)
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(found.per_user, folder / PER_USER_FILE)
        report = found.report
        if sample is not None:
            report = {**report, "sampled_from_users": len(np.unique(test.users))}
        if evaluation.BASELINE in models:
            learned = _learned(examples, input_dict.get(BASELINE_EXAMPLES) or [])
            if learned is not None and sample is not None:
                learned = learned[sample]
            compared = compare(ratings, scorers, learned, genres, settings)
            report = {**report, "comparison": compared.as_dict()}
            if compared.evaluation:
                pq.write_table(compared.evaluation.per_user, folder / COMPARED_FILE)
            output.set_int_custom_property(COMPARED_ROWS, compared.rows)
            output.set_int_custom_property(LEFT_OUT_ROWS, compared.left_out)
        typical = json.loads(examples[0].get_string_custom_property(TYPICAL_USER) or "{}").get(USER_KEY)
        asked = answers.ask(models[evaluation.CANDIDATE], whole, typical)
        (folder / ANSWERS_FILE).write_text(json.dumps(asked), encoding="utf-8")
        (folder / METRICS_FILE).write_text(json.dumps(report, indent=1), encoding="utf-8")
        for name, value in figures(report).items():
            output.set_float_custom_property(name, value)
        output.set_int_custom_property("primary_k", settings.primary_k)


def _learned(examples: list[types.Artifact], of_baseline: list[types.Artifact]) -> np.ndarray | None:
    """bool (N,), the test rows that are in train or eval of the baseline's examples; None where these are gone."""
    if not of_baseline:
        return None
    own = {artifact.id for artifact in examples}
    uris = [
        artifact_utils.get_split_uri([artifact], split)
        for artifact in of_baseline
        if artifact.id not in own
        # Eval too: it has chosen the epoch, and by default the weights are then learned from it as well.
        for split in (TRAIN_SPLIT, EVAL_SPLIT)
    ]
    # A log whose times were left out since is the same log.
    times = not any(one.get_int_custom_property(WITHOUT_TIMES) for one in (*examples, *of_baseline))
    test = data.keys([artifact_utils.get_split_uri(examples, TEST_SPLIT)], times)
    return np.isin(test, data.keys(uris, times)) if uris else np.zeros(len(test), bool)


def figures(report: dict[str, Any]) -> dict[str, float]:
    """Overall figures as `metric` of the candidate and `model_metric` of the others, e.g. `popularity_ndcg@10`."""
    values: dict[str, float] = {}
    for model, described in report["models"].items():
        prefix = "" if model == evaluation.CANDIDATE else f"{model}_"
        overall = {metric: of["value"] for metric, of in described["overall"].items()} | described["coverage"]
        overall |= described.get("calibration", {})
        values |= {f"{prefix}{metric}": value for metric, value in overall.items() if value is not None}
    return values


class RankingEvaluatorSpec(component_spec.ComponentSpec):
    """Examples, one or two models and the movies in; the evaluation out."""

    INPUTS: ClassVar = {
        standard_component_specs.EXAMPLES_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Examples
        ),
        standard_component_specs.MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model),
        standard_component_specs.BASELINE_MODEL_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Model, optional=True
        ),
        BASELINE_EXAMPLES: component_spec.ChannelParameter(type=standard_artifacts.Examples, optional=True),
        "movies": component_spec.ChannelParameter(type=Movies),
    }
    OUTPUTS: ClassVar = {"ranking": component_spec.ChannelParameter(type=RankingEvaluation)}
    PARAMETERS: ClassVar = {
        "settings": component_spec.ExecutionParameter(type=str),
        "label": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }


class RankingEvaluator(base_component.BaseComponent):
    """Compares the candidate with the baseline model and the floors, as rankers and on the likes of test.

    `evaluation` says by which protocol, `metrics` by which formulas, `floors` what the floors are.

    Args:
        examples: Raw examples with the splits `train`, `eval` and `test`.
        model: The candidate.
        baseline_model: What it is compared with; may be empty.
        baseline_examples: What that was trained on, see `components.resolvers.models`; empty where these are gone.
        movies: The movies table of the ratings ExampleGen.
        settings: What to compute.
        label: What is liked, and what a list should hold.

    Outputs: `ranking` with three files, and the overall figures (see `figures`) as custom properties.

    metrics.json: what was evaluated; `models` -> `candidate`, `baseline` (where there is one), `ease` or `item_knn`,
    `popularity`, `movie_mean`, `bias_logistic_regression`, `bias_genre_logistic_regression` (where movies have
    genres), each with `overall` (metric -> `value`, `low`, `high`), `coverage`, `calibration` and `reliability` (`ece`,
    and the bins of a diagram, where the model says how likely a like is) and `slices` (by activity of users,
    popularity and genre of movies); and `differences`: the candidate less each other, paired; and where there is a
    baseline `comparison`, see `comparison.Comparison`: on how many test rows the two may be compared, and where that is
    not all of them, the figures of both on these.

    answers.json: what the candidate recommends a few users, and which movies it finds alike, see `answers`.

    per_user.parquet: a row for each user with ratings in test: `user_id`, `activity`, `num_train`, `num_test`,
    `num_positives`; for each model `<model>.<metric>@<k>` (NaN for users without positives) and, where it says
    how likely a like is, the sums over the user's rows `<model>.log_loss`, `<model>.auc_liked` and
    `<model>.auc_others` (placements, see `metrics.placements`). compared.parquet: the same of the candidate and the
    baseline on the rows that the baseline was not trained on, where that is not all of them.
    """

    SPEC_CLASS = RankingEvaluatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        movies: types.BaseChannel,
        settings: RankingSettings,
        label: LabelRule,
        baseline_model: types.BaseChannel | None = None,
        baseline_examples: types.BaseChannel | None = None,
    ) -> None:
        super().__init__(
            spec=RankingEvaluatorSpec(
                examples=examples,
                model=model,
                baseline_model=baseline_model,
                baseline_examples=baseline_examples,
                movies=movies,
                settings=settings.model_dump_json(),
                label=label.model_dump_json(),
                code=code_fingerprint(
                    "shared/columns.py", "shared/features.py", "shared/saved_models.py", "ranking/*.py"
                ),
                ranking=types.Channel(type=RankingEvaluation),
            )
        )
