"""The extractor of the Evaluator: files of examples -> the labels and predictions of each slice, as arrays.

TFMA's own extractors take a batch apart into rows, and a row into its slices, in Python. Here a slice of a batch is an
array of rows, and `components.evaluator.metrics` adds arrays.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import filterfalse
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api.types import EvalSharedModel, Extracts
from tensorflow_model_analysis.extractors import extractor, slice_key_extractor
from tensorflow_model_analysis.slicer import slicer_lib

from components.shared.errors import ConfigError, DataError, ModelError
from components.shared.saved_models import loaded

_BATCH = 16_384

Tensors = Mapping[str, tf.Tensor]


def slices_extractor(
    config: tfma.EvalConfig, models: Sequence[EvalSharedModel], raw: Collection[str]
) -> extractor.Extractor:
    """Extracts with the path of a file of tf.Examples (gzip) under `tfma.INPUT_KEY` -> extracts of slices.

    These have under LABELS_KEY and PREDICTIONS_KEY a model's name -> its rows of the slice, (N,), and under
    SLICE_KEY_TYPES_KEY the key of the slice. A row is in a slice if a model's `transform_features` says so; by a
    feature that it does not make, if the example does, as TFMA has it.

    Args:
        config: Slices are of all rows, or by one feature of strings each, of which a row may have any number.
        models: Those of `model_specs`, in its order.
        raw: Features of strings that an example may have.

    Raises:
        ConfigError: A slice is another one; a feature of a slice is neither of the models nor in `raw`.
        ModelError: A model lacks a signature or an output, or says what is no probability.
        DataError: A file cannot be read; an example lacks a feature, or it is of another type.
    """
    keys = []
    for spec in config.slicing_specs:
        if len(spec.feature_keys) > 1 or spec.feature_values or spec.slice_keys_sql:
            raise ConfigError(
                "The evaluation cannot be sliced so.",
                where="slicing_specs",
                found=str(spec).replace("\n", " ").strip(),
                expected="all rows, or one of feature_keys",
            )
        keys.append(next(iter(spec.feature_keys), None))
    return extractor.Extractor(
        # What TFMA's evaluator waits for.
        stage_name=slice_key_extractor.SLICE_KEY_EXTRACTOR_STAGE_NAME,
        ptransform=beam.ParDo(_Slices(config, models, keys, raw)),
    )


@beam.typehints.with_input_types(Extracts)
@beam.typehints.with_output_types(Extracts)
class _Slices(beam.DoFn):
    def __init__(
        self,
        config: tfma.EvalConfig,
        models: Sequence[EvalSharedModel],
        keys: Sequence[str | None],
        raw: Collection[str],
    ) -> None:
        self._specs, self._shared = list(config.model_specs), list(models)
        self._keys, self._raw = keys, frozenset(raw)

    def setup(self) -> None:
        self._models = [loaded(shared.model_path) for shared in self._shared]
        made: set[str] = set()
        for shared, model, spec in zip(self._shared, self._models, self._specs, strict=True):
            (preprocessing,) = spec.preprocessing_function_names
            made |= {*_outputs(shared.model_path, model, preprocessing, spec.label_key)}
            _outputs(shared.model_path, model, spec.signature_name, spec.prediction_key)
        for key in self._keys:
            if key and key not in made | self._raw:
                raise ConfigError(
                    f"The evaluation cannot be sliced by {key!r}.",
                    where="slicing_specs",
                    expected=f"a feature of Transform or of the schema: {', '.join(sorted(made | self._raw))}",
                )

    def process(self, extracts: Extracts) -> Iterator[Extracts]:
        path = extracts[constants.INPUT_KEY].decode()
        records = tf.data.TFRecordDataset([path], compression_type="GZIP", buffer_size=1 << 20)
        try:
            for batch in records.batch(_BATCH):
                yield from self._slices(batch)
        except tf.errors.OpError as error:
            raise DataError(
                "The examples cannot be evaluated.",
                where=path,
                found=_sentence(error.message),
                fix="remove the file: a new run makes the examples again, and goes on from there",
            ) from error

    def _slices(self, records: tf.Tensor) -> Iterator[Extracts]:
        labels, predictions, transformed = {}, {}, []
        for shared, model, spec in zip(self._shared, self._models, self._specs, strict=True):
            (preprocessing,) = spec.preprocessing_function_names
            transformed.append(model.signatures[preprocessing](examples=records))
            answer = model.signatures[spec.signature_name](examples=records)[spec.prediction_key]
            labels[spec.name] = transformed[-1][spec.label_key].numpy().reshape(-1)
            predictions[spec.name] = _probabilities(answer, shared.model_path)
        for key in self._keys:
            if key is None:
                yield _extracts((), labels, predictions)
                continue
            for value, rows in _rows_by_value(*_values(key, transformed, records)):
                of_slice = (
                    {name: of[rows] for name, of in arrays.items()} for arrays in (labels, predictions)
                )
                yield _extracts(((key, value),), *of_slice)


def _outputs(path: str, model: Any, signature: str, output: str) -> Iterable[str]:
    """The outputs of a signature, of which one has to be there."""
    found = model.signatures[signature].structured_outputs if signature in model.signatures else {}
    if output not in found:
        raise ModelError(
            "The model cannot be evaluated.",
            where=path,
            found=f"outputs of the signature {signature}: {', '.join(sorted(found)) or 'none'}",
            expected=output,
            fix="train it again",
        )
    return found


def _sentence(message: str) -> str:
    """What TensorFlow has to say, without the node of the graph before it and the stack around it."""
    frame = re.compile(r"\s|Graph execution error|Detected at node|<stack traces|$")
    return re.sub(r"\{\{.*?\}\} ?", "", next(filterfalse(frame.match, message.splitlines()), message))


def _probabilities(answer: tf.Tensor, path: str) -> np.ndarray:
    predictions = answer.numpy().reshape(-1)
    wrong = predictions[~((predictions >= 0) & (predictions <= 1))]  # not a number is neither
    if len(wrong):
        raise ModelError(
            f"The model says what is no probability in {len(wrong)} of {len(predictions)} rows.",
            where=path,
            found=str(wrong[0]),
            expected="0 to 1",
            fix="train it again, with a smaller model.learning_rate",
        )
    return predictions


def _values(key: str, transformed: Sequence[Tensors], records: tf.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Rows and the values of a feature that they have: int64 (V,) and bytes, object (V,)."""
    made = [of[key].numpy().reshape(-1) for of in transformed if key in of]
    if made:
        return np.tile(np.arange(len(made[0])), len(made)), np.concatenate(made)
    values = tf.io.parse_example(records, {key: tf.io.RaggedFeature(tf.string)})[key]
    return values.value_rowids().numpy(), values.values.numpy()


def _rows_by_value(rows: np.ndarray, values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Each value and its rows, once each."""
    encoded = pa.array(values, pa.binary()).dictionary_encode()
    codes = encoded.indices.to_numpy()
    for code, value in enumerate(encoded.dictionary.to_pylist()):
        yield value.decode(), np.unique(rows[codes == code])


def _extracts(
    key: slicer_lib.SliceKeyType, labels: Mapping[str, np.ndarray], predictions: Mapping[str, np.ndarray]
) -> Extracts:
    return {
        constants.LABELS_KEY: labels,
        constants.PREDICTIONS_KEY: predictions,
        constants.SLICE_KEY_TYPES_KEY: slicer_lib.slice_keys_to_numpy_array([key]),
    }
