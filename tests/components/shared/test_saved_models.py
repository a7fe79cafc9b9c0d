"""A SavedModel is loaded once, and again when it has changed."""

from __future__ import annotations

import os

import pytest


def test_a_model_is_loaded_once_and_again_when_it_has_changed(tmp_path):
    import tensorflow as tf

    from components.shared.saved_models import loaded

    def save(value: float) -> None:
        module = tf.Module()
        module.value = tf.Variable(value)
        tf.saved_model.save(module, str(tmp_path))

    save(1.0)
    first = loaded(str(tmp_path))
    assert loaded(str(tmp_path)) is first
    save(2.0)
    file = tmp_path / "saved_model.pb"
    os.utime(file, ns=(0, 1))
    assert loaded(str(tmp_path)).value.numpy() == 2.0


def test_what_is_no_model_is_not_loaded(tmp_path):
    from components.shared.saved_models import loaded

    with pytest.raises(OSError, match="does not exist"):
        loaded(str(tmp_path / "nothing"))
