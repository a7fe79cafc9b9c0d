"""Tests of how TFX is imported; each in a process of its own, as modules stay."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY


def printed(script: str) -> str:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        check=True,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ).stdout


def test_what_is_optional_is_left_out_and_can_be_imported_afterwards() -> None:
    script = """
import gc, sys
from pipeline.runners.loading import loading
with loading(search=False, engine=False):
    import keras
    print("sklearn.base" in sys.modules, "matplotlib.pyplot" in sys.modules, gc.isenabled())
import matplotlib.figure, sklearn.base
print(gc.isenabled(), gc.get_freeze_count() > 100_000)
"""
    assert printed(script).split() == ["False", "False", "False", "True", "True"]


def test_what_is_not_optional_is_whole() -> None:
    """TFMA catches what cannot be imported, and goes on without."""
    script = """
from pipeline.runners.loading import loading
with loading(search=False, engine=False):
    import pipeline.pipeline
import tensorflow_data_validation as tfdv, tensorflow_model_analysis as tfma
print(hasattr(tfma, "default_eval_shared_model"), hasattr(tfma, "__version__"), hasattr(tfdv, "GenerateStatistics"))
"""
    assert printed(script).split() == ["True", "True", "True"]


def test_what_was_imported_before_stays() -> None:
    script = """
import matplotlib
from pipeline.runners.loading import loading
with loading(search=False, engine=False):
    import matplotlib as again
print(again is matplotlib)
"""
    assert printed(script).split() == ["True"]


@pytest.mark.parametrize(("search", "found"), [(True, "True"), (False, "False")])
def test_a_search_has_scikit_learn_for_its_bayesian_oracle(search: bool, found: str) -> None:
    script = f"""
from pipeline.runners.loading import loading
with loading(search={search}, engine=False):
    from keras_tuner.src.tuners import bayesian
print(bayesian.sklearn is not None)
"""
    assert printed(script).split() == [found]


@pytest.mark.parametrize(("engine", "found"), [(True, "True"), (False, "False")])
def test_an_engine_has_the_clients_of_google(engine: bool, found: str) -> None:
    script = f"""
from pipeline.runners.loading import loading
with loading(search=False, engine={engine}):
    import apache_beam.io.filesystems as filesystems, pipeline.pipeline
print("GCSFileSystem" in vars(filesystems))
if {engine}:
    import apache_beam.runners.dataflow.internal.apiclient
import apache_beam.io.gcp.gcsfilesystem
"""
    assert printed(script).split() == [found]


def test_an_error_within_leaves_all_as_it_was() -> None:
    script = """
import gc, sys
from pipeline.runners.loading import loading
try:
    with loading(search=False, engine=False):
        raise ValueError
except ValueError:
    print(gc.isenabled(), "sklearn" in sys.modules)
"""
    assert printed(script).split() == ["True", "False"]
