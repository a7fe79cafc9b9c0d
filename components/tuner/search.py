"""The search: KerasTuner's oracles choose the values of each trial, the Trainer's own loop trains it.

The first trial has the configured values, so that what is found is never worse than they are, on the validation rows.
Trials are kept in a folder: a search that was interrupted goes on after its last finished trial.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras_tuner.engine import base_tuner, oracle, trial
from keras_tuner.engine import hyperparameters as hp_module

from components.models import VocabularySizes
from components.models.hyperparameters import ModelConfig
from components.models.search_space import Dimension, decoded, encoded, sentence, with_values
from components.shared.errors import ModelError
from components.trainer.rows import Arrays
from components.trainer.training import fit
from components.tuner.settings import METRICS, TuningSettings

# Shown on the terminal, where all else of a component goes to the log.
progress = logging.getLogger("marquee.progress")


@dataclass(frozen=True)
class Rows:
    """What a trial trains on and is scored by, as of `training.fit`."""

    x: Arrays
    y: np.ndarray
    x_eval: Arrays
    y_eval: np.ndarray
    catalogue: Arrays


class Search(base_tuner.BaseTuner):
    """A search over the hyperparameters of one model.

    Args:
        model: As configured.
        sizes: Sizes of the vocabularies.
        rows: The data.
        space: The dimensions.
        settings: How to search.
        metric: What decides, see `metric_of`.
        folder: Where trials are kept; what is there of the same search is taken up.
    """

    def __init__(
        self,
        model: ModelConfig,
        sizes: VocabularySizes,
        rows: Rows,
        space: Mapping[str, Dimension],
        settings: TuningSettings,
        metric: str,
        folder: str,
    ) -> None:
        self.model, self.sizes, self.rows, self.metric = model, sizes, rows, metric
        self.epochs = min(settings.epochs or model.epochs, model.epochs)
        super().__init__(
            _oracle(model, space, settings, metric, self.epochs), directory=folder, project_name="search"
        )
        self.oracle.verbose = 0  # what it would print is below

    @property
    def completed(self) -> list[trial.Trial]:
        """Finished trials, the best first."""
        done = [one for one in self.oracle.trials.values() if one.status == trial.TrialStatus.COMPLETED]
        return sorted(done, key=lambda one: one.score, reverse=self.oracle.objective.direction == "max")

    def on_search_begin(self) -> None:
        """Says what is there of an earlier search."""
        if self.completed:
            number = len(self.completed)
            progress.info(
                "goes on after %d trial%s there already", number, "s that are" if number > 1 else " that is"
            )

    def on_trial_begin(self, trial: trial.Trial) -> None:
        """Starts the clock."""
        self._began = time.monotonic()

    def run_trial(self, trial: trial.Trial) -> dict[str, float]:
        """Trains on the train split and returns the metric of the best epoch on eval."""
        values = trial.hyperparameters.values
        config = with_values(self.model, values).model_copy(
            # To refit tells nothing, and takes as long again.
            update={"refit": False, "epochs": values.get("tuner/epochs", self.epochs)}
        )
        rows = self.rows
        _, history = fit(config, self.sizes, rows.x, rows.y, rows.x_eval, rows.y_eval, rows.catalogue)
        self._history = history
        return {self.metric: history.best[self.metric]}

    def on_trial_end(self, trial: trial.Trial) -> None:
        """Keeps the trial, and says what came of it."""
        super().on_trial_end(trial)
        # Otherwise Keras holds on to the models of all trials.
        keras.utils.clear_session()
        ended = self.oracle.trials[trial.trial_id]
        # Hyperband may be through before.
        of = (
            ""
            if isinstance(self.oracle, keras_tuner.oracles.HyperbandOracle)
            else f" of {self.oracle.max_trials}"
        )
        best = self.completed
        progress.info(
            "trial %d%s: validation %s %s at epoch %d of %d, %.0f s%s: %s",
            len(self.oracle.end_order),
            of,
            METRICS[self.metric],
            f"{ended.score:.4f}" if ended.status == _COMPLETED else "is not a number",
            self._history.best_epoch,
            len(self._history.metrics["loss"]),
            time.monotonic() - self._began,
            ", the best" if best and best[0] is ended else "",
            sentence(decoded(ended.hyperparameters.values)),
        )

    def on_search_end(self) -> None:
        """Checks that there is something to choose from."""
        if not self.completed:
            raise ModelError(
                f"No trial of the search reached a validation {METRICS[self.metric]}.",
                where=str(self.project_dir),
                found=f"{len(self.oracle.trials)} trials, none of which has a finite one",
                fix="narrow tuning.space, foremost the learning rate",
            )

    def _try_run_and_update_trial(self, trial: trial.Trial, *fit_args: Any, **fit_kwargs: Any) -> None:
        # The stock one counts an error as a failed trial, and goes on: a full disk or a fault of the program would
        # spoil a search that can be taken up afterwards.
        self._run_and_update_trial(trial, *fit_args, **fit_kwargs)
        trial.status = _COMPLETED


_COMPLETED = trial.TrialStatus.COMPLETED


def _oracle(
    model: ModelConfig,
    space: Mapping[str, Dimension],
    settings: TuningSettings,
    metric: str,
    epochs: int,
) -> oracle.Oracle:
    hyperparameters = keras_tuner.HyperParameters()
    for key, dimension in space.items():
        if dimension.choices:
            hyperparameters.Choice(key, [encoded(value, dimension) for value in dimension.choices])
        else:
            kind = hyperparameters.Int if isinstance(dimension.min, int) else hyperparameters.Float
            kind(key, dimension.min, dimension.max, sampling=dimension.scale)
    configured = {
        key: encoded(getattr(model, key), dimension)
        for key, dimension in space.items()
        if getattr(model, key) in dimension
    }
    common: dict[str, Any] = {
        "objective": keras_tuner.Objective(metric, "min" if metric == "val_loss" else "max"),
        "hyperparameters": hyperparameters,
        "allow_new_entries": False,
        "seed": settings.seed,
        "max_consecutive_failed_trials": settings.max_trials + 1,
    }
    made: oracle.Oracle
    if settings.algorithm == "hyperband":
        made = _starting(keras_tuner.oracles.HyperbandOracle, configured)(max_epochs=epochs, **common)
        made.max_trials = settings.max_trials
    elif settings.algorithm == "bayesian":
        # Of few trials, half are left to be chosen by what the others have shown.
        random_ones = max(3, min(2 * len(space), settings.max_trials // 2))
        made = _starting(keras_tuner.oracles.BayesianOptimizationOracle, configured)(
            max_trials=settings.max_trials, num_initial_points=random_ones, **common
        )
    else:
        made = _starting(keras_tuner.oracles.RandomSearchOracle, configured)(
            max_trials=settings.max_trials, **common
        )
    return made


def _starting(kind: type[oracle.Oracle], values: Mapping[str, Any]) -> type[oracle.Oracle]:
    """The oracle, with these values in its first trial, where it has all of them."""

    class FromTheConfigured(kind):
        def _random_values(self) -> dict[str, Any] | None:
            if not self.trials and len(values) == len(self.hyperparameters.space):
                return dict(values)
            return super()._random_values()

        def populate_space(self, trial_id: str) -> dict[str, Any]:
            response = super().populate_space(trial_id)
            # Where the best is expected at the very end of a range of whole numbers, KerasTuner goes one beyond.
            for one in self.hyperparameters.space:
                if isinstance(one, hp_module.Int) and response.get("values"):
                    response["values"][one.name] = min(response["values"][one.name], one.max_value)
            return response

    return FromTheConfigured


def results(search: Search) -> str:
    """All finished trials as JSON, the best first: score and values."""
    return json.dumps(
        [
            {"trial": one.trial_id, "score": one.score, "values": decoded(one.hyperparameters.values)}
            for one in search.completed
        ]
    )
