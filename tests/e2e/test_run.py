"""The whole pipeline on a slice of MovieLens 100K, through the command, and what it leaves in ML Metadata."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.config import PipelineConfig, load_config
from pipeline.state.runs import Run, pushed_versions, read_runs

COMPONENTS = {
    "ImportSchemaGen",
    "RatingsExampleGen",
    "StatisticsGen",
    "ExampleValidator",
    "latest_blessed_data",
    "DataGate",
    "Transform",
    "tuned_values",
    "MovieTrainer",
    "latest_blessed_model",
    "Evaluator",
    "ServingValidator",
    "RankingEvaluator",
    "Blessing",
    "Pusher",
    "Report",
}

UNBEATABLE = [
    "--set",
    "blessing.floors.movie_mean.rule=gate",
    "--set",
    "blessing.floors.movie_mean.margin=0.5",
]


@dataclass(frozen=True)
class Workspace:
    """A pipeline on the slice. `first`, `second`... are what the runs printed, in order."""

    options: list[str]
    config: PipelineConfig
    first: subprocess.CompletedProcess[str]
    second: subprocess.CompletedProcess[str]
    refused: subprocess.CompletedProcess[str]
    other: subprocess.CompletedProcess[str]
    back: subprocess.CompletedProcess[str]

    def runs(self) -> list[Run]:
        return read_runs(self.config)


@pytest.fixture(scope="module")
def workspace(marquee, movielens_slice, tmp_path_factory) -> Workspace:
    """Runs once, again unchanged, with a bar that cannot be met, with another model and a floor that cannot be beaten,
    and as at first."""
    root = tmp_path_factory.mktemp("root")
    overrides = [f"data.path={movielens_slice}", f"root={root}", "model.epochs=4", "evaluation.min_auc=0.55"]
    # Four epochs on a slice do not beat them.
    overrides += [
        f"blessing.floors.{floor}.rule=warn" for floor in ("movie_mean", "bias_logistic_regression")
    ]
    options = [part for override in overrides for part in ("--set", override)]
    first = marquee("run", *options)
    assert first.returncode == 0, first.stdout + first.stderr
    return Workspace(
        options,
        load_config(None, overrides),
        first,
        marquee("run", *options),
        marquee("run", *options, "--set", "evaluation.min_auc=0.99"),
        marquee("run", *options, "--set", "model.name=genre_mlp", *UNBEATABLE),
        marquee("run", *options),
    )


def lines_of(done: subprocess.CompletedProcess[str]) -> dict[str, list[str]]:
    """Component -> the words of its line."""
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("  ")]
    return {words[0]: words[1:] for words in lines if words[0] in COMPONENTS}


def test_first_run_prints_a_line_a_component_and_nothing_else_of_theirs(workspace):
    assert workspace.first.stderr == ""
    lines = lines_of(workspace.first)
    assert set(lines) == COMPONENTS
    assert {words[0] for words in lines.values()} == {"done"}
    assert "ratings" in lines["RatingsExampleGen"]
    assert "WARNING" not in workspace.first.stdout
    assert len(workspace.first.stdout.splitlines()) < 40
    assert "the median by number of ratings, rated best: " in workspace.first.stdout


def test_runs_leave_nothing_in_the_temporary_folder(workspace, temporary):
    assert not list(temporary.iterdir())
    assert not (workspace.config.pipeline_root / "tmp").exists()


def test_first_run_is_complete_in_metadata(workspace):
    first = workspace.runs()[0]
    assert set(first.nodes) == COMPONENTS
    assert {node.state for node in first.nodes.values() if not node.resolver} == {"done"}
    examples = first.nodes["RatingsExampleGen"].output("examples").properties
    rows = (workspace.config.data.source().base, *Path(workspace.config.data.path).glob("*.inter"))[1]
    assert examples["num_rows"] == len(rows.read_text().splitlines()) - 1
    assert examples["num_train"] + examples["num_eval"] + examples["num_test"] == examples["num_rows"]
    assert not first.nodes["latest_blessed_model"].outputs.get("model")
    summary = first.summary()
    assert summary["blessed"] is True
    assert summary["fit_for_serving"] is True
    assert 0.55 <= summary["auc"] <= 1
    assert summary["val_loss"] < 0.693  # better than a coin


def test_evaluation_is_of_the_test_split_and_sliced(workspace):
    import tensorflow_model_analysis as tfma

    first = workspace.runs()[0]
    evaluation = first.nodes["Evaluator"].output("evaluation")
    result = tfma.load_eval_result(evaluation.uri)
    slices = dict(result.slicing_metrics)
    metrics = slices[()][""][""]
    num_test = first.nodes["RatingsExampleGen"].output("examples").properties["num_test"]
    assert metrics["example_count"]["doubleValue"] == num_test
    assert {"auc", "binary_crossentropy", "binary_accuracy", "calibration"} <= set(metrics)
    assert {("user_activity", name) for name in ("heavy", "medium", "light")} <= {
        key[0] for key in slices if key
    }
    assert (("genres", "Drama"),) in slices


@pytest.mark.parametrize("number", [0, 3], ids=["without a baseline", "with a baseline"])
def test_evaluation_is_that_of_the_stock_evaluator(workspace, tmp_path, number):
    """TFMA's own extractors and metrics, row by row, on the same artifacts: every metric of every slice."""
    from tfx.components.evaluator.executor import Executor

    from pipeline.evaluation import eval_config
    from tests.evaluators import Evaluated, artifact, evaluate, stock

    nodes = workspace.runs()[number].nodes
    outputs = {"ImportSchemaGen": "schema", "RatingsExampleGen": "examples", "MovieTrainer": "model"}
    schema, examples, model = (nodes[node].output(key).uri for node, key in outputs.items())
    baseline = nodes["latest_blessed_model"].outputs.get("model")
    config = stock(eval_config(workspace.config.evaluation, "like"))
    theirs = evaluate(Executor, tmp_path, config, examples, model, schema, baseline and baseline[0].uri)
    evaluation, blessing = (
        artifact(type(of), nodes["Evaluator"].output(key).uri, of.id)
        for key, of in (("evaluation", theirs.evaluation), ("blessing", theirs.blessing))
    )
    found, expected = Evaluated(evaluation, blessing, theirs.baseline).values(), theirs.values()
    assert theirs.baseline == (number == 3)
    assert found.keys() == expected.keys()
    for name, slices in expected.items():
        assert len(slices) > 20
        assert found[name].keys() == slices.keys()
        for key, metrics in slices.items():
            assert found[name][key] == pytest.approx(metrics, abs=1e-6, nan_ok=True), (name, key)


def test_unchanged_second_run_is_cached_and_pushes_nothing(workspace):
    assert workspace.second.returncode == 0
    assert "every component came from the cache" in workspace.second.stdout
    # What is served is as before, and is not asked again.
    assert ", as before" in workspace.second.stdout
    assert "rated best" not in workspace.second.stdout
    first, second = workspace.runs()[:2]
    assert second.state == "cached"
    assert {node.state for node in second.nodes.values() if not node.resolver} == {"cached"}
    assert second.summary()["version"] == first.summary()["version"]


def test_model_below_the_floor_is_not_pushed_and_says_why(workspace):
    assert workspace.refused.returncode == 3
    assert "Not blessed, not pushed" in workspace.refused.stdout
    assert "the floor is 0.99" in workspace.refused.stdout
    refused = workspace.runs()[2]
    assert refused.nodes["MovieTrainer"].state == "cached"
    assert refused.summary()["blessed"] is False
    assert "version" not in refused.summary()


def test_another_model_is_compared_with_the_blessed_one(workspace):
    first, other = workspace.runs()[0], workspace.runs()[3]
    assert other.summary()["model_name"] == "genre_mlp"
    baseline = other.nodes["latest_blessed_model"].output("model")
    assert baseline.id == first.nodes["MovieTrainer"].output("model").id
    # The same model on the same examples has the same figure as when it was the candidate.
    assert other.summary()["metric"] == "log_loss"
    assert other.summary()["baseline_metric"] == pytest.approx(first.summary()["log_loss"], abs=1e-4)
    assert other.summary()["left_out_rows"] == 0
    assert (
        f"the baseline's log-loss there is {other.summary()['baseline_metric']:.4f}" in workspace.other.stdout
    )
    ranking = other.nodes["RankingEvaluator"].output("ranking").properties
    assert ranking["auc"] == pytest.approx(other.summary()["auc"], abs=2e-3)


def test_model_that_does_not_beat_a_floor_is_refused_whatever_tfma_says(workspace):
    assert workspace.other.returncode == 3
    assert "does not beat this floor by 0.5" in workspace.other.stdout
    other = workspace.runs()[3]
    assert other.nodes["Evaluator"].output("blessing").properties["blessed"] == 1
    assert other.summary()["blessed"] is False
    assert "version" not in other.summary()


def test_model_that_tfma_alone_blessed_is_no_baseline(workspace):
    back = workspace.runs()[4]
    assert workspace.back.returncode == 0
    assert back.state == "cached"
    assert not back.nodes["latest_blessed_model"].outputs.get("model")


def test_every_run_ends_with_the_path_of_its_report(workspace, marquee):
    printed = (workspace.first, workspace.second, workspace.refused, workspace.other, workspace.back)
    outcomes = ("Blessed", "Blessed", "Refused", "Refused", "Blessed")
    for run, done, outcome in zip(workspace.runs(), printed, outcomes, strict=True):
        page = Path(done.stdout.splitlines()[-1].removeprefix("Report: ")).read_text()
        assert f"<strong>{outcome}.</strong>" in page
        assert run.id in page
        assert "Typical user" in page
        assert "data-map" in page
        assert f"{run.summary()['log_loss']:.4f}" in page
        for reason in run.summary().get("failures", []):
            assert reason.split(",")[0] in page
        changed = run.id not in [one.id for one in workspace.runs()[:2]]
        assert ("What differs from the run before" in page) == changed
    shown = marquee("report", workspace.runs()[2].id, *workspace.options)
    assert shown.stdout.strip() == printed[2].stdout.splitlines()[-1].removeprefix("Report: ")
    beside = marquee("report", workspace.runs()[0].id, workspace.runs()[3].id, *workspace.options)
    assert "columns-2" in Path(beside.stdout.strip()).read_text()
    over_time = Path(marquee("report", "--history", *workspace.options).stdout.strip()).read_text()
    assert "5 runs, of which 5 came to a decision and 3 were blessed." in over_time


def test_orchestrators_have_the_report_as_an_artifact(workspace):
    page = workspace.runs()[0].nodes["Report"].output("page")
    assert page.properties["outcome"] == "blessed"
    assert page.properties["verdict"] in (Path(page.uri) / "report.html").read_text()


def test_the_pushed_version_has_a_model_card(workspace):
    first = workspace.runs()[0].summary()
    extra = workspace.config.serving_model_dir / first["version"] / "assets.extra"
    card = json.loads((extra / "model_card.json").read_text())
    assert card["metrics"]["auc"]["value"] == pytest.approx(first["auc"], abs=1e-3)
    assert card["data"]["source"] == workspace.config.data.path
    assert f"version {first['version']}" in (extra / "model_card.md").read_text()


def test_ranking_figures_are_there_for_every_model(workspace):
    first = workspace.runs()[0]
    figures = first.nodes["RankingEvaluator"].output("ranking").properties
    for prefix in ("", "popularity_", "movie_mean_", "bias_logistic_regression_"):
        assert 0 <= figures[f"{prefix}ndcg@10"] <= 1
        assert 0 < figures[f"{prefix}coverage@10"] <= 1
    assert figures["log_loss"] == pytest.approx(first.summary()["log_loss"], abs=1e-4)
    assert "baseline_ndcg@10" not in figures


def test_users_have_the_activity_that_transform_gave_them(workspace):
    """The slices of the ranking evaluator and of TFMA are the same users."""
    import pyarrow.parquet as pq
    import tensorflow_model_analysis as tfma

    first = workspace.runs()[0]
    table = pq.read_table(first.nodes["RankingEvaluator"].output("ranking").uri + "/per_user.parquet")
    slices = dict(tfma.load_eval_result(first.nodes["Evaluator"].output("evaluation").uri).slicing_metrics)
    for activity in ("heavy", "medium", "light"):
        rows = sum(
            number
            for number, of in zip(table["num_test"].to_pylist(), table["activity"].to_pylist(), strict=True)
            if of == activity
        )
        metrics = slices[(("user_activity", activity),)][""][""]
        assert metrics["example_count"]["doubleValue"] == rows


def test_explain(workspace, marquee):
    first, _, refused, other, _ = workspace.runs()
    table = marquee("explain", refused.id, *workspace.options)
    assert table.stderr == ""
    assert f"Decision of run {refused.id}" in table.stdout
    assert "Not blessed" in table.stdout
    assert "the floor is 0.99" in table.stdout
    decided = json.loads(marquee("explain", first.id, "--json", *workspace.options).stdout)
    assert (decided["run"], decided["blessed"], decided["first"]) == (first.id, True, True)
    assert {"bar: auc", "floor: popularity", "change"} <= {rule["rule"] for rule in decided["rules"]}
    changed = json.loads(marquee("explain", other.id, "--json", *workspace.options).stdout)
    assert changed["baseline"]["id"] == first.nodes["MovieTrainer"].output("model").id
    assert {"change: log_loss", "change: auc"} <= {rule["rule"] for rule in changed["rules"]}
    missing = marquee("explain", "1999", *workspace.options)
    assert missing.returncode == 1
    assert "There is no such run" in missing.stderr


def test_pushed_once_for_each_blessed_model(workspace):
    versions = {run.summary()["version"] for run in workspace.runs() if "version" in run.summary()}
    assert {path.name for path in pushed_versions(workspace.config.serving_model_dir)} == versions
    for path in pushed_versions(workspace.config.serving_model_dir):
        assert (path / "saved_model.pb").is_file()


def test_tensorboard_logs_are_kept(workspace):
    model_run = workspace.runs()[0].nodes["MovieTrainer"].output("model_run")
    assert list(Path(model_run.uri).glob("**/events.out.tfevents*"))
    # One line a movie, and a header.
    vectors, movies = (
        (Path(model_run.uri) / name).read_text(encoding="utf-8").split("\n")[:-1]
        for name in ("tensors.tsv", "metadata.tsv")
    )
    assert len(movies) == len(vectors) + 1 > 500
    assert (Path(model_run.uri) / "projector_config.pbtxt").exists()


def test_status_as_json_and_as_a_table(workspace, marquee):
    status = json.loads(marquee("status", "--json", *workspace.options).stdout)
    assert [run["state"] for run in status["runs"]] == ["done", "cached", "done", "done", "cached"]
    table = marquee("status", *workspace.options).stdout
    assert status["pushed"][-1] in table
    assert [run["model_name"] for run in status["runs"]].count("two_tower") == 4, status["runs"]
    assert table.count(" + dot_product") == 5
    assert all(isinstance(run["failures"], list) for run in status["runs"])
    assert f"log-loss {status['runs'][0]['log_loss']:.4f}" in table


@pytest.mark.parametrize("user", ["[/nope]", "[red]", b"\xff\xfe", "\x1b[31m\u202e", "x" * 10_000])
def test_a_user_of_any_name_is_answered(workspace, marquee, user):
    done = marquee("recommend", user, "-k", "2", *workspace.options)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert "was not in the train split" in done.stdout


def test_recommend(workspace, marquee):
    done = marquee("recommend", "7", "nobody", "-k", "5", "--json", *workspace.options)
    assert done.stderr == ""
    known, unknown = json.loads(done.stdout)
    assert (known["user_id"], known["known"], unknown["known"]) == ("7", True, False)
    assert len(known["movies"]) == len(unknown["movies"]) == 5
    assert all(movie["title"] for movie in known["movies"])
    scores = [movie["score"] for movie in known["movies"]]
    assert scores == sorted(scores, reverse=True)
    ratings = next(Path(workspace.config.data.path).glob("*.inter")).read_text().splitlines()
    rated = {row.split("\t")[1] for row in ratings if row.startswith("7\t")}
    assert not rated & {movie["movie_id"] for movie in known["movies"]}
    everything = json.loads(
        marquee("recommend", "7", "--all", "-k", "9999", "--json", *workspace.options).stdout
    )
    ids = [movie["movie_id"] for movie in everything[0]["movies"]]
    assert len(ids) == len(set(ids))
    assert rated & set(ids)


def test_similar_by_title(workspace, marquee):
    table = marquee("similar", "toy story", "-k", "3", *workspace.options).stdout
    assert table.startswith("Similar to Toy Story (1995)")
    assert len(table.strip().splitlines()) == 5
    as_printed = marquee("similar", "Toy Story (1995)", "-k", "3", *workspace.options)
    assert as_printed.stdout == table
    assert marquee("similar", "oy story (1995)", "-k", "3", *workspace.options).stdout == table
    (answer,) = json.loads(marquee("similar", "toy story", "-k", "3", "--json", *workspace.options).stdout)
    assert all(1900 < movie["year"] < 2000 for movie in answer["movies"])
    many = marquee("similar", "star", *workspace.options)
    assert many.returncode == 1
    assert "found:    50 Star Wars (1977), " in many.stderr  # the most rated of them
    missing = marquee("similar", "Toy Stroy", *workspace.options)
    assert missing.returncode == 1
    assert "did you mean 'Toy Story'" in missing.stderr


def test_served_model_answers_with_tensorflow_alone(workspace):
    import sys

    script = f"""
import sys, tensorflow as tf
signatures = tf.saved_model.load({str(pushed_versions(workspace.config.serving_model_dir)[0])!r}).signatures
one, k = tf.constant(["7"]), tf.constant(3)
print(signatures["recommend"](user_ids=one, k=k, exclude_rated=tf.constant(True))["movie_ids"].shape)
print(signatures["similar_movies"](movie_ids=tf.constant(["1"]), k=k)["movie_ids"].shape)
print(any(name.startswith(("tfx", "tensorflow_transform", "components")) for name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd="/", check=True)
    assert done.stdout.splitlines() == ["(1, 3)", "(1, 3)", "False"]


def test_export_beyond_a_budget_is_not_pushed_and_says_why(workspace, marquee):
    """All else is as in the run before, and comes from the cache."""
    before = pushed_versions(workspace.config.serving_model_dir)
    done = marquee("run", *workspace.options, "--set", "serving.max_size_mb=0.01")
    assert done.returncode == 3
    sentence = r"export: found \d+\.\d\d MB of files; expected at most 0\.01 \(serving\.max_size_mb\)"
    assert re.match(rf"done \d+\.\d s {sentence}$", " ".join(lines_of(done)["ServingValidator"]))
    unfit = workspace.runs()[-1]
    assert unfit.summary()["blessed"] is True
    assert re.search(rf"not fit for serving, so not pushed.*\n  - {sentence}\n", done.stdout)
    assert unfit.nodes["Evaluator"].state == "cached"
    assert unfit.summary()["fit_for_serving"] is False
    assert "version" not in unfit.summary()
    assert pushed_versions(workspace.config.serving_model_dir) == before


def corrupt(source: Path, folder: Path, change) -> Path:
    """A copy of the slice with the lines of its ratings changed."""
    folder.mkdir()
    for path in source.iterdir():
        content = path.read_bytes()
        if path.suffix == ".inter":
            content = b"\n".join(change(content.splitlines())) + b"\n"
        (folder / path.name).write_bytes(content)
    return folder


def test_bad_data_stop_the_run_and_the_served_model_is_as_before(
    workspace, marquee, movielens_slice, tmp_path
):
    """Half of the rows missing against the last blessed run, ratings on another scale; the schema is not touched."""

    def change(lines):
        header, *rows = lines
        fields = [row.split(b"\t") for row in rows[::2]]
        return [header, *(b"\t".join([*f[:2], b"%d" % (20 * int(f[2])), f[3]]) for f in fields)]

    folder = corrupt(movielens_slice, tmp_path / "scaled", change)
    schema = tmp_path / "mine.pbtxt"
    shutil.copy(workspace.config.schema_path, schema)
    options = [*workspace.options, f"--set=data.path={folder}", f"--set=name={workspace.config.name}"]
    options.append(f"--set=schema_path={schema}")
    before = pushed_versions(workspace.config.serving_model_dir)
    done = marquee("run", *options)
    assert done.returncode == 4
    for words in (
        "The data gate refuses these ratings",
        "rating of train is above the greatest value allowed",
        "found 20 to 100, the schema says 0.5 to 5",
        "0.50 times",
        "of the last blessed run",
        "data_gate.volume.rows.fatal=0.",
    ):
        assert words in done.stderr
    assert re.search(f"`marquee schema accept rating .*schema_path={re.escape(str(schema))}`", done.stderr)
    assert "Traceback" not in done.stdout + done.stderr
    assert lines_of(done)["DataGate"][0] == "failed"
    assert "Transform" not in lines_of(done)
    assert pushed_versions(workspace.config.serving_model_dir) == before

    listed = json.loads(marquee("schema", "diff", "--json", *options).stdout)
    assert {(v["feature"], v["rule"]) for v in listed["violations"]} == {("rating", "FLOAT_TYPE_BIG_FLOAT")}
    accepted = marquee("schema", "accept", *options)
    assert "max: 100.0" in accepted.stdout
    assert schema.read_text() == Path(workspace.config.schema_path).read_text()
    assert "max: 100.0" in schema.with_name("mine.pbtxt.proposed").read_text()


def test_bad_row_stops_the_run_and_nothing_is_written(workspace, marquee, movielens_slice, tmp_path):
    def change(lines):
        return [*lines[:11], lines[11].replace(lines[11].split(b"\t")[2], b"five", 1), *lines[12:]]

    folder = corrupt(movielens_slice, tmp_path / "bad", change)
    root = tmp_path / "root"
    done = marquee("run", "--set", f"data.path={folder}", "--set", f"root={root}")
    assert done.returncode == 4
    assert "ml-slice.inter:12" in done.stderr
    assert "five" in done.stderr
    assert "data.max_malformed_rate" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not pushed_versions(root / "bad" / "serving")
    assert not list((root / "bad" / "artifacts").glob("RatingsExampleGen/examples/*"))


def test_missing_input_is_told_at_once_and_nothing_is_written(marquee, tmp_path):
    done = marquee("run", "--set", "data.path=nowhere", "--set", f"root={tmp_path}/root")
    assert (done.returncode, done.stdout) == (4, "")
    assert "nowhere" in done.stderr
    assert not (tmp_path / "root").exists()


def test_a_wrong_key_is_told_at_once(marquee, tmp_path):
    done = marquee("run", "--set", "model.dimension=3", "--set", f"root={tmp_path}/root")
    assert done.returncode == 2
    assert "'model.dimension'" in done.stderr
    assert not (tmp_path / "root").exists()


def test_asking_before_anything_was_pushed(marquee, tmp_path):
    done = marquee("recommend", "1", "--set", f"root={tmp_path}")
    assert done.returncode == 1
    assert "marquee run" in done.stderr
    assert "No runs" in marquee("status", "--set", f"root={tmp_path}").stdout
