"""TensorFlow's C API gives back what it was given, and says what it cannot do."""

from __future__ import annotations

import numpy as np
import pytest

from components.serving_validator.probe.runtime import Runtime, SavedModel, TensorFlowError


@pytest.fixture(scope="module")
def runtime():
    return Runtime()


def strings(*values: bytes) -> np.ndarray:
    return np.array(values, object)


# A string of up to 22 bytes lies in the tensor, a longer one elsewhere.
LENGTHS = strings(b"", b"a", b"a" * 22, b"b" * 23, b"c" * 5000, "Amélie".encode(), b"with\0zeros\0")


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.arange(6, dtype=np.float32).reshape(2, 3).T,
        np.array([True, False]),
        np.array(2**31 - 1, np.int32),
        np.array([[-1, 2**62]], np.int64),
        np.zeros((0, 4), np.float64),
        LENGTHS,
        LENGTHS[:6].reshape(2, 3),
        strings(),
    ],
    ids=lambda array: f"{array.dtype} {array.shape}",
)
def test_a_tensor_has_what_the_array_had(runtime, array):
    tensor = runtime.tensor(array)
    found = runtime.array(tensor)
    runtime.free(tensor)
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    assert found.tolist() == array.tolist()


def test_answers_and_variables_are_those_of_tensorflow_in_python(runtime, exported):
    import tensorflow as tf

    loaded, model = tf.saved_model.load(str(exported.path)), SavedModel(runtime, str(exported.path))
    users, movies = strings(b"ann", b"nobody"), strings(b"m1", b"m2")
    (answer,) = model.run(
        {"predict_user_ids:0": users, "predict_movie_ids:0": movies},
        [_output(exported, "predict", "probability")],
    )
    expected = loaded.signatures["predict"](user_ids=tf.constant(users), movie_ids=tf.constant(movies))
    np.testing.assert_allclose(answer, expected["probability"], rtol=1e-6)
    values = model.variables()
    floats = {
        variable.name.split(":")[0]: variable
        for signature in loaded.signatures.values()
        for variable in signature.variables
        if variable.dtype.is_floating
    }
    assert values.keys() >= floats.keys()
    for name, variable in floats.items():
        np.testing.assert_array_equal(values[name], variable)


def _output(exported, signature: str, key: str) -> str:
    from components.serving_validator.validation import signatures

    _, (name,) = signatures(exported.path)[signature]["outputs"][key]
    return name


def test_errors_have_the_names_of_tensorflow(runtime, exported, tmp_path):
    with pytest.raises(TensorFlowError, match="Could not find SavedModel") as raised:
        SavedModel(runtime, str(tmp_path))
    assert raised.value.kind == "NotFoundError"
    model = SavedModel(runtime, str(exported.path))
    with pytest.raises(TensorFlowError, match="no tensor 'nowhere:0' in the graph"):
        model.run({}, ["nowhere:0"])
    with pytest.raises(TensorFlowError, match="must feed a value") as raised:
        model.run({}, [_output(exported, "predict", "probability")])
    assert raised.value.kind == "InvalidArgumentError"
