"""The pipeline, from the ratings to the pushed model, in the order of the diagram in the README."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from tfx.components import ExampleValidator, InfraValidator
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import infra_validator_pb2, pusher_pb2
from tfx.types import BaseChannel, Channel, standard_artifacts

from components.blessing.component import Blessing
from components.data_gate.component import DataGate
from components.data_gate.settings import DataGateSettings
from components.evaluator.component import ThresholdEvaluator
from components.example_gen.component import RatingsExampleGen
from components.example_gen.detection import Source
from components.example_gen.files import match
from components.example_gen.spans import judge_late
from components.models.search_space import purpose
from components.pusher.component import AtomicPusher
from components.ranking.component import RankingEvaluator
from components.report.component import RunReport
from components.resolvers.data import LatestBlessedDataStrategy
from components.resolvers.models import LatestEarlierBlessedModelStrategy, LatestOtherBlessedModelStrategy
from components.resolvers.tuned_values import TunedValuesStrategy
from components.schema_gen.component import ImportSchemaGen
from components.schema_gen.component import checked as checked_schema
from components.serving_validator.component import ServingValidator
from components.shared.artifacts import (
    BASE_MODEL,
    BASELINE_MODEL,
    DATA_BASELINE,
    EVALUATOR,
    PUSHER,
    REPORT,
    STATISTICS_GEN,
    TRANSFORM,
    TUNED_VALUES,
)
from components.shared.features import TEST_SPLIT
from components.statistics_gen.component import RatingsStatistics
from components.trainer.component import MovieTrainer
from components.transform.component import RatingsTransform
from components.tuner.component import MovieTuner
from components.tuner.settings import metric_of
from pipeline.config import PipelineConfig
from pipeline.engine import beam_arguments
from pipeline.evaluation import eval_config
from pipeline.sections import BUILTIN, ServingConfig
from pipeline.state.inputs import bring
from pipeline.state.spans import changed
from pipeline.state.store import connection_config


@dataclass(frozen=True)
class _Trained:
    """The components from the ratings to the model, of which those further down need these."""

    example_gen: RatingsExampleGen
    schema_gen: ImportSchemaGen
    data_baseline: Resolver
    data_gate: DataGate
    trainer: MovieTrainer
    components: list[BaseComponent]


def _trained(config: PipelineConfig, tuned: bool) -> _Trained:
    """What a run and a sweep have in common: ingest, checks, Transform and Trainer; tuned values are of runs alone."""
    source = _source(config)
    example_gen = RatingsExampleGen(source, config.data.ingest)
    schema_gen = ImportSchemaGen(_schema(config), times=config.data.columns.timestamp is not None)
    statistics_gen = RatingsStatistics(example_gen.outputs["examples"], schema_gen.outputs["schema"]).with_id(
        STATISTICS_GEN
    )
    example_validator = ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
    )
    data_baseline = Resolver(
        strategy_class=LatestBlessedDataStrategy,
        model_blessing=Channel(type=standard_artifacts.ModelBlessing),
        examples=Channel(type=standard_artifacts.Examples),
        statistics=Channel(type=standard_artifacts.ExampleStatistics),
        current=example_gen.outputs["examples"],
    ).with_id(DATA_BASELINE)
    data_gate = DataGate(
        anomalies=example_validator.outputs["anomalies"],
        statistics=statistics_gen.outputs["statistics"],
        examples=example_gen.outputs["examples"],
        schema=schema_gen.outputs["schema"],
        settings=_data_gate(config),
        label=config.label,
        split_method=config.data.split.method,
        expect_genres=source.movies is not None and config.data.movie_columns.genres is not None,
        baseline_examples=data_baseline.outputs["examples"],
        baseline_statistics=data_baseline.outputs["statistics"],
        # The age of the same data is another every day.
        as_of=f"{date.today()}" if config.data_gate.freshness.max_age_days else "",
    )
    transform = RatingsTransform(
        example_gen.outputs["examples"],
        schema_gen.outputs["schema"],
        config.label,
        config.transform.num_oov_buckets,
    ).with_id(TRANSFORM)
    transform.add_upstream_node(data_gate)
    base_model = Resolver(
        strategy_class=LatestEarlierBlessedModelStrategy,
        model=Channel(type=standard_artifacts.Model),
        model_blessing=Channel(type=standard_artifacts.ModelBlessing),
        current=example_gen.outputs["movies"],
    ).with_id(BASE_MODEL)
    warm_start = any(one.warm_start for one in (config.model, config.retrieval) if one)
    tuning: list[BaseComponent] = []
    hyperparameters = None
    if tuned and config.tuning.tune:
        tuning = [_tuner(config, example_gen, transform)]
        hyperparameters = tuning[0].outputs["best_hyperparameters"]
    elif tuned:
        tuning = [_tuned_values(config, data_gate)]
        hyperparameters = tuning[0].outputs["hyperparameters"]
    trainer = MovieTrainer(
        examples=example_gen.outputs["examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema_gen.outputs["schema"],
        movies=example_gen.outputs["movies"],
        hyperparameters=hyperparameters,
        config=config.model,
        retrieval=config.retrieval,
        label=config.label,
        base_model=base_model.outputs["model"] if warm_start else None,
    )
    return _Trained(
        example_gen,
        schema_gen,
        data_baseline,
        data_gate,
        trainer,
        [
            example_gen,
            statistics_gen,
            schema_gen,
            example_validator,
            data_baseline,
            data_gate,
            transform,
            *([base_model] if warm_start else []),
            *tuning,
            trainer,
        ],
    )


def _source(config: PipelineConfig) -> Source:
    """The ratings; built-in ones by their copy under the root, whose path is not that of the environment."""
    source = config.data.source()
    told = [*source.told]
    if config.data.spans and source.spans:
        told += judge_late(config.data.spans, changed(config, source), source.base)
    for sentence in told:
        logging.getLogger("marquee.progress").info("Warning: %s", sentence)
    if not config.data.path.startswith(BUILTIN):
        return source
    patterns = [pattern for pattern in (source.ratings, source.movies) if pattern]
    files = [Path(file) for pattern in patterns for file in match(source.base, pattern)]
    return replace(source, base=str(bring(files, config.inputs_dir)))


def _data_gate(config: PipelineConfig) -> DataGateSettings:
    """The bars; that a backfill is older is told and stops nothing, as the Pusher does not replace what is newer."""
    gate = config.data_gate
    if config.data.spans is None or config.data.spans.to is None:
        return gate
    step_back = gate.freshness.step_back_days.model_copy(update={"fatal": None})
    return gate.model_copy(
        update={"freshness": gate.freshness.model_copy(update={"step_back_days": step_back})}
    )


def _schema(config: PipelineConfig) -> str:
    """The copy under the root of the curated schema, whose path is that of the checkout."""
    path = Path(config.schema_path).resolve()
    checked_schema(str(path))  # an error names the user's file
    return str(bring([path], config.inputs_dir) / path.name)


def _tuner(config: PipelineConfig, example_gen: RatingsExampleGen, transform: RatingsTransform) -> MovieTuner:
    return MovieTuner(
        examples=example_gen.outputs["examples"],
        transform_graph=transform.outputs["transform_graph"],
        movies=example_gen.outputs["movies"],
        config=config.model,
        settings=config.tuning,
        label=config.label,
        metric=metric_of(config.model.objective, config.blessing.ranking_metric),
        folder=str(config.tuning_dir),
    )


def _tuned_values(config: PipelineConfig, data_gate: DataGate) -> Resolver:
    return Resolver(
        strategy_class=TunedValuesStrategy,
        config={
            "purpose": purpose(config.model, config.search_space(), config.label.positives),
            "max_rows_ratio": config.tuning.max_rows_ratio,
            "max_positives_ratio": config.tuning.max_positives_ratio,
        },
        hyperparameters=Channel(type=standard_artifacts.HyperParameters),
        outdated=Channel(type=standard_artifacts.HyperParameters),
        verdict=data_gate.outputs["verdict"],
    ).with_id(TUNED_VALUES)


def create_pipeline(config: PipelineConfig) -> Pipeline:
    """Wires the components.

    Raises:
        DataError: The input is missing, or its layout or header is not what it should be.
        ConfigError: The schema cannot be read, or `beam.args` name a variable that is not set.
        StorageError: The root cannot be written.
    """
    trained = _trained(config, tuned=True)
    model = trained.trainer.outputs["model"]
    examples = trained.example_gen.outputs["examples"]
    baseline = Resolver(
        strategy_class=LatestOtherBlessedModelStrategy,
        model=Channel(type=standard_artifacts.Model),
        model_blessing=Channel(type=standard_artifacts.ModelBlessing),
        candidate=model,
        examples=Channel(type=standard_artifacts.Examples),
    ).with_id(BASELINE_MODEL)
    evaluator = ThresholdEvaluator(
        examples=examples,
        model=model,
        baseline_model=baseline.outputs["model"],
        example_splits=[TEST_SPLIT],
        eval_config=eval_config(config.evaluation, config.objective),
        schema=trained.schema_gen.outputs["schema"],
    ).with_id(EVALUATOR)
    ranking = _ranking_evaluator(config, trained, baseline)
    blessing = Blessing(
        model=model,
        baseline_model=baseline.outputs["model"],
        evaluation=evaluator.outputs["evaluation"],
        tfma_blessing=evaluator.outputs["blessing"],
        ranking=ranking.outputs["ranking"],
        settings=config.blessing,
        objective=config.objective,
        min_auc=config.evaluation.min_auc,
        max_log_loss=config.evaluation.max_log_loss,
        min_ranking=config.evaluation.min_ranking,
    )
    serving_validator = _serving_validator(config.serving, model, examples)
    # Nothing of the blessing goes in: a refused model may still be released by hand. But it comes first.
    serving_validator.add_upstream_node(blessing)
    pusher = AtomicPusher(
        model=model,
        model_blessing=blessing.outputs["blessing"],
        infra_blessing=serving_validator.outputs["blessing"],
        evaluation=evaluator.outputs["evaluation"],
        examples=examples,
        ranking=ranking.outputs["ranking"],
        report=blessing.outputs["report"],
        data=config.data.described,
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=str(config.serving_model_dir))
        ),
        push_older=config.data.spans is None or config.data.spans.push_older,
    ).with_id(PUSHER)
    report = RunReport(
        name=config.name,
        label=config.label,
        examples=examples,
        movies=trained.example_gen.outputs["movies"],
        verdict=trained.data_gate.outputs["verdict"],
        model=model,
        model_run=trained.trainer.outputs["model_run"],
        ranking=ranking.outputs["ranking"],
        report=blessing.outputs["report"],
        infra_blessing=serving_validator.outputs["blessing"],
        pushed_model=pusher.outputs["pushed_model"],
        baseline_examples=trained.data_baseline.outputs["examples"],
    ).with_id(REPORT)
    return _pipeline(
        config,
        [*trained.components, baseline, evaluator, ranking, blessing, serving_validator, pusher, report],
    )


def create_sweep_pipeline(config: PipelineConfig) -> Pipeline:
    """Wires what one value of a sweep needs: nothing is compared with a baseline, blessed or pushed.

    Raises: As `create_pipeline`.
    """
    trained = _trained(config, tuned=False)
    return _pipeline(config, [*trained.components, _ranking_evaluator(config, trained)])


def _pipeline(config: PipelineConfig, components: list[BaseComponent]) -> Pipeline:
    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=str(config.artifact_root),
        metadata_connection_config=connection_config(config),
        components=components,
        enable_cache=True,
        beam_pipeline_args=beam_arguments(config.beam.args),
    )


def _ranking_evaluator(
    config: PipelineConfig, trained: _Trained, baseline: Resolver | None = None
) -> RankingEvaluator:
    return RankingEvaluator(
        examples=trained.example_gen.outputs["examples"],
        model=trained.trainer.outputs["model"],
        baseline_model=baseline.outputs["model"] if baseline else None,
        baseline_examples=baseline.outputs["examples"] if baseline else None,
        movies=trained.example_gen.outputs["movies"],
        settings=config.ranking,
        label=config.label,
    )


def _serving_validator(config: ServingConfig, model: BaseChannel, examples: BaseChannel) -> BaseComponent:
    if config.kind == "process":
        return ServingValidator(
            model=model,
            examples=examples,
            settings=config.validator,
        )
    # Needs a Docker engine where the pipeline runs.
    return InfraValidator(
        model=model,
        examples=examples,
        serving_spec=infra_validator_pb2.ServingSpec(
            tensorflow_serving=infra_validator_pb2.TensorFlowServing(tags=[config.docker_tag]),
            local_docker=infra_validator_pb2.LocalDockerConfig(),
        ),
        # Of all signatures, those that can be asked with a tf.Example and nothing else.
        request_spec=infra_validator_pb2.RequestSpec(
            tensorflow_serving=infra_validator_pb2.TensorFlowServingRequestSpec(
                signature_names=["serving_default", "transform_features"]
            ),
            split_name=TEST_SPLIT,
            num_examples=config.requests,
        ),
        validation_spec=infra_validator_pb2.ValidationSpec(
            max_loading_time_seconds=math.ceil(config.max_load_seconds)
        ),
    )
