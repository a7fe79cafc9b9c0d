"""One pipeline's life: killed three times, then versions, rollback, force, garbage; all on one root, in this order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.pusher import versions
from pipeline.config import PipelineConfig, load_config
from pipeline.state.runs import read_runs
from pipeline.state.store import open_store, properties
from tests.conftest import LENIENT, REPOSITORY
from tests.faults.checks import check_at_rest, check_put_right

# Kills itself with -9 just before the first audited event (see "Audit events table" in Python's documentation) of
# this name with this text among its arguments. The program itself needs no hook for it.
KILLED = """
import os, signal, sys
name, text = sys.argv[1:3]
del sys.argv[1:3]
def kill(event, arguments):
    if event == name and text in " ".join(map(str, arguments)):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(kill)
from pipeline.cli import main
main()
"""

pytestmark = pytest.mark.long


@dataclass
class Story:
    """What was done to the root, in order; `done` has what the commands printed."""

    config: PipelineConfig
    options: list[str]
    marquee: Callable[..., subprocess.CompletedProcess[str]]
    done: dict[str, subprocess.CompletedProcess[str]] = field(default_factory=dict)

    def __call__(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        self.done[name] = self.marquee(arguments[0], *self.options, *arguments[1:])
        return self.done[name]

    def kill(self, name: str, event: str, text: str, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-c", KILLED, event, text, arguments[0], *self.options, *arguments[1:]],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            timeout=600,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
        self.done[name] = done
        check_at_rest(self.config)

    def served(self) -> str:
        present = versions.versions(self.config.serving_model_dir)
        return present[-1].name if present else ""

    def states(self) -> list[str]:
        return [run.state for run in read_runs(self.config)]

    def history(self) -> list[dict]:
        return json.loads(self.marquee("history", "--json", *self.options).stdout)["versions"]


@pytest.fixture(scope="module")
def story(marquee, small_slice, tmp_path_factory) -> Story:
    root = tmp_path_factory.mktemp("root")
    overrides = [f"data.path={small_slice}", f"root={root}", "model.epochs=1", *LENIENT]
    return Story(
        load_config(None, overrides), [part for one in overrides for part in ("--set", one)], marquee
    )


def test_killed_in_the_trainer(story):
    """Its half-written model is on disk, but neither resolved nor listed as good."""
    story.kill("trainer", "os.mkdir", "assets.extra", "run")
    assert list(story.config.artifact_root.glob("MovieTrainer/model/*/Format-Serving/saved_model.pb"))
    assert story.states() == ["interrupted"]
    status = json.loads(story.marquee("status", "--json", *story.options).stdout)
    assert (status["runs"][0]["state"], status["pushed"]) == ("interrupted", [])
    assert "model_name" not in status["runs"][0]


def test_killed_in_the_middle_of_the_push(story):
    """The run before had completed the components up to Transform: they are reused. No version is there."""
    half = list(story.config.artifact_root.glob("MovieTrainer/model/*"))
    story.kill("copy", "shutil.copyfile", f"{os.sep}.pushing-", "run")
    assert not half[0].exists()
    assert list(story.config.serving_model_dir.glob(".pushing-*"))
    assert story.served() == ""
    run = read_runs(story.config)[-1]
    assert {node for node, of in run.nodes.items() if of.state == "cached"} >= {
        "RatingsExampleGen",
        "Transform",
    }
    assert run.state == "interrupted"
    assert run.nodes["MovieTrainer"].state == run.nodes["Evaluator"].state == "done"


def test_killed_between_the_push_and_its_record(story):
    """The version is served whole and listed; ML Metadata does not know it yet."""
    story.kill("unrecorded", "os.link", f"{os.sep}serving{os.sep}", "run")
    assert story.states() == ["interrupted"] * 3
    (release,) = story.history()
    assert (release["state"], release["version"]) == ("served", story.served())
    assert open_store(story.config).artifacts("PushedModel") == []


def test_the_next_run_finishes_and_pushes_no_second_copy(story):
    before = story.served()
    done = story("first", "run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The lock was that of a dead process" in done.stdout
    assert "pushed but not recorded; it is now" in done.stdout
    assert story.served() == before
    assert len(versions.versions(story.config.serving_model_dir)) == 1
    check_put_right(story.config)
    runs = read_runs(story.config)
    assert [run.state for run in runs] == ["interrupted", "interrupted", "done", "done"]
    assert runs[-1].summary()["version"] == before
    # What had not completed, and what comes after it.
    again = {node.id for node in runs[-1].nodes.values() if node.state != "cached" and not node.resolver}
    assert again == {"Pusher", "Report"}
    assert story.history()[0]["run_id"] == runs[2].id  # the one that pushed it


def test_an_unchanged_run_is_fully_cached_and_says_so(story):
    done = story("unchanged", "run")
    assert "every component came from the cache" in done.stdout
    assert "Recovered" not in done.stdout
    assert "dead" not in done.stdout


def test_the_push_is_recorded(story):
    pushed = [properties(one) for one in open_store(story.config).artifacts("PushedModel")]
    run = read_runs(story.config)[-1]
    evaluation = run.nodes["Evaluator"].output("evaluation")
    for of in pushed:
        assert of["pushed_version"] == story.served()
        assert of["run_id"] == read_runs(story.config)[2].id
        assert of["blessing_id"] == run.nodes["Blessing"].output("blessing").id
        assert of["model_id"] == run.nodes["MovieTrainer"].output("model").id
        assert of["auc"] == evaluation.properties["auc"]
        assert of["data_span"] == 0
        assert 0 < of["oldest_timestamp"] < of["newest_timestamp"]
        assert of["pushed_at"]
    (release,) = story.history()
    assert (release["blessing"], release["metrics"]["auc"]) == ("passed", evaluation.properties["auc"])


def test_two_runs_at_once(story, marquee):
    """While one holds the lock the other refuses with its pid, and `status` says that it is running."""
    from pipeline.state.locking import locked

    with locked(story.config.pipeline_root, "run"):
        done = marquee("run", *story.options)
        assert done.returncode == 75
        assert f"process {os.getpid()} on" in done.stderr
        assert "ago" in done.stderr
        assert "--wait" in done.stderr
        for command in (["rollback"], ["gc", "--keep", "1"], ["bless", "--force", "--reason", "x"]):
            assert "Another process" in marquee(*command, *story.options).stderr
        assert marquee("history", *story.options).returncode == 0


def test_rollback(story):
    """The earlier version is served and the baseline, and the next run is compared with it."""
    first = story.served()
    assert story("second", "run", "--set", "model.name=mlp").returncode == 0
    second = story.served()
    assert int(second) > int(first)
    done = story("back", "rollback", "--reason", "complaints")
    assert done.returncode == 0, done.stdout + done.stderr
    third = story.served()
    assert int(third) > int(second)
    folder = story.config.serving_model_dir
    assert (
        versions.digest(folder / third) == versions.digest(folder / first) != versions.digest(folder / second)
    )
    release = story.history()[-1]
    assert (release["state"], release["of_version"], release["reason"]) == ("served", first, "complaints")
    check_put_right_but_rollback(story)

    # Unchanged, the run that was rolled back is neither trained nor pushed again.
    again = story("after", "run", "--set", "model.name=mlp")
    assert "every component came from the cache" in again.stdout
    assert story.served() == third
    assert "was rolled back" in again.stdout.replace("\n", " ")


def check_put_right_but_rollback(story: Story) -> None:
    # That a model is there twice is what a rollback is for.
    check_at_rest(story.config)
    assert not [path for path in story.config.serving_model_dir.glob(".*") if path.is_dir()]


def test_rollback_killed_before_its_record_is_completed_by_the_next_command(story):
    served = story.served()
    other = next(one for one in story.history() if one["model_id"] != story.history()[-1]["model_id"])
    story.kill("rollback", "os.link", f"{os.sep}pushed_model{os.sep}", "rollback", other["version"])
    assert story.served() != served
    release = story.history()[-1]
    assert (release["state"], release["kind"]) == ("served", "rollback")
    store = open_store(story.config)
    count = len(store.artifacts("ModelBlessing"))
    done = story("dry", "gc", "--keep", "99")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pushed but not recorded; it is now" in done.stdout
    blessing = store.artifacts("ModelBlessing")[-1]
    assert len(store.artifacts("ModelBlessing")) == count + 1
    assert properties(blessing)["current_model_id"] == release["model_id"]
    assert properties(blessing)["blessed"] == 1


def test_rollback_to_what_is_not_there_or_was_changed_for_good(story):
    missing = story("missing", "rollback", "17")
    assert missing.returncode == 1
    assert "There is no such version" in missing.stderr
    same = story("same", "rollback", story.served())
    assert "already the served one" in same.stderr
    other = next(one for one in story.history() if one["model_id"] != story.history()[-1]["model_id"])
    path = story.config.serving_model_dir / other["version"] / "fingerprint.pb"
    content = path.read_bytes()
    path.write_bytes(content + b"x")  # a hard link: the copy that the push kept changes with it
    model = Path(versions.read_marker(path.parent).model_uri)
    model.rename(model.with_name("aside"))
    damaged = story("damaged", "rollback", other["version"])
    model.with_name("aside").rename(model)
    path.write_bytes(content)
    assert "not what was pushed" in damaged.stderr
    assert story.served() == story.history()[-1]["version"]


REFUSED = ["--set", "model.embedding_dim=4", "--set", "evaluation.min_auc=0.999"]


def test_the_next_candidate_meets_the_model_that_was_rolled_back_to(story):
    served, release = story.served(), story.history()[-1]
    assert story("refused", "run", *REFUSED).returncode == 3
    run = read_runs(story.config)[-1]
    baseline = run.nodes["latest_blessed_model"].output("model")
    assert baseline.id == release["model_id"]
    first = next(one for one in story.history() if one["version"] == release["of_version"])
    assert first["model_id"] == baseline.id
    assert story.served() == served


def test_bless_by_force_is_shown_for_ever(story):
    served = story.served()
    without = story("without", "bless")
    assert without.returncode == 2
    assert "--reason" in without.stderr
    done = story("forced", "bless", "--force", "--reason", "ticket 12")
    assert done.returncode == 0, done.stdout + done.stderr
    forced = story.served()
    assert int(forced) > int(served)
    release = story.history()[-1]
    assert (release["kind"], release["reason"], release["state"]) == ("forced", "ticket 12", "served")
    assert "@" in release["by"]
    again = story("twice", "bless", "--force", "--reason", "ticket 13")
    assert "by force already" in again.stderr
    status = story.marquee("status", *story.options).stdout
    assert "ticket 12" in status
    # It is the baseline now.
    latest = [
        one for one in open_store(story.config).artifacts("ModelBlessing") if properties(one)["blessed"] == 1
    ][-1]
    assert properties(latest)["current_model_id"] == release["model_id"]


def test_gc_removes_old_things_and_nothing_that_is_needed(story):
    """A dry run removes nothing; what is kept is whole; what is gone is DELETED and not taken from the cache."""
    before = {
        path for path in story.config.pipeline_root.rglob("*") if path.is_file() and "logs" not in path.parts
    }
    dry = json.loads(story("dry", "gc", "--keep", "1", "--dry-run", "--json").stdout)
    now = {
        path for path in story.config.pipeline_root.rglob("*") if path.is_file() and "logs" not in path.parts
    }
    assert now == before
    assert dry["bytes"] > 0
    served, releases = story.served(), story.history()

    # Killed between the marks in ML Metadata and the removal of the files, it is completed by the next one.
    old = next(uri for _, kind, uri in map(dict.values, dry["artifacts"]) if kind == "Model")
    story.kill("gc", "shutil.rmtree", old, "gc", "--keep", "1")
    assert Path(old).exists()
    done = story("gc", "gc", "--keep", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not Path(old).exists()
    check_put_right(story.config)

    store = open_store(story.config)
    states = {artifact.id: artifact.state for artifact in store.artifacts()}
    assert all(states[one["id"]] == mlmd.Artifact.DELETED for one in dry["artifacts"])
    assert story.served() == served
    assert [path.name for path in versions.versions(story.config.serving_model_dir)] == [served]
    # History and the forced blessing are shown all the same.
    assert [one["version"] for one in story.history()] == [one["version"] for one in releases]
    assert {one["state"] for one in story.history()[:-1]} == {"removed"}
    assert "ticket 12" in story.marquee("status", *story.options).stdout

    unchanged = story("kept", "run", *REFUSED)
    assert "every component came from the cache" in unchanged.stdout
    assert "But this model was blessed before" in unchanged.stdout
    nothing = json.loads(story("nothing", "gc", "--keep", "1", "--json").stdout)
    assert (nothing["artifacts"], nothing["versions"]) == ([], [])

    assert story.marquee("recommend", "7", *story.options).returncode == 0


def test_what_is_gone_is_not_taken_from_the_cache(story):
    """The first model is trained anew, from the examples and the transform graph that are still there."""
    story.kill("again", "os.mkdir", "assets.extra", "run")
    run = read_runs(story.config)[-1]
    assert run.nodes["Transform"].state == "cached"
    assert list(run.nodes)[-1] == "MovieTrainer"
    assert run.state == "interrupted"
