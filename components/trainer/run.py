"""`run_fn` of the Trainer: read the transformed examples, train, export.

TFX reloads this module before it calls `run_fn`, so it holds no classes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from pydantic import TypeAdapter
from tfx.components.trainer.fn_args_utils import FnArgs

from components import features
from components.models import VocabularySizes
from components.models.hyperparameters import AnyModelConfig, ModelConfig
from components.models.search_space import decoded, sentence, with_values
from components.serving import export, read_movies
from components.trainer.input import read_catalogue, read_examples
from components.trainer.training import fit

RUN_SUMMARY = "training.json"


def run_fn(fn_args: FnArgs) -> None:
    """Trains the configured model and writes the export, TensorBoard logs and `training.json`.

    Tuned values, where there are any, take the place of the model's own.
    """
    started = time.process_time()
    config: ModelConfig = TypeAdapter(AnyModelConfig).validate_python(fn_args.custom_config["model"])
    tuned = (fn_args.hyperparameters or {}).get("values", {})
    config = with_values(config, tuned)
    transform = tft.TFTransformOutput(fn_args.transform_graph_path)
    sizes = vocabulary_sizes(transform)
    train, evaluation, test = (
        read_examples(files, transform, config.memory_mb)
        for files in (fn_args.train_files, fn_args.eval_files, fn_args.custom_config["test_files"])
    )
    movies = read_movies(fn_args.custom_config["movies_uri"])
    catalogue = read_catalogue(movies, transform)
    positives = fn_args.custom_config["positives"]
    with tf.summary.create_file_writer(fn_args.model_run_dir).as_default():
        model, history = fit(
            config,
            sizes,
            train,
            labels(train, positives),
            evaluation,
            labels(evaluation, positives),
            catalogue,
            on_epoch=_to_tensorboard,
        )
    user, movie = (features.transformed_name(key) for key in (features.USER_KEY, features.MOVIE_KEY))
    export(
        fn_args.serving_model_dir,
        model,
        transform,
        movies,
        np.concatenate([np.stack([rows[user], rows[movie]], axis=1) for rows in (train, evaluation, test)]),
        rows={**train, **{key: table[train[movie]] for key, table in catalogue.items()}},
    )
    summary = {
        "model_name": config.name,
        "objective": config.objective,
        **({"tuned": sentence(decoded(tuned))} if tuned else {}),
        "parameters": int(model.count_params()),
        "train_rows": len(train[user]),
        "best_epoch": history.best_epoch,
        "epochs": len(history.metrics["loss"]),
        "monitor": history.monitor,
        "cpu_seconds": time.process_time() - started,
        "training_cpu_seconds": history.training_cpu_seconds,
        **{name: float(value) for name, value in history.best.items()},
    }
    Path(fn_args.model_run_dir).mkdir(parents=True, exist_ok=True)
    (Path(fn_args.model_run_dir) / RUN_SUMMARY).write_text(json.dumps(summary, indent=2))


def vocabulary_sizes(transform: tft.TFTransformOutput) -> VocabularySizes:
    """Sizes of the vocabularies that Transform made."""
    return VocabularySizes(
        **{
            key: transform.num_buckets_for_transformed_feature(features.transformed_name(key))
            for key in features.VOCABULARY_KEYS
        }
    )


def labels(rows: Mapping[str, np.ndarray], positives: str) -> np.ndarray:
    """What the models learn to tell apart, (N,): the liked rows, or where every rating counts all of them."""
    liked = rows[features.LABEL_KEY]
    return np.ones_like(liked) if positives == features.RATED else liked


def _to_tensorboard(epoch: int, metrics: Mapping[str, float]) -> None:
    for name, value in metrics.items():
        tf.summary.scalar(f"epoch_{name}", value, step=epoch)
