"""The component: spec and executor of the ranking evaluator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.parquet as pq
from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts, standard_component_specs
from tfx.utils import path_utils

from components import features
from components.example_gen.component import Movies
from components.features import SPLITS
from components.ranking import data, evaluation
from components.ranking.exported import ExportedModel
from components.ranking.settings import RankingSettings
from components.serving import read_movies

METRICS_FILE, PER_USER_FILE = "metrics.json", "per_user.parquet"


class RankingEvaluation(types.Artifact):
    """The files metrics.json and per_user.parquet, see `RankingEvaluator`."""

    TYPE_NAME = "RankingEvaluation"


class Executor(base_executor.BaseExecutor):
    """Reads the examples, asks the exports, and writes metrics and the table of users."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        self._log_startup(input_dict, output_dict, exec_properties)
        settings = RankingSettings.model_validate_json(exec_properties["settings"])
        examples, movies = input_dict[standard_component_specs.EXAMPLES_KEY], input_dict["movies"]
        patterns = {split: artifact_utils.get_split_uri(examples, split) + "/*" for split in SPLITS}
        ratings = data.read(patterns, exec_properties["min_rating"], exec_properties["positives"])
        models = {
            name: ExportedModel(path_utils.serving_model_path(artifact.uri))
            for name, key in (
                (evaluation.CANDIDATE, standard_component_specs.MODEL_KEY),
                (evaluation.BASELINE, standard_component_specs.BASELINE_MODEL_KEY),
            )
            for artifact in input_dict.get(key) or []
        }
        found = evaluation.evaluate(
            ratings,
            evaluation.scorers(ratings, models, settings),
            data.genres(read_movies(movies[0].uri), ratings.movie_ids),
            settings,
        )
        (output,) = output_dict["ranking"]
        folder = Path(output.uri)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / METRICS_FILE).write_text(json.dumps(found.report, indent=1), encoding="utf-8")
        pq.write_table(found.per_user, folder / PER_USER_FILE)
        for name, value in figures(found.report).items():
            output.set_float_custom_property(name, value)
        output.set_int_custom_property("primary_k", settings.primary_k)


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
        "movies": component_spec.ChannelParameter(type=Movies),
    }
    OUTPUTS: ClassVar = {"ranking": component_spec.ChannelParameter(type=RankingEvaluation)}
    PARAMETERS: ClassVar = {
        "settings": component_spec.ExecutionParameter(type=str),
        "min_rating": component_spec.ExecutionParameter(type=float),
        "positives": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }


class RankingEvaluator(base_component.BaseComponent):
    """Compares the candidate with the baseline model and the floors, as rankers and on the likes of test.

    `evaluation` says by which protocol, `metrics` by which formulas, `baselines` what the floors are.

    Args:
        examples: Raw examples with the splits `train`, `eval` and `test`.
        model: The candidate.
        baseline_model: What it is compared with; may be empty.
        movies: The movies table of the ratings ExampleGen.
        settings: What to compute.
        min_rating: A movie rated at least this is liked.
        positives: What a list should hold: `features.LIKED` or `features.RATED`.
        code: Fingerprint that makes a changed program run again.

    Outputs: `ranking` with two files, and the overall figures (see `figures`) as custom properties.

    metrics.json: what was evaluated; `models` -> `candidate`, `baseline` (where there is one), `popularity`,
    `movie_mean`, `bias_logistic_regression`, each with `overall` (metric -> `value`, `low`, `high`), `coverage`,
    `calibration` (`ece`, where the model says how likely a like is) and `slices` (by activity of users, popularity
    and genre of movies); and `differences`: the candidate less each other, paired.

    per_user.parquet: a row for each user with ratings in test: `user_id`, `activity`, `num_train`, `num_test`,
    `num_positives`; for each model `<model>.<metric>@<k>` (NaN for users without positives) and, where it says
    how likely a like is, the sums over the user's rows `<model>.log_loss`, `<model>.auc_liked` and
    `<model>.auc_others` (placements, see `metrics.placements`).
    """

    SPEC_CLASS = RankingEvaluatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        movies: types.BaseChannel,
        settings: RankingSettings,
        min_rating: float,
        positives: str = features.LIKED,
        baseline_model: types.BaseChannel | None = None,
        code: str = "",
    ) -> None:
        super().__init__(
            spec=RankingEvaluatorSpec(
                examples=examples,
                model=model,
                baseline_model=baseline_model,
                movies=movies,
                settings=settings.model_dump_json(),
                min_rating=min_rating,
                positives=positives,
                code=code,
                ranking=types.Channel(type=RankingEvaluation),
            )
        )
