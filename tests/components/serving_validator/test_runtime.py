"""TensorFlow's C API gives back what it was given, and says what it cannot do."""

from __future__ import annotations

import numpy as np
import pytest

from components.serving_validator.probe.runtime import Runtime, SavedModel, TensorFlowError
from components.serving_validator.validation import signatures
from tests.components.serving_validator.conftest import raw_example


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
    found = runtime.array(tensor).copy()
    runtime.TF_DeleteTensor(tensor)
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
    floats = {
        variable.name.split(":")[0]: variable
        for signature in loaded.signatures.values()
        for variable in signature.variables
        if variable.dtype.is_floating
    }
    found = model.not_finite()
    assert {name: found[name] for name in floats} == {
        name: (0, int(tf.size(variable))) for name, variable in floats.items()
    }


def test_what_is_fetched_is_there_the_next_time_too(runtime, tmp_path):
    """Also long strings, of which an answer may be the variable's own memory."""
    import tensorflow as tf

    ids = [f"{number:036d}".encode() for number in range(8)]
    module = tf.Module()
    module.ids = tf.Variable(ids)
    module.all = tf.function(
        lambda: {"all": module.ids[:8], "same": module.ids.read_value()}, input_signature=[]
    )
    tf.saved_model.save(module, str(tmp_path), signatures=module.all)
    model, of = SavedModel(runtime, str(tmp_path)), signatures(tmp_path)["serving_default"]["outputs"]
    for _ in range(3):
        found = model.run({}, [of["all"][1][0], of["same"][1][0]])
        assert [array.tolist() for array in found] == [ids, ids]


def test_a_sparse_answer_has_three_tensors(runtime, exported):
    of = signatures(exported.path)["transform_features"]
    dtype, names = of["outputs"]["genres_xf"]
    assert (dtype, len(names)) == ("int64", 3)
    ((_, (given,)),) = of["inputs"].values()
    examples = strings(raw_example("ann", "m1", 4.0, ["Drama", "War"]))
    values, indices, shape = SavedModel(runtime, str(exported.path)).run({given: examples}, names)
    assert (len(values), indices.tolist(), shape.tolist()) == (2, [[0, 0], [0, 1]], [1, 2])


def _output(exported, signature: str, key: str) -> str:
    _, (name,) = signatures(exported.path)[signature]["outputs"][key]
    return name


def test_errors_have_the_names_of_tensorflow(runtime, exported, tmp_path):
    with pytest.raises(TensorFlowError, match=r"^NotFoundError: Could not find SavedModel"):
        SavedModel(runtime, str(tmp_path))
    model = SavedModel(runtime, str(exported.path))
    probability = _output(exported, "predict", "probability")
    with pytest.raises(TensorFlowError, match=r"^NotFoundError: no tensor 'nowhere:0' in the graph"):
        model.run({}, ["nowhere:0"])
    with pytest.raises(TensorFlowError, match=r"^InvalidArgumentError: You must feed a value"):
        model.run({}, [probability])
    with pytest.raises(TensorFlowError, match=r"^InvalidArgumentError: .*int64"):
        model.run({"predict_user_ids:0": np.array([1]), "predict_movie_ids:0": strings(b"m1")}, [probability])
    with pytest.raises(TypeError, match="complex"):
        runtime.tensor(np.array([1j]))
