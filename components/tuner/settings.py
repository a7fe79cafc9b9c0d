"""What a user may set about the search for hyperparameters; pydantic only, so reading a configuration is cheap."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from components.models.search_space import Dimension

# The metrics of validation that a search goes by, and how they are called.
METRICS = {"val_loss": "log-loss", "val_ndcg@10": "NDCG@10", "val_recall@10": "recall@10"}


def metric_of(objective: str, ranking_metric: str) -> str:
    """The metric that a search goes by: that of the gate, on the validation rows.

    Args:
        objective: Of the model.
        ranking_metric: That of the blessing, for interaction; NDCG stands in for those that training does not measure.
    """
    if objective == "like":
        return "val_loss"
    return "val_recall@10" if ranking_metric == "recall" else "val_ndcg@10"


class TuningSettings(BaseModel):
    """How the best hyperparameters are searched, and how long they are used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tune: bool = Field(
        False,
        description="Whether to search now. If not, the values found last for the same model, objective and keys are"
        " used as long as the data are about the same.",
    )
    algorithm: Literal["bayesian", "hyperband", "random"] = Field(
        "bayesian", description="How the values of a trial are chosen."
    )
    max_trials: int = Field(
        20, ge=1, description="Most trials. With more than before, a search of the same data goes on."
    )
    epochs: int | None = Field(
        None,
        ge=1,
        description="Most epochs of a trial; null: as many as model.epochs. Most trials stop early.",
    )
    keys: tuple[str, ...] | None = Field(
        None,
        description="Which hyperparameters are searched; null: all of the model's space. Those set under model to"
        " other than their default never are.",
    )
    space: dict[str, Dimension] = Field(
        {},
        description="Ranges {min, max, scale} or {choices} by hyperparameter, in place of the default ones.",
    )
    seed: int = Field(42, ge=1, lt=2**31, description="Seed of the choice of values.")
    max_rows_ratio: float = Field(
        1.5, ge=1, description="Tuned values are not reused where train has grown or shrunk by more."
    )
    max_positives_ratio: float = Field(
        1.15, ge=1, description="Nor where the share of liked rows in train has, upwards or downwards."
    )
