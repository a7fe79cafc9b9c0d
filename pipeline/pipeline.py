"""The pipeline, from the ratings to the pushed model, in the order of the diagram in the README."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tfx.components import ExampleValidator, StatisticsGen, Transform
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import pusher_pb2
from tfx.types import Channel, standard_artifacts

import components
from components.baseline import LatestOtherBlessedModelStrategy
from components.evaluator import ThresholdEvaluator
from components.example_gen.component import RatingsExampleGen
from components.features import TEST_SPLIT
from components.pusher import AtomicPusher
from components.schema import ImportSchemaGen
from components.trainer.component import MovieTrainer
from pipeline.config import PipelineConfig
from pipeline.evaluation import eval_config
from pipeline.store import connection_config

BEAM_ARGS = ["--direct_running_mode=in_memory", "--direct_num_workers=1"]


def create_pipeline(config: PipelineConfig, beam_pipeline_args: list[str] | None = None) -> Pipeline:
    """Wires the components.

    Args:
        config: What to run.
        beam_pipeline_args: Of Beam's pipeline options; the in-memory DirectRunner by default.

    Raises:
        DataError: The input is missing, or its layout or header is not what it should be.
        ConfigError: The schema cannot be read.
    """
    example_gen = RatingsExampleGen(config.data.source(), config.data.ingest)
    schema_gen = ImportSchemaGen(str(Path(config.schema_path).resolve()))
    statistics_gen = StatisticsGen(
        examples=example_gen.outputs["examples"], schema=schema_gen.outputs["schema"]
    )
    example_validator = ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
    )
    transform = Transform(
        examples=example_gen.outputs["examples"],
        schema=schema_gen.outputs["schema"],
        # By its path, as a name imported here would be bound before TFX reloads the module.
        preprocessing_fn="components.preprocessing.preprocessing_fn",
        custom_config={
            "min_rating": config.label.min_rating,
            "num_oov_buckets": config.transform.num_oov_buckets,
            "code": _code("features.py", "preprocessing.py"),
        },
        disable_statistics=True,
        disable_analyzer_cache=True,
    )
    trainer = MovieTrainer(
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema_gen.outputs["schema"],
        movies=example_gen.outputs["movies"],
        custom_config={
            "model": config.model.model_dump(),
            "code": _code("features.py", "models/*.py", "trainer/*.py", "serving.py"),
        },
    )
    baseline = Resolver(
        strategy_class=LatestOtherBlessedModelStrategy,
        model=Channel(type=standard_artifacts.Model),
        model_blessing=Channel(type=standard_artifacts.ModelBlessing),
        candidate=trainer.outputs["model"],
    ).with_id("latest_blessed_model")
    evaluator = ThresholdEvaluator(
        examples=example_gen.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=baseline.outputs["model"],
        example_splits=[TEST_SPLIT],
        eval_config=eval_config(config.evaluation),
        schema=schema_gen.outputs["schema"],
    ).with_id("Evaluator")
    pusher = AtomicPusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        evaluation=evaluator.outputs["evaluation"],
        examples=example_gen.outputs["examples"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=str(config.serving_model_dir))
        ),
    ).with_id("Pusher")
    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=str(config.artifact_root),
        metadata_connection_config=connection_config(config),
        components=[
            example_gen,
            statistics_gen,
            schema_gen,
            example_validator,
            transform,
            trainer,
            baseline,
            evaluator,
            pusher,
        ],
        enable_cache=True,
        beam_pipeline_args=beam_pipeline_args or BEAM_ARGS,
    )


def _code(*patterns: str) -> str:
    """Fingerprint of source files of `components`: TFX's cache does not see a changed function otherwise."""
    root = Path(components.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(path for pattern in patterns for path in root.glob(pattern)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
