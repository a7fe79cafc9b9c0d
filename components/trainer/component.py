"""The stock Trainer with one more input, the movies table that the export carries, and with a model to start from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.trainer import executor as trainer_executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import trainer_pb2
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter
from tfx.utils import json_utils

from components.models import source_of
from components.models.hyperparameters import ModelConfig
from components.shared.artifact_types import Movies, set_properties
from components.shared.artifacts import RUN_SUMMARY
from components.shared.features import TEST_SPLIT, LabelRule
from components.shared.fingerprint import code_fingerprint
from components.trainer.run import run_fn


class Executor(trainer_executor.GenericExecutor):
    """Hands the uri of the movies table to `run_fn`, and the figures of training to ML Metadata."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        custom_config = {
            **json_utils.loads(exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY]),
            "movies_uri": input_dict["movies"][0].uri,
            # Neither trained on nor validated with, but rated all the same.
            "test_splits": artifact_utils.get_split_uris(input_dict["examples"], TEST_SPLIT),
        }
        if input_dict.get("base_model"):
            custom_config["base_model_id"] = input_dict["base_model"][0].id
        exec_properties = {
            **exec_properties,
            standard_component_specs.CUSTOM_CONFIG_KEY: json_utils.dumps(custom_config),
        }
        super().Do(input_dict, output_dict, exec_properties)
        (model,), (model_run,) = output_dict["model"], output_dict["model_run"]
        summary = json.loads((Path(model_run.uri) / RUN_SUMMARY).read_text())
        set_properties(model, summary)


class MovieTrainerSpec(standard_component_specs.TrainerSpec):
    """The stock specification and the movies table."""

    INPUTS = {**standard_component_specs.TrainerSpec.INPUTS, "movies": ChannelParameter(type=Movies)}


class MovieTrainer(base_component.BaseComponent):
    """Trains one of the models and exports it for serving.

    Args:
        examples: Raw examples with the splits `train`, `eval` and `test`.
        transform_graph: Output of Transform.
        schema: Schema of the raw examples.
        movies: The movies table of the ratings ExampleGen.
        hyperparameters: The best ones of a search, which replace those of `model`; may be empty.
        config: The model and how it is trained.
        retrieval: A second one, which recommends, and leaves to the first how likely a user likes a movie.
        label: What is a like, and what a positive.
        base_model: Where the model is configured to start from another one, that one; none is a cold start.

    Outputs: `model`, with the figures of training as custom properties, and `model_run`, with
    TensorBoard logs.
    """

    SPEC_CLASS = MovieTrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        schema: types.BaseChannel,
        movies: types.BaseChannel,
        config: ModelConfig,
        label: LabelRule,
        retrieval: ModelConfig | None = None,
        base_model: types.BaseChannel | None = None,
        hyperparameters: types.BaseChannel | None = None,
    ) -> None:
        super().__init__(
            spec=MovieTrainerSpec(
                examples=examples,
                transform_graph=transform_graph,
                schema=schema,
                movies=movies,
                base_model=base_model,
                hyperparameters=hyperparameters,
                train_args=trainer_pb2.TrainArgs(),
                eval_args=trainer_pb2.EvalArgs(),
                run_fn=f"{run_fn.__module__}.{run_fn.__qualname__}",
                custom_config=json_utils.dumps(
                    {
                        "model": config.model_dump(),
                        "retrieval": retrieval.model_dump() if retrieval else None,
                        "label": label.model_dump(),
                        "code": code_fingerprint(
                            "shared/features.py",
                            "shared/columns.py",
                            "shared/transform_graph.py",
                            "models/*.py",
                            "trainer/*.py",
                            "export/*.py",
                            "ranking/metrics.py",
                            "ranking/item_item.py",
                            also=[source_of(one.name) for one in (config, retrieval) if one],
                        ),
                    }
                ),
                model=types.Channel(type=standard_artifacts.Model),
                model_run=types.Channel(type=standard_artifacts.ModelRun),
            )
        )
