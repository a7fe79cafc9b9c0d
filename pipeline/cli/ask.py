"""`marquee recommend` and `marquee similar`: the served model is asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import configured, how_many, json_option, leaving_out

if TYPE_CHECKING:
    from pipeline.cli.console import PlainConsole as Console
    from pipeline.config import PipelineConfig
    from pipeline.operations.served import Answer


@click.command()
@click.argument("user_ids", nargs=-1, required=True, metavar="USER_ID...")
@how_many
@leaving_out
@json_option
@configured
def recommend(
    user_ids: tuple[str, ...],
    k: int,
    unseen: bool,
    as_json: bool,
    file: str | None,
    overrides: tuple[str, ...],
) -> None:
    """Recommend movies to users with the served model.

    \b
    Examples:
      marquee recommend 42
      marquee recommend 42 196 -k 3 --all --json
    """
    from pipeline.cli.console import captured
    from pipeline.config import load_config

    served = _served(load_config(file, overrides))
    with captured(None) as console:
        answers = served.recommend(user_ids, k, unseen)
        if as_json:
            console.file.write(_as_json("user_id", answers))
            return
        print_answers(console, answers, [f"Recommended to user {user}" for user in user_ids], "score")
        for answer in answers:
            if not answer.known:
                console.print(
                    f"User {answer.asked} was not in the train split: these are the movies that most like."
                )


@click.command()
@click.argument("movie")
@how_many
@json_option
@configured
def similar(movie: str, k: int, as_json: bool, file: str | None, overrides: tuple[str, ...]) -> None:
    """Show the movies nearest to MOVIE (an id, a title or a part of one) in the embedding.

    \b
    Examples:
      marquee similar 50
      marquee similar "Toy Story" -k 5
    """
    from pipeline.cli.console import captured
    from pipeline.config import load_config

    served = _served(load_config(file, overrides))
    found = served.find(movie)
    with captured(None) as console:
        answers = served.similar([found.id], k)
        if as_json:
            console.file.write(_as_json("movie_id", answers))
            return
        print_answers(console, answers, [f"Similar to {found}"], "likeness")
        if not answers[0].known:
            console.print(
                f"Movie {found.id} was not in the train split: its vector is made of its genres and year."
            )


def _served(config: PipelineConfig) -> Any:
    from pipeline.operations.served import ServedModel

    return ServedModel(config.serving_model_dir)


def print_answers(console: Console, answers: Sequence[Answer], titles: Sequence[str], score: str) -> None:
    from pipeline.cli.console import print_table

    columns = [("", "right"), ("movie", "left"), ("title", "left"), ("genres", "left"), (score, "right")]
    # One model's score is its probability.
    liked = any(a.probability is not None and a.probability != [s for _, s in a.movies] for a in answers)
    if liked:
        columns.append(("probability of a like", "right"))
    for answer, title in zip(answers, titles, strict=True):
        if title is not titles[0]:
            console.print()
        rows = [
            [
                str(rank),
                movie.id,
                str(movie),
                ", ".join(movie.genres),
                f"{value:.3f}",
                *([f"{(answer.probability or [])[rank - 1]:.0%}"] if liked else []),
            ]
            for rank, (movie, value) in enumerate(answer.movies, start=1)
        ]
        print_table(console, title, columns, rows)


def _as_json(key: str, answers: Sequence[Answer]) -> str:
    content = [
        {
            key: answer.asked,
            "known": answer.known,
            "movies": [
                {
                    "movie_id": movie.id,
                    "title": movie.title,
                    "year": movie.year,
                    "genres": movie.genres,
                    "score": score,
                    **({"probability": answer.probability[place]} if answer.probability is not None else {}),
                }
                for place, (movie, score) in enumerate(answer.movies)
            ],
        }
        for answer in answers
    ]
    return json.dumps(content, indent=2) + "\n"
