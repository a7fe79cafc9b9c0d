"""What a user may set about the ranking evaluation; pydantic only, so reading a configuration is cheap."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

# What a model may be judged by as a ranker: the names of `metrics.RELEVANCE`.
RankingMetric = Literal["hit_rate", "recall", "precision", "ndcg", "map", "mrr"]


class RankingSettings(BaseModel):
    """How models are compared as rankers of the catalogue, and the floors are computed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ks: tuple[Annotated[int, Field(ge=1, le=1000)], ...] = Field(
        (5, 10, 20), min_length=1, description="Lengths of the list at which the metrics are taken."
    )
    primary_k: int = Field(
        10, ge=1, description="The one of ks that slices, gates and summaries show.", validate_default=True
    )
    sampled_candidates: int | None = Field(
        None,
        ge=1,
        description="Rank each user's liked movies also among this many random unrated ones, or null for not.",
    )
    bootstrap_samples: int = Field(
        1000, ge=100, le=100_000, description="Resamplings of the users behind each confidence interval."
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Level of the confidence intervals.")
    seed: int = Field(
        42, ge=0, lt=2**32, description="Seed of the sampled users and candidates and of the resamplings."
    )
    max_users: int = Field(
        10_000,
        ge=100,
        description="Most users that are evaluated; of more a sample is, the same share of each third by activity.",
    )
    memory_mb: int = Field(
        256, ge=1, description="Memory for the scores of one batch of users; decides how many it has."
    )
    regularisation_values: int = Field(
        6, ge=1, le=50, description="How many strengths the bias logistic regression chooses from on eval."
    )
    max_ease_movies: int = Field(
        6000,
        ge=1,
        description="Where the catalogue and the users are more than this, ItemKNN is the floor in place of EASE, which"
        " inverts a matrix of the fewer of both (at 6000 about a CPU minute).",
    )

    @model_validator(mode="after")
    def _primary_is_one_of_them(self) -> RankingSettings:
        if self.primary_k not in self.ks:
            raise ValueError(f"primary_k {self.primary_k} must be one of ks {list(self.ks)}")
        if len(set(self.ks)) < len(self.ks):
            raise ValueError(f"ks {list(self.ks)} has a number twice")
        return self
