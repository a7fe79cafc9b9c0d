"""Importing TFX takes five CPU seconds, once a process; here is what makes it less."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from components.shared.imports import left_out

# What Keras and NLTK (which TFMA imports) take along where it is installed, for wrappers and plots, and do without
# where it is not. IPython is not among them: TFMA is but half imported without.
_OPTIONAL = ("matplotlib", "sklearn")


@contextmanager
def loading(search: bool) -> Iterator[None]:
    """TFX and what is below it are to be imported in here; does nothing where they already are.

    What they have an optional use for is left out, and is there to be imported afterwards. The garbage collector rests:
    it would go through the million objects of the modules again and again. Nor does it look at them later on.

    Args:
        search: Whether KerasTuner is to search: its Bayesian oracle needs scikit-learn.
    """
    if "tfx" in sys.modules:
        yield
        return
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        with left_out(*(() if search else _OPTIONAL)):
            yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
