"""`tuner_fn` of the Tuner: read the examples as the Trainer does, and set up the search.

TFX reloads this module before it calls `tuner_fn`, so it holds no classes.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import tensorflow_transform as tft
from pydantic import TypeAdapter
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.components.tuner.component import TunerFnResult

from components.export.export import read_movies
from components.models import AnyModelConfig
from components.models.hyperparameters import ModelConfig
from components.models.search_space import search_space
from components.shared.errors import DataError
from components.shared.features import LABEL_KEY, LabelRule
from components.trainer.input import RowGraph, read_catalogue, read_examples
from components.trainer.run import folders, labels, vocabulary_sizes
from components.tuner.search import Rows, Search
from components.tuner.settings import TuningSettings


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """The search over the configured model, trained on train and scored on eval; trials are in the working folder.

    Raises:
        DataError: There are no rows to score with.
    """
    config = fn_args.custom_config
    model: ModelConfig = TypeAdapter(AnyModelConfig).validate_python(config["model"])
    settings = TuningSettings.model_validate(config["tuning"])
    label = LabelRule.model_validate(config["label"])
    transform = tft.TFTransformOutput(fn_args.transform_graph_path)
    graph = RowGraph(transform)
    train, evaluation = (
        read_examples(folders(files), graph, model.memory_mb)
        for files in (fn_args.train_files, fn_args.eval_files)
    )
    if not len(evaluation[LABEL_KEY]):
        raise DataError(
            "The eval split has no rows, and trials are compared by it.",
            where="key data.split.eval_fraction",
            fix="set data.split.eval_fraction to more than 0, or tuning.tune to false",
        )
    catalogue = read_catalogue(read_movies(config["movies_uri"]), transform)
    rows = Rows(
        train,
        labels(train, label),
        evaluation,
        labels(evaluation, label),
        catalogue,
    )
    space = search_space(model, settings.space, settings.keys)
    sizes = vocabulary_sizes(transform)

    def search() -> Search:
        return Search(model, sizes, rows, space, settings, config["metric"], fn_args.working_dir)

    try:
        found = search()
    except (ValueError, KeyError, RuntimeError):
        # KerasTuner does not write its files at one stroke; one that was killed meanwhile may have left half of one.
        logging.exception("The earlier trials cannot be read: the search begins anew.")
        shutil.rmtree(Path(fn_args.working_dir))
        found = search()
    return TunerFnResult(tuner=found, fit_kwargs={})
