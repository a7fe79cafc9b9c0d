"""The rules: numbers and arrays in, results with their sentences out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from components.blessing.figures import OWNERS, finite, interval_in_words
from components.blessing.settings import Action, BlessingSettings
from components.ranking.evaluation import (
    AUC,
    BASELINE,
    BIAS_GENRE_REGRESSION,
    BIAS_REGRESSION,
    CANDIDATE,
    EASE,
    ITEM_KNN,
    LOG_LOSS,
    MOVIE_MEAN,
    POPULARITY,
)
from components.ranking.figures import Figures
from components.shared.features import INTERACTION, LIKE, learns, metric_title

# Good recommenders themselves, with which a model of that objective only has to keep up.
_GOOD = {BIAS_GENRE_REGRESSION: LIKE, EASE: INTERACTION, ITEM_KNN: INTERACTION}


@dataclass(frozen=True)
class Result:
    """One rule and what came of it.

    Attributes:
        rule: Name, e.g. `floor: popularity`.
        kind: `bar` (an absolute one), `verdict` (TFMA's), `floor`, or `change` (against the last blessed model).
        metric: What it looks at, e.g. `log_loss`; empty for a verdict.
        action: `gate` where a broken rule refuses the model, else `warn`; that of a floor which is neither beaten nor
            lost is `warn` whatever the setting.
        bar: What the value is held against.
        at_least: Whether the value has to be at least the bar, rather than at most.
        value: The figure, or for a floor or change the candidate's less the other's.
        low: Lower end of the value's confidence interval.
        high: Its upper end.
        candidate: The candidate's figure.
        reference: That of the floor or baseline.
        passed: None where there is nothing to hold the candidate against.
        sentence: The same in words.
    """

    rule: str
    kind: Literal["bar", "verdict", "floor", "change"]
    metric: str
    action: Literal["gate", "warn"]
    bar: float | None
    at_least: bool
    value: float | None
    low: float | None
    high: float | None
    candidate: float | None
    reference: float | None
    passed: bool | None
    sentence: str


@dataclass(frozen=True)
class Bars:
    """The absolute bars, and the figures that TFMA held against them.

    Attributes:
        min_auc: Least AUC, for the objective like.
        max_log_loss: Greatest log-loss, the same.
        min_ranking: Least ranking metric, for the objective interaction.
        auc: AUC of the candidate by TFMA.
        log_loss: The same of log-loss.
        blessed: TFMA's own verdict.
        failures: Its reasons.
    """

    min_auc: float
    max_log_loss: float
    min_ranking: float
    auc: float
    log_loss: float
    blessed: bool
    failures: Sequence[str] = ()


@dataclass(frozen=True)
class Comparison:
    """What there is to hold the candidate against the last blessed model.

    Attributes:
        per_user: Columns as `decide` has them, with those of `baseline`, over the rows that it was not trained on.
        known: Whether it is known what the baseline was trained on.
        rows: Test rows that it was not trained on.
        left_out: Test rows that it was trained on.
        other: In what the question differs that the baseline was trained to answer, in words; empty where it is the
            same.
    """

    per_user: Mapping[str, np.ndarray]
    known: bool
    rows: int
    left_out: int
    other: str = ""

    def nothing(self, least: int) -> str:
        """Why there is nothing to compare, in words; empty where there is."""
        if not self.known:
            return (
                "The last blessed model is not compared with: the ratings that it was trained on are gone, and they"
                " may be test rows of this run. The floors decide alone."
            )
        if self.left_out and self.rows < least:
            return (
                f"The last blessed model is not compared with: it was trained on {self.left_out:,} of the"
                f" {self.rows + self.left_out:,} test rows, and the other {self.rows:,} are too few"
                f" (blessing.min_compared_rows is {least:,}). The floors decide alone."
            )
        return ""

    @property
    def where(self) -> str:
        """On which of the test rows, in words; empty where it is on all."""
        if not self.left_out:
            return ""
        return (
            f"on {self.rows:,} of {self.rows + self.left_out:,} test rows; {self.left_out:,} that the baseline was"
            " trained on are left out"
        )


def decide(
    figures: Figures,
    bars: Bars,
    settings: BlessingSettings,
    primary_k: int,
    objective: str,
    comparison: Comparison | None = None,
) -> list[Result]:
    """Applies every rule that is not ignored.

    Args:
        figures: By the ranking evaluator's per_user.parquet, of the whole test split.
        bars: The absolute bars.
        settings: The rules.
        primary_k: Where the ranking metric is taken.
        objective: What the candidate has learned, see `components.shared.features.learns`: the rules of either, or of
            both.
        comparison: With the last blessed model; None where there is none.
    """
    ranking = watched(settings, primary_k)
    results = []
    if learns(objective, LIKE):
        results += [
            _bar(AUC, bars.auc, bars.min_auc, True, "evaluation.min_auc", figures),
            _bar(LOG_LOSS, bars.log_loss, bars.max_log_loss, False, "evaluation.max_log_loss", figures),
        ]
    if learns(objective, INTERACTION):
        value = float(figures.of(CANDIDATE, ranking)[0])
        results += [_bar(ranking, value, bars.min_ranking, True, "evaluation.min_ranking", figures)]
    results.append(_verdict(bars))
    for floor, metric, of in (
        (MOVIE_MEAN, LOG_LOSS, settings.floors.movie_mean),
        (BIAS_REGRESSION, LOG_LOSS, settings.floors.bias_logistic_regression),
        (BIAS_GENRE_REGRESSION, LOG_LOSS, settings.floors.bias_genre_logistic_regression),
        (POPULARITY, ranking, settings.floors.popularity),
        (EASE, ranking, settings.floors.ease),
        (ITEM_KNN, ranking, settings.floors.item_knn),
    ):
        action = _action(of.rule, metric, objective)
        if floor in _GOOD and of.rule == "auto":
            action = "warn" if learns(objective, _GOOD[floor]) else None
        # Without genres there is no regression on them, and of EASE and ItemKNN there is one.
        if action and (floor not in _GOOD or figures.has(floor, metric)):
            results.append(_difference("floor", floor, metric, of.margin, action, figures))
    return results + _changes(comparison, ranking, settings, objective)


def _changes(
    comparison: Comparison | None, ranking: str, settings: BlessingSettings, objective: str
) -> list[Result]:
    nothing = (None,) * 5
    reason = "There is no earlier blessed model to compare with: this one would be the first."
    if comparison is not None:
        reason = comparison.nothing(settings.min_compared_rows)
    if comparison is None or reason:
        return [Result("change", "change", "", "gate", None, True, *nothing, passed=None, sentence=reason)]
    figures = Figures(comparison.per_user, [ranking], settings)
    results = []
    for metric, change in (
        (LOG_LOSS, settings.changes.log_loss),
        (AUC, settings.changes.auc),
        (ranking, settings.changes.ranking),
    ):
        action = _action(change.rule, metric, objective)
        if action and metric == LOG_LOSS and comparison.other:
            # It says how well the probabilities answer their own question. An order can be held against any.
            sentence = f"log-loss is not compared: {comparison.other}"
            results.append(
                Result(
                    f"change: {metric}",
                    "change",
                    metric,
                    action,
                    None,
                    False,
                    *nothing,
                    passed=None,
                    sentence=sentence,
                )
            )
        elif action:
            found = _difference("change", BASELINE, metric, -change.tolerance, action, figures)
            where = f", {comparison.where}" if comparison.where else ""
            results.append(replace(found, sentence=found.sentence + where))
    return results


def deciding(
    results: Sequence[Result],
    figures: Figures,
    settings: BlessingSettings,
    primary_k: int,
    objective: str,
) -> list[tuple[str, float | None, float | None]]:
    """For likes and for what is watched, whichever is learned: by which metric, the candidate's figure, the baseline's.

    The baseline has one where the two are compared by that metric. Both figures are then of the rows on which they
    are; else the candidate's is of the whole test split.
    """
    ranking = watched(settings, primary_k)
    found: list[tuple[str, float | None, float | None]] = []
    # AUC stands in for a log-loss that is not compared.
    for what, metrics in ((LIKE, (LOG_LOSS, AUC)), (INTERACTION, (ranking,))):
        if learns(objective, what):
            compared: list[tuple[str, float | None, float | None]] = [
                (metric, result.candidate, result.reference)
                for metric in metrics
                for result in results
                if result.kind == "change" and result.metric == metric and result.reference is not None
            ]
            alone = (metrics[0], finite(float(figures.of(CANDIDATE, metrics[0])[0])), None)
            found.append((compared or [alone])[0])
    return found


def watched(settings: BlessingSettings, primary_k: int) -> str:
    """The ranking metric of the rules, e.g. `ndcg@10`."""
    return f"{settings.ranking_metric}@{primary_k}"


def blessed(results: Sequence[Result]) -> bool:
    """Whether no gate is broken."""
    return all(result.passed is not False for result in results if result.action == "gate")


def broken(results: Sequence[Result], action: str) -> list[str]:
    """The sentences of the broken rules with that action; TFMA's verdict only if no bar says it already."""
    found = [result for result in results if result.passed is False and result.action == action]
    bars = any(result.kind == "bar" for result in found)
    return [result.sentence for result in found if not (bars and result.kind == "verdict")]


def not_compared(results: Sequence[Result]) -> list[str]:
    """Why the candidate is not held against its baseline, or not by some metric; for a first one that is no news."""
    return [result.sentence for result in results if result.kind == "change" and result.passed is None]


def _action(rule: Action, metric: str, objective: str) -> Literal["gate", "warn"] | None:
    if rule == "ignore":
        return None
    if rule != "auto":
        return rule
    if metric not in (LOG_LOSS, AUC):
        return "gate" if learns(objective, INTERACTION) else "warn"
    # What a model that learns what is watched says of likes means nothing.
    return "gate" if learns(objective, LIKE) else None


def _bar(metric: str, value: float, bar: float, at_least: bool, key: str, figures: Figures) -> Result:
    # TFMA's figure decides, as in TFMA; its interval is that of the exact one, which differs in the fourth digit.
    interval = figures.estimate(figures.of(CANDIDATE, metric))
    # Without users to rank for there is nothing to hold against it.
    passed = None if np.isnan(value) else value >= bar if at_least else value <= bar
    sentence = (
        f"{metric_title(metric)} is {value:.4f}{interval_in_words(interval)}, the {'floor' if at_least else 'ceiling'}"
        f" is {bar:g} ({key})"
    )
    return Result(
        f"bar: {metric}",
        "bar",
        metric,
        "gate",
        bar,
        at_least,
        finite(value),
        finite(interval.low),
        finite(interval.high),
        finite(value),
        None,
        passed,
        sentence,
    )


def _verdict(bars: Bars) -> Result:
    sentence = (
        "all thresholds of the Evaluator (TFMA) hold"
        if bars.blessed
        else "the Evaluator (TFMA) does not bless the model: " + ("; ".join(bars.failures) or "see its log")
    )
    nothing = (None,) * 5
    return Result(
        "verdict: TFMA", "verdict", "", "gate", None, True, *nothing, passed=bars.blessed, sentence=sentence
    )


def _difference(
    kind: Literal["floor", "change"],
    other: str,
    metric: str,
    margin: float,
    action: Literal["gate", "warn"],
    figures: Figures,
) -> Result:
    """Candidate less other: broken where the whole interval is on the wrong side of the bar.

    A floor is there to be beaten: where the interval has the bar within, that is told as a warning. With one that is a
    good recommender a model only has to keep up.
    """
    candidate, reference = figures.of(CANDIDATE, metric), figures.of(other, metric)
    difference = figures.estimate(candidate - reference)
    at_least = metric != LOG_LOSS  # of all others, more is better
    bar = margin if at_least else -margin
    rule = f"{kind}: {metric if kind == 'change' else other}"
    figure = f"{metric_title(metric)} is {candidate[0]:.4f}"
    if not np.isfinite(difference.value):
        # No user with positives, say: then there is nothing to refuse the model for.
        passed, sentence = None, f"{metric_title(metric)} could not be compared with that of {OWNERS[other]}"
    else:
        lost = bool(difference.high < bar if at_least else difference.low > bar)
        beaten = bool(difference.low > bar if at_least else difference.high < bar)
        to_beat = kind == "floor" and other not in _GOOD
        passed = beaten if to_beat else not lost
        if to_beat and not lost and not beaten:
            action = "warn"
        better = difference.value >= 0 if at_least else difference.value <= 0
        above = "above" if difference.value >= 0 else "below"
        sentence = f"{figure}, {abs(difference.value):.4f} {above} {OWNERS[other]}'s {reference[0]:.4f}"
        sentence += f" (difference{interval_in_words(difference)} at {figures.confidence:.0%})"
        if not passed and kind == "floor":
            wanted = f" by {abs(bar):g}" if bar else ""
            sentence += (
                f": it does not {'beat' if to_beat else 'keep up with'} this floor{wanted}"
                if lost
                else f": this floor is neither beaten{wanted} nor lost: it may be chance"
            )
        elif not passed:
            sentence += ": a real loss" + (f", more than the {abs(bar):g} that is accepted" if bar else "")
        elif not better:
            sentence += ": within what is accepted" if bar else ": it may be chance"
    return Result(
        rule,
        kind,
        metric,
        action,
        # -0.0 would be shown as such.
        bar + 0.0,
        at_least,
        finite(difference.value),
        finite(difference.low),
        finite(difference.high),
        finite(float(candidate[0])),
        finite(float(reference[0])),
        passed,
        sentence,
    )
