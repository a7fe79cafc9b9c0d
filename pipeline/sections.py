"""The parts of the configuration that no component owns; `pipeline.config` puts all together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from components.example_gen.settings import IngestSettings
from components.serving_validator.settings import ServingValidatorSettings
from components.shared.errors import ConfigError

if TYPE_CHECKING:
    from components.example_gen.detection import Source

BUILTIN = "builtin:"
VARIABLE = r"\$\{(\w+)\}"  # in beam.args
_TERMS_OF_MOVIELENS = (
    "GroupLens's: research, with acknowledgement (Harper and Konstan, The MovieLens Datasets, 2015); redistribution and"
    " commercial use only with their permission"
)


class Section(BaseModel):
    """A part of the configuration; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DataConfig(IngestSettings):
    """Where the ratings are and how to read and split them."""

    path: str = Field(
        f"{BUILTIN}ml-100k",
        min_length=1,
        description="Folder or file with the ratings, or builtin:ml-100k for the MovieLens 100K of the installation.",
    )

    terms: str = Field(
        "",
        description="Under which terms the data may be used, for the model card; those of builtin:ml-100k are known.",
    )

    @property
    def described(self) -> dict[str, str]:
        """Where the data are from, and their terms, for the model card."""
        known = _TERMS_OF_MOVIELENS if self.path == f"{BUILTIN}ml-100k" else ""
        return {"path": self.path, "terms": self.terms or known}

    @field_validator("path")
    @classmethod
    def _expand(cls, value: str) -> str:
        return str(Path(value).expanduser()) if value.startswith("~") else value

    @property
    def ingest(self) -> IngestSettings:
        """The part that ExampleGen gets."""
        return IngestSettings.model_validate(self.model_dump(exclude={"path", "terms"}))

    def source(self) -> Source:
        """Finds the files and checks their headers.

        Raises:
            DataError: As `components.example_gen.detection.detect`.
        """
        # Imported here as configurations are also read where no input is.
        from components.example_gen import builtin, detection

        path = self.path
        if path == f"{BUILTIN}ml-100k":
            path = str(builtin.movielens_100k())
        elif path.startswith(BUILTIN):
            raise ConfigError(
                "There is no such built-in data set.",
                where="key data.path",
                found=repr(path),
                expected=f"{BUILTIN}ml-100k, or the path of a folder or file",
            )
        return detection.detect(path, self.ingest)


class TransformConfig(Section):
    """Vocabularies."""

    num_oov_buckets: int = Field(
        1, ge=1, description="Buckets for users, movies and genres not in the train split."
    )


class BeamConfig(Section):
    """The engine of the data stages."""

    args: tuple[str, ...] = Field(
        (),
        description="Beam's pipeline options, such as --runner=FlinkRunner, in place of the DirectRunner in this"
        " process; ${NAME} is an environment variable. Workers need what is installed here, and the folders of root and"
        " data.",
    )

    @field_validator("args")
    @classmethod
    def _are_options(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for argument in value:
            if not re.fullmatch(r"--\w+(=.*)?", argument, re.DOTALL):
                raise ValueError(f"options as --name=value; {argument!r} is none")
        return value


class EvaluationConfig(Section):
    """What a model must reach on the test split to be blessed, whatever it is compared with."""

    min_auc: float = Field(0.65, ge=0, le=1, description="Least AUC, where likes are learned.")
    max_log_loss: float = Field(
        0.693, gt=0, description="Greatest log-loss, the same; 0.693 is that of a coin."
    )
    min_ranking: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Least blessing.ranking_metric at ranking.primary_k, where it is learned what is watched.",
    )


class ServingConfig(ServingValidatorSettings):
    """What an export must do to be pushed."""

    kind: Literal["process", "docker"] = Field(
        "process",
        description="Ask the export in a process of this machine, or TFX's InfraValidator, which only sees that"
        " TensorFlow Serving in a Docker container loads it and answers (it heeds requests and max_load_seconds).",
    )
    docker_tag: str = Field(
        "2.16.1", min_length=1, description="Tag of the image tensorflow/serving, for kind docker."
    )

    @property
    def validator(self) -> ServingValidatorSettings:
        """The part that the ServingValidator gets."""
        return ServingValidatorSettings.model_validate(self.model_dump(exclude={"kind", "docker_tag"}))


class NotifyConfig(Section):
    """Who is told how a run ended."""

    on: tuple[Literal["pushed", "refused", "stopped", "failed", "recovered"], ...] = Field(
        ("pushed", "refused", "stopped", "failed", "recovered"),
        description="Of what; recovered: the first run that ends well after one that did not.",
    )
    webhook_env: str | None = Field(
        None, description="Environment variable that holds the address of a webhook; it is never shown."
    )
    webhook_format: Literal["json", "text"] = Field(
        "json", description='All there is (json), or {"text": ...} as Slack and its likes take it.'
    )
    command: tuple[str, ...] = Field(
        (),
        description="A program and its arguments: it has the JSON on its input, and MARQUEE_EVENT and more.",
    )
    metrics_file: str | None = Field(
        None,
        description="A file NAME.prom in the folder of node_exporter's textfile collector, after every run.",
    )
    timeout_seconds: float = Field(10.0, gt=0, le=300, description="How long each of them may take.")

    @field_validator("metrics_file")
    @classmethod
    def _is_collected(cls, value: str | None) -> str | None:
        if value is not None and not value.endswith(".prom"):
            raise ValueError("a file name that ends in .prom, as the collector reads no other")
        return value


class MetadataConfig(Section):
    """Where ML Metadata is kept."""

    kind: Literal["sqlite", "mysql", "postgresql"] = Field(
        "sqlite", description="A file under root (sqlite), or a shared server: mysql or postgresql."
    )
    host: str = Field("localhost", min_length=1, description="Host of the server.")
    port: int | None = Field(None, ge=1, le=65535, description="Its port; by default 3306 or 5432.")
    database: str = Field(
        "marquee", pattern=r"^\w+$", description="Its database; made if it is missing and the user may."
    )
    user: str = Field("marquee", min_length=1, description="Its user.")
    password_env: str | None = Field(
        "MARQUEE_METADATA_PASSWORD",
        description="Environment variable that holds the password; null: log in without one.",
    )
