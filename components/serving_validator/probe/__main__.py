"""Starts the probe, by the path of this file alone."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path


def start(request_path: str, report_path: str) -> None:
    """Imports the folder of this file as the package `probe`, and runs it.

    What stands beside that folder is the project's, and can be imported for this one moment only.
    """
    folder = Path(__file__).parent
    sys.path.insert(0, str(folder.parent))
    run = importlib.import_module(f"{folder.name}.run")
    del sys.path[0]
    run.main(request_path, report_path)
    # All is written; nothing needs to be freed.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    start(*sys.argv[1:])
