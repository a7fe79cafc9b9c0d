"""TensorBoard shows the embedding space with titles and genres, and in it movies lie near others of their genres."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pyarrow as pa
import pytest

from components.example_gen.rows import MOVIES_SCHEMA
from components.trainer.projector import write_projector

ROWS = [
    ("1", 'Tab\there, "quoted"', ["Drama", "War"], 1999),
    ("2", "Two\nlines\r\nand a \u2028 third", [], None),
    ("3", "Amélie", ["Comedy"], 2001),
]
VECTORS = np.array([[1.0, -0.5, 1e-9], [0.25, 3e7, 0.0], [1 / 3, 0.0, 2.0]], np.float32)


def table(rows) -> pa.Table:
    columns = zip(*rows, strict=True)
    return pa.Table.from_pydict(
        dict(zip(("movie_id", "title", "genres", "year"), map(list, columns), strict=True)), MOVIES_SCHEMA
    )


def test_a_line_a_movie_whatever_the_titles_hold(tmp_path):
    write_projector(tmp_path, ["3", "1", "2", "nowhere"], VECTORS[[2, 0, 1, 1]], table(ROWS))
    lines = (tmp_path / "metadata.tsv").read_text(encoding="utf-8").splitlines()
    assert [line.split("\t") for line in lines] == [
        ["movie_id", "title", "genres", "year"],
        ["3", "Amélie", "Comedy", "2001"],
        ["1", 'Tab here, "quoted"', "Drama, War", "1999"],
        ["2", "Two lines and a   third", "", ""],
        ["nowhere", "", "", ""],
    ]
    np.testing.assert_allclose(np.loadtxt(tmp_path / "tensors.tsv"), VECTORS[[2, 0, 1, 1]], rtol=1e-5)


def test_tensorboard_serves_it(tmp_path):
    """The real one, asked as its page does."""
    import tensorflow as tf

    with tf.summary.create_file_writer(str(tmp_path / "7")).as_default():
        tf.summary.scalar("epoch_loss", 0.5, step=1)
    write_projector(tmp_path / "7", ["1", "2", "3"], VECTORS, table(ROWS))
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(tmp_path), "--port", "0"]
    log = tmp_path / "log"
    with log.open("w") as out:
        process = subprocess.Popen([*command, "--load_fast", "false"], stdout=out, stderr=out, cwd=tmp_path)
    try:
        address = None
        deadline = time.monotonic() + 120
        while address is None and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
            address = re.search(r"http://localhost:\d+/", log.read_text())
        assert address, log.read_text()

        def get(path: str) -> bytes:
            with urllib.request.urlopen(f"{address[0]}data/plugin/projector/{path}", timeout=60) as answer:
                return answer.read()

        # It reads the logs after it has begun to serve.
        while "7" not in (runs := json.loads(get("runs"))) and time.monotonic() < deadline:
            time.sleep(0.5)
        assert "7" in runs
        (embedding,) = json.loads(get("info?run=7"))["embeddings"]
        assert (embedding["tensorName"], embedding["tensorShape"]) == ("movies", [3, 3])
        tensor = np.frombuffer(get("tensor?run=7&name=movies"), np.float32).reshape(3, 3)
        np.testing.assert_allclose(tensor, VECTORS, rtol=1e-5)
        metadata = get("metadata?run=7&name=movies").decode().split("\n")
        assert metadata[0] == "movie_id\ttitle\tgenres\tyear"
        assert metadata[3] == "3\tAmélie\tComedy\t2001"
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize(("objective", "times"), [("like", 1.25), ("interaction", 2.0)])
def test_neighbours_share_genres_far_above_chance(tmp_path, movielens, objective, times):
    """Of MovieLens 100K, by vectors that have seen no genre, for movies with 20 ratings or more.

    Jaccard of the genres of the 10 nearest when written: 0.231 and 0.377; of any two movies: 0.163.
    """
    from components.models import VocabularySizes, movie_vectors
    from components.models.dot_product import DotProductConfig
    from components.trainer.training import fit

    config = DotProductConfig.model_validate({"objective": objective, "epochs": 20})
    x = {"user_id_xf": movielens.users, "movie_id_xf": movielens.movies}
    none = {key: values[:0] for key, values in x.items()}
    y = movielens.ratings >= (4 if objective == "like" else 0)
    number = len(movielens.movie_ids)
    model, _ = fit(config, VocabularySizes(944, number + 1, 1), x, y, none, y[:0])
    known = movie_vectors(model, {"movie_id_xf": np.arange(number)})
    rows = zip(movielens.movie_ids, movielens.titles, movielens.genres, movielens.years, strict=True)
    write_projector(tmp_path, movielens.movie_ids, np.asarray(known), table(rows))

    vectors = np.loadtxt(tmp_path / "tensors.tsv")
    metadata = (tmp_path / "metadata.tsv").read_text(encoding="utf-8").split("\n")[1:-1]
    genres = [{*line.split("\t")[2].split(", ")} for line in metadata]
    often = np.flatnonzero(np.bincount(movielens.movies) >= 20)
    vectors = vectors[often] / np.linalg.norm(vectors[often], axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    near = np.argsort(-cosines, axis=1)[:, :10]
    jaccard = np.array(
        [[len(genres[a] & genres[b]) / len(genres[a] | genres[b]) for b in often] for a in often]
    )
    ours = np.take_along_axis(jaccard, near, axis=1).mean()
    chance = (jaccard.sum() - len(often)) / (len(often) * (len(often) - 1))
    assert chance > 0.1
    assert ours > times * chance
