"""Importing TFX takes five CPU seconds, once a process; here is what makes it less."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from components.shared.imports import left_out

# What Keras, NLTK (which TFMA imports), TensorFlow and Beam take along where it is installed, for wrappers, plots and
# the like, and do without where it is not. IPython is not among them: TFMA is but half imported without.
_OPTIONAL = ["matplotlib", "pymongo"]
_FOR_SEARCH, _FOR_ENGINES = ["sklearn"], ["apache_beam.io.gcp", "oauth2client"]


@contextmanager
def loading(search: bool, engine: bool) -> Iterator[None]:
    """TFX and what is below it are to be imported in here; does nothing where they already are.

    What they have an optional use for is left out, and is there to be imported afterwards. The garbage collector rests:
    it would go through the million objects of the modules again and again. Nor does it look at them later on.

    Args:
        search: Whether KerasTuner is to search: its Bayesian oracle needs scikit-learn.
        engine: Whether Beam runs on an engine of its own, which may be Google's.
    """
    if "tfx" in sys.modules:
        yield
        return
    absent = _OPTIONAL + ([] if search else _FOR_SEARCH) + ([] if engine else _FOR_ENGINES)
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        with left_out(*absent):
            yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
