"""Rows of one or two splits as the models take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from components.models import (
    VocabularySizes,
    build_model,
)
from components.models.hyperparameters import ModelConfig
from components.shared.features import MOVIE_KEY, USER_KEY, transformed_name

Arrays = Mapping[str, np.ndarray]


USER, MOVIE = transformed_name(USER_KEY), transformed_name(MOVIE_KEY)


@dataclass(frozen=True)
class Rows:
    """Rows of one or two splits: inputs of the model but for those of the catalogue, and labels."""

    x: Arrays
    y: np.ndarray
    catalogue: Arrays
    sizes: VocabularySizes

    @staticmethod
    def of(
        config: ModelConfig, sizes: VocabularySizes, x: Arrays, y: np.ndarray, catalogue: Arrays | None
    ) -> Rows:
        catalogue = catalogue or {}
        wanted = [tensor.name for tensor in build_model(config, VocabularySizes(1, 1, 1)).inputs]
        inputs = {name: x[name] for name in wanted if name in (USER, MOVIE) or name not in catalogue}
        of_movie = {
            name: np.asarray(values, np.int32) for name, values in catalogue.items() if name in wanted
        }
        return Rows(inputs, np.asarray(y).reshape(-1), of_movie, sizes)

    def __len__(self) -> int:
        return len(self.y)

    def __add__(self, other: Rows) -> Rows:
        x = {name: _stack(values, other.x[name]) for name, values in self.x.items()}
        return Rows(x, np.concatenate([self.y, other.y]), self.catalogue, self.sizes)

    @property
    def positives(self) -> tuple[np.ndarray, np.ndarray]:
        """Users and movies of the rows with label 1."""
        at = self.y > 0.5
        return self.x[USER][at], self.x[MOVIE][at]

    def movie_inputs(self, movies: tf.Tensor) -> dict[str, tf.Tensor]:
        """The inputs of movies, given their indices."""
        return {MOVIE: movies, **{key: tf.gather(table, movies) for key, table in self.catalogue.items()}}


def _stack(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Concatenates rows; the narrower of two (rows, G) arrays is padded with -1."""
    if first.ndim == 2:
        width = max(first.shape[1], second.shape[1])
        first, second = (
            np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=-1) for part in (first, second)
        )
    return np.concatenate([first, second])
