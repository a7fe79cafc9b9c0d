"""`run_fn` of the Trainer: read the transformed examples, train, export.

TFX reloads this module before it calls `run_fn`, so it holds no classes.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow_transform as tft
from pydantic import TypeAdapter
from tfx.components.trainer.fn_args_utils import FnArgs

from components import features
from components.models import VocabularySizes
from components.models.hyperparameters import AnyModelConfig
from components.models.training import fit
from components.serving import export, read_movies
from components.trainer.input import read_examples

RUN_SUMMARY = "training.json"


def run_fn(fn_args: FnArgs) -> None:
    """Trains the configured model and writes the export, TensorBoard logs and `training.json`."""
    started = time.process_time()
    config = TypeAdapter(AnyModelConfig).validate_python(fn_args.custom_config["model"])
    transform = tft.TFTransformOutput(fn_args.transform_graph_path)
    sizes = VocabularySizes(
        **{
            key: transform.num_buckets_for_transformed_feature(features.transformed_name(key))
            for key in features.VOCABULARY_KEYS
        }
    )
    train = read_examples(fn_args.train_files, transform)
    evaluation = read_examples(fn_args.eval_files, transform)
    model, history = fit(
        config,
        sizes,
        train,
        train[features.LABEL_KEY],
        evaluation,
        evaluation[features.LABEL_KEY],
        callbacks=[keras.callbacks.TensorBoard(fn_args.model_run_dir, write_graph=False)],
    )
    user, movie = (features.transformed_name(key) for key in (features.USER_KEY, features.MOVIE_KEY))
    test = read_examples(fn_args.custom_config["test_files"], transform)
    export(
        fn_args.serving_model_dir,
        model,
        transform,
        read_movies(fn_args.custom_config["movies_uri"]),
        np.concatenate([np.stack([rows[user], rows[movie]], axis=1) for rows in (train, evaluation, test)]),
        rows=train,
    )
    summary = {
        "model_name": config.name,
        "parameters": int(model.count_params()),
        "train_rows": len(train[user]),
        "best_epoch": history.best_epoch,
        "epochs": len(history.metrics["val_loss"]),
        "cpu_seconds": time.process_time() - started,
        **{name: float(value) for name, value in history.best.items()},
    }
    Path(fn_args.model_run_dir).mkdir(parents=True, exist_ok=True)
    (Path(fn_args.model_run_dir) / RUN_SUMMARY).write_text(json.dumps(summary, indent=2))
