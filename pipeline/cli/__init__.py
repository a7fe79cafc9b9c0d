"""The `marquee` command. Heavy imports are inside the commands, so that `marquee --help` is quick."""

from __future__ import annotations

import gc
import os

import click

from pipeline.cli import (
    ask,
    batch,
    compare,
    config,
    notify,
    orchestrators,
    releases,
    report,
    run,
    schema,
    status,
    sweep,
)
from pipeline.cli.group import Group

# Before anything imports pydantic: to look for plugins of it, it reads the metadata of every installed package.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
# Before anything imports TensorFlow: the sums of oneDNN depend on the processor, and it keeps what memory it ever had.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
# Before anything imports NumPy: most products of matrices are too small for threads, which take CPU seconds waiting for
# the next one.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Imports make many objects that stay, and which Python would go through a hundred times.
gc.set_threshold(50_000, 20, 20)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="marquee")
def main() -> None:
    """Train, evaluate, bless and serve a movie recommender.

    \b
    Examples:
      marquee run                                      on MovieLens 100K, which comes along
      marquee run --set data.path=ml-latest-small      on a folder with ratings of your own
      marquee run --set model.name=genre_mlp --set model.embedding_dim=64
      marquee sweep --over model.embedding_dim=8,16,32 train with each, side by side
      marquee compare                                  the models side by side, under both questions
      marquee status                                   runs, metrics, pushed versions
      marquee report --open                            the last run to look at, in a browser
      marquee history                                  every version ever pushed, and why
      marquee rollback                                 serve the version before
      marquee recommend 42 -k 5                        what user 42 would like
      marquee similar "Toy Story"                      what is like it
      marquee batch --out everybody.parquet            everybody's recommendations in a file
      marquee notify                                   try the webhook of `notify`
      marquee config                                   every key with its default
    """


for command in (
    run.run,
    sweep.sweep,
    compare.compare,
    status.status,
    status.explain,
    report.report,
    releases.history,
    releases.rollback,
    releases.bless,
    releases.gc,
    ask.recommend,
    ask.similar,
    batch.batch,
    schema.schema,
    notify.notify,
    config.show_config,
    orchestrators.node,
    orchestrators.airflow,
    orchestrators.kubeflow,
):
    main.add_command(command)
