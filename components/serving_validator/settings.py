"""What a user may set about the serving validator; pydantic only, so reading a configuration is cheap."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LatencyBudgets(_Settings):
    """Greatest 95th percentile, in milliseconds, of the calls of each signature with one row."""

    serving_default: float = Field(100, gt=0, description="Milliseconds for a rating of one tf.Example.")
    transform_features: float = Field(100, gt=0, description="Milliseconds to transform one tf.Example.")
    predict: float = Field(100, gt=0, description="Milliseconds for one user and movie.")
    recommend: float = Field(500, gt=0, description="Milliseconds for one user over the whole catalogue.")
    score_catalogue: float = Field(500, gt=0, description="Milliseconds for one user's whole catalogue.")
    similar_movies: float = Field(250, gt=0, description="Milliseconds for one movie over the catalogue.")


class ServingValidatorSettings(_Settings):
    """How the export is asked, and what it may cost."""

    requests: int = Field(
        50,
        ge=1,
        le=10_000,
        description="How many test examples are sent, and how many calls of each signature are timed.",
    )
    batch_size: int = Field(1000, ge=2, description="Rows of the large request that each signature gets.")
    tolerance: float = Field(
        1e-5, ge=0, description="How far an answer may be from what the Trainer's model said."
    )
    latency_ms: LatencyBudgets = Field(
        LatencyBudgets(), description="Budgets of the signatures, 95th percentile at one row."
    )
    max_load_seconds: float = Field(60, gt=0, description="Longest time in which the export may load.")
    max_size_mb: float = Field(2048, gt=0, description="Greatest size of the export's files, in MB.")
    max_memory_mb: float = Field(
        8192, gt=0, description="Greatest resident memory of the process that answers, in MB."
    )
    timeout_seconds: float = Field(
        600, gt=0, description="How long the process may take altogether before it is ended."
    )
