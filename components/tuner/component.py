"""The stock Tuner with the movies table, a folder in which trials outlive the process, and figures in ML Metadata."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.tuner import executor as tuner_executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import trainer_pb2
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter
from tfx.utils import json_utils

from components.models import source_of
from components.models.hyperparameters import ModelConfig
from components.models.search_space import decoded, purpose
from components.shared.artifact_types import Movies, set_properties
from components.shared.artifacts import PURPOSE, TRAIN_LIKED, TRAIN_ROWS
from components.shared.features import LABEL_KEY, LabelRule
from components.shared.fingerprint import code_fingerprint
from components.tuner.run import tuner_fn
from components.tuner.search import Search, results
from components.tuner.settings import TuningSettings

# Settings that a search does not depend on.
_OF_REUSE = {"tune", "max_rows_ratio", "max_positives_ratio"}


class Executor(tuner_executor.Executor):
    """Runs the search in a folder of its own, and records what came of it."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        config = json_utils.loads(exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY])
        folder = Path(config.pop("folder")) / _fingerprint(config, input_dict)
        config["movies_uri"] = input_dict["movies"][0].uri
        found = tuner_executor.search(
            input_dict,
            {**exec_properties, standard_component_specs.CUSTOM_CONFIG_KEY: json_utils.dumps(config)},
            str(folder),
        )
        tuner_executor.write_best_hyperparameters(found, output_dict)
        best = artifact_utils.get_single_instance(
            output_dict[standard_component_specs.BEST_HYPERPARAMETERS_KEY]
        )
        set_properties(best, _figures(found, config["label"]["positives"]))
        trials = artifact_utils.get_single_instance(output_dict[standard_component_specs.TUNER_RESULTS_KEY])
        trials.set_string_custom_property("trials", results(found))


def _fingerprint(config: dict[str, Any], input_dict: dict[str, list[types.Artifact]]) -> str:
    """Digest of all that trials depend on: artifacts never change, and more trials go on from the same ones."""
    tuning = {key: value for key, value in config["tuning"].items() if key != "max_trials"}
    uris = {key: [artifact.uri for artifact in artifacts] for key, artifacts in input_dict.items()}
    text = json.dumps([{**config, "tuning": tuning}, uris], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _figures(search: Search, positives: str) -> dict[str, str | int | float]:
    best, model = search.completed[0], search.model
    values = decoded(best.hyperparameters.values)
    liked = search.rows.x[LABEL_KEY]
    figures: dict[str, str | int | float] = {
        PURPOSE: purpose(model, values, positives),
        "model_name": model.name,
        "objective": model.objective,
        "metric": search.metric,
        "score": best.score,
        "trials": len(search.completed),
        "values": json.dumps(values),
        TRAIN_ROWS: len(liked),
        TRAIN_LIKED: int(liked.sum()),
    }
    configured = {key: json.loads(json.dumps(getattr(model, key))) for key in values}
    for one in search.completed:
        if decoded(one.hyperparameters.values) == configured:
            figures.setdefault("configured_score", one.score)
    return figures


class MovieTunerSpec(standard_component_specs.TunerSpec):
    """The stock specification and the movies table."""

    INPUTS = {**standard_component_specs.TunerSpec.INPUTS, "movies": ChannelParameter(type=Movies)}


class MovieTuner(base_component.BaseComponent):
    """Searches the best hyperparameters of a model.

    Args:
        examples: Raw examples with the splits `train` and `eval`.
        transform_graph: Output of Transform.
        movies: The movies table of the ratings ExampleGen.
        config: The model as configured.
        settings: How to search.
        label: What is a like, and what a positive.
        metric: By what trials are compared, see `settings.metric_of`.
        folder: In it each search has a folder with its trials.

    Outputs: `best_hyperparameters`, with the best trial and its score as custom properties, and `tuner_results`, with
    all trials in the file and in the custom property `trials`.
    """

    SPEC_CLASS = MovieTunerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        movies: types.BaseChannel,
        config: ModelConfig,
        settings: TuningSettings,
        label: LabelRule,
        metric: str,
        folder: str,
    ) -> None:
        super().__init__(
            spec=MovieTunerSpec(
                examples=examples,
                transform_graph=transform_graph,
                movies=movies,
                train_args=trainer_pb2.TrainArgs(),
                eval_args=trainer_pb2.EvalArgs(),
                tuner_fn=f"{tuner_fn.__module__}.{tuner_fn.__qualname__}",
                custom_config=json_utils.dumps(
                    {
                        "model": config.model_dump(),
                        "tuning": settings.model_dump(exclude=_OF_REUSE),
                        "label": label.model_dump(),
                        "metric": metric,
                        "folder": folder,
                        "code": code_fingerprint(
                            "shared/features.py",
                            "shared/columns.py",
                            "shared/transform_graph.py",
                            "models/*.py",
                            "trainer/*.py",
                            "tuner/*.py",
                            "ranking/metrics.py",
                            "ranking/item_item.py",
                            also=[source_of(config.name)],
                        ),
                    }
                ),
                best_hyperparameters=types.Channel(type=standard_artifacts.HyperParameters),
                tuner_results=types.Channel(type=standard_artifacts.TunerResults),
            )
        )
