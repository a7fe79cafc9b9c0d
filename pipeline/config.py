"""The configuration of a pipeline: typed, frozen, and loaded here alone."""

from __future__ import annotations

import difflib
import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import (
    BaseModel,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from components.blessing.settings import BlessingSettings
from components.data_gate.settings import DataGateSettings
from components.models import DEFAULTS, MODEL_NAME, AnyModelConfig, config_of, find, name_of
from components.models.hyperparameters import ModelConfig
from components.models.search_space import Dimension, search_space
from components.ranking.settings import RankingSettings
from components.shared.errors import ConfigError
from components.shared.features import INTERACTION, LIKE, LabelRule
from components.tuner.settings import TuningSettings
from pipeline.sections import (
    BUILTIN,
    BeamConfig,
    DataConfig,
    EvaluationConfig,
    MetadataConfig,
    NotifyConfig,
    Section,
    ServingConfig,
    TransformConfig,
)
from pipeline.yaml_text import assign, find_file, parse_override, read_file, refuse_nul, shown, source_of_key

if TYPE_CHECKING:
    pass

SCHEMA = Path(__file__).parent.parent / "schema" / "schema.pbtxt"
# Endings of a ratings file that say nothing of what is in it.
_SUFFIXES = (".csv", ".tsv", ".parquet", ".dat", ".inter", ".data")
# The name of folders and, with those of components, of rows in a database, which take 255.
_NAME_CHARS = 100
_ROOT_BYTES = 3500  # of the 4096 that a path may have, as TFX's own folders are below it
# Components of TFX have Beam read `<artifact>/*`, and Beam has no way to take what stands before it literally.
_PATTERN = frozenset("*?[\\")
_BY_NAME: TypeAdapter[ModelConfig | None] = TypeAdapter(AnyModelConfig | None)


class PipelineConfig(Section):
    """Everything that decides what a run does."""

    name: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]*$",
        max_length=_NAME_CHARS,
        description="Name of the pipeline: runs of one name share metadata and baseline. Default: after data.path.",
    )
    root: str = Field(
        "marquee-root", min_length=1, description="Folder that holds everything the pipelines write."
    )
    schema_path: str = Field(str(SCHEMA), min_length=1, description="The curated schema.")
    data: DataConfig = Field(DataConfig(), description="The ratings.")
    data_gate: DataGateSettings = Field(
        DataGateSettings(), description="What the data gate refuses and what it tells."
    )
    label: LabelRule = Field(LabelRule(), description="The label.")
    transform: TransformConfig = Field(TransformConfig(), description="The transformation.")
    model: AnyModelConfig = Field(
        default_factory=lambda: config_of(DEFAULTS[LIKE]),
        description="The model that says how likely a user likes a movie, and its training (TFRS's ranking); null: that"
        " of retrieval answers for it.",
    )
    retrieval: AnyModelConfig | None = Field(
        default_factory=lambda: config_of(DEFAULTS[INTERACTION], objective=INTERACTION),
        description="The model that recommends, and its training; null: model answers for it.",
    )
    tuning: TuningSettings = Field(TuningSettings(), description="The search for the model's best values.")
    evaluation: EvaluationConfig = Field(EvaluationConfig(), description="The evaluation.")
    serving: ServingConfig = Field(ServingConfig(), description="The validation of the export.")
    blessing: BlessingSettings = Field(BlessingSettings(), description="The other rules of the blessing.")
    ranking: RankingSettings = Field(
        RankingSettings(), description="The evaluation as a ranking, and the floors."
    )
    beam: BeamConfig = Field(BeamConfig(), description="The engine of the data stages.")
    metadata: MetadataConfig = Field(MetadataConfig(), description="ML Metadata.")
    notify: NotifyConfig = Field(NotifyConfig(), description="Who is told how a run ended.")

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        values = dict(values)
        if all(values.get(key, "") is None for key in _MODELS):
            raise ConfigError(
                "No model is left to train.",
                where="keys model and retrieval",
                found="null for both",
                expected="one or both of them",
            )
        values |= _two_models(values)
        data = values.get("data")
        if not values.get("name"):
            path = (
                str((data or {}).get("path") or DataConfig().path) if isinstance(data or {}, Mapping) else ""
            )
            stem = Path(path.removeprefix(BUILTIN)).resolve()
            name = stem.stem if stem.suffix.lower() in _SUFFIXES else stem.name
            name = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:_NAME_CHARS]
            values["name"] = name.strip("-.") or "marquee"
        return values

    @field_validator("retrieval")
    @classmethod
    def _learns_what_is_watched(cls, value: ModelConfig | None) -> ModelConfig | None:
        if value and value.objective != INTERACTION:
            raise ValueError(f"a model of objective {INTERACTION}; model has that of likes")
        return value

    @field_validator("name")
    @classmethod
    def _is_a_folder_of_its_own(cls, value: str) -> str:
        if value in (".", ".."):
            raise ValueError("a name, as the pipeline's folder under root bears it")
        return value

    @field_validator("root")
    @classmethod
    def _root_is_a_folder(cls, value: str) -> str:
        if "://" in value:
            raise ConfigError(
                "The root cannot be on an object store.",
                where="key root",
                found=value,
                expected="a folder of this machine, or of a volume that it shares with others",
                fix="set root to a folder; data.path may be s3://... and ML Metadata on a server (key metadata)",
            )
        return value

    @model_validator(mode="after")
    def _root_is_no_pattern(self) -> PipelineConfig:
        root = str(Path(self.root).resolve())
        if set(root) & _PATTERN:
            raise ConfigError(
                "The root has a character of file name patterns in its path.",
                where="key root",
                found=root,
                expected="a path without "
                + " ".join(sorted(_PATTERN))
                + ", which TFX and Beam take for patterns",
                fix="set root to another folder; where data.path is does not matter",
            )
        return self

    @model_validator(mode="after")
    def _root_can_be_a_folder(self) -> PipelineConfig:
        problem, found = "", ""
        size = len(os.fsencode(self.pipeline_root))
        too_long = size > _ROOT_BYTES
        try:
            if not stat.S_ISDIR(self.pipeline_root.stat().st_mode):
                problem, found = "The pipeline's root is no folder.", str(self.pipeline_root)
        except NotADirectoryError:
            problem, found = "The pipeline's root is below a file.", str(self.pipeline_root)
        except OSError as error:
            too_long = too_long or error.errno == errno.ENAMETOOLONG  # of one of the names in it
        if too_long:
            problem, found = "The path of the pipeline's root is too long.", f"{size:,} bytes"
        if problem:
            raise ConfigError(
                problem,
                where="keys root and name",
                found=found,
                expected="a folder, which is made if it is missing",
            )
        return self

    @model_validator(mode="after")
    def _something_to_search(self) -> PipelineConfig:
        if not self.search_space() and self.tuning.tune:
            raise ConfigError(
                "The search space is empty.",
                where="key tuning.keys",
                found=f"{list(self.tuning.keys)}" if self.tuning.keys is not None else None,
                expected="at least one hyperparameter that is not set under model to other than its default",
            )
        return self

    @model_validator(mode="after")
    def _one_model_a_question(self) -> PipelineConfig:
        if self.retrieval and self.model.objective != LIKE:
            raise ConfigError(
                "Two models are there to recommend.",
                where="keys model and retrieval",
                found=f"model.objective is {self.model.objective}, and retrieval is set",
                expected=f"model.objective {LIKE}, or no retrieval",
                fix="set retrieval=null, or leave out model.objective",
            )
        return self

    @property
    def objective(self) -> str:
        """What the export learns, see `components.shared.features.learns`."""
        return "+".join(one.objective for one in (self.model, self.retrieval) if one)

    def search_space(self) -> dict[str, Dimension]:
        """What a search searches.

        Raises:
            ConfigError: `tuning.keys` or `tuning.space` do not fit the model.
        """
        return search_space(self.model, self.tuning.space, self.tuning.keys)

    @property
    def pipeline_root(self) -> Path:
        """Folder of this pipeline: artifacts, metadata, logs and pushed models."""
        return Path(self.root).resolve() / self.name

    @property
    def metadata_path(self) -> Path:
        """SQLite file of ML Metadata, where `metadata.kind` is sqlite."""
        return self.pipeline_root / "metadata.sqlite"

    @property
    def artifact_root(self) -> Path:
        """Folder of the outputs of all components."""
        return self.pipeline_root / "artifacts"

    @property
    def serving_model_dir(self) -> Path:
        """Folder of pushed versions; what TensorFlow Serving is given as the model's base path."""
        return self.pipeline_root / "serving"

    @property
    def tuning_dir(self) -> Path:
        """Folder of the trials of each search, from which an interrupted one goes on."""
        return self.pipeline_root / "tuning"

    @property
    def inputs_dir(self) -> Path:
        """Folder of copies of the schema and of built-in data, which the components read."""
        return self.pipeline_root / "inputs"

    @property
    def report_dir(self) -> Path:
        """Folder of the reports, one a run."""
        return self.pipeline_root / "reports"

    @property
    def log_dir(self) -> Path:
        """Folder of one log file a run."""
        return self.pipeline_root / "logs"


def load_config(file: str | None = None, overrides: Sequence[str] = ()) -> PipelineConfig:
    """Reads a YAML file and applies `key=value` overrides.

    Args:
        file: Path of a YAML file, or the name of one in `pipeline/configs` such as `ml-1m`. None: all defaults.
        overrides: Dotted keys with YAML values, e.g. `model.embedding_dim=64`; later ones win.

    Raises:
        ConfigError: The file is missing or not YAML, or a key or a value is not allowed.
    """
    path = find_file(file) if file else None
    values = read_file(path) if path else {}
    source = str(path) if path else "defaults"
    overridden: list[str] = []
    for override in overrides:
        key, value = parse_override(override)
        assign(values, key, value)
        overridden.append(key)
    refuse_nul(values, source, overridden)
    try:
        return PipelineConfig.model_validate(values)
    except ValidationError as error:
        raise _explained(error, source, overridden, values) from None
    except ConfigError as error:
        if error.where != MODEL_NAME:
            raise
        key = _key_of_unknown_model(values)
        where = f"{source_of_key(key, source, overridden)}, key {key}"
        raise ConfigError(
            error.problem, where=where, found=error.found, expected=error.expected, fix=error.fix
        ) from None


def describe(config: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Every key of a configuration with its value and description, in the order of the classes."""
    for name, field in type(config).model_fields.items():
        value, key = getattr(config, name), field.alias or name
        if isinstance(value, BaseModel):
            yield from describe(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value, field.description or ""


_MODELS = ("model", "retrieval")


def _two_models(values: Mapping[str, Any]) -> dict[str, Any]:
    """`model` and `retrieval` as they are validated, of what has been given: without one, `model` is the other."""
    found = {key: values[key] for key in _MODELS if key in values}
    model, retrieval = found.get("model"), found.get("retrieval")
    if isinstance(retrieval, Mapping):
        found["retrieval"] = retrieval = {"objective": INTERACTION, **retrieval}
    if isinstance(model, Mapping) and model.get("objective") == INTERACTION and "retrieval" not in found:
        found["retrieval"] = None
    if "model" in found and model is None:
        found = {"model": found.get("retrieval", {"objective": INTERACTION}), "retrieval": None}
    return found


def _key_of_unknown_model(values: Mapping[str, Any]) -> str:
    """Which of the two models has the name that there is no model of."""
    for key, model in _two_models(values).items():
        try:
            _BY_NAME.validate_python(model)
        except ConfigError:
            return "model.name" if key == "model" and values.get(key) is not None else "retrieval.name"
        except ValidationError:
            continue
    return "model.name"


def _explained(
    error: ValidationError, source: str, overridden: Sequence[str], values: Mapping[str, Any]
) -> ConfigError:
    """Says the first thing that is wrong, and how many more there are."""
    first, *more = error.errors()
    location = first["loc"]
    key = ".".join(str(part) for part in location)
    found = first["input"]
    expected: str | None = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    fix = None
    problem = f"The value of {shown(key)} is not allowed." if key else "The configuration is not allowed."
    if first["type"] == "extra_forbidden":
        owner = _model_at(location[:-1], values)
        names = sorted(owner.model_fields) if owner else []
        close = difflib.get_close_matches(str(location[-1]), names, n=1)
        problem, found = f"There is no key {shown(key)}.", location[-1]
        if not close:  # perhaps it is right but one level off
            everywhere = [known for known, _, _ in describe(PipelineConfig())]
            close = [known for known in everywhere if known.rsplit(".", 1)[-1] == str(location[-1])][:1]
        expected = "one of " + ", ".join(names)
        if close:
            fix = (
                "did you mean "
                + (close[0] if "." in close[0] else ".".join([*map(str, location[:-1]), close[0]]))
                + "?"
            )
    elif first["type"] == "literal_error":
        allowed = re.findall(r"'([^']*)'", first["ctx"]["expected"])
        close = difflib.get_close_matches(str(found), allowed, n=1)
        expected = "one of " + ", ".join(allowed)
        fix = f"did you mean {close[0]!r}?" if close else None
    elif first["type"] in ("model_attributes_type", "model_type", "dict_type"):
        expected = f"keys below it, for example {key}.name=mlp" if key in _MODELS else "keys below it"
    elif isinstance(found, Mapping) and first["type"] == "value_error":
        found = None
    if more:
        fix = f"{fix} ({len(more)} more below this one)" if fix else f"mend this; {len(more)} more follow"
    source = source_of_key(key, source, overridden)
    return ConfigError(
        problem,
        where=f"{source}, key {shown(key, bare=True)}" if key else source,
        found=None if found is None else shown(found),
        expected=expected,
        fix=fix,
    )


def _model_at(location: Sequence[Any], values: Mapping[str, Any]) -> type[BaseModel] | None:
    current: type[BaseModel] | None = PipelineConfig
    for part in location:
        if current is None or part not in current.model_fields:
            return None
        if current is PipelineConfig and part in _MODELS:
            current = find(str(name_of(_two_models(values)[str(part)]))).config
            continue
        annotation = current.model_fields[part].annotation
        if get_origin(annotation) is dict:  # by names of the user's, such as tuning.space
            named = get_args(annotation)[1]
            below = location[location.index(part) + 2 :]
            return named if isinstance(named, type) and issubclass(named, BaseModel) and not below else None
        current = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    return current
