"""Hyperparameters of each model: one frozen pydantic class a model, with that model's tuned defaults.

Imports no Keras, so that the command line can validate a configuration in milliseconds.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class ModelConfig(BaseModel):
    """What every model has: embeddings, and how they are trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(..., description="Name of the model in the registry.")
    embedding_dim: int = Field(32, ge=1, le=1024, description="Length of each embedding vector.")
    embedding_l2: float = Field(
        0.03, ge=0, description="L2 penalty on the embedding vectors that a training row looks up."
    )
    l2_exponent: float = Field(
        0.5,
        ge=0,
        le=1,
        description="An id's penalties grow as its number of training rows to this power.",
    )
    embedding_init: float = Field(
        0.02, gt=0, le=1, description="Standard deviation of the initial embedding values."
    )
    learning_rate: float = Field(0.003, gt=0, le=1, description="Learning rate of Adam.")
    batch_size: int = Field(1024, ge=1, description="Rows in a training step.")
    epochs: int = Field(60, ge=1, description="Most passes over the training rows.")
    patience: int = Field(
        4, ge=1, description="Epochs without a better validation loss after which training stops."
    )
    refit: bool = Field(
        True,
        description="Whether to train afresh on train and eval together for the best number of epochs.",
    )
    seed: int = Field(42, ge=0, lt=2**32, description="Seed of initial values, dropout and shuffling.")


class DotProductConfig(ModelConfig):
    """Matrix factorization: dot product of user and movie embeddings."""

    name: Literal["dot_product"] = Field("dot_product", description="Name of the model in the registry.")
    use_bias: bool = Field(True, description="Whether to add a user, a movie and a global bias to the logit.")
    bias_l2: float = Field(0.001, ge=0, description="L2 penalty on the biases that a training row looks up.")


class MlpConfig(ModelConfig):
    """Multi-layer perceptron over the concatenated user and movie embeddings."""

    name: Literal["mlp"] = Field("mlp", description="Name of the model in the registry.")
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


class GenreMlpConfig(MlpConfig):
    """The same perceptron with the mean of the movie's genre embeddings as a third part."""

    name: Literal["genre_mlp"] = Field(  # type: ignore[assignment]
        "genre_mlp", description="Name of the model in the registry."
    )
    genre_l2: float = Field(
        0.03, ge=0, description="L2 penalty on the pooled genre vector of a training row."
    )


AnyModelConfig = Annotated[
    DotProductConfig | MlpConfig | GenreMlpConfig,
    Field(discriminator="name"),
]

MODEL_CONFIGS: dict[str, type[ModelConfig]] = {
    "dot_product": DotProductConfig,
    "mlp": MlpConfig,
    "genre_mlp": GenreMlpConfig,
}
