"""A search in the pipeline: the Trainer takes the best values, later runs reuse them, and when they no longer do."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.cli.figures import figure
from pipeline.config import PipelineConfig, load_config
from pipeline.state.runs import Run, read_runs
from pipeline.state.store import open_store, properties

# The first trial has the configured 32.
SPACE = ["tuning.keys=[embedding_dim]", "tuning.space.embedding_dim={choices: [3, 4, 32]}"]


class _EnoughError(Exception):
    """The component to run up to has finished."""


@pytest.fixture(scope="module")
def run(small_slice, tmp_path_factory) -> Callable[..., tuple[PipelineConfig, Run]]:
    """Runs the pipeline up to a component, in this process."""
    root = tmp_path_factory.mktemp("root")

    def up_to(last: str, *overrides: str) -> tuple[PipelineConfig, Run]:
        from pipeline.pipeline import create_pipeline
        from pipeline.runners import local

        def observe(name: str, starts: bool) -> None:
            if name == last and not starts:
                raise _EnoughError

        config = load_config(
            None, [f"data.path={small_slice}", f"root={root}", "model.epochs=1", *SPACE, *overrides]
        )
        config.pipeline_root.mkdir(exist_ok=True)
        with suppress(_EnoughError):
            local.run(create_pipeline(config), observe)
        return config, read_runs(config, last=1)[0]

    return up_to


@pytest.fixture(scope="module")
def tuned(run) -> tuple[PipelineConfig, Run]:
    return run("MovieTrainer", "tuning.tune=true", "tuning.max_trials=2")


def embedding_dims(trained: Run) -> set[int]:
    """The lengths of the embedding vectors in the export."""
    import tensorflow as tf

    model = trained.nodes["MovieTrainer"].output("model")
    path = Path(model.uri) / "Format-Serving" / "variables" / "variables"
    return {
        shape[1] for name, shape in tf.train.list_variables(str(path)) if len(shape) == 2 and shape[1] > 1
    }


def test_trials_and_the_best_are_in_ml_metadata_and_the_trainer_takes_the_best(tuned):
    """Whichever of the two dimensions is better, the export has it, and nothing of the other."""
    _, first = tuned
    node = first.nodes["MovieTuner"]
    best = node.output("best_hyperparameters").properties
    trials = json.loads(node.output("tuner_results").properties["trials"])
    dims = [trial["values"]["embedding_dim"] for trial in trials]
    assert sorted(dims) in ([3, 32], [4, 32])
    assert [trial["score"] for trial in trials] == sorted(trial["score"] for trial in trials)
    assert json.loads(best["values"]) == {"embedding_dim": dims[0]}
    assert best["score"] == pytest.approx(trials[0]["score"], abs=1e-5)
    assert best["configured_score"] == pytest.approx(trials[dims.index(32)]["score"], abs=1e-5)
    assert figure(node, first).startswith("best of 2 trials, validation log-loss 0.")
    assert figure(node, first).endswith(f" as configured): embedding_dim {dims[0]}")

    assert dims[0] in embedding_dims(first)
    assert dims[1] not in embedding_dims(first)
    model = first.nodes["MovieTrainer"].output("model").properties
    assert model["tuned"] == f"embedding_dim {dims[0]}"
    assert model["val_loss"] == pytest.approx(best["score"], rel=1e-3)
    assert figure(first.nodes["MovieTrainer"], first).startswith("two_tower (like), tuned: validation AUC")


def test_later_runs_reuse_them_and_train_nothing_anew(run, tuned):
    _, first = tuned
    config, second = run("MovieTrainer")
    assert second.nodes["MovieTrainer"].state == "cached"
    reused = second.nodes["tuned_values"].output("hyperparameters")
    assert reused.id == first.nodes["MovieTuner"].output("best_hyperparameters").id
    assert figure(second.nodes["tuned_values"], second) == f"hyperparameters {reused.id}"
    trainers = [one for one in open_store(config).executions() if one.type.endswith("MovieTrainer")]
    assert len(trainers) == 2


def test_values_set_by_hand_other_keys_and_drifted_data_have_none(run, tuned):
    for overrides in (["model.embedding_dim=9"], ["tuning.keys=[learning_rate]"], ["model.name=mlp"]):
        _, other = run("tuned_values", *overrides)
        assert not other.nodes["tuned_values"].output("hyperparameters")
        assert figure(other.nodes["tuned_values"], other).startswith("none")
    _, drifted = run("tuned_values", "label.min_rating=5")
    assert not drifted.nodes["tuned_values"].output("hyperparameters")
    assert "the data have drifted" in figure(drifted.nodes["tuned_values"], drifted)


def test_tune_searches_again_from_the_trials_there_are(run, tuned, caplog):
    """With nothing changed the search comes from the cache; with more trials it goes on."""
    _, unchanged = run("MovieTuner", "tuning.tune=true", "tuning.max_trials=2")
    assert unchanged.nodes["MovieTuner"].state == "cached"
    caplog.set_level("INFO", "marquee.progress")
    _, again = run("MovieTuner", "tuning.tune=true", "tuning.max_trials=3")
    lines = [one.getMessage() for one in caplog.records if one.name == "marquee.progress"]
    assert lines[0] == "goes on after 2 trials that are there already"
    assert len(lines) == 2
    assert again.nodes["MovieTuner"].state == "done"
    newest = again.nodes["MovieTuner"].output("best_hyperparameters")
    assert newest.properties["trials"] == 3
    config, later = run("tuned_values")
    assert later.nodes["tuned_values"].output("hyperparameters").id == newest.id
    hyperparameters = open_store(config).artifacts("HyperParameters")
    assert [properties(one)["trials"] for one in hyperparameters] == [2, 3]


def test_a_half_written_record_of_trials_begins_the_search_anew(run, tuned):
    """As of a process that was killed while KerasTuner wrote it."""
    config, _ = tuned
    (record,) = config.tuning_dir.glob("*/search/oracle.json")
    record.write_text(record.read_text()[:100])
    _, again = run("MovieTuner", "tuning.tune=true", "tuning.max_trials=1")
    assert again.nodes["MovieTuner"].output("best_hyperparameters").properties["trials"] == 1
