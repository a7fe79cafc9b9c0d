"""`run_fn` of the Trainer: read the examples, train, export.

TFX reloads this module before it calls `run_fn`, so it holds no classes.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from pydantic import TypeAdapter
from tfx.components.trainer.fn_args_utils import FnArgs

from components.export import blending
from components.export.cold_start import crowd, design
from components.export.export import Answering, export, read_movies
from components.models import AnyModelConfig, VocabularySizes, movie_vectors
from components.models.hyperparameters import ModelConfig
from components.models.search_space import decoded, sentence, with_values
from components.shared import features
from components.shared.artifacts import HISTORY_FILE, RETRIEVAL, RUN_SUMMARY
from components.trainer import warm_start
from components.trainer.input import RowGraph, read_catalogue, read_examples
from components.trainer.projector import write_projector
from components.trainer.training import History, Start, fit

_NOW = logging.getLogger("marquee.now")  # shown while it trains

_CONFIG: TypeAdapter[ModelConfig] = TypeAdapter(AnyModelConfig)


def run_fn(fn_args: FnArgs) -> None:
    """Trains the configured models; writes the export, TensorBoard logs with the embedding space, `training.json` with
    the figures, and `history.json` with those of each epoch.

    Tuned values, where there are any, take the place of the first model's own. The second one, `retrieval`, is the one
    that recommends; its figures have its name for a prefix.
    """
    started = time.process_time()
    configs: list[tuple[str, ModelConfig]] = [
        (prefix, _CONFIG.validate_python(fn_args.custom_config[key]))
        for key, prefix in (("model", ""), ("retrieval", RETRIEVAL))
        if fn_args.custom_config.get(key)
    ]
    tuned = (fn_args.hyperparameters or {}).get("values", {})
    configs[0] = ("", with_values(configs[0][1], tuned))
    transform = tft.TFTransformOutput(fn_args.transform_graph_path)
    graph = RowGraph(transform)
    train, evaluation, test = (
        read_examples(split, graph, configs[0][1].memory_mb)
        for split in (
            folders(fn_args.train_files),
            folders(fn_args.eval_files),
            fn_args.custom_config["test_splits"],
        )
    )
    movies = read_movies(fn_args.custom_config["movies_uri"])
    catalogue = read_catalogue(movies, transform)
    label = features.LabelRule.model_validate(fn_args.custom_config["label"])
    answering: list[Answering] = []
    histories: list[History] = []
    summary: dict[str, Any] = {}
    for prefix, config in configs:
        found, history, figures = _trained(
            fn_args, config, transform, train, evaluation, catalogue, label, prefix.rstrip("_")
        )
        answering.append(found)
        histories.append(history)
        summary |= {f"{prefix}{name}": value for name, value in figures.items()}
    if [config.objective for _, config in configs] == [features.LIKE, features.INTERACTION]:
        likes, recommends = histories
        blend = blending.fit(likes.held_logits, recommends.held_logits, labels(evaluation, label))
        if blend:
            blend = blend.of_calibrated(answering[0].model, recommends.alone)
            answering[0] = replace(answering[0], other=recommends.alone, blend=blend)
            summary["blend_weight"] = blend.other
    user, movie = (features.transformed_name(key) for key in (features.USER_KEY, features.MOVIE_KEY))
    export(
        fn_args.serving_model_dir,
        answering[0],
        answering[-1],
        transform,
        movies,
        np.concatenate([np.stack([rows[user], rows[movie]], axis=1) for rows in (train, evaluation, test)]),
        rows={**train, **{key: table[train[movie]] for key, table in catalogue.items()}},
        similar_shrinkage=configs[-1][1].similar_shrinkage,
    )
    ids = [id_.decode() for id_ in transform.vocabulary_by_name(features.MOVIE_KEY)]
    of_known = {movie: np.arange(len(ids))} | {key: table[: len(ids)] for key, table in catalogue.items()}
    vectors = np.asarray(movie_vectors(answering[-1].model, of_known))
    write_projector(Path(fn_args.model_run_dir), ids, vectors, movies)
    summary |= {
        "objective": "+".join(config.objective for _, config in configs),
        # Of which likes it says how likely they are: a model of another rule answers another question.
        **label.model_dump(),
        **({"tuned": sentence(decoded(tuned))} if tuned else {}),
        "train_rows": len(train[user]),
        "cpu_seconds": time.process_time() - started,
    }
    Path(fn_args.model_run_dir).mkdir(parents=True, exist_ok=True)
    (Path(fn_args.model_run_dir) / RUN_SUMMARY).write_text(json.dumps(summary, indent=2))
    curves = [_curves(config, history) for (_, config), history in zip(configs, histories, strict=True)]
    (Path(fn_args.model_run_dir) / HISTORY_FILE).write_text(json.dumps(curves))


def _trained(
    fn_args: FnArgs,
    config: ModelConfig,
    transform: tft.TFTransformOutput,
    train: Mapping[str, np.ndarray],
    evaluation: Mapping[str, np.ndarray],
    catalogue: Mapping[str, np.ndarray],
    label: features.LabelRule,
    logs: str,
) -> tuple[Answering, History, dict[str, Any]]:
    """Trains a model and leaves what the next one may start from; its figures by name. `logs` is a folder's name."""
    sizes = vocabulary_sizes(transform)
    tokens = {key: transform.vocabulary_by_name(key) for key in features.VOCABULARY_KEYS}
    start, started_from = _start(fn_args, config, tokens, catalogue)
    with tf.summary.create_file_writer(str(Path(fn_args.model_run_dir) / logs)).as_default():
        model, history = fit(
            config,
            sizes,
            train,
            labels(train, label),
            evaluation,
            labels(evaluation, label),
            catalogue,
            on_epoch=_to_tensorboard,
            start=start,
        )
    movie, genres, year = map(
        features.transformed_name, (features.MOVIE_KEY, features.GENRES_KEY, features.YEAR_KEY)
    )
    # What the weights are trained on.
    learned = [train, evaluation] if config.refit else [train]
    num_movies = transform.vocabulary_size_by_name(features.MOVIE_KEY)
    ranks = config.objective == features.INTERACTION
    everybody = crowd(
        np.concatenate([rows[movie] for rows in learned]),
        np.concatenate([labels(rows, label) for rows in learned]),
        num_movies,
        sizes.movie_id - num_movies,
        transform.vocabulary_size_by_name(features.USER_KEY) if ranks else None,
        None if ranks else design(catalogue[genres][:num_movies], catalogue[year][:num_movies], sizes.genres),
    )
    warm_start.save(Path(fn_args.serving_model_dir).parent, config, history.weights, tokens)
    # A regression that has joined is not what movies are compared by.
    own_dim = config.embedding_dim if history.joined else None
    return (
        Answering(model, everybody, own_dim),
        history,
        {
            "model_name": config.name,
            "parameters": int(model.count_params()),
            "best_epoch": history.best_epoch,
            "epochs": len(history.metrics["loss"]),
            "monitor": history.monitor,
            "embedding_l2": float(history.embedding_l2 or config.embedding_l2),
            **({"item_item_weight": float(history.joined.weight)} if history.joined else {}),
            "training_cpu_seconds": history.training_cpu_seconds,
            **{name: float(value) for name, value in history.best.items()},
            **started_from,
        },
    )


def _curves(config: ModelConfig, history: History) -> dict[str, Any]:
    """What is known of each epoch, for people to look at."""
    return {
        "model_name": config.name,
        "objective": config.objective,
        "monitor": history.monitor,
        "best_epoch": history.best_epoch,
        "metrics": {name: [float(value) for value in of] for name, of in history.metrics.items()},
    }


def _start(
    fn_args: FnArgs,
    config: ModelConfig,
    tokens: Mapping[str, Sequence[bytes]],
    catalogue: Mapping[str, np.ndarray],
) -> tuple[Start | None, dict[str, Any]]:
    """What sets the weights before training, None for a cold start, and what to record of it.

    Recorded, where `config.warm_start`: `warm_start`, `yes` or why not; `base_model_id`; by vocabulary, such as
    `user_id`, `warm_user_id` and `num_user_id`, how many ids were carried over, and of how many.
    """
    if not config.warm_start:
        return None, {}
    if not fn_args.base_model:
        return None, {"warm_start": "no model was blessed on earlier data"}
    base = {"base_model_id": fn_args.custom_config["base_model_id"]}
    saved = warm_start.load(Path(fn_args.base_model).parent, config.objective)
    reason = warm_start.difference(config, saved) if saved else "it left no weights to start from"
    if saved is None or reason:
        logging.warning("Cold start, not from model %d: %s", base["base_model_id"], reason)
        return None, {**base, "warm_start": reason}
    numbers = warm_start.carried(tokens, saved)
    logging.info("Warm start from model %d; carried over, of how many: %s", base["base_model_id"], numbers)

    def start(model: keras.Model) -> None:
        fresh = warm_start.carry_over(model, config, tokens, saved, catalogue)
        if fresh:
            logging.warning("Of another shape in model %d: %s", base["base_model_id"], ", ".join(fresh))

    return start, {
        **base,
        "warm_start": "yes",
        **{f"warm_{key}": known for key, (known, _) in numbers.items()},
        **{f"num_{key}": number for key, (_, number) in numbers.items()},
    }


def folders(patterns: Sequence[str]) -> list[str]:
    """Of splits, from the patterns of their files that TFX gives."""
    return [str(Path(pattern).parent) for pattern in patterns]


def vocabulary_sizes(transform: tft.TFTransformOutput) -> VocabularySizes:
    """Sizes of the vocabularies that Transform made."""
    return VocabularySizes(
        **{
            key: transform.num_buckets_for_transformed_feature(features.transformed_name(key))
            for key in features.VOCABULARY_KEYS
        }
    )


def labels(rows: Mapping[str, np.ndarray], rule: features.LabelRule) -> np.ndarray:
    """What the models learn to tell apart, (N,): the liked rows, or where every rating counts all of them."""
    positive: np.ndarray = rule.positive(rows[features.LABEL_KEY])
    return positive


def _to_tensorboard(epoch: int, metrics: Mapping[str, float]) -> None:
    for name, value in metrics.items():
        tf.summary.scalar(f"epoch_{name}", value, step=epoch)
    shown = [
        f"{name.removeprefix('val_')} {value:.4f}"
        for name, value in metrics.items()
        if name.startswith("val_")
    ]
    _NOW.info("epoch %d: %s on eval", epoch, ", ".join(shown) or f"loss {metrics['loss']:.4f}")
