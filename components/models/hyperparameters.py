"""Hyperparameters of each model: one frozen pydantic class a model, with that model's tuned defaults.

A default may differ between the objectives: those of `interaction` are in the `INTERACTION` of the class.
Imports no Keras, so that the command line can validate a configuration in milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Objective = Literal["like", "interaction"]


class ModelConfig(BaseModel):
    """What every model has: embeddings, and how they are trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    INTERACTION: ClassVar[dict[str, Any]] = {"loss": "binary", "epochs": 30}

    name: str = Field(..., description="Name of the model in the registry.")
    objective: Objective = Field(
        "like",
        description="What is learned: like (whether a user likes a movie that they watched) or interaction (which"
        " movies they watch). Evaluation and blessing follow it.",
    )
    loss: Literal["binary", "softmax", "in_batch"] = Field(
        "binary",
        description="binary: cross-entropy, for interaction against drawn negatives; softmax: over the whole"
        " catalogue, in_batch: over the batch's movies with logQ correction, both for dot products and interaction.",
    )
    negatives: int = Field(
        4, ge=1, le=100, description="Negatives drawn for a positive (loss binary of interaction)."
    )
    negative_exponent: float = Field(
        0.0, ge=0, le=1, description="Negatives are drawn by popularity to this power; 0 is uniform."
    )
    exclude_positives: bool = Field(
        True, description="Whether a user's own positives are never drawn as their negatives."
    )
    rest_weight: float = Field(
        0.0,
        ge=0,
        le=1,
        description="What a rated movie that is no positive counts beside one that is (loss softmax).",
    )
    vector_dropout: float = Field(
        0.0, ge=0, lt=1, description="Fraction of a user's vector dropped in training (loss softmax)."
    )
    popularity_adjustment: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the movies' biases taken away after training, so that popular ones count less (softmax).",
    )
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
    user_learning_rate: float = Field(
        3.0,
        gt=0,
        le=100,
        description="Learning rate of users' vectors, in units of the others' (loss softmax).",
    )
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "constant",
        description="How the learning rate falls to nothing over `epochs`, if it does; nothing stops early then.",
    )
    batch_size: int = Field(
        1024,
        ge=1,
        description="Rows in a training step; positives for interaction, users with the loss softmax.",
    )
    epochs: int = Field(60, ge=1, description="Most passes over the training rows.")
    patience: int = Field(
        4, ge=1, description="Epochs without a better validation metric after which training stops."
    )
    refit: bool = Field(
        True,
        description="Whether to train afresh on train and eval together for the best number of epochs.",
    )
    warm_start: bool = Field(
        False,
        description="Whether to start from the weights of the model blessed last on earlier data, by token.",
    )
    temperature: bool = Field(
        False, description="Whether to fit a temperature on eval, and keep it in the model (like only)."
    )
    memory_mb: int = Field(
        4096, ge=16, description="Training rows that take more than this are read from disk, part by part."
    )
    seed: int = Field(
        42, ge=0, lt=2**32, description="Seed of initial values, dropout, negatives, shuffling."
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_objective(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("objective") == "interaction":
            return {**cls.INTERACTION, **values}
        return values

    @model_validator(mode="after")
    def _loss_fits(self) -> ModelConfig:
        if self.loss == "binary":
            return self
        if self.objective == "like":
            raise ValueError(f"loss {self.loss} is for objective interaction; like has binary")
        if not isinstance(self, DotProductConfig | TwoTowerConfig):
            raise ValueError(
                f"loss {self.loss} needs a dot product (dot_product, two_tower); {self.name} has binary"
            )
        return self


class DotProductConfig(ModelConfig):
    """Matrix factorization: dot product of user and movie embeddings."""

    INTERACTION: ClassVar[dict[str, Any]] = {
        "loss": "softmax",
        "rest_weight": 0.2,
        "embedding_dim": 64,
        "embedding_l2": 5.0,
        "embedding_init": 0.1,
        "learning_rate": 0.01,
        "schedule": "linear",
        "batch_size": 64,
        "epochs": 40,
    }

    name: Literal["dot_product"] = Field("dot_product", description="Name of the model in the registry.")
    use_bias: bool = Field(True, description="Whether to add a user, a movie and a global bias to the logit.")
    bias_l2: float = Field(0.001, ge=0, description="L2 penalty on the biases that a training row looks up.")


class MlpConfig(ModelConfig):
    """Multi-layer perceptron over the concatenated user and movie embeddings."""

    INTERACTION: ClassVar[dict[str, Any]] = {
        "negatives": 8,
        "embedding_l2": 0.05,
        "embedding_init": 0.1,
        "learning_rate": 0.003,
        "epochs": 25,
    }

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
    # Perceptrons stand still for some epochs before they find more than biases.
    patience: int = Field(
        8, ge=1, description="Epochs without a better validation metric after which training stops."
    )


class GenreMlpConfig(MlpConfig):
    """The same perceptron with the mean of the movie's genre embeddings as a third part."""

    name: Literal["genre_mlp"] = Field(  # type: ignore[assignment]
        "genre_mlp", description="Name of the model in the registry."
    )
    genre_l2: float = Field(
        0.03, ge=0, description="L2 penalty on the pooled genre vector of a training row."
    )


class TwoTowerConfig(ModelConfig):
    """A user tower, and a movie tower over id, genres and year."""

    INTERACTION: ClassVar[dict[str, Any]] = DotProductConfig.INTERACTION

    name: Literal["two_tower"] = Field("two_tower", description="Name of the model in the registry.")
    hidden_units: tuple[Annotated[int, Field(ge=1, le=8192)], ...] = Field(
        (), description="Units of each hidden ReLU layer of both towers; none: the vectors themselves."
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Fraction of the hidden layers' outputs dropped in training."
    )
    feature_l2: float = Field(0.03, ge=0, description="L2 penalty on the vectors of genres and years.")
    bias_l2: float = Field(0.001, ge=0, description="L2 penalty on the movies' biases.")


class NeuMfConfig(MlpConfig):
    """Element-wise product and perceptron side by side."""

    name: Literal["neumf"] = Field(  # type: ignore[assignment]
        "neumf", description="Name of the model in the registry."
    )
    mlp_dim: int = Field(32, ge=1, le=1024, description="Length of the perceptron's own embedding vectors.")


AnyModelConfig = Annotated[
    DotProductConfig | MlpConfig | GenreMlpConfig | TwoTowerConfig | NeuMfConfig,
    Field(discriminator="name"),
]

MODEL_CONFIGS: dict[str, type[ModelConfig]] = {
    "dot_product": DotProductConfig,
    "mlp": MlpConfig,
    "genre_mlp": GenreMlpConfig,
    "two_tower": TwoTowerConfig,
    "neumf": NeuMfConfig,
}
