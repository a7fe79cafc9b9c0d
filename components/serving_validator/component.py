"""The component: stands where the InfraValidator stands, and needs no Docker.

The InfraValidator starts TensorFlow Serving in a container, sends it tf.Examples, and sees whether the model loads and
answers anything. This one starts a process with TensorFlow's C++ runtime, whose loader is that of TensorFlow Serving,
and asks every signature what a client may ask; the answers must be right too. Its blessing is the standard one, without
which Pusher pushes nothing.

Where the warm-up requests are: the InfraValidator writes them into a copy of the model in its blessing, which Pusher
then pushes instead. Here they come with the Trainer's export. So there is no further copy of the model on disk, what
was evaluated is byte for byte what is pushed, and the requests are tried before it is.
"""

from __future__ import annotations

import glob
import json
from pathlib import Path
from typing import Any

from absl import logging
from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts, standard_component_specs
from tfx.utils import path_utils

from components.serving_validator.settings import ServingValidatorSettings
from components.serving_validator.validation import validate
from components.shared.features import TEST_SPLIT
from components.shared.fingerprint import code_fingerprint

SETTINGS_KEY = "settings"
# Of the blessing: what Pusher looks at, and what `marquee` shows.
BLESSED, FAILURES = "blessed", "failures"
# Marker files of the InfraValidator.
_BLESSED_FILE, _NOT_BLESSED_FILE = "INFRA_BLESSED", "INFRA_NOT_BLESSED"


class Executor(base_executor.BaseExecutor):
    """Validates the export and writes the blessing with `report.json` beside it."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        self._log_startup(input_dict, output_dict, exec_properties)
        model = artifact_utils.get_single_instance(input_dict[standard_component_specs.MODEL_KEY])
        blessing = artifact_utils.get_single_instance(output_dict[standard_component_specs.BLESSING_KEY])
        examples = artifact_utils.get_split_uri(input_dict[standard_component_specs.EXAMPLES_KEY], TEST_SPLIT)
        report = validate(
            path_utils.serving_model_path(model.uri, path_utils.is_old_model_artifact(model)),
            glob.glob(f"{glob.escape(examples)}/*"),  # noqa: PTH207
            ServingValidatorSettings.model_validate_json(exec_properties[SETTINGS_KEY]),
            Path(blessing.uri),
        )
        blessed = report["blessed"]
        (Path(blessing.uri) / (_BLESSED_FILE if blessed else _NOT_BLESSED_FILE)).touch()
        blessing.set_int_custom_property(BLESSED, int(blessed))
        blessing.set_string_custom_property(FAILURES, json.dumps(report["failures"]))
        for name in ("load_seconds", "memory_mb", "size_mb", "parity"):
            if name in report:
                blessing.set_float_custom_property(name, report[name])
        slowest = max(report["latency_ms"].items(), key=lambda item: item[1]["p95"], default=None)
        if slowest:
            blessing.set_string_custom_property("slowest", slowest[0])
            blessing.set_float_custom_property("p95_ms", slowest[1]["p95"])
        for failure in report["failures"]:
            logging.error("Not fit for serving: %s", failure)


class ServingValidatorSpec(component_spec.ComponentSpec):
    """Settings as JSON, and a fingerprint that makes a changed program validate again."""

    PARAMETERS = {
        SETTINGS_KEY: component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        standard_component_specs.MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model),
        standard_component_specs.EXAMPLES_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.Examples
        ),
    }
    OUTPUTS = {
        standard_component_specs.BLESSING_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.InfraBlessing
        ),
    }


class ServingValidator(base_component.BaseComponent):
    """Blesses an export that TensorFlow alone can load and that answers as it must.

    Args:
        model: What the Trainer exported.
        examples: Raw examples; those of the split `test` are sent.
        settings: How to ask, and the budgets.

    Outputs: `blessing`, an InfraBlessing. Custom properties: `blessed` (1 or 0), `failures` (sentences, as a JSON
    list), `load_seconds`, `p95_ms` of the signature `slowest`, `size_mb`, `memory_mb`, `parity` (greatest difference
    from the Trainer's predictions). Files: `report.json`, `probe.log`, and INFRA_BLESSED or INFRA_NOT_BLESSED.
    """

    SPEC_CLASS = ServingValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        examples: types.BaseChannel,
        settings: ServingValidatorSettings,
    ) -> None:
        super().__init__(
            spec=ServingValidatorSpec(
                model=model,
                examples=examples,
                settings=settings.model_dump_json(),
                code=code_fingerprint("shared/features.py", "export/*.py", "serving_validator/**/*.py"),
                blessing=types.Channel(type=standard_artifacts.InfraBlessing),
            )
        )
