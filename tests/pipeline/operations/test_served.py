"""TensorFlow is imported without Keras to ask an export, and Keras is there for whoever wants it afterwards."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.conftest import REPOSITORY


def printed(script: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    return done.stdout.split()


def test_keras_is_not_imported_with_it_and_can_be_afterwards() -> None:
    script = """
import sys
from pipeline.operations.served import tensorflow
tf = tensorflow()
print("keras" in sys.modules, "sklearn" in sys.modules)
import keras
print(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).count_params())
print(int(tf.constant(2) + 1), tensorflow() is tf)
"""
    assert printed(script) == ["False", "False", "3", "3", "True"]


def test_what_is_imported_stays() -> None:
    script = """
import keras
from pipeline.operations.served import tensorflow
tensorflow()
import keras as again
print(again is keras)
"""
    assert printed(script) == ["True"]
