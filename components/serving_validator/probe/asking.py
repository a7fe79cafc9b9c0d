"""What each signature is asked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import checks
from .session import K, Session, bytes_of, text

EVERYTHING = 2**31 - 1  # as k: beyond any catalogue
_WIDE = 16


def predict(session: Session) -> None:
    """Pairs of users and movies: as the Trainer's model, in batches of any size."""
    name = "predict"
    unknown = len(session.users) - session.num_rated
    sent = f"{len(session.users)} pairs of the reference, {unknown} with unknown ids"
    answer = session.call(name, sent, user_ids=session.users, movie_ids=session.movies)
    checks.as_the_trainer(session, name, sent, answer)
    for size, places in session.batches(session.users):
        users, movies = ([of[i] for i in places] for of in (session.users, session.movies))
        checks.batch(session, name, f"{size} pairs", places, answer, user_ids=users, movie_ids=movies)


def serving_default(session: Session) -> None:
    """The same pairs as examples, and real examples: as `predict`."""
    name = "serving_default"
    made = session.made
    sent = f"{len(made)} examples of the reference without genres"
    answer = session.call(name, sent, examples=made)
    checks.as_the_trainer(session, name, sent, answer)
    for size, places in session.batches(made):
        checks.batch(session, name, f"{size} examples", places, answer, examples=[made[i] for i in places])
    if not session.examples:
        return
    sent = f"{len(session.examples)} examples of the test split"
    answer = session.call(name, sent, examples=session.examples)
    if not answer or not checks.shape(session, name, sent, answer, {"probability": (len(session.examples),)}):
        return
    checks.probabilities(session, name, sent, answer["probability"])
    if "predict" in session.signatures:
        users, movies = ([pair[i] for pair in session.pairs] for i in (0, 1))
        other = session.call(
            "predict", f"{len(users)} pairs of the test split", user_ids=users, movie_ids=movies
        )
        if other and other["probability"].shape == answer["probability"].shape:
            checks.same(
                session,
                "agreement",
                name,
                sent,
                answer["probability"],
                other["probability"],
                "as signature predict says",
            )


def transform_features(session: Session) -> None:
    """Real examples: numbers, and indices from 0 on."""
    name = "transform_features"
    for size, places in session.batches(session.examples):
        sent = f"{size} examples of the test split"
        answer = session.call(name, sent, examples=[session.examples[i] for i in places])
        for key, value in (answer or {}).items():
            if value.shape[:1] != (size,):
                session.found("shape", name, sent, f"{key} of shape {value.shape}", f"{size} rows")
            elif value.dtype.kind == "f" and not np.isfinite(value).all():
                session.found("number", name, sent, f"{key} has values that are not finite", "numbers")
            elif value.dtype.kind == "i" and (value < 0).any():
                session.found("number", name, sent, f"{key} has {value.min()}", "indices from 0 on")


def recommend(session: Session) -> None:
    """Known and unknown users, with lists that are empty, short and whole."""
    name, known = "recommend", [*session.rated][: session.request["requests"]]
    stranger = session.users[-1]
    users = [*known, stranger]
    for size, places in session.batches(users):
        sent = f"{size} users, k = {K}, exclude_rated"
        asked = [users[i] for i in places]
        answer = session.call(name, sent, user_ids=asked, k=K, exclude_rated=True)
        if answer and checks.ranked(session, name, sent, answer, asked, min(K, session.num_movies)):
            checks.probabilities(session, name, sent, answer["scores"])
            checks.as_predict(session, sent, asked, answer)
    # A row of these may be as wide as the catalogue.
    users = [*known[:_WIDE], stranger]
    for k, exclude in ((0, True), (EVERYTHING, True), (EVERYTHING, False)):
        sent = f"{len(users)} users, k = {k}, exclude_rated = {exclude}"
        answer = session.call(name, sent, user_ids=users, k=k, exclude_rated=exclude)
        if not answer or not checks.ranked(
            session, name, sent, answer, users, min(k, session.num_movies), padded=exclude
        ):
            continue
        if answer["known"].tolist() != [True] * (len(users) - 1) + [False]:
            wrong = checks.wrong_of(answer["known"])
            session.found(
                "known",
                name,
                sent,
                f"known is {answer['known'][wrong]} for user {text(users[wrong])}",
                "true for users of the train split, false for others",
            )
        for user, row in zip(users, answer["movie_ids"].tolist(), strict=True):
            checks.exclusion(session, sent, user, set(row), k, exclude)
        if k and not exclude:
            few = {key: values[:2] for key, values in answer.items()}
            checks.as_predict(session, sent, users[:2], few)
            score_users = bytes_of(session.reference["score_users"])
            for user, ids, scores in zip(users, answer["movie_ids"].tolist(), answer["scores"], strict=True):
                if user in score_users:
                    checks.as_scored(session, name, sent, user, ids, scores)
        if k:
            checks.as_crowd(session, name, sent, answer["movie_ids"][-1].tolist(), answer["scores"][-1])


def score_catalogue(session: Session) -> None:
    """Known and unknown users: as the Trainer's model, or as the crowd says."""
    name, stranger = "score_catalogue", session.users[-1]
    asked = bytes_of(session.reference["score_users"])
    # Each row is as wide as the catalogue.
    for users in ([], [stranger], [*asked[:_WIDE], stranger]):
        sent = f"{len(users)} users"
        answer = session.call(name, sent, user_ids=users)
        shapes = {"scores": (len(users), session.num_movies), "movie_ids": (session.num_movies,)}
        if not answer or not checks.shape(session, name, sent, answer, shapes):
            continue
        checks.probabilities(session, name, sent, answer["scores"])
        if len(set(answer["movie_ids"].tolist())) < session.num_movies:
            session.found("distinct", name, sent, "a movie that is there twice", "distinct movies")
        if users and answer["known"].tolist() != [True] * (len(users) - 1) + [False]:
            session.found("known", name, sent, f"known is {answer['known'].tolist()}", "false for the last")
        if users:
            checks.as_crowd(session, name, sent, answer["movie_ids"].tolist(), answer["scores"][-1])
        ids = answer["movie_ids"].tolist()
        for user, scores in zip(users[:-1], answer["scores"], strict=False):
            checks.as_scored(session, name, sent, user, ids, scores)


def similar_movies(session: Session) -> None:
    """Known and unknown movies: as the Trainer's embeddings have it."""
    name = "similar_movies"
    sources, targets = (bytes_of(session.reference[key]) for key in ("similar_from", "similar_to"))
    strangers = [*session.cold, session.movies[-1]]
    movies = [*dict.fromkeys([*sources, *session.movies[: session.num_rated]])][: session.request["requests"]]
    movies = [*movies, *strangers]
    most = max(session.num_movies - 1, 0)
    for size, places in session.batches(movies):
        asked = [movies[i] for i in places]
        sent = f"{size} movies, k = {K}"
        answer = session.call(name, sent, movie_ids=asked, k=K)
        if answer:
            checks.ranked(session, name, sent, answer, asked, min(K, most), padded=False, itself=True)
    for k in (0, EVERYTHING):
        asked = [*sources, *strangers]
        sent = f"{len(asked)} movies, {len(strangers)} of them unknown, k = {k}"
        answer = session.call(name, sent, movie_ids=asked, k=k)
        if not answer or not checks.ranked(
            session, name, sent, answer, asked, min(k, most), padded=False, itself=True
        ):
            continue
        if answer["known"].tolist() != [True] * len(sources) + [False] * len(strangers):
            wrong = checks.wrong_of(answer["known"], len(strangers))
            session.found(
                "known",
                name,
                sent,
                f"known is {answer['known'][wrong]} for movie {text(asked[wrong])}",
                "true for movies of the train split, false for others",
            )
        if k:
            rows = zip(answer["movie_ids"].tolist(), answer["scores"], targets, strict=False)
            cosines = [scores[ids.index(to)] if to in ids else np.nan for ids, scores, to in rows]
            checks.same(
                session,
                "parity",
                name,
                sent,
                np.array(cosines, np.float32),
                session.reference["cosine"],
                "as the Trainer's embeddings have it",
                lambda i: f"movies {text(sources[i])} and {text(targets[i])}",
            )


# By signature.
ASK: dict[str, Callable[[Session], None]] = {
    "predict": predict,
    "serving_default": serving_default,
    "transform_features": transform_features,
    "recommend": recommend,
    "score_catalogue": score_catalogue,
    "similar_movies": similar_movies,
}
