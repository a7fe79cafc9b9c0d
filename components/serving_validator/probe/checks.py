"""What must hold of the export and of its answers; what does not is a finding of the session."""

from __future__ import annotations

from typing import Any

import numpy as np

from .session import Answer, K, Session, bytes_of, text


def weights(session: Session) -> None:
    """Every float of every variable must be a number: a user whom nobody asks for has a row too."""
    session.step("looking at the weights")
    for name, (bad, size) in session.model.not_finite().items():
        if bad:
            session.found("weights", f"variable {name}", "", f"{bad} of {size} not finite", "numbers")


def shape(session: Session, name: str, sent: str, answer: Answer, shapes: dict[str, tuple[int, ...]]) -> bool:
    """Whether the arrays of an answer have these shapes."""
    for key, shape in shapes.items():
        if answer[key].shape != shape:
            session.found("shape", name, sent, f"{key} of shape {answer[key].shape}", f"shape {shape}")
            return False
    return True


def probabilities(session: Session, name: str, sent: str, values: np.ndarray) -> bool:
    """Whether these are probabilities."""
    bad = ~(np.isfinite(values) & (values >= 0) & (values <= 1))
    if bad.any():
        one = values[bad].flat[0]
        session.found(
            "probability",
            name,
            sent,
            f"{int(bad.sum())} of {values.size} like {one}",
            "numbers from 0 to 1",
        )
    return not bad.any()


def same(
    session: Session,
    check: str,
    name: str,
    sent: str,
    answer: np.ndarray,
    expected: np.ndarray,
    whose: str,
    of: Any = None,
) -> None:
    """Compares numbers; `of` tells a row's index in words."""
    if not answer.size:
        return
    difference = np.abs(answer.astype(np.float64) - expected)
    if check == "parity":
        session.report["parity"] = max(
            session.report["parity"], float(np.nan_to_num(difference, nan=1).max())
        )
        session.report["compared"] += answer.size
    bad = ~(difference <= session.tolerance)
    if bad.any():
        worst = int(np.argmax(np.nan_to_num(difference, nan=np.inf)))
        row = f" for {of(worst)}" if of else ""
        session.found(
            check,
            name,
            sent,
            f"{answer.flat[worst]:.6f}{row}, and {int(bad.sum())} of {answer.size} beyond {session.tolerance:g}",
            f"{expected.flat[worst]:.6f}, {whose}",
        )


def as_the_trainer(session: Session, name: str, sent: str, answer: Answer | None) -> None:
    """An answer to all pairs of the reference says of them what the Trainer's model did, and marks them."""
    if answer and shape(session, name, sent, answer, {"probability": (len(session.users),)}):
        probabilities(session, name, sent, answer["probability"])
        expected = session.reference["probability"]
        same(
            session,
            "parity",
            name,
            sent,
            answer["probability"],
            expected,
            "as the Trainer's model says",
            session.pair,
        )
        marked(session, name, sent, answer)


def marked(session: Session, name: str, sent: str, answer: Answer) -> None:
    """Ids of the pairs of the reference must be marked as known or not."""
    stranger = session.users[-1]
    expected = {
        "known_user": [user != stranger for user in session.users],
        "known_movie": [movie in session.blend for movie in session.movies],
    }
    for key, values in expected.items():
        wrong = [i for i, value in enumerate(answer[key].tolist()) if value != values[i]]
        if wrong:
            session.found(
                "known",
                name,
                sent,
                f"{key} is {not values[wrong[0]]} for {session.pair(wrong[0])}",
                "true for ids of the train split, false for others",
            )


def batch(
    session: Session, name: str, sent: str, places: list[int], whole: Answer | None, **inputs: Any
) -> None:
    """An answer must not depend on what else is in the batch."""
    answer = session.call(name, sent, **inputs)
    if answer and shape(session, name, sent, answer, {"probability": (len(places),)}) and whole:
        expected = whole["probability"][places]
        same(session, "batch", name, sent, answer["probability"], expected, "as in another batch")


def exclusion(session: Session, sent: str, user: bytes, movies: set[bytes], k: int, exclude: bool) -> None:
    """What a user has rated must be left out of a list, or be in it where the list has everything."""
    rated = session.rated.get(user, set())
    wrong = rated & movies if exclude else rated - movies if k else set()
    if wrong:
        names = ", ".join(sorted(map(text, wrong))[:3])
        session.found(
            "rated",
            "recommend",
            sent,
            f"movies that user {text(user)} has rated {'are' if exclude else 'are not'} among them: {names}",
            "none of them" if exclude else "the whole catalogue",
        )


def as_predict(session: Session, sent: str, users: list[bytes], answer: Answer) -> None:
    """`probability` of what is recommended must be that of `predict` for the same user and movie."""
    top, given = answer["movie_ids"][:, :K].astype(object), answer["probability"][:, :K]
    if given.shape != top.shape:
        session.found("shape", "recommend", sent, f"probability of shape {given.shape}", f"shape {top.shape}")
        return
    real = top != b""
    probabilities(session, "recommend", sent, given)
    if (given[~real] != 0).any():
        session.found(
            "padding", "recommend", sent, "a probability of no movie", "0 where the movie id is empty"
        )
    if "predict" not in session.signatures or not real.any():
        return
    other = session.call(
        "predict",
        "the pairs that were recommended",
        user_ids=np.repeat(np.array(users, object), top.shape[1])[real.reshape(-1)].tolist(),
        movie_ids=top[real].tolist(),
    )
    if other:
        expected = other["probability"]
        same(session, "agreement", "recommend", sent, given[real], expected, "as signature predict says")


def as_scored(
    session: Session, name: str, sent: str, user: bytes, movies: list[bytes], scores: np.ndarray
) -> None:
    """A known user's scores must be those that the Trainer's model gave the movies of the reference."""
    place = {movie: i for i, movie in enumerate(movies)}
    row = bytes_of(session.reference["score_users"]).index(user)
    wanted = bytes_of(session.reference["score_movies"])
    found = np.array([scores[place[movie]] if movie in place else np.nan for movie in wanted])
    same(
        session,
        "parity",
        name,
        sent,
        found,
        session.reference["scores"][row],
        "as the Trainer's model says",
        lambda i: f"user {text(user)}, movie {text(wanted[i])}",
    )


def as_crowd(session: Session, name: str, sent: str, movies: list[bytes], scores: np.ndarray) -> None:
    """An unknown user's scores of all movies must be the Trainer's blend."""
    expected = np.array([session.blend.get(movie, np.nan) for movie in movies])
    same(
        session,
        "parity",
        name,
        sent,
        scores,
        expected,
        "as the training rows say for an unknown user",
        lambda i: f"movie {text(movies[i])}",
    )


def ranked(
    session: Session,
    name: str,
    sent: str,
    answer: Answer,
    asked: list[bytes],
    width: int,
    padded: bool = True,
    itself: bool = False,
) -> bool:
    """Shapes; best first; no movie twice; where movies end, "" and 0 to the end of the row."""
    rows = len(asked)
    shapes = {"movie_ids": (rows, width), "scores": (rows, width), "known": (rows,)}
    if not shape(session, name, sent, answer, shapes):
        return False
    before = len(session.report["findings"])
    ids, scores = answer["movie_ids"].astype(object), answer["scores"]
    real = ids != b""
    end = real.sum(axis=1)
    if not np.isfinite(scores).all():
        session.found("score", name, sent, "scores that are not finite", "numbers")
    if not (real == (np.arange(width) < end[:, None])).all() or (scores[~real] != 0).any():
        session.found(
            "padding", name, sent, "a gap in a row", 'movie id "" and score 0 at the end of a row only'
        )
    elif not padded and not real.all():
        session.found("padding", name, sent, 'movie id ""', "a movie in each place")
    rising = (scores[:, 1:] > scores[:, :-1]) & real[:, 1:]
    if rising.any():
        row = int(np.argmax(rising.any(axis=1)))
        session.found("order", name, sent, f"scores that rise, for {text(asked[row])}", "the best first")
    for id_, row, count in zip(asked, ids.tolist(), end.tolist(), strict=True):
        if len(set(row[:count])) < count:
            session.found("distinct", name, sent, f"a movie twice for {text(id_)}", "each movie once")
            break
        if itself and id_ in row:
            session.found("itself", name, sent, f"movie {text(id_)} like itself", "other movies only")
            break
    return len(session.report["findings"]) == before


def wrong_of(known: np.ndarray, strangers: int = 1) -> int:
    """Which `known` is wrong where all but the last ones should be true."""
    return int(np.argmax(known != (np.arange(len(known)) < len(known) - strangers)))
