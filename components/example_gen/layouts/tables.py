"""How the files of a layout are laid out: text without a header, or columns with names; both may be Parquet instead.

A file that ends in .parquet has columns with names, whatever the layout.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence

import pyarrow as pa

from components.example_gen.readers import parquet
from components.example_gen.readers.header import guess_separator, read_head, split_line
from components.example_gen.readers.parquet import ParquetFormat
from components.example_gen.readers.text import TextFormat
from components.example_gen.settings import IngestSettings, MovieColumns, RatingColumns
from components.shared.errors import DataError
from components.shared.features import GENRES_KEY, RATING_KEY, TIMESTAMP_KEY

# A field of a movies table whose end is the year, such as 1995 or 01-Jan-1995, for titles without one.
DATE_KEY = "date"

_WITHOUT_TIMES = (
    "where there are no times, set data.columns.timestamp to null and data.split.method to random"
)


@dataclasses.dataclass(frozen=True)
class Lines:
    """Text without a header.

    Attributes:
        fields: Those of a line in their order: under our names (`user_id`, `movie_id`, `rating`, `timestamp`;
            `movie_id`, `title`, `genres`, `date`, and the genres of `Layout.genre_flags`), others begin with `_`.
        separator: What stands between two of them.
        fallback: What a field is in that is not UTF-8, None where that is an error.
    """

    fields: tuple[str, ...]
    separator: str
    fallback: str | None = None

    def text_format(self, path: str, wanted: Wanted, settings: IngestSettings, layout: str) -> TextFormat:
        """Sees whether the first line has the fields. Raises DataError where it has others."""
        head, encoding = read_head(path), settings.encoding or "UTF-8"
        first = head.lines[0].decode(encoding, "replace")
        count = len(first.split(self.separator))
        fields = self.fields
        has_times = TIMESTAMP_KEY in fields
        if wanted.timeless and has_times:
            fields = tuple(f"_{f}" if f == TIMESTAMP_KEY else f for f in fields)
            if count != len(fields):
                fields = tuple(f for f in fields if f != f"_{TIMESTAMP_KEY}")
        if count != len(fields):
            other = guess_separator(first, len(fields))
            lacks_times = has_times and not wanted.timeless and count == len(fields) - 1
            raise DataError(
                "The separator is not the layout's."
                if other or count == 1
                else "A line has the wrong number of fields.",
                where=f"{path}:1",
                found=f"{count} field(s) in {first[:80]!r}"
                + (f"; {other!r} gives {len(fields)}" if other else ""),
                expected=f"{len(fields)} fields separated by {self.separator!r} ({layout})",
                fix="set data.layout to what the file is"
                if other
                else _WITHOUT_TIMES
                if lacks_times
                else None,
            )
        if wanted.names.get(TIMESTAMP_KEY) and not has_times:
            raise DataError(
                f"The ratings of the layout {layout} have no times.", where=path, fix=_WITHOUT_TIMES
            )
        return TextFormat(
            fields=fields,
            names={f: f for f in fields if not f.startswith("_")},
            separator=self.separator.encode(),
            encoding=encoding,
            quoting=False,
            data_start=head.start,
            fallback=None if settings.encoding else self.fallback,
            timestamp_unit=settings.timestamp_unit,
        )


@dataclasses.dataclass(frozen=True)
class Columns:
    """Columns with names, in any order and beside any others.

    Attributes:
        names: Our name -> what the layout calls the column (the first of them that is there), where that is not
            the default of data.columns or data.movie_columns.
        is_fixed: Whether data.columns cannot give other names.
        separator: What stands between two fields; data.delimiter where None.
        quoting: Whether fields may stand in double quotes.
        has_types: Whether a name in the header is followed by a colon and a type.
        dates: What the layout calls a column of the year or date, where a text file has one.
    """

    names: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    is_fixed: bool = False
    separator: str | None = None
    quoting: bool = True
    has_types: bool = False
    dates: str | None = None

    def text_format(self, path: str, wanted: Wanted, settings: IngestSettings, layout: str) -> TextFormat:
        """Finds the columns in the header.

        Raises:
            DataError: A column is missing or there twice, the separator is another, or there are no rows.
        """
        head, encoding = read_head(path), settings.encoding or "UTF-8"
        first = head.lines[0].decode(encoding, "replace")
        separator = self.separator or settings.delimiter or ("\t" if path.endswith(".tsv") else ",")
        header = split_line(first, separator, self.quoting)
        columns = [n.rpartition(":")[0] if self.has_types and ":" in n else n for n in header]
        if len(columns) == 1 and (RATING_KEY in wanted.names or any(c in first for c in ",;\t|:")):
            other = guess_separator(first, None)
            if other:
                raise DataError(
                    "The separator is not the one in the header.",
                    where=f"{path}:1",
                    found=f"{first[:80]!r}, which {other!r} would separate",
                    expected=f"fields separated by {separator!r}",
                    fix="set data.layout to csv and data.delimiter"
                    if self.separator
                    else f"set data.delimiter to {other!r}",
                )
        chosen = _choose(path, columns, wanted)
        if head.is_whole and len(head.lines) == 1:
            raise DataError(
                "The file has a header and no rows.",
                where=path,
                found=repr(first[:80]),
                expected="rows below the header",
            )
        start = head.data.index(head.lines[0], head.start)
        ours = {name: key for key, name in chosen.items()}
        if self.dates in columns:
            ours[self.dates] = DATE_KEY
        return TextFormat(
            fields=tuple(ours.get(name, f"_{i}") for i, name in enumerate(columns)),
            names=chosen,
            separator=separator.encode(),
            encoding=encoding,
            quoting=self.quoting,
            data_start=head.data.find(b"\n", start) + 1 or len(head.data),
            timestamp_unit=settings.timestamp_unit,
        )


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The columns of a file.

    Attributes:
        names: Our name -> what the file may call it, None where it is not to be read.
        setting: The key of the configuration that names them.
        is_fixed: As of `Columns`.
    """

    names: Mapping[str, Sequence[str] | None]
    setting: str
    is_fixed: bool

    @property
    def timeless(self) -> bool:
        """Whether these are ratings that are said to have no times."""
        return TIMESTAMP_KEY in self.names and self.names[TIMESTAMP_KEY] is None


def file_format(
    path: str,
    table: Lines | Columns,
    chosen: RatingColumns | MovieColumns,
    settings: IngestSettings,
    layout: str,
) -> TextFormat | ParquetFormat:
    """Reads the head of a file and says how to read the rest.

    Args:
        path: The file.
        table: How the layout has it as text.
        chosen: The names of its columns in the settings.
        settings: What the configuration says of the input.
        layout: The layout's name, for messages.

    Raises:
        DataError: The file is missing or empty, has a header only, lacks a column or has another separator.
    """
    wanted = _wanted(table if isinstance(table, Columns) else Columns(), chosen)
    if path.endswith(".parquet"):
        return _parquet_format(path, wanted, settings.timestamp_unit)
    return table.text_format(path, wanted, settings, layout)


def _wanted(columns: Columns, chosen: RatingColumns | MovieColumns) -> Wanted:
    default = type(chosen)()
    names: dict[str, Sequence[str] | None] = {}
    for ours in type(chosen).model_fields:
        name, usual = getattr(chosen, ours), getattr(default, ours)
        is_default = columns.is_fixed or name == usual
        names[ours] = None if name is None else columns.names.get(ours, (usual,)) if is_default else (name,)
    setting = "data.columns" if isinstance(chosen, RatingColumns) else "data.movie_columns"
    return Wanted(names, setting, columns.is_fixed)


def _parquet_format(path: str, wanted: Wanted, timestamp_unit: str) -> ParquetFormat:
    schema, num_rows = parquet.read_schema(path)
    chosen = _choose(path, schema.names, wanted)
    for ours, name in chosen.items():
        kind = schema.field(name).type
        if pa.types.is_nested(kind) and not (ours == GENRES_KEY and pa.types.is_list(kind)):
            raise DataError(
                f"The column {name!r} holds no single values.",
                where=path,
                found=str(kind),
                expected="text or a number",
            )
    if not num_rows:
        raise DataError("The file has columns and no rows.", where=path)
    return ParquetFormat(chosen, timestamp_unit)


def _choose(path: str, names: Sequence[str], wanted: Wanted) -> dict[str, str]:
    """Our name -> that of the file's column."""
    chosen = {}
    for ours, options in wanted.names.items():
        if options is None:
            continue
        name = next((name for name in options if name in names), None)
        if name is None:
            raise _missing(path, names, wanted, ours, options)
        if list(names).count(name) > 1:
            raise DataError(f"The column {name!r} is there twice.", where=path, found=", ".join(names))
        chosen[ours] = name
    return chosen


def _missing(path: str, names: Sequence[str], wanted: Wanted, ours: str, options: Sequence[str]) -> DataError:
    lower = {n.lower().strip(): n for n in names}
    likely = [
        lower[n]
        for o in [*options, ours]
        for n in difflib.get_close_matches(o.lower(), lower, n=1, cutoff=0.6)
    ]
    hint = f", did you mean {likely[0]!r}?" if likely else ""
    return DataError(
        f"The column {options[0]!r} is missing{hint or '.'}",
        where=path,
        found="columns " + ", ".join(repr(n) for n in names),
        expected=" or ".join(repr(o) for o in options),
        fix=f"name the column in {wanted.setting}.{ours}"
        + (" (with data.layout: csv)" if wanted.is_fixed else "")
        + (f"; {_WITHOUT_TIMES}" if ours == TIMESTAMP_KEY and not hint else ""),
    )
