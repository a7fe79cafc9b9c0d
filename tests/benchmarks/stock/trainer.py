"""`run_fn` of the stock Trainer: `model.fit` of a dot product from the TFRecords, exported with its transformation."""

from __future__ import annotations

import keras
import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from stock.features import GENRES, IDS, LABEL, MAX_GENRES

_DIM = 32
_BATCH_SIZE = 1024


def run_fn(fn_args: FnArgs) -> None:
    """Trains `custom_config["epochs"]` epochs."""
    output = tft.TFTransformOutput(fn_args.transform_output)
    keras.utils.set_random_seed(0)
    model = _model(output)
    model.compile(
        optimizer=keras.optimizers.Adam(2e-3), loss="binary_crossentropy", metrics=[keras.metrics.AUC()]
    )
    model.fit(
        _rows(fn_args.train_files, output).shuffle(100),
        validation_data=_rows(fn_args.eval_files, output),
        epochs=fn_args.custom_config["epochs"],
        verbose=2,
    )
    _export(model, output, fn_args.serving_model_dir)


def _rows(patterns: list[str], output: tft.TFTransformOutput) -> tf.data.Dataset:
    """Batches of features and labels."""
    spec = output.transformed_feature_spec()

    def parsed(records: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        features = tf.io.parse_example(records, spec)
        return features, features.pop(LABEL)

    files = tf.io.gfile.glob(patterns)
    records = tf.data.TFRecordDataset(files, compression_type="GZIP")
    return records.batch(_BATCH_SIZE).map(parsed, num_parallel_calls=2).prefetch(2)


def _model(output: tft.TFTransformOutput) -> keras.Model:
    inputs = {key: keras.Input((1,), dtype="int64", name=key) for key in IDS}
    inputs[GENRES] = keras.Input((MAX_GENRES,), dtype="int64", name=GENRES)
    # One more for ids out of the vocabulary, and one for no genre.
    sizes = {key: output.vocabulary_size_by_name(key) + 1 for key in IDS}
    decay = keras.regularizers.L2(1e-5)

    def embedded(key: str, dim: int, **options: object) -> keras.KerasTensor:
        embedding = keras.layers.Embedding(sizes[key], dim, **options)
        return keras.layers.Flatten()(embedding(inputs[key]))

    user, movie = (embedded(key, _DIM, embeddings_regularizer=decay) for key in IDS)
    genres = keras.layers.Embedding(output.vocabulary_size_by_name(GENRES) + 2, _DIM, mask_zero=True)
    movie = movie + keras.layers.GlobalAveragePooling1D()(genres(inputs[GENRES]))
    logit = keras.layers.Dot(axes=1)([user, movie]) + embedded(IDS[0], 1) + embedded(IDS[1], 1)
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(logit))


def _export(model: keras.Model, output: tft.TFTransformOutput, folder: str) -> None:
    raw = output.raw_feature_spec()
    asked = {key: raw[key] for key in (*IDS, GENRES)}
    module = tf.Module()
    module.model, module.transform = model, output.transform_features_layer()
    examples = [tf.TensorSpec([None], tf.string, name="examples")]

    @tf.function(input_signature=examples)
    def serving_default(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        features = module.transform(tf.io.parse_example(examples, asked))
        return {"probability": module.model({key: features[key] for key in asked}, training=False)}

    @tf.function(input_signature=examples)
    def transform_features(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(module.transform(tf.io.parse_example(examples, raw)))

    tf.saved_model.save(
        module,
        folder,
        signatures={"serving_default": serving_default, "transform_features": transform_features},
    )
