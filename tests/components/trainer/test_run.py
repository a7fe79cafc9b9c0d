"""`run_fn` trains and exports a model whose file is outside of the package; `tuner_fn` searches its values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.models import config_of
from components.shared.artifacts import HISTORY_FILE, MOVIES_FILE, RUN_SUMMARY
from components.shared.features import LabelRule
from tests.components.conftest import ROWS, Transformed, write_examples
from tests.components.models import outside

SMALL = {"name": outside.__name__, "embedding_dim": 4, "batch_size": 4, "epochs": 2}


@pytest.fixture
def arguments(transformed: Transformed, tmp_path: Path):
    """Makes what TFX gives to `run_fn` and `tuner_fn`: every split has all of the rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from tfx.components.trainer.fn_args_utils import FnArgs

    from components.example_gen.rows import MOVIES_SCHEMA

    examples = write_examples(tmp_path / "Split-train")
    genres = {movie: genres for _, movie, _, genres in ROWS}
    table = pa.Table.from_pydict(
        {
            "movie_id": [*genres],
            "title": [*genres],
            "genres": [*genres.values()],
            "year": [1999] * len(genres),
        },
        MOVIES_SCHEMA,
    )
    pq.write_table(table, tmp_path / MOVIES_FILE)

    def make(
        name: str,
        base: str | None = None,
        settings: Any = None,
        retrieval: dict[str, Any] | None = None,
        **model: Any,
    ) -> FnArgs:
        folder = tmp_path / name
        return FnArgs(
            working_dir=str(folder / "trials"),
            train_files=[f"{examples}/*"],
            eval_files=[f"{examples}/*"],
            transform_graph_path=transformed.output.transform_savedmodel_dir.removesuffix("/transform_fn"),
            serving_model_dir=str(folder / "Format-Serving"),
            model_run_dir=str(folder / "logs"),
            base_model=base,
            custom_config={
                # As ML Metadata has it.
                "model": json.loads(config_of(**{**SMALL, **model}).model_dump_json()),
                "retrieval": retrieval and json.loads(config_of(**retrieval).model_dump_json()),
                "label": LabelRule().model_dump(),
                "test_splits": [examples],
                "movies_uri": str(tmp_path),
                "base_model_id": 7,
                "metric": "val_loss",
                "tuning": settings,
            },
        )

    return make


@pytest.mark.parametrize("objective", ["like", "interaction"])
def test_a_model_from_outside_is_trained_exported_and_started_from(arguments, objective):
    """Its export answers, its vectors are in the projector's files, and the next one starts from its weights."""
    import tensorflow as tf

    from components.trainer.run import run_fn

    loss = {"loss": "softmax"} if objective == "interaction" else {}
    first = arguments("first", objective=objective, **loss)
    run_fn(first)
    summary = json.loads((Path(first.model_run_dir) / RUN_SUMMARY).read_text())
    assert summary["model_name"] == outside.__name__
    assert len((Path(first.model_run_dir) / "tensors.tsv").read_text().splitlines()) == 4
    (curves,) = json.loads((Path(first.model_run_dir) / HISTORY_FILE).read_text())
    assert (curves["objective"], curves["best_epoch"]) == (objective, summary["best_epoch"])
    assert {len(values) for values in curves["metrics"].values()} == {summary["epochs"]}
    assert curves["metrics"]["loss"][curves["best_epoch"] - 1] == summary["loss"]
    signatures = tf.saved_model.load(first.serving_model_dir).signatures
    answer = signatures["recommend"](
        user_ids=tf.constant(["cid"]), k=tf.constant(9), exclude_rated=tf.constant(True)
    )
    assert set(answer["movie_ids"].numpy()[0]) == {b"m3", b"m4", b""}
    assert (
        signatures["similar_movies"](movie_ids=tf.constant(["m1"]), k=tf.constant(2))["known"].numpy().all()
    )
    second = arguments("second", base=first.serving_model_dir, objective=objective, warm_start=True, **loss)
    run_fn(second)
    assert json.loads((Path(second.model_run_dir) / RUN_SUMMARY).read_text())["warm_start"] == "yes"


def test_of_two_models_each_starts_from_the_weights_of_its_own_and_one_export_has_both(arguments):
    import tensorflow as tf

    from components.trainer.run import run_fn

    retrieval = {"name": "dot_product", "objective": "interaction", "epochs": 2, "warm_start": True}
    first = arguments("first", retrieval=retrieval, warm_start=True)
    run_fn(first)
    summary = json.loads((Path(first.model_run_dir) / RUN_SUMMARY).read_text())
    assert summary["objective"] == "like+interaction"
    assert (summary["model_name"], summary["retrieval_model_name"]) == (outside.__name__, "dot_product")
    assert summary.keys() >= {"val_auc", "retrieval_val_ndcg@10", "retrieval_best_epoch"}
    assert (Path(first.model_run_dir) / "retrieval").is_dir()
    signatures = tf.saved_model.load(first.serving_model_dir).signatures
    answer = signatures["recommend"](
        user_ids=tf.constant(["cid"]), k=tf.constant(1), exclude_rated=tf.constant(True)
    )
    liked = signatures["predict"](user_ids=tf.constant(["cid"]), movie_ids=answer["movie_ids"][0])
    np.testing.assert_allclose(answer["probability"][0], liked["probability"], rtol=1e-5)
    second = arguments("second", base=first.serving_model_dir, retrieval=retrieval, warm_start=True)
    run_fn(second)
    summary = json.loads((Path(second.model_run_dir) / RUN_SUMMARY).read_text())
    assert (summary["warm_start"], summary["retrieval_warm_start"]) == ("yes", "yes")


def test_what_recommends_has_a_part_in_a_like_where_it_helps(arguments, monkeypatch):
    """`predict` says what the regression on eval says of the logits of both; so does `recommend`."""
    import tensorflow as tf

    from components.export import blending
    from components.trainer.run import run_fn

    monkeypatch.setattr(blending, "_LEAST_GAIN", -1.0)  # however little
    retrieval = {"name": "dot_product", "objective": "interaction", "epochs": 4, "item_item": 2}
    run_fn(arguments("both", retrieval=retrieval))
    summary = json.loads((Path(arguments("both").model_run_dir) / RUN_SUMMARY).read_text())
    assert summary["blend_weight"] >= 0
    signatures = tf.saved_model.load(arguments("both").serving_model_dir).signatures
    answer = signatures["recommend"](
        user_ids=tf.constant(["cid", "ann"]), k=tf.constant(3), exclude_rated=tf.constant(False)
    )
    for user, movies, probability in zip(
        ("cid", "ann"), answer["movie_ids"], answer["probability"], strict=True
    ):
        liked = signatures["predict"](user_ids=tf.constant([user] * 3), movie_ids=movies)
        np.testing.assert_allclose(probability, liked["probability"], rtol=1e-5)


def test_a_model_from_outside_is_searched_in_its_own_space(arguments):
    from components.tuner.run import tuner_fn
    from components.tuner.settings import TuningSettings

    made = tuner_fn(arguments("tuner", settings=TuningSettings(max_trials=2).model_dump()))
    made.tuner.search()
    assert len(made.tuner.completed) == 2
    # But for what is set by hand.
    assert made.tuner.completed[0].hyperparameters.values.keys() == {"learning_rate"}
