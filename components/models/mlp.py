"""Multi-layer perceptron over the concatenated embeddings of user and movie.

Model: logit = w . relu(W [p_u; q_i] + c) + b; Dense(64) by default. The probability is its sigmoid.
Loss: of the objective, see `components.trainer.losses`, plus L2 on the embeddings of each training row.
Source: the MLP of He et al., "Neural collaborative filtering" (2017), with one hidden layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from components.models import LOGIT, Model, VocabularySizes, embedding_of
from components.models.hyperparameters import ModelConfig
from components.models.search_space import Dimension, log_range
from components.shared.features import MOVIE_KEY, USER_KEY, transformed_name

if TYPE_CHECKING:
    import keras


class MlpConfig(ModelConfig):
    """Multi-layer perceptron over the concatenated user and movie embeddings."""

    INTERACTION: ClassVar[dict[str, Any]] = {
        "negatives": 8,
        "embedding_l2": 0.038,
        "embedding_init": 0.1,
        "learning_rate": 0.003,
        "epochs": 25,
    }

    name: str = Field("mlp", description="Name of the model in the registry.")
    hidden_units: tuple[Annotated[int, Field(ge=1, le=8192)], ...] = Field(
        (64,), description="Units of each hidden ReLU layer, first to last."
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Fraction of the hidden layers' inputs dropped in training."
    )
    embedding_l2: float = Field(
        3.0, ge=0, description="L2 penalty on the embedding vectors that a training row looks up."
    )
    learning_rate: float = Field(0.001, gt=0, le=1, description="Learning rate of Adam.")
    # Perceptrons stand still for some epochs before they find more than biases.
    patience: int = Field(
        8, ge=1, description="Epochs without a better validation metric after which training stops."
    )


def space(config: ModelConfig) -> dict[str, Dimension]:
    """What a search searches, of any perceptron."""
    ranks = config.objective == "interaction"
    return {
        "embedding_dim": log_range(4, 128),
        "embedding_l2": log_range(0.005, 0.5) if ranks else log_range(0.1, 10.0),
        "learning_rate": log_range(0.001, 0.01) if ranks else log_range(0.0003, 0.003),
        "batch_size": log_range(256, 4096),
        "hidden_units": Dimension(choices=((32,), (64,), (128,), (64, 32), (128, 64))),
        "dropout": Dimension(min=0.0, max=0.5, scale="linear"),
    }


def build(config: MlpConfig, sizes: VocabularySizes) -> keras.Model:
    """Builds the model; see the module for its formula, `build_model` for inputs and output."""
    import keras

    inputs, vectors = embedded_ids(config, sizes)
    return keras.Model(inputs, perceptron(config, vectors), name=config.name)


def embedded_ids(
    config: MlpConfig,
    sizes: VocabularySizes,
    dim: int | None = None,
    suffix: str = "",
    inputs: Sequence[keras.KerasTensor] = (),
) -> tuple[list[keras.KerasTensor], list[keras.KerasTensor]]:
    """Inputs for user and movie, (B,) each, and embeddings of them, (B, dim or embedding_dim) each."""
    from components.models.layers import IdEmbedding, id_input, normal

    asked, vectors = list(inputs), []
    for place, (key, size, layer) in enumerate(
        ((USER_KEY, sizes.user_id, "user"), (MOVIE_KEY, sizes.movie_id, "movie"))
    ):
        if not inputs:
            asked.append(id_input(transformed_name(key)))
        embedding = IdEmbedding(
            size,
            dim or config.embedding_dim,
            l2=config.embedding_l2,
            embeddings_initializer=normal(config.embedding_init),
            name=embedding_of(layer, suffix),
        )
        vectors.append(embedding(asked[place]))
    return asked, vectors


def hidden_layers(config: MlpConfig, vectors: list[keras.KerasTensor]) -> keras.KerasTensor:
    """Concatenation and ReLU layers."""
    import keras

    hidden = keras.layers.Concatenate(name="concatenated")(vectors)
    for number, units in enumerate(config.hidden_units, start=1):
        if config.dropout:
            hidden = keras.layers.Dropout(config.dropout, name=f"dropout_{number}")(hidden)
        hidden = keras.layers.Dense(units, activation="relu", name=f"hidden_{number}")(hidden)
    return hidden


def perceptron(config: MlpConfig, vectors: list[keras.KerasTensor]) -> keras.KerasTensor:
    """Concatenation, hidden layers and the probability, (B, 1)."""
    import keras

    from components.models.layers import probability

    return probability(keras.layers.Dense(1, name=LOGIT)(hidden_layers(config, vectors)))


MODEL = Model(MlpConfig, build, space)
