"""What the parts of a pipeline call each other and what they leave: nodes, files, properties; standard library only.

The types of artifacts are in `artifact_types`, which needs TFX.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# --- ids of the nodes, in the order of the pipeline

SCHEMA_GEN = "ImportSchemaGen"
EXAMPLE_GEN = "RatingsExampleGen"
STATISTICS_GEN = "StatisticsGen"
DATA_BASELINE = "latest_blessed_data"
EXAMPLE_VALIDATOR = "ExampleValidator"
DATA_GATE = "DataGate"
TRANSFORM = "Transform"
BASE_MODEL = "latest_blessed_base"
TUNER = "MovieTuner"
TUNED_VALUES = "tuned_values"
TRAINER = "MovieTrainer"
BASELINE_MODEL = "latest_blessed_model"
EVALUATOR = "Evaluator"
RANKING_EVALUATOR = "RankingEvaluator"
BLESSING = "Blessing"
SERVING_VALIDATOR = "ServingValidator"
INFRA_VALIDATOR = "InfraValidator"  # TFX's own, with serving.kind=docker
PUSHER = "Pusher"
REPORT = "Report"
# What a person does, without a run.
FORCED_BLESSING = "forced_blessing"
ROLLBACK_NODE = "rollback"

# --- files

# RatingsExampleGen
MOVIES_FILE = "movies.parquet"  # of Movies, and of an export
REJECTS_FILE = "rejects.csv"  # of the examples
# DataGate
FINDINGS_FILE = "findings.json"
# MovieTrainer: of the model, beside the export, and of the model run
SERVING_FOLDER = "Format-Serving"  # where TFX's Trainer puts the export
WARM_START_FILE = "warm_start_{}.npz"  # a file an objective
WARM_START_FILE_OF_BEFORE = "warm_start.npz"
RUN_SUMMARY = "training.json"
HISTORY_FILE = "history.json"  # the metrics of each epoch
# Before the names of figures of the model that recommends, where another one says what users like.
RETRIEVAL = "retrieval_"
# An export has in this folder what is beside its graph.
EXTRA = "assets.extra"
WARMUP_FILE = "tf_serving_warmup_requests"  # the name that TensorFlow Serving looks for
REFERENCE_FILE = "reference_predictions.npz"
TABLES_FILE = "tables.json"  # where a process without TensorFlow finds the tables
MARKER_FILE = "marquee.json"  # of a pushed version
CARD_FILE, CARD_JSON_FILE = "model_card.md", "model_card.json"  # the same
# RankingEvaluator
METRICS_FILE, PER_USER_FILE, COMPARED_FILE = "metrics.json", "per_user.parquet", "compared.parquet"
ANSWERS_FILE = "answers.json"
# Blessing
DECISION_FILE = "decision.json"
BLESSED_FILE = "BLESSED"  # as the stock Evaluator
# Report
PAGE_FILE = "report.html"
# ServingValidator
REPORT_FILE, PROBE_LOG_FILE = "report.json", "probe.log"

# --- custom properties that more than one component knows

# Of examples, 1 where the ratings have no times and `timestamp` is 0 throughout; else it is not set.
WITHOUT_TIMES = "without_times"
# Of examples: the window of spans, as text and as a number, where the input has spans; what TFX's driver says of the
# files; of a pushed model, why it was not.
FIRST_SPAN, LAST_SPAN, NUM_SPANS = "first_span", "last_span", "num_spans"
FINGERPRINT = "input_fingerprint"
NOT_PUSHED = "not_pushed"
# Of examples, JSON: a user in the middle by number of train ratings, and the movies they rated best, best first.
TYPICAL_USER, RATED_BEST = "typical_user", "rated_best"
# Of an evaluation and of a blessing's report: sentences, as JSON.
FAILURES, WARNINGS = "failures", "warnings"
# Of a data verdict and of tuned hyperparameters.
TRAIN_ROWS, TRAIN_LIKED = "train_rows", "train_liked"
# Of tuned hyperparameters: what they are for, see `models.search_space.purpose`.
PURPOSE = "purpose"
# Of a ranking and of a report: test rows on which two models are compared, and those that one of them knows.
COMPARED_ROWS, LEFT_OUT_ROWS = "compared_rows", "left_out_rows"
# Of a blessing: the component that wrote it.
COMPONENT_ID = "component_id"

# --- how a version came to be, and which blessings make a baseline

PUSH, FORCED, ROLLBACK = "push", "forced", "rollback"


def makes_baseline(blessing: Mapping[str, object]) -> bool:
    """Whether a ModelBlessing with these properties makes its model a baseline: no refusal, nor one of the rules.

    The Evaluator (TFMA) writes blessings too, which are only one of the rules: those of the Blessing component count,
    and what a person blesses by force or rolls back to.
    """
    by_hand = blessing.get("kind") in (FORCED, ROLLBACK)
    return blessing.get("blessed") == 1 and (by_hand or blessing.get(COMPONENT_ID) == BLESSING)


def of_retrieval(properties: Mapping[str, Any]) -> dict[str, Any]:
    """A model's properties that are of the second one, by the names that the first one's have."""
    return {
        name.removeprefix(RETRIEVAL): value
        for name, value in properties.items()
        if name.startswith(RETRIEVAL)
    }
