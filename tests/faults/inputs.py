"""Kinds of bad input: what is done, with which arguments the command is called, and what it must say.

One list, which is read as one: a file for each few of its hundred and fifty kinds would hide what is missing.

Nothing here is about single rows within a column, which the corruptions of `tests/components/data_gate` are.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import socket
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

HEADER = "userId,movieId,rating,timestamp"
Row = tuple[str, str, str, str]  # user, movie, rating, timestamp


@dataclass(frozen=True)
class Place:
    """Where a case may write, and real ratings and movies (id, title, genres by `|`) to spoil."""

    folder: Path
    rows: Sequence[Row]
    movies: Sequence[tuple[str, str, str]]

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def data(self, ratings: bytes | None, movies: bytes | None = None, name: str = "ratings.csv") -> Path:
        """A folder in the layout of MovieLens' CSV."""
        folder = self.folder / "data"
        folder.mkdir(exist_ok=True)
        if ratings is not None:
            (folder / name).write_bytes(ratings)
        (folder / "movies.csv").write_bytes(table(self.movies) if movies is None else movies)
        return folder

    def changed(self, change: Callable[[list[str]], list[str]]) -> Path:
        """The same with lines of the ratings changed, the header being the first."""
        return self.data(("\n".join(change(lines(self.rows))) + "\n").encode())

    def run(self, data: Path | str, *sets: str) -> list[str]:
        """Arguments of `marquee run` on it."""
        return ["run", *options(f"data.path={data}", f"root={self.root}", *sets)]

    def columns(self) -> dict[str, Any]:
        """The ratings as columns, under our own names."""
        users, movies, ratings, times = zip(*self.rows, strict=True)
        return {
            "user_id": list(users),
            "movie_id": list(movies),
            "rating": [float(rating) for rating in ratings],
            "timestamp": [int(time) for time in times],
        }

    def parquet(self, **columns: Any) -> list[str]:
        """Arguments of `marquee run` on a Parquet file, with some columns in place of the real ones."""
        folder = self.folder / "data"
        folder.mkdir()
        pq.write_table(pa.table({**self.columns(), **columns}), folder / "ratings.parquet")
        return self.run(folder)


def options(*sets: str) -> list[str]:
    return [part for one in sets for part in ("--set", one)]


def lines(rows: Sequence[Row]) -> list[str]:
    return [HEADER, *(",".join(row) for row in rows)]


def table(movies: Sequence[tuple[str, str, str]]) -> bytes:
    quoted = [f'{id_},"{title}",{genres}' for id_, title, genres in movies]
    return "\n".join(["movieId,title,genres", *quoted, ""]).encode()


@dataclass(frozen=True)
class Case:
    """One kind: `arrange` returns the arguments; `says` must be in what is printed; `code` is the exit code."""

    name: str
    arrange: Callable[[Place], list[str]]
    says: tuple[str, ...]
    code: int


CASES: list[Case] = []


def case(*says: str, code: int = 4) -> Callable[[Callable[[Place], list[str]]], Callable[[Place], list[str]]]:
    """Adds a function to the cases, under its docstring."""

    def add(arrange: Callable[[Place], list[str]]) -> Callable[[Place], list[str]]:
        name = (arrange.__doc__ or "").strip().rstrip(".")
        CASES.append(Case(name, arrange, says, code))
        return arrange

    return add


def many(*entries: tuple[str, Callable[[Place], list[str]], Sequence[str], int]) -> None:
    for name, arrange, says, code in entries:
        CASES.append(Case(name, arrange, tuple(says), code))


# --- the ratings file as a file ----------------------------------------------------------------


def content(name: str, make: Callable[[Place], bytes], *says: str) -> None:
    """A case of what a ratings.csv holds."""
    CASES.append(Case(name, lambda place: place.run(place.data(make(place))), says, 4))


def text(place: Place) -> str:
    return "\n".join(lines(place.rows)) + "\n"


content("empty file", lambda place: b"", "is empty", "ratings.csv")
content("white space only", lambda place: b" \n\n \r\n", "is empty")
content("byte order mark only", lambda place: b"\xef\xbb\xbf", "is empty")
content("header only", lambda place: HEADER.encode() + b"\n", "no rows")
content("no header", lambda place: text(place).partition("\n")[2].encode(), "missing")
content("UTF-16", lambda place: text(place).encode("utf-16"), "UTF-16")
content("UTF-32", lambda place: text(place).encode("utf-32"), "ratings.csv")
content("carriage returns alone", lambda place: text(place).replace("\n", "\r").encode(), "carriage return")
content(
    "carriage returns alone, few rows",
    lambda place: text(place)[:600].replace("\n", "\r").encode(),
    "carriage return",
)
content("gzip under the name of a CSV", lambda place: gzip.compress(text(place).encode()), "ratings.csv")
content("random bytes", lambda place: os.urandom(20_000), "ratings.csv")
content("NUL bytes", lambda place: bytes(10_000), "ratings.csv")
content("JSON", lambda place: json.dumps([{"userId": 1}] * 50).encode(), "missing")
content("HTML, as of a failed download", lambda place: b"<html><body>404</body></html>\n" * 30, "missing")
content("a line of 5 MB", lambda place: (text(place) + "1," + "x" * 5_000_000).encode(), "ratings.csv:")
content(
    "a field of 50 MB",
    lambda place: (text(place) + "1," + "x" * 50_000_000 + ",4,964982703\n").encode(),
    "ratings.csv:",
)
content(
    "a header of 100,000 columns",
    lambda place: (",".join(map(str, range(100_000))) + "\n1\n").encode(),
    "missing",
)
content("semicolons", lambda place: text(place).replace(",", ";").encode(), "separator")
content("a column there twice", lambda place: text(place).replace("rating,", "userId,", 1).encode(), "userId")
content("cut within a row", lambda place: text(place).encode()[:-14], "cut short")
content("one row", lambda place: "\n".join(lines(place.rows[:1])).encode(), "too few ratings")
content("thirty rows", lambda place: "\n".join(lines(place.rows[:30])).encode(), "minimum")
content("three hundred rows", lambda place: "\n".join(lines(place.rows[:300])).encode(), "minimum")


def lines_case(name: str, change: Callable[[list[str]], list[str]], *says: str) -> None:
    """A case of what the lines of a ratings.csv hold."""
    CASES.append(Case(name, lambda place: place.run(place.changed(change)), says, 4))


def at_12(field: int, value: str) -> Callable[[list[str]], list[str]]:
    """Another value in line 12."""

    def change(all_: list[str]) -> list[str]:
        fields = all_[11].split(",")
        fields[field] = value
        return [*all_[:11], ",".join(fields), *all_[12:]]

    return change


def each(change: Callable[[list[str]], list[str]]) -> Callable[[list[str]], list[str]]:
    """Every row changed."""
    return lambda all_: [all_[0], *(",".join(change(line.split(","))) for line in all_[1:])]


lines_case("an empty user", at_12(0, ""), "ratings.csv:12", "userId is missing")
lines_case("a user of spaces", at_12(0, "   "), "ratings.csv:12", "userId is missing")
lines_case("an empty movie", at_12(1, ""), "ratings.csv:12", "movieId is missing")
lines_case("an id of 20 KB", at_12(0, "x" * 20_000), "ratings.csv:12", "userId")
lines_case("a rating in words", at_12(2, "four"), "ratings.csv:12", "'four'")
lines_case("a rating with a decimal comma", at_12(2, '"3,5"'), "ratings.csv:12", "3,5")
lines_case("a rating that is not a number", at_12(2, "nan"), "ratings.csv:12")
lines_case("an infinite rating", at_12(2, "1e999"), "ratings.csv:12")
lines_case("a hexadecimal rating", at_12(2, "0x4"), "ratings.csv:12", "0x4")
lines_case("no rating", at_12(2, ""), "ratings.csv:12", "rating is missing")
lines_case("a timestamp in words", at_12(3, "yesterday"), "ratings.csv:12", "'yesterday'")
lines_case("a timestamp with a fraction", at_12(3, "964982703.5"), "ratings.csv:12")
lines_case("a timestamp of 30 digits", at_12(3, "9" * 30), "ratings.csv:12")
lines_case("no timestamp", at_12(3, ""), "ratings.csv:12", "timestamp is missing")
lines_case("a field too few", lambda all_: [*all_[:11], "1,2,3", *all_[12:]], "ratings.csv:12", "3 field(s)")
lines_case("a field too many", lambda all_: [*all_[:11], "1,2,3,4,5", *all_[12:]], "ratings.csv:12")
lines_case("an open quote", lambda all_: [*all_[:11], '"1,2,3,4', *all_[12:]], "ratings.csv:12", "quote")
lines_case(
    "ISO dates", each(lambda row: [*row[:3], "2001-02-03T04:05:06Z"]), "ratings.csv:2", "timestamp_unit"
)
lines_case("milliseconds", each(lambda row: [*row[:3], row[3] + "000"]), "milliseconds")
lines_case("every rating 5", each(lambda row: [*row[:2], "5", row[3]]), "minimum")
lines_case(
    "a scale to 100",
    each(lambda row: [*row[:2], f"{20 * float(row[2]):g}", row[3]]),
    "greatest value allowed",
)
lines_case("all of one user", each(lambda row: ["1", *row[1:]]), "data gate")
lines_case(
    "all of one movie",
    each(lambda row: [row[0], "1", *row[2:]]),
    "too few ratings",
    "repeat a user and movie",
)
lines_case(
    "each user once",
    lambda all_: [all_[0], *(f"u{i},{row.split(',', 1)[1]}" for i, row in enumerate(all_[1:]))],
    "split",
)


# --- the movies table --------------------------------------------------------------------------


def movies_case(name: str, movies: bytes | None, *says: str) -> None:
    """A case of what a movies.csv holds; None: it is missing."""

    def arrange(place: Place) -> list[str]:
        data = place.data("\n".join(lines(place.rows)).encode() + b"\n", movies)
        if movies is None:
            (data / "movies.csv").unlink()
        return place.run(data)

    CASES.append(Case(name, arrange, says, 4))


movies_case("movies table missing", None, "movies.csv")
movies_case("movies table empty", b"", "movies.csv", "is empty")
movies_case("movies table with a header only", b"movieId,title,genres\n", "movies.csv", "no rows")
movies_case("movies table without genres", b"movieId,title\n1,One\n", "genres", "missing")
movies_case(
    "a movie there twice", b"movieId,title,genres\n1,One,Drama\n1,Two,War\n", "movies.csv:3", "already"
)
movies_case("a movie without an id", b"movieId,title,genres\n,One,Drama\n", "movies.csv:2", "missing")
movies_case("a genre of 20 KB", b"movieId,title,genres\n1,One," + b"x" * 20_000 + b"\n", "movies.csv:2")
movies_case("movies of another catalogue", b"movieId,title,genres\nx1,One,Drama\n", "genre")
movies_case("movies in UTF-16", "movieId,title,genres\n1,One,Drama\n".encode("utf-16"), "UTF-16")
movies_case("ISO-8859-1 in movies", b"movieId,title,genres\n1,Caf\xe9,Drama\n", "movies.csv:2", "0xe9")


# --- Parquet -----------------------------------------------------------------------------------

many(
    (
        "an id with a line feed",
        lambda place: place.parquet(user_id=["a\nb", *place.columns()["user_id"][1:]]),
        ["ratings.parquet:1"],
        4,
    ),
    (
        "a movie's id with a carriage return",
        lambda place: place.parquet(movie_id=["a\rb", *place.columns()["movie_id"][1:]]),
        ["ratings.parquet:1"],
        4,
    ),
    (
        "binary ids that are not UTF-8",
        lambda place: place.parquet(user_id=[b"\xff\xfe", *(b"%d" % i for i in range(1, len(place.rows)))]),
        ["ratings.parquet"],
        4,
    ),
    (
        "null ids",
        lambda place: place.parquet(user_id=[None, *place.columns()["user_id"][1:]]),
        ["ratings.parquet:1", "missing"],
        4,
    ),
    (
        "ids with a fraction",
        lambda place: place.parquet(user_id=[1.5] * len(place.rows)),
        ["ratings.parquet:1"],
        4,
    ),
    (
        "a column of lists",
        lambda place: place.parquet(rating=[[4.0]] * len(place.rows)),
        ["no single values"],
        4,
    ),
    (
        "ratings true and false",
        lambda place: place.parquet(rating=[True] * len(place.rows)),
        ["rating"],
        4,
    ),
    (
        "times of day",
        lambda place: place.parquet(timestamp=pa.array([43_200] * len(place.rows), pa.time32("s"))),
        ["ratings.parquet:1", "12:00:00"],
        4,
    ),
    (
        "timestamps in words",
        lambda place: place.parquet(timestamp=["yesterday"] * len(place.rows)),
        ["ratings.parquet:1", "'yesterday'"],
        4,
    ),
)


@case("cut short")
def _parquet_cut(place: Place) -> list[str]:
    """Parquet cut short."""
    arguments = place.parquet()
    path = place.folder / "data" / "ratings.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    return arguments


@case("not Parquet")
def _not_parquet(place: Place) -> list[str]:
    """CSV under the name of Parquet."""
    return place.run(place.data(text(place).encode(), name="ratings.parquet"))


@case("no rows")
def _parquet_without_rows(place: Place) -> list[str]:
    """Parquet without rows."""
    folder = place.folder / "data"
    folder.mkdir()
    pq.write_table(pa.table(place.columns()).slice(0, 0), folder / "ratings.parquet")
    return place.run(folder)


# --- the path ----------------------------------------------------------------------------------

many(
    ("no such path", lambda place: place.run(place.folder / "nowhere"), ["does not exist"], 4),
    ("an empty path", lambda place: place.run(""), ["data.path"], 2),
    ("a path with a NUL", lambda place: ["run", "--config", str(_nul_config(place))], ["data.path"], 2),
    ("a path of 5,000 characters", lambda place: place.run("x" * 5000), ["input path", "name too long"], 4),
    ("a device", lambda place: place.run("/dev/zero", "data.layout=csv"), ["/dev/zero"], 4),
    ("a built-in data set that is none", lambda place: place.run("builtin:ml-1b"), ["builtin:ml-100k"], 2),
)


def _nul_config(place: Place) -> Path:
    path = place.folder / "nul.yaml"
    path.write_text(f'data: {{path: "a\\0b"}}\nroot: {place.root}\n')
    return path


@case("an empty folder")
def _empty_folder(place: Place) -> list[str]:
    """An empty folder."""
    (place.folder / "data").mkdir()
    return place.run(place.folder / "data")


@case("more than one file")
def _two_logs(place: Place) -> list[str]:
    """Two logs in a folder."""
    folder = place.data(text(place).encode())
    (folder / "u.data").write_bytes(b"1\t2\t3\t4\n")
    return place.run(folder)


@case("ratings.csv")
def _fifo(place: Place) -> list[str]:
    """A FIFO as the ratings."""
    folder = place.data(None)
    os.mkfifo(folder / "ratings.csv")
    return place.run(folder)


@case("ratings.csv")
def _socket(place: Place) -> list[str]:
    """A socket as the ratings."""
    folder = place.data(None)
    here = Path.cwd()
    os.chdir(folder)  # the path of a socket may have 108 characters
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("ratings.csv")
    finally:
        os.chdir(here)
    return place.run(folder)


@case("ratings.csv")
def _folder_as_file(place: Place) -> list[str]:
    """A folder called ratings.csv."""
    folder = place.data(None)
    (folder / "ratings.csv").mkdir()
    return place.run(folder)


@case("ratings.csv")
def _broken_link(place: Place) -> list[str]:
    """A link to nothing."""
    folder = place.data(None)
    (folder / "ratings.csv").symlink_to("nowhere")
    return place.run(folder)


@case("ratings.csv")
def _loop(place: Place) -> list[str]:
    """A link to itself."""
    folder = place.data(None)
    (folder / "ratings.csv").symlink_to("ratings.csv")
    return place.run(folder)


@case("set data.path to")
def _too_high(place: Place) -> list[str]:
    """The folder above the data."""
    place.data(text(place).encode())
    return place.run(place.folder)


@case("ratings.zip", "layout")
def _zip(place: Place) -> list[str]:
    """An archive, not unpacked."""
    folder = place.folder / "data"
    folder.mkdir()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("ratings.csv", text(place))
    (folder / "ratings.zip").write_bytes(packed.getvalue())
    return place.run(folder)


@case("repeat the user and movie")
def _duplicates(place: Place) -> list[str]:
    """Every row twice, where that is an error."""
    return place.run(place.changed(lambda all_: [*all_, *all_[1:]]), "data.duplicates=error")


@case("a file there twice")
def _appended(place: Place) -> list[str]:
    """Every row twice."""
    return place.run(place.changed(lambda all_: [*all_, *all_[1:]]))


# --- the configuration -------------------------------------------------------------------------


def configured(name: str, yaml: bytes, *says: str) -> None:
    """A case of what a configuration file holds."""

    def arrange(place: Place) -> list[str]:
        path = place.folder / "mine.yaml"
        path.write_bytes(yaml.replace(b"ROOT", str(place.root).encode()))
        return ["run", "--config", str(path)]

    CASES.append(Case(f"configuration: {name}", arrange, says, 2))


configured("no YAML", b"data: [unclosed\n", "mine.yaml:", "YAML")
configured("a list", b"- data\n", "not a mapping")
configured("a number", b"42\n", "not a mapping")
configured("bytes that are not UTF-8", b"root: \xff\xfe\n", "UTF-8")
configured(
    "a key there twice", b"root: ROOT\nmodel: {name: mlp}\nmodel: {name: neumf}\n", "mine.yaml:3", "twice"
)
configured("nested 5,000 deep", b"root: ROOT\nx: " + b"[" * 5000 + b"]" * 5000, "nested")
configured("an object of Python", b"root: !!python/object/apply:os.system ['true']\n", "mine.yaml")
configured("an unknown key", b"root: ROOT\nmodle: {name: mlp}\n", "'modle'", "did you mean model?")
configured("a section that is a number", b"root: ROOT\ndata: 3\n", "key data")
configured("null for a number", b"root: ROOT\nmodel: {epochs: null}\n", "model.epochs")

for _name, _set, *_says in (
    ("no equals sign", "model.name", "key=value"),
    ("no key", "=3", "key=value"),
    ("a key below a value", "root.inner=3", "root"),
    ("an unknown model", "model.name=gpt", "one of"),
    ("an option of another model", "model.use_bias=false", "use_bias"),
    ("no epochs", "model.epochs=0", "model.epochs"),
    ("a negative dimension", "model.embedding_dim=-1", "model.embedding_dim"),
    ("text for a number", "model.learning_rate=fast", "model.learning_rate"),
    ("not a number for a number", "model.learning_rate=.nan", "model.learning_rate"),
    ("fractions above 1", "data.split={test_fraction: 0.9, eval_fraction: 0.5}", "below 1"),
    ("an unknown split", "data.split.method=weekly", "one of"),
    ("an unknown encoding", "data.encoding=klingon", "klingon"),
    ("a delimiter that is a quote", "data.delimiter='\"'", "delimiter"),
    ("a rule of the data gate that is none", "data_gate.policy={drfit: warn}", "drift"),
    ("a search over nothing", "tuning={tune: true, keys: []}", "search space"),
    ("the name ..", "name=..", "key name"),
    ("the name .", "name=.", "key name"),
    ("a name with a slash", "name=a/b", "key name"),
    ("a name of 300 characters", "name=" + "x" * 300, "key name"),
    ("a schema that is not there", "schema_path=/nowhere.pbtxt", "schema"),
    ("a schema that is none", "schema_path=/proc/self/status", "schema"),
    ("times where there are none", "data.columns.timestamp=null", "data.split.method"),
):
    CASES.append(
        Case(
            f"--set: {_name}",
            lambda place, _set=_set: ["run", *options(f"root={place.root}", _set)],  # type: ignore[misc]
            tuple(_says),
            2,
        )
    )

many(
    ("a configuration that is not there", lambda place: ["run", "--config", "nothing"], ["'nothing'"], 2),
    ("a folder as the configuration", lambda place: ["run", "--config", str(place.folder)], ["--config"], 2),
    ("a root below a file", lambda place: ["run", *options("root=/proc/version/x")], ["root"], 2),
    ("a root of 5,000 characters", lambda place: ["run", *options("root=/tmp/" + "x" * 5000)], ["root"], 2),
    (
        "no password for the metadata",
        lambda place: ["run", *options("metadata.kind=mysql", f"root={place.root}")],
        ["MARQUEE_METADATA_PASSWORD"],
        2,
    ),
    (
        "no server for the metadata",
        lambda place: [
            "status",
            *options(
                "metadata={kind: postgresql, host: localhost, port: 1, password_env: null}",
                f"root={place.root}",
            ),
        ],
        ["postgresql server localhost:1"],
        1,
    ),
)


@case("folder", code=2)
def _root_is_a_file(place: Place) -> list[str]:
    """A root that is a file."""
    place.root.write_text("not a folder")
    return ["run", *options(f"root={place.root}")]


@case("metadata.sqlite", code=1)
def _damaged_metadata(place: Place) -> list[str]:
    """Metadata that are none."""
    folder = place.root / "ml-100k"
    folder.mkdir(parents=True)
    (folder / "metadata.sqlite").write_bytes(os.urandom(5000))
    return ["run", *options(f"root={place.root}")]


# --- the other commands, where nothing has run yet ---------------------------------------------

for _words, _expected, _code in (
    (["recommend", "42"], "No model has been pushed", 1),
    (["recommend"], "USER_ID", 2),
    (["recommend", "[/nope]"], "No model has been pushed", 1),
    (["recommend", "42", "-k", "0"], "-k", 2),
    (["recommend", "42", "-k", "2147483648"], "-k", 2),
    (["recommend", "42", "-k", "many"], "-k", 2),
    (["similar", "Toy Story"], "No model has been pushed", 1),
    (["explain"], "No run has come to a decision", 1),
    (["explain", "2001"], "There is no such run", 1),
    (["rollback"], "There is no pipeline", 1),
    (["rollback", "1"], "There is no pipeline", 1),
    (["bless"], "--force", 2),
    (["bless", "--force"], "--reason", 2),
    (["bless", "--force", "--reason", "x"], "There is no pipeline", 1),
    (["gc"], "--keep", 2),
    (["gc", "--keep", "0"], "--keep", 2),
    (["gc", "--keep", "3"], "There is no pipeline", 1),
    (["schema", "diff"], "no run whose data", 4),
    (["schema", "accept", "rating"], "no run whose data", 4),
    (["sweep"], "--over", 2),
    (["sweep", "--over", "model.embedding_dim"], "KEY=V1", 2),
    (["sweep", "--over", "model.embedding_dim="], "no value", 2),
    (["sweep", "--over", "model.embedding_dim=8,8"], "there twice", 2),
    (["sweep", "--over", "model.nothing=1,2"], "model.nothing", 2),
    (["sweep", "--over", "blessing.confidence=0.9"], "would show nothing", 2),
    (["sweep", "--over", "model.embedding_dim=8", "--plot", "x.docx"], "format", 2),
    (["compare", "--models", "mpl"], "did you mean 'mlp'?", 2),
    (["compare", "--models", "mlp,mlp"], "there twice", 2),
    (["compare", "--objective", "clicks"], "--objective", 2),
    (["compare", "--csv", "no/such/folder/o.csv"], "no folder", 2),
    (["compare", "--set", "model.nothing=1"], "model.nothing", 2),
    (["train"], "train", 2),
    (["run", "--fast"], "--fast", 2),
):
    CASES.append(
        Case(
            "marquee " + " ".join(_words),
            lambda place, _words=_words: [*_words, *options(f"root={place.root}")],  # type: ignore[misc]
            (_expected,),
            _code,
        )
    )


# --- what is accepted on purpose ---------------------------------------------------------------


@dataclass(frozen=True)
class Accepted:
    """What may look like bad input and is taken; `write` gives the ratings of an ml-csv folder."""

    name: str
    reason: str
    write: Callable[[Place], bytes]
    sets: tuple[str, ...] = ()


ACCEPTED = [
    Accepted("byte order mark", "what spreadsheets write", lambda p: b"\xef\xbb\xbf" + text(p).encode()),
    Accepted("CRLF", "what GroupLens writes", lambda p: text(p).replace("\n", "\r\n").encode()),
    Accepted("blank lines", "they say nothing", lambda p: text(p).replace("\n", "\n\n").encode()),
    Accepted("no line feed at the end", "the row is whole", lambda p: text(p).encode()[:-1]),
    Accepted(
        "more columns, in any order",
        "nothing reads them",
        lambda p: (
            "\n".join(
                f"{line.replace('userId', 'x,userId')}" if i == 0 else f"0,{line}"
                for i, line in enumerate(lines(p.rows))
            ).encode()
            + b"\n"
        ),
    ),
    Accepted(
        "seconds as 964982703.0",
        "the same second",
        lambda p: (
            "\n".join(line if i == 0 else f"{line}.0" for i, line in enumerate(lines(p.rows))).encode()
            + b"\n"
        ),
    ),
    Accepted(
        "moments within a second",
        "the second they are in, where data.timestamp_unit is finer",
        lambda p: (
            "\n".join(line if i == 0 else f"{line}999" for i, line in enumerate(lines(p.rows))).encode()
            + b"\n"
        ),
        ("data.timestamp_unit=ms",),
    ),
    Accepted(
        "ids of other scripts",
        "an id is text",
        lambda p: (
            "\n".join(line if i == 0 else f"ü用{line}" for i, line in enumerate(lines(p.rows))).encode()
            + b"\n"
        ),
    ),
    Accepted(
        "a few ratings of movies that the table lacks",
        "counted, and told",
        lambda p: (text(p) + "1,unheard-of,4,964982703\n").encode(),
    ),
    Accepted(
        "a rating twice",
        "the later one holds (data.duplicates)",
        lambda p: (text(p) + ",".join(p.rows[0]) + "\n").encode(),
    ),
]
