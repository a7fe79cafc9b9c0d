"""Training throughput: Marquee's Trainer code against `model.fit` from the TFRecords at batch 256, the tutorial way.

Both train the same Keras model for the same number of epochs on the same examples of one pipeline run, each
in a process of its own, and are scored on the same eval rows. Examples are rows times epochs; CPU seconds are those of
reading the TFRecords, compiling and training, user and system, without imports and validation.

    python tests/benchmarks/bench_train.py [--path FOLDER] [--model dot_product] [--epochs 50]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", default="builtin:ml-100k", help="data.path; MovieLens 100K by default.")
    parser.add_argument("--model", default="dot_product", help="model.name.")
    # About as many as a run takes with its refit.
    parser.add_argument("--epochs", type=int, default=50, help="Epochs of both.")
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--root", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(arguments.one, arguments)))
        return
    with tempfile.TemporaryDirectory() as root:
        transform(root, arguments.path)
        options = ["--root", root, "--path", arguments.path, "--model", arguments.model]
        options += ["--epochs", str(arguments.epochs)]
        found = {}
        for way in WAYS:
            done = subprocess.run(
                [sys.executable, "-W", "ignore", __file__, "--one", way, *options],
                check=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            found[way] = json.loads(done.stdout.splitlines()[-1])
    tutorial, ours = (found[way] for way in WAYS)
    title = f"{arguments.model}, {ours['rows']:,} rows, {arguments.epochs} epochs"
    print(f"{title:<42}{'model.fit @256':>16}{'Marquee':>10}{'ratio':>8}")
    for label, key, form in (
        ("thousand examples a CPU second", "throughput", ".0f"),
        ("CPU seconds", "seconds", ".1f"),
        ("eval AUC", "auc", ".4f"),
        ("eval log-loss", "loss", ".4f"),
    ):
        ratio = f"{ours[key] / tutorial[key]:.1f}" if key == "throughput" else ""
        print(f"{label:<42}{tutorial[key]:>16{form}}{ours[key]:>10{form}}{ratio:>8}")


def transform(root: str, path: str) -> None:
    """A run of the pipeline up to the Trainer, for its examples and its transform graph."""
    from pipeline.cli.console import captured
    from pipeline.config import load_config

    with captured(None):
        from pipeline.pipeline import create_sweep_pipeline
        from pipeline.runners import local

        config = load_config(None, [f"root={root}", f"data.path={path}", "name=bench", "model.epochs=1"])
        config.pipeline_root.mkdir(parents=True)
        local.run(create_sweep_pipeline(config), lambda component, starts: None)


def measured(way: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Throughput and quality of one way."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow_transform as tft

    from components.export.export import read_movies
    from components.models import config_of
    from components.shared.features import LABEL_KEY
    from components.trainer.input import RowGraph, read_catalogue, read_examples
    from components.trainer.rows import Rows
    from components.trainer.run import vocabulary_sizes
    from components.trainer.validation import auc, log_loss, predict

    artifacts = Path(arguments.root) / "bench" / "artifacts"
    graph, examples = (
        next((artifacts / node / key).iterdir())
        for node, key in (("Transform", "transform_graph"), ("RatingsExampleGen", "examples"))
    )
    output = tft.TFTransformOutput(str(graph))
    movies = read_movies(str(next((artifacts / "RatingsExampleGen" / "movies").iterdir())))
    catalogue = read_catalogue(movies, output)
    # `model.fit` knows no schedule of ours.
    same = {"learning_rate": 0.003, "schedule": "constant", "refit": False}
    config = config_of(arguments.model, epochs=arguments.epochs, **same)
    sizes = vocabulary_sizes(output)
    train, held = (str(examples / f"Split-{split}") for split in ("train", "eval"))
    model, rows, seconds = WAYS[way](config, sizes, train, output, catalogue)
    asked = read_examples([held], RowGraph(output))
    scored = Rows.of(config, sizes, asked, asked[LABEL_KEY], catalogue)
    p = predict(model, scored)
    return {
        "rows": rows,
        "seconds": seconds,
        "throughput": rows * config.epochs / seconds / 1000,
        "auc": auc(scored.y, p),
        "loss": log_loss(scored.y, p),
    }


def tutorial(config: Any, sizes: Any, train: str, output: Any, catalogue: Any) -> tuple[Any, int, float]:
    """`model.fit` of a tf.data pipeline from transformed TFRecords, as in the tutorials of TFX and TFRS."""
    import keras
    import tensorflow as tf

    from components.models import build_model
    from components.shared import features

    keras.utils.set_random_seed(config.seed)
    model = build_model(config, sizes)
    model.compile(optimizer=keras.optimizers.Adam(config.learning_rate), loss="binary_crossentropy")
    names = [tensor.name for tensor in model.inputs]
    spec = output.transformed_feature_spec()
    year = tf.constant(catalogue[features.transformed_name(features.YEAR_KEY)])

    def parsed(records: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        row = tf.io.parse_example(records, spec)
        dense = {
            key: tf.sparse.to_dense(value, -1) if isinstance(value, tf.SparseTensor) else value
            for key, value in row.items()
        }
        dense["year_xf"] = tf.gather(year, dense["movie_id_xf"])
        return {name: dense[name] for name in names}, dense[features.LABEL_KEY]

    files, number = materialised(train, output)
    began = time.process_time()
    data = tf.data.TFRecordDataset(files, compression_type="GZIP").shuffle(100_000, seed=config.seed)
    data = data.batch(256).map(parsed, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    model.fit(data, epochs=config.epochs, verbose=0)
    return model, number, time.process_time() - began


def materialised(split: str, output: Any) -> tuple[list[str], int]:
    """A file of the transformed examples of a split, and their number; the stock Transform writes the same."""
    import tensorflow as tf
    from tfx_bsl.coders import example_coder
    from tfx_bsl.tfxio import tensor_to_arrow

    layer, raw = output.transform_features_layer(), output.raw_feature_spec()
    converter = tensor_to_arrow.TensorsToRecordBatchConverter(
        {
            # Of any number of rows, where that of a value has its own.
            key: tf.SparseTensorSpec([None, None], value.dtype)
            if isinstance(value, tf.SparseTensor)
            else tf.TensorSpec([None], value.dtype)
            for key, value in layer(tf.io.parse_example(tf.constant([], tf.string), raw)).items()
        }
    )
    encoder = example_coder.RecordBatchToExamplesEncoder(output.transformed_metadata.schema)
    path, number = f"{split}-transformed.gz", 0
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for shard in sorted(Path(split).iterdir()):
            for records in tf.data.TFRecordDataset([str(shard)], "GZIP").batch(8192):
                batch = converter.convert(layer(tf.io.parse_example(records, raw)))
                for record in encoder.encode(batch):
                    writer.write(record)
                number += batch.num_rows
    return [path], number


def ours(config: Any, sizes: Any, train: str, output: Any, catalogue: Any) -> tuple[Any, int, float]:
    """What the Trainer does, without its validation."""
    from components.shared.features import LABEL_KEY
    from components.trainer.input import RowGraph, read_examples
    from components.trainer.training import fit

    began = time.process_time()
    rows = read_examples([train], RowGraph(output))
    none = {key: values[:0] for key, values in rows.items()}
    model, _ = fit(config, sizes, rows, rows[LABEL_KEY], none, none[LABEL_KEY], catalogue)
    return model, len(rows[LABEL_KEY]), time.process_time() - began


WAYS = {"tutorial": tutorial, "ours": ours}

if __name__ == "__main__":
    main()
