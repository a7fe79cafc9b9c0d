"""The figure that matters of each component, as it stands on its line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from components.models.search_space import sentence
from components.shared.artifacts import (
    BASE_MODEL,
    BASELINE_MODEL,
    BLESSING,
    DATA_BASELINE,
    DATA_GATE,
    EVALUATOR,
    EXAMPLE_GEN,
    EXAMPLE_VALIDATOR,
    FIRST_SPAN,
    INFRA_VALIDATOR,
    LAST_SPAN,
    NOT_PUSHED,
    PAGE_FILE,
    PUSHER,
    RANKING_EVALUATOR,
    REPORT,
    SCHEMA_GEN,
    SERVING_VALIDATOR,
    STATISTICS_GEN,
    TRAINER,
    TRANSFORM,
    TUNED_VALUES,
    TUNER,
    WITHOUT_TIMES,
    of_retrieval,
)
from components.shared.features import GENRES_KEY, INTERACTION, LIKE, MOVIE_KEY, USER_KEY
from components.shared.tfx_internals import ANOMALIES_FILE, files_of_splits
from components.tuner.settings import METRICS
from pipeline.state.runs import Node, Run, decided_by


def figure(node: Node, run: Run) -> str:
    """The figure that matters of a component that has run."""
    model = run.nodes[TRAINER].output("model") if TRAINER in run.nodes else None
    objective = model.properties.get("objective", LIKE) if model else LIKE
    of_objective = {INTERACTION: _FIGURES_OF_RANKERS, LIKE: {}}.get(objective, _FIGURES_OF_BOTH)
    write = (_FIGURES | of_objective).get(node.id)
    return write(node) if write else ""


def _examples(node: Node) -> str:
    of = _properties(node, "examples")
    text = f"{of['num_rows']:,} ratings ({of['num_train']:,} train, {of['num_eval']:,} eval, {of['num_test']:,} test)"
    text += f", {of['num_users']:,} users, {of['num_movies']:,} movies"
    if of.get(LAST_SPAN):
        text += f", spans {of[FIRST_SPAN]} to {of[LAST_SPAN]}"
    for name, what in (
        ("num_rejected", "malformed set aside"),
        ("num_duplicates", "duplicates dropped"),
        ("num_ratings_without_movie", "of movies not in the movies table"),
    ):
        if of.get(name):
            text += f", {of[name]:,} {what}"
    if of.get(WITHOUT_TIMES):
        text += "; no times, so what the schema and the data gate say of them is off"
    artifact = node.output("examples")
    if artifact and of.get("num_rejected"):
        text += f"; see {artifact.uri}/rejects.csv"
    return text


def _schema(node: Node) -> str:
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    artifact = node.output("schema")
    if not artifact:
        return ""
    schema = text_format.Parse((Path(artifact.uri) / "schema.pbtxt").read_bytes(), schema_pb2.Schema())
    return f"{len(schema.feature)} features: " + ", ".join(feature.name for feature in schema.feature)


def _statistics(node: Node) -> str:
    return "of " + ", ".join(json.loads(_properties(node, "statistics")["split_names"]))


def _anomalies(node: Node) -> str:
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    artifact = node.output("anomalies")
    found = []
    files = files_of_splits(artifact.uri, ANOMALIES_FILE) if artifact else {}
    for split, path in files.items():
        anomalies = anomalies_pb2.Anomalies.FromString(path.read_bytes())
        found += [
            f"{split}: {feature} {info.short_description}" for feature, info in anomalies.anomaly_info.items()
        ]
    return f"{len(found)} anomalies: " + "; ".join(found) if found else "no anomalies"


def _gate(node: Node) -> str:
    of = _properties(node, "verdict")
    against = "" if of.get("compared") else "; no earlier blessed run to compare with"
    if not of.get("num_warn"):
        return f"nothing to report{against}"
    warnings = json.loads(of["warnings"])
    more = of["num_warn"] - len(warnings)
    text = f"{of['num_warn']} warning{'s' * (of['num_warn'] > 1)}: " + "; ".join(warnings)
    return text + (f"; and {more} more" if more else "") + against


def _data_baseline(node: Node) -> str:
    artifact = node.output("examples")
    return f"baseline is examples {artifact.id}" if artifact else "no earlier blessed run on other data"


def _vocabularies(node: Node) -> str:
    artifact = node.output("transform_graph")
    sizes = []
    for key, what in ((USER_KEY, "users"), (MOVIE_KEY, "movies"), (GENRES_KEY, "genres")):
        with open(Path(artifact.uri if artifact else "") / "transform_fn" / "assets" / key, "rb") as lines:
            sizes.append(f"{sum(1 for _ in lines):,} {what}")
    return "vocabularies of " + ", ".join(sizes)


def _training(node: Node) -> str:
    of = _properties(node, "model")
    text = "; ".join(map(_trained, of["objective"].split("+"), (of, of_retrieval(of))))
    if "blend_weight" in of:
        text += f"; in the probability of a like its logit counts {of['blend_weight']:.2f}"
    return text


def _trained(objective: str, of: dict[str, Any]) -> str:
    """Of one of the models."""
    if objective == LIKE:
        figures = f"AUC {of['val_auc']:.4f}, log-loss {of['val_loss']:.4f}"
    else:
        figures = f"NDCG@10 {of['val_ndcg@10']:.4f}, recall@10 {of['val_recall@10']:.4f}"
    tuned = ", tuned" if of.get("tuned") else ""
    text = f"{of['model_name']} ({objective}){tuned}: validation {figures}"
    text += f" at epoch {of['best_epoch']} of {of['epochs']}"
    if "embedding_l2" in of:
        text += f", L2 {of['embedding_l2']:.2g}"
    if "item_item_weight" in of:
        text += f", item-item weight {of['item_item_weight']:g}"
    return f"{text}; {_start(of)}" if "warm_start" in of else text


def _start(of: dict[str, Any]) -> str:
    if of["warm_start"] != "yes":
        base = f", not from model {of['base_model_id']}" if "base_model_id" in of else ""
        return f"cold start{base}: {of['warm_start']}"
    known = ", ".join(
        f"{of[f'warm_{key}']:,} of {of[f'num_{key}']:,} {what}"
        for key, what in ((USER_KEY, "users"), (MOVIE_KEY, "movies"))
    )
    return f"warm start from model {of['base_model_id']}: {known} carried over"


def _base_model(node: Node) -> str:
    artifact = node.output("model")
    return f"model {artifact.id}" if artifact else "no model was blessed on earlier data"


def _search(node: Node) -> str:
    of = _properties(node, "best_hyperparameters")
    configured = f" ({of['configured_score']:.4f} as configured)" if "configured_score" in of else ""
    return (
        f"best of {of['trials']} trials, validation {METRICS[of['metric']]} {of['score']:.4f}{configured}:"
        f" {sentence(json.loads(of['values']))}"
    )


def _tuned_values(node: Node) -> str:
    tuned, outdated = node.output("hyperparameters"), node.output("outdated")
    if outdated:
        rows, rows_now = outdated.properties["train_rows"], _properties(node, "verdict")["train_rows"]
        return (
            f"not reused, as the data have drifted since ({rows:,} train rows then, {rows_now:,} now):"
            " search again with tuning.tune"
        )
    return (
        f"hyperparameters {tuned.id}" if tuned else "none: the model's values are those of the configuration"
    )


def _baseline(node: Node) -> str:
    artifact = node.output("model")
    return (
        f"baseline is model {artifact.id}"
        if artifact
        else "no earlier blessed model: only the absolute bars hold"
    )


def _verdict(node: Node) -> str:
    of, blessing = _properties(node, "evaluation"), _properties(node, "blessing")
    verdict = "within the bars" if blessing.get("blessed") == 1 else "not within the bars"
    return f"test AUC {of['auc']:.4f}, log-loss {of['log_loss']:.4f}: {verdict}"


def _verdict_on_ranker(node: Node) -> str:
    """A model that learns what is watched has no bars on likes, see `pipeline.evaluation`."""
    failures = json.loads(_properties(node, "evaluation").get("failures") or "[]")
    return "; ".join(failures) or "no bars on likes, which this model does not learn"


def _serving(node: Node) -> str:
    of = _properties(node, "blessing")
    if of.get("blessed") != 1:
        failures = json.loads(of.get("failures", "[]")) or ["not fit for serving"]
        more = f" ({len(failures) - 1} more)" if len(failures) > 1 else ""
        return f"{failures[0]}{more}"
    if "load_seconds" not in of:  # the InfraValidator's
        return "TensorFlow Serving loads it and answers"
    return (
        f"loads in {of['load_seconds']:.1f} s, p95 {of['p95_ms']:.1f} ms ({of['slowest']}),"
        f" {of['size_mb']:.1f} MB, answers as the trainer does"
    )


def _likes(node: Node) -> str:
    of = _properties(node, "ranking")
    if "log_loss" not in of:
        return ""
    floors = {
        "movie mean": "movie_mean_log_loss",
        "bias regression": "bias_logistic_regression_log_loss",
        "user x genre": "bias_genre_logistic_regression_log_loss",
    }
    shown = ", ".join(f"{name} {of[key]:.4f}" for name, key in floors.items() if key in of)
    return f"log-loss {of['log_loss']:.4f}" + (f" ({shown})" if shown else "") + _compared(of)


def _ranking(node: Node) -> str:
    of = _properties(node, "ranking")
    k = of.get("primary_k", 10)
    parts = [
        f"{title}@{k} {of[f'{metric}@{k}']:.4f} ("
        + ", ".join(
            f"{name} {of[key]:.4f}"
            for name, key in (
                ("popularity", f"popularity_{metric}@{k}"),
                ("EASE", f"ease_{metric}@{k}"),
                ("ItemKNN", f"item_knn_{metric}@{k}"),
            )
            if key in of
        )
        + ")"
        for metric, title in (("ndcg", "NDCG"), ("recall", "recall"))
        if f"{metric}@{k}" in of and f"popularity_{metric}@{k}" in of
    ]
    return (", ".join(parts) or "no user liked a movie in test") + _compared(of)


def _likes_and_ranking(node: Node) -> str:
    # What there is to compare on is at the end of either.
    likes = _likes(node).removesuffix(_compared(_properties(node, "ranking")))
    return f"{likes}; {_ranking(node)}" if likes else _ranking(node)


def _compared(of: dict[str, Any]) -> str:
    """What of the test split there is to hold the candidate against the baseline."""
    rows, left_out = of.get("compared_rows"), of.get("left_out_rows")
    if left_out:
        return f"; {rows:,} of {rows + left_out:,} test rows to compare on: the baseline was trained on {left_out:,}"
    # Without a baseline it has neither.
    return (
        "; nothing to compare on: the ratings that the baseline was trained on are gone" if rows == 0 else ""
    )


def _decision(node: Node) -> str:
    of = _properties(node, "report")
    failures, warnings = (len(json.loads(of.get(key, "[]"))) for key in ("failures", "warnings"))
    text = (
        "blessed"
        if of.get("blessed") == 1
        else f"not blessed: {failures} of {of.get('num_rules')} rules broken"
    )
    text += f", {warnings} warning{'s' if warnings > 1 else ''}" if warnings else ""
    rows, left_out = of.get("compared_rows"), of.get("left_out_rows")
    if rows == 0 and "baseline_model_id" in _properties(node, "blessing"):
        text += "; compared with nothing"
    elif left_out:
        text += f"; compared on {rows:,} test rows"
    text += f", {left_out:,} left out" if left_out else ""
    # Reports of earlier versions of this program do not say what decided.
    return f"{text}; {decided_by(of)}" if "metric" in of else text


def _push(node: Node) -> str:
    of = _properties(node, "pushed_model")
    if of.get("pushed") == 1:
        return f"version {of['pushed_version']}"
    return f"nothing pushed: {of[NOT_PUSHED]}" if NOT_PUSHED in of else "nothing pushed"


def _page(node: Node) -> str:
    artifact = node.output("page")
    return f"one page, {(Path(artifact.uri) / PAGE_FILE).stat().st_size / 1e6:.1f} MB" if artifact else ""


def _properties(node: Node, key: str) -> dict[str, Any]:
    artifact = node.output(key)
    return artifact.properties if artifact else {}


_FIGURES: dict[str, Callable[[Node], str]] = {
    EXAMPLE_GEN: _examples,
    SCHEMA_GEN: _schema,
    STATISTICS_GEN: _statistics,
    EXAMPLE_VALIDATOR: _anomalies,
    DATA_BASELINE: _data_baseline,
    DATA_GATE: _gate,
    TRANSFORM: _vocabularies,
    BASE_MODEL: _base_model,
    TUNER: _search,
    TUNED_VALUES: _tuned_values,
    TRAINER: _training,
    BASELINE_MODEL: _baseline,
    EVALUATOR: _verdict,
    SERVING_VALIDATOR: _serving,
    INFRA_VALIDATOR: _serving,
    RANKING_EVALUATOR: _likes,
    BLESSING: _decision,
    PUSHER: _push,
    REPORT: _page,
}
_FIGURES_OF_BOTH = {RANKING_EVALUATOR: _likes_and_ranking}
_FIGURES_OF_RANKERS = {EVALUATOR: _verdict_on_ranker, RANKING_EVALUATOR: _ranking}
