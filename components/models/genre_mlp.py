"""Multi-layer perceptron over the embeddings of user, movie and the movie's genres.

Model: logit = w . relu(W [p_u; q_i; g_i] + c) + b, where g_i is the mean of the
embeddings of all of the movie's genres (zeros if it has none).
Loss: of the objective, see `components.trainer.losses`, plus L2 on the embeddings of each training row.
Source: He et al., "Neural collaborative filtering" (2017); pooled multi-valued features as in Covington
et al., "Deep neural networks for YouTube recommendations" (2016).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from components.models import Model, VocabularySizes, embedding_of
from components.models.mlp import MlpConfig, embedded_ids, perceptron, space
from components.shared.features import GENRES_KEY, transformed_name

if TYPE_CHECKING:
    import keras


class GenreMlpConfig(MlpConfig):
    """The same perceptron with the mean of the movie's genre embeddings as a third part."""

    name: str = Field("genre_mlp", description="Name of the model in the registry.")
    genre_l2: float = Field(
        0.03, ge=0, description="L2 penalty on the pooled genre vector of a training row."
    )


def build(config: GenreMlpConfig, sizes: VocabularySizes) -> keras.Model:
    """Builds the model; see the module for its formula, `build_model` for inputs and output."""
    import keras

    from components.models.layers import MeanEmbedding, normal

    inputs, vectors = embedded_ids(config, sizes)
    genres = keras.Input(shape=(None,), dtype="int64", name=transformed_name(GENRES_KEY))
    genre_vector = MeanEmbedding(
        sizes.genres,
        config.embedding_dim,
        l2=config.genre_l2,
        embeddings_initializer=normal(config.embedding_init),
        name=embedding_of("genre"),
    )(genres)
    return keras.Model([*inputs, genres], perceptron(config, [*vectors, genre_vector]), name=config.name)


MODEL = Model(GenreMlpConfig, build, space)
