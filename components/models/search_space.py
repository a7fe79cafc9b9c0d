"""What is searched of a model's hyperparameters: a typed dimension each, within what the model's own class allows.

A value under `model` that is not its default is the user's: it is neither searched nor replaced.
Imports no Keras, so that the command line can validate a configuration in milliseconds.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from components.models.hyperparameters import ModelConfig
from components.shared.errors import ConfigError

# With others of these, tuned values are as good.
_NO_MATTER = (
    "seed",
    "epochs",
    "warm_epochs",
    "patience",
    "refit",
    "temperature",
    "memory_mb",
    "max_steps",
    "max_batch_size",
    "softmax_sample",
    "warm_start",
    "similar_shrinkage",
)
# Those and what decides what is learned, or is a search of its own: no matter of a search.
_NEVER_SEARCHED = ("name", "objective", "loss", "l2_factors", *_NO_MATTER)
# Without effect but for one loss of interaction.
_OF_LOSS = {
    "negatives": "binary",
    "negative_exponent": "binary",
    "exclude_positives": "binary",
    "rest_weight": "softmax",
    "vector_dropout": "softmax",
    "popularity_adjustment": "softmax",
    "user_learning_rate": "softmax",
}


class Dimension(BaseModel):
    """The values that a hyperparameter may take: a range, whole numbers where it has whole numbers, or choices."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min: int | float | None = Field(None, description="Least value of the range.")
    max: int | float | None = Field(None, description="Greatest value of the range, inclusive.")
    scale: Literal["log", "linear"] = Field("log", description="How values are spread over the range.")
    choices: tuple[Any, ...] = Field((), description="The values, in place of a range.")

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Dimension:
        if self.choices and (self.min is not None or self.max is not None):
            raise ValueError("either choices, or min and max")
        return self

    def __contains__(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices
        return self.min is not None and self.max is not None and self.min <= value <= self.max


def log_range(least: float, greatest: float) -> Dimension:
    """From one value to another, spread by their logarithms."""
    return Dimension(min=least, max=greatest)


def default_space(model: ModelConfig) -> dict[str, Dimension]:
    """The dimensions by hyperparameter, the embedding dimension first, for the model, its objective and its loss."""
    from components.models import find

    space = find(model.name).space(model)
    if model.objective == "interaction" and model.loss == "binary":
        space |= {"negatives": log_range(2, 16)}
    return space


def search_space(
    model: ModelConfig, given: Mapping[str, Dimension], keys: Iterable[str] | None = None
) -> dict[str, Dimension]:
    """The dimensions that a search has: the default ones with those given in their place.

    Args:
        model: As configured; what is set there to other than its default is left out.
        given: Dimensions by hyperparameter. What one does not set of a range is as in the default one.
        keys: Which hyperparameters, or None for all of the default space and of `given`.

    Raises:
        ConfigError: A hyperparameter cannot be searched, or a value is outside of its bounds.
    """
    defaults = default_space(model)
    wanted = [*defaults, *(key for key in given if key not in defaults)] if keys is None else list(keys)
    for key in given:
        _check_key(model, key, f"tuning.space.{key}")
    for key in wanted:
        _check_key(model, key, "tuning.keys")
    unset = type(model).model_validate({"objective": model.objective})
    space = {}
    for key in wanted:
        dimension = _typed(model, key, _merged(key, given.get(key), defaults.get(key)))
        if getattr(model, key) == getattr(unset, key):
            space[key] = dimension
    return space


def encoded(value: Any, dimension: Dimension) -> Any:
    """A value as KerasTuner keeps it: a choice is JSON, as it knows no lists."""
    return json.dumps(value) if dimension.choices else value


def decoded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Hyperparameters from KerasTuner's values: without its own ones, fractions to three digits."""
    return {key: _decoded(value) for key, value in values.items() if not key.startswith("tuner/")}


def with_values(model: ModelConfig, values: Mapping[str, Any]) -> ModelConfig:
    """The model with KerasTuner's values in place of its own."""
    found = decoded(values)
    # A strength that was searched is not multiplied.
    factors = {"l2_factors": (1.0,)} if "embedding_l2" in found else {}
    return type(model).model_validate({**model.model_dump(), **factors, **found})


def purpose(model: ModelConfig, keys: Iterable[str], positives: str) -> str:
    """A digest of what tuned values are for: the model, its objective, the keys searched, and the values of the others.

    Args:
        model: As configured.
        keys: The hyperparameters that are searched.
        positives: What an interaction is, `features.LIKED` or `features.RATED`.
    """
    keys = sorted(keys)
    fixed = {key: value for key, value in model.model_dump().items() if key not in (*keys, *_NO_MATTER)}
    text = json.dumps([fixed, keys, positives if model.objective == "interaction" else ""], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def sentence(values: Mapping[str, Any]) -> str:
    """Decoded values for people: `embedding_dim 24, hidden_units [128, 64]`."""
    return ", ".join(
        f"{key} {list(value) if isinstance(value, tuple) else value}" for key, value in values.items()
    )


def _decoded(value: Any) -> Any:
    if isinstance(value, str):
        return json.loads(value)
    return float(f"{value:.3g}") if isinstance(value, float) else value


def _check_key(model: ModelConfig, key: str, where: str) -> None:
    loss = model.loss if model.objective == "interaction" else ""
    known = [
        name
        for name in type(model).model_fields
        if name not in _NEVER_SEARCHED and _OF_LOSS.get(name, loss) == loss
    ]
    if key in known:
        return
    close = difflib.get_close_matches(key, known, n=1)
    raise ConfigError(
        f"{key!r} of {model.name} cannot be searched.",
        where=f"key {where}",
        found=repr(key),
        expected="one of " + ", ".join(known),
        fix=f"did you mean {close[0]}?" if close else None,
    )


def _merged(key: str, given: Dimension | None, default: Dimension | None) -> Dimension:
    if given is None and default is None:
        raise ConfigError(
            f"There is no default range for {key!r}.",
            where="key tuning.keys",
            found=repr(key),
            fix=f"say what to search: tuning.space.{key}: {{min: ..., max: ...}} or {{choices: [...]}}",
        )
    if given is None or default is None or given.choices or default.choices:
        return given or default  # type: ignore[return-value]
    return Dimension(**{**default.model_dump(), **given.model_dump(exclude_unset=True)})


def _typed(model: ModelConfig, key: str, dimension: Dimension) -> Dimension:
    """The dimension with values of the hyperparameter's own type, all of them within its bounds."""
    where = f"key tuning.space.{key}"
    example = "for example {min: 8, max: 64} or {choices: [8, 16]}"
    if not dimension.choices and (dimension.min is None or dimension.max is None):
        raise ConfigError("A range has no ends.", where=where, expected=f"min and max, {example}")
    field = type(model).model_fields[key]
    annotation: Any = Annotated[field.annotation, *field.metadata, Field()]
    adapter = TypeAdapter(annotation)

    def checked(part: str, value: Any) -> Any:
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            raise ConfigError(
                f"A value to search is not one of {model.name}'s {key}.",
                where=f"{where}.{part}",
                found=repr(value),
                expected=error.errors()[0]["msg"].removeprefix("Input should be "),
            ) from None

    if dimension.choices:
        choices = tuple(checked("choices", value) for value in dimension.choices)
        return Dimension(choices=choices)
    if field.annotation not in (int, float):
        raise ConfigError(
            f"{key} is not a number, so has no range.", where=where, expected="choices, " + example
        )
    least, greatest = checked("min", dimension.min), checked("max", dimension.max)
    if least >= greatest:
        raise ConfigError(
            "A range has no values.", where=where, found=f"min {least}, max {greatest}", expected="min < max"
        )
    if dimension.scale == "log" and least <= 0:
        raise ConfigError(
            "A logarithmic range begins above 0.",
            where=where,
            found=f"min {least}",
            fix="set scale: linear, or a greater min",
        )
    return Dimension(min=least, max=greatest, scale=dimension.scale)
