"""Warm start: a model begins with the weights of an earlier one, though the vocabularies have grown since.

The Trainer leaves `warm_start_<objective>.npz` of each model beside the export: not pushed, and read by no server.
It has the weights, and the tokens of the vocabularies: an index means another id once the vocabularies were made anew.

The weights are those of the best epoch on the train split alone, from before the model was trained afresh on train and
eval: in a log that grows the next train split holds this one, but the next eval split holds ratings of this eval split,
those of users who came back little or not at all. Started from the refitted weights, which have learned them, a model
looks better on eval than it is, and is stopped at once: on MovieLens 100K after its first 90 % with a log-loss of 0.487
at epoch 1, where a cold start and one from these weights come to 0.572.

Each layer with a vector an id gets the old vector of every id that is in both vocabularies. New ids, by `_start`:

- a movie begins at the mean, over its genres, of the mean vector of the old movies of that genre: what is known of it;
- a user, a genre, and a movie of no such genre begin at the old out-of-vocabulary vector, or where that was never
  trained, as it is by our Transform, at the mean of the old vectors. Zero, the other choice, says nothing of how far
  from it vectors have come, and a dot product of two zeros has no gradient.

Buckets of out-of-vocabulary ids and of years, dense layers and the global bias are carried over as they are. The
calibration is not: it is fitted after training. The optimizer starts afresh.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from components.models import MOVIE_BIAS
from components.models.hyperparameters import ModelConfig
from components.shared.artifacts import WARM_START_FILE, WARM_START_FILE_OF_BEFORE
from components.shared.features import GENRES_KEY, MOVIE_KEY, VOCABULARY_KEYS, transformed_name

# What has to be the same for a vector to mean the same.
_SAME = ("name", "objective", "loss", "embedding_dim")
_KEYS = {transformed_name(key): key for key in VOCABULARY_KEYS}

Weights = Mapping[str, Sequence[np.ndarray]]


@dataclass(frozen=True)
class Saved:
    """What a model leaves to the next one.

    Attributes:
        config: Its configuration.
        weights: Arrays of each layer, by its name.
        tokens: bytes (V,) by key of `VOCABULARY_KEYS`: the ids in the order of their indices.
    """

    config: Mapping[str, Any]
    weights: Weights
    tokens: Mapping[str, np.ndarray]


def layer_weights(model: keras.Model) -> dict[str, list[np.ndarray]]:
    """Arrays of each layer that is trained, by its name."""
    return {layer.name: layer.get_weights() for layer in model.layers if layer.trainable_weights}


def save(folder: Path, config: ModelConfig, weights: Weights, tokens: Mapping[str, Sequence[bytes]]) -> None:
    """Writes the file: 4 bytes a parameter, and the ids."""
    arrays = {f"weights/{name}/{i}": array for name, of in weights.items() for i, array in enumerate(of)}
    arrays |= {f"tokens/{key}": np.array(list(ids), np.bytes_) for key, ids in tokens.items()}
    np.savez(
        folder / WARM_START_FILE.format(config.objective), config=np.array(config.model_dump_json()), **arrays
    )


def load(folder: Path, objective: str) -> Saved | None:
    """What `save` wrote for a model of this objective; None where there is none."""
    paths = (folder / WARM_START_FILE.format(objective), folder / WARM_START_FILE_OF_BEFORE)
    path = next((path for path in paths if path.is_file()), None)
    if not path:
        return None
    weights: dict[str, list[np.ndarray]] = {}
    tokens = {}
    with np.load(path) as arrays:
        config = json.loads(str(arrays["config"]))
        for key in arrays.files:  # the arrays of a layer in their order
            kind, *name = key.split("/")
            if kind == "weights":
                weights.setdefault("/".join(name[:-1]), []).append(arrays[key])
            elif kind == "tokens":
                tokens[name[0]] = arrays[key]
    return Saved(config, weights, tokens)


def difference(config: ModelConfig, saved: Saved) -> str:
    """Why a model cannot start from another, as `embedding_dim is 8 there and 32 here`; empty where it can."""
    return ", ".join(
        f"{key} is {saved.config.get(key)} there and {here} here"
        for key in _SAME
        if saved.config.get(key) != (here := getattr(config, key))
    )


def carry_over(
    model: keras.Model,
    config: ModelConfig,
    tokens: Mapping[str, Sequence[bytes]],
    saved: Saved,
    catalogue: Mapping[str, np.ndarray],
) -> list[str]:
    """Sets the weights of a model from a saved one that has no `difference`.

    Args:
        model: The model, its embeddings adapted.
        config: Its configuration.
        tokens: The ids of its vocabularies, by key, in the order of their indices.
        saved: What the other model left.
        catalogue: `genres_xf`, integers (M, G), padded with -1: the genres of each movie, see `read_catalogue`.

    Returns:
        Names of the layers that start afresh, since the other model's are of another shape, or missing.
    """
    places = {key: _places(tokens[key], saved.tokens[key]) for key in VOCABULARY_KEYS}
    genres = catalogue[transformed_name(GENRES_KEY)][: len(tokens[MOVIE_KEY])]
    fresh = []
    for layer in model.layers:
        if not layer.trainable_weights:
            continue
        old, own = saved.weights.get(layer.name, []), layer.get_weights()
        key = _KEYS.get(layer.input.name) if isinstance(layer, keras.layers.Embedding) else None
        if key and old and old[0].shape[1:] == own[0].shape[1:]:
            rows = _embeddings(own[0], old[0], places[key], len(saved.tokens[key]))
            new = np.flatnonzero(places[key] < 0)
            # A softmax presets the biases by popularity, which is known of new movies too.
            if not (config.loss == "softmax" and layer.name == MOVIE_BIAS):
                rows[new] = _start(
                    old[0], places[key], len(saved.tokens[key]), new, genres if key == MOVIE_KEY else None
                )
            layer.set_weights([rows])
        elif not key and [array.shape for array in old] == [array.shape for array in own]:
            layer.set_weights(old)
        else:
            fresh.append(layer.name)
    return fresh


def carried(tokens: Mapping[str, Sequence[bytes]], saved: Saved) -> dict[str, tuple[int, int]]:
    """How many ids of each vocabulary the other model knew, and how many there are, by key."""
    return {
        key: (int((_places(tokens[key], saved.tokens[key]) >= 0).sum()), len(tokens[key]))
        for key in VOCABULARY_KEYS
    }


def _places(new: Sequence[bytes], old: np.ndarray) -> np.ndarray:
    """Index in `old` of each of the `new` tokens, -1 where it is not there."""
    index = {token: i for i, token in enumerate(old.tolist())}
    return np.array([index.get(token, -1) for token in new], np.int64)


def _embeddings(own: np.ndarray, old: np.ndarray, places: np.ndarray, num_old: int) -> np.ndarray:
    """Vectors (V + buckets, D): those of known ids and, where there are as many, of the buckets from `old`."""
    rows = own.copy()
    known = np.flatnonzero(places >= 0)
    rows[known] = old[places[known]]
    if len(own) - len(places) == len(old) - num_old:
        rows[len(places) :] = old[num_old:]
    return rows


def _start(
    old: np.ndarray, places: np.ndarray, num_old: int, new: np.ndarray, genres: np.ndarray | None
) -> np.ndarray:
    """Vectors of new ids, (N, D); see the module."""
    unknown = old[num_old:].mean(axis=0)
    start = unknown if unknown.any() or not num_old else old[:num_old].mean(axis=0)
    rows = np.tile(start, (len(new), 1))
    if genres is None:
        return rows
    number = int(genres.max(initial=-1)) + 1
    has = np.zeros((len(genres), number), np.float32)  # whether a movie has a genre
    movie, place = np.nonzero(genres >= 0)
    has[movie, genres[movie, place]] = 1
    known = np.flatnonzero(places >= 0)
    count = has[known].sum(axis=0)
    means = has[known].T @ old[places[known]] / np.maximum(count, 1)[:, None]
    of_new = has[new] * (count > 0)
    total = of_new.sum(axis=1, keepdims=True)
    return np.where(total > 0, of_new @ means / np.maximum(total, 1), rows)
