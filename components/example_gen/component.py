"""The component: spec, driver and executor of the ratings ExampleGen."""

from __future__ import annotations

import glob
from typing import ClassVar

from tfx import types
from tfx.components.example_gen import component as tfx_example_gen
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.proto import example_gen_pb2, range_config_pb2
from tfx.types import component_spec, standard_artifacts, standard_component_specs

from components.example_gen import detection, executor, layouts
from components.example_gen.settings import IngestSettings
from components.shared.artifact_types import Movies
from components.shared.fingerprint import code_fingerprint


class RatingsExampleGenSpec(component_spec.ComponentSpec):
    """That of a FileBasedExampleGen, with the settings as JSON and the movies table as a second output."""

    PARAMETERS: ClassVar = {
        **standard_component_specs.FileBasedExampleGenSpec.PARAMETERS,
        executor.SETTINGS_KEY: component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS: ClassVar[dict[str, component_spec.ChannelParameter]] = {}
    OUTPUTS: ClassVar = {
        standard_component_specs.EXAMPLES_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Examples
        ),
        executor.MOVIES_KEY: component_spec.ChannelParameter(type=Movies),
    }


class RatingsExampleGen(tfx_example_gen.FileBasedExampleGen):
    """Reads ratings and movies and writes tf.Examples in the splits train, eval and test.

    Component `outputs` contains:
     - `examples`: Channel of type `standard_artifacts.Examples`; features user_id, movie_id (bytes),
       rating (float), timestamp (int64), genres (bytes, any number).
     - `movies`: Channel of type `Movies`.

    ```
    source = detection.detect(path, settings)
    example_gen = RatingsExampleGen(source, settings)
    ```

    Args:
        source: What `detection.detect` found.
        settings: The same settings.
        range_config: Which span to read, where the file patterns have one; the latest when None.
    """

    SPEC_CLASS = RatingsExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        source: detection.Source,
        settings: IngestSettings,
        range_config: range_config_pb2.RangeConfig | None = None,
    ) -> None:
        splits = [example_gen_pb2.Input.Split(name=name, pattern=of) for name, of in source.inputs]
        spec = RatingsExampleGenSpec(
            # TFX takes folder and pattern together as one glob.
            input_base=glob.escape(source.base),
            input_config=example_gen_pb2.Input(splits=splits),
            output_config=example_gen_pb2.Output(),
            output_data_format=example_gen_pb2.FORMAT_TF_EXAMPLE,
            output_file_format=example_gen_pb2.FORMAT_TFRECORDS_GZIP,
            range_config=range_config,
            settings=settings.model_copy(update={"layout": source.layout, "spans": None}).model_dump_json(),
            code=code_fingerprint("shared/features.py", "shared/columns.py", "example_gen/**/*.py")
            + layouts.outside_fingerprint(source.layout),
            examples=types.Channel(type=standard_artifacts.Examples),
            movies=types.Channel(type=Movies),
        )
        # FileBasedExampleGen would build its own spec, without the second output.
        base_beam_component.BaseBeamComponent.__init__(self, spec=spec)
