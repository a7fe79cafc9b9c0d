"""What a user may set about the blessing; pydantic only, so reading a configuration is cheap."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from components.ranking.settings import RankingMetric

# What a broken rule does. `auto` is gate for the metrics of what is learned; of the others, ranking is a warning for
# like, and likes are ignored for interaction.
Action = Literal["auto", "gate", "warn", "ignore"]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FloorSettings(_Settings):
    """One floor."""

    rule: Action = Field(
        "auto",
        description="A broken rule refuses the model (gate), is told (warn) or not looked at (ignore);"
        " auto: gate for the objective's own metrics, and warn for ranking where the objective is like.",
    )
    margin: float = Field(
        0.0, description="By how much the candidate has to be better; less than that by chance is a warning."
    )


class ChangeSettings(_Settings):
    """One metric held against the last blessed model."""

    rule: Action = Field("auto", description="As the rule of a floor.")
    tolerance: float = Field(0.0, ge=0, description="Loss that is accepted even where it is real.")


class Floors(_Settings):
    """What needs no embeddings and must not be lost against: by log-loss, popularity and EASE by the ranking metric."""

    movie_mean: FloorSettings = Field(FloorSettings(), description="Smoothed share of likes of the movie.")
    bias_logistic_regression: FloorSettings = Field(
        FloorSettings(), description="Logistic regression on user and movie alone."
    )
    popularity: FloorSettings = Field(FloorSettings(), description="Ranking by number of likes.")
    ease: FloorSettings = Field(
        FloorSettings(),
        description="Regression of each movie on the others (EASE), with which a ranker has to keep up; auto: warn for"
        " interaction, not looked at for like.",
    )


class Changes(_Settings):
    """What may not get worse."""

    log_loss: ChangeSettings = Field(ChangeSettings(), description="Log-loss of the test likes.")
    auc: ChangeSettings = Field(ChangeSettings(), description="AUC of the test likes.")
    ranking: ChangeSettings = Field(ChangeSettings(), description="The ranking metric.")


class BlessingSettings(_Settings):
    """The rules of the blessing.

    Floors and changes are differences of two models on the same users. Either is broken where the whole confidence
    interval of the difference is on the wrong side of its bar: where the loss is real at that level, and not where the
    candidate is a little worse by chance. A floor of which the interval has the bar within is neither beaten nor lost,
    which is a warning. The absolute bars are keys of `evaluation`, where TFMA has them from.

    With the last blessed model the candidate is compared on the test rows that it was not trained on: another split
    of the same log has some of its train rows in test. All other figures are of the whole test split. A log-loss says
    how well probabilities answer one question, so it is not compared where that model was trained for another
    objective or by another rule of what is a like.

    Which metrics gate follows what is learned: those of likes for objective like, the ranking for interaction, and both
    where a model of each is trained. A model of likes that is alone is to say how likely a user likes a movie that they
    watch. It is not trained to say which movie they watch next, and there popularity, which it never sees, beats it: on
    MovieLens 100K NDCG@10 of popularity is about .10, that of such models .02 to .07. A gate on that would refuse every
    one, so it is a warning, in every report. For interaction alone the rules on likes do not apply.
    """

    confidence: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="Level of the intervals of differences; higher refuses less by chance.",
    )
    bootstrap_samples: int = Field(
        2000, ge=100, le=100_000, description="Resamplings of the users behind each interval."
    )
    seed: int = Field(42, ge=0, lt=2**32, description="Seed of the resamplings.")
    min_compared_rows: int = Field(
        100,
        ge=1,
        description="Fewer test rows that the last blessed model was not trained on are not compared on: what"
        " data_gate.minimum.test_rows holds to be too few to judge a model by.",
    )
    ranking_metric: RankingMetric = Field(
        "ndcg", description="Which ranking metric the rules use, at ranking.primary_k."
    )
    floors: Floors = Field(
        Floors(), description="What the model must not lose against, and is told not to beat."
    )
    changes: Changes = Field(
        Changes(), description="What may not get worse than with the last blessed model."
    )
