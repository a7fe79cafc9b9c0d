"""Data sets that come with the installed packages."""

from __future__ import annotations

import hashlib
import importlib.metadata

from components.shared.errors import DataError

# MovieLens 100K as the recbole package carries it.
_ML_100K = {
    "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
}
_FIX = "run `make setup` again, or set data.path to a data set of your own"


def movielens_100k() -> str:
    """Finds MovieLens 100K within the installed recbole package, without importing it, and verifies it.

    Returns:
        The folder with ml-100k.inter and ml-100k.item (layout recbole).

    Raises:
        DataError: The package or a file is missing, or a file is not what it should be.
    """
    try:
        package = importlib.metadata.distribution("recbole")
    except importlib.metadata.PackageNotFoundError:
        raise DataError(
            "The package recbole, which carries MovieLens 100K, is not installed.",
            expected="recbole==1.2.1",
            fix=_FIX,
        ) from None
    folder = str(package.locate_file("recbole/dataset_example/ml-100k"))
    for name, expected in _ML_100K.items():
        path = f"{folder}/{name}"
        try:
            with open(path, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DataError(
                f"A file of MovieLens 100K cannot be read: {error.strerror}.", where=path, fix=_FIX
            ) from error
        if found != expected:
            raise DataError(
                "A file of MovieLens 100K is not the one that was published.",
                where=path,
                found=f"sha256 {found}",
                expected=f"sha256 {expected}",
                fix=_FIX,
            )
    return folder
