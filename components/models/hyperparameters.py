"""What every model has for hyperparameters; each model's own class, with its tuned defaults, is in its file.

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
    l2_factors: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (1.0,),
        min_length=1,
        description="Multiples of all L2 penalties to train with in turn, until the validation metric is worse than"
        " before; 1 where embedding_l2 is set.",
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
        description="Rows in a training step, of likes fewer where an epoch would have less than 64 steps; positives"
        " for interaction, users with the loss softmax.",
    )
    max_batch_size: int | None = Field(
        None,
        ge=1,
        description="Most rows in a training step of likes: from 128 steps an epoch on they grow from batch_size as the"
        " square root of the log; null: batch_size.",
    )
    epochs: int = Field(60, ge=1, description="Most passes over the training rows.")
    max_steps: int | None = Field(
        None,
        ge=1,
        description="Most steps of a training with the loss softmax: where an epoch has many, batches are up to 8 times"
        " as large, and epochs are fewer, but at least 10; null: as batch_size and epochs say.",
    )
    softmax_sample: int = Field(
        2048,
        ge=1,
        description="Of a catalogue more than twice as large, the movies drawn for a step of the loss softmax, besides"
        " the positives of its users.",
    )
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
    warm_epochs: int | None = Field(
        None,
        ge=1,
        description="Most passes where training does start from such weights; null: those of epochs.",
    )
    temperature: bool = Field(
        False, description="Whether to fit a temperature on eval, and keep it in the model (like only)."
    )
    memory_mb: int = Field(
        4096, ge=16, description="Training rows that take more than this are read from disk, part by part."
    )
    similar_shrinkage: float = Field(
        5.0,
        ge=0,
        description="How like another a movie of n ratings is counts n / (n + this): few ratings make no neighbour.",
    )
    seed: int = Field(
        42, ge=0, lt=2**32, description="Seed of initial values, dropout, negatives, shuffling."
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_objective(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        if "embedding_l2" in values:  # a strength that somebody has set is not multiplied
            values = {"l2_factors": (1.0,), **values}
        if {"epochs", "batch_size"} & values.keys():  # nor changed, what somebody has set
            values = {"max_steps": None, **values}
        if "batch_size" in values:
            values = {"max_batch_size": None, **values}
        if values.get("objective") == "interaction":
            return {**cls.INTERACTION, **values}
        return values

    @model_validator(mode="after")
    def _loss_fits(self) -> ModelConfig:
        from components.models import MODELS, find

        if self.loss == "binary":
            return self
        if self.objective == "like":
            raise ValueError(f"loss {self.loss} is for objective interaction; like has binary")
        if not find(self.name).vectors:
            able = ", ".join(name for name in MODELS if find(name).vectors)
            raise ValueError(f"loss {self.loss} needs a dot product ({able}); {self.name} has binary")
        return self
