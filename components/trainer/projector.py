"""The embedding space for TensorBoard's projector: each movie's vector, with its title, genres and year to look by.

Three files beside the logs of training, where TensorBoard looks for them: `tensors.tsv` (a movie a line),
`metadata.tsv` (the same lines, below a header) and `projector_config.pbtxt`, which names them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from components.shared.features import GENRES_KEY, MOVIE_KEY, TITLE_KEY, YEAR_KEY

TENSORS_FILE, METADATA_FILE = "tensors.tsv", "metadata.tsv"
CONFIG_FILE = "projector_config.pbtxt"  # the name that TensorBoard looks for
TENSOR_NAME = "movies"
# What would end a cell or a line: also the separators that only some readers take for one.
_BREAKS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")


def write_projector(folder: Path, movie_ids: Sequence[str], vectors: np.ndarray, movies: pa.Table) -> None:
    """Writes the files of the projector.

    Args:
        folder: That of the logs.
        movie_ids: The movies, (M,).
        vectors: Their vectors, float (M, D).
        movies: The table of `components.export.export.read_movies`; a movie that it lacks has empty cells.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = {row[MOVIE_KEY]: row for row in movies.to_pylist()}
    keys = (MOVIE_KEY, TITLE_KEY, GENRES_KEY, YEAR_KEY)
    with (
        (folder / TENSORS_FILE).open("w", encoding="utf-8", newline="\n") as tensors,
        (folder / METADATA_FILE).open("w", encoding="utf-8", newline="\n") as metadata,
    ):
        metadata.write("\t".join(keys) + "\n")
        for id_, vector in zip(movie_ids, vectors.tolist(), strict=True):
            row = rows.get(id_, {})
            cells = [
                id_,
                row.get(TITLE_KEY) or "",
                ", ".join(row.get(GENRES_KEY) or []),
                row.get(YEAR_KEY) or "",
            ]
            tensors.write("\t".join(f"{value:.6g}" for value in vector) + "\n")
            metadata.write("\t".join(_BREAKS.sub(" ", str(cell)) for cell in cells) + "\n")
    (folder / CONFIG_FILE).write_text(
        "embeddings {\n"
        f'  tensor_name: "{TENSOR_NAME}"\n'
        f'  tensor_path: "{TENSORS_FILE}"\n'
        f'  metadata_path: "{METADATA_FILE}"\n'
        "}\n"
    )
