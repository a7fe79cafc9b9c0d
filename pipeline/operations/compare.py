"""What `marquee compare` trains: each model under each question, as variants of one pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from components.models import MODELS, find
from components.shared.errors import ConfigError
from components.shared.features import INTERACTION, LIKE
from pipeline.config import PipelineConfig, load_config
from pipeline.operations.variants import Variant, placed
from pipeline.yaml_text import assign, find_file, parse_override, read_file

# Objective -> what it asks, in words.
QUESTIONS = {
    LIKE: "whether a user likes a movie that they watched",
    INTERACTION: "which movies a user watches next",
}


def plan(
    models: str | None, objective: str | None, file: str | None, overrides: Sequence[str]
) -> dict[str, list[Variant]]:
    """The models by question; each configuration is allowed.

    They are of one pipeline, `<name>-compare`, so that they share a cache and are never mistaken for what is served.

    Args:
        models: Names with commas between, also of modules from outside; None: all that come along.
        objective: The only question; None: both.
        file: As of `load_config`.
        overrides: As of `load_config`. Names and objectives of `model` and `retrieval` do not matter. The values of
            the first are of both questions, those of the second, where there are any, of its own.

    Raises:
        ConfigError: There is no such model, it is there twice, or a value is not allowed.
    """
    names = [name.strip() for name in models.split(",")] if models is not None else list(MODELS)
    for place, name in enumerate(names):
        where = f"--models {name}"
        try:
            find(name)
        except ConfigError as error:
            raise placed(error, where) from None
        if name in names[:place]:
            raise ConfigError("A model is there twice.", where=where, found=models, fix="leave one out")
    questions = [objective] if objective else list(QUESTIONS)
    return {
        one: [Variant(name, _config(name, one, names, file, overrides)) for name in names]
        for one in questions
    }


def _config(
    name: str, objective: str, names: Sequence[str], file: str | None, overrides: Sequence[str]
) -> PipelineConfig:
    """The configuration that trains one model under one question, and nothing else."""
    # Nothing is searched.
    forced = [f"model.name={name}", f"model.objective={objective}", "retrieval=null", "tuning={}"]
    section = _of_model(name, objective, names, file, overrides)
    if section is not None:
        forced.insert(0, f"model={yaml.safe_dump(section, default_flow_style=True, width=float('inf'))}")
    try:
        config = load_config(file, [*overrides, *forced])
    except ConfigError as error:
        where = f"{name}, {objective}" + (f": {error.where}" if error.where else "")
        raise placed(error, where) from None
    return config.model_copy(update={"name": f"{config.name}-compare"})


def _of_model(
    name: str, objective: str, names: Sequence[str], file: str | None, overrides: Sequence[str]
) -> dict[str, Any] | None:
    """The section of the question's model without what other models of the comparison have and this one lacks.

    None where that is the section `model` as it stands.
    So a configuration that was made for one of them will do. What none of them has is a mistake, and stays.
    """
    values = read_file(find_file(file)) if file else {}
    for override in overrides:
        assign(values, *parse_override(override))
    model, retrieval = values.get("model"), values.get("retrieval")
    section = retrieval if objective == INTERACTION and isinstance(retrieval, Mapping) else model
    if not isinstance(section, Mapping):
        return None
    own = find(name).config.model_fields
    known = {key for other in names for key in find(other).config.model_fields}
    kept = {key: value for key, value in section.items() if key in own or key not in known}
    return None if kept == model else kept


def notes(variants: Sequence[Variant]) -> list[str]:
    """In what the trainings of the models differ but for the models."""
    ways: dict[str, list[str]] = {}
    for variant in variants:
        model = variant.config.model
        joined = " and a regression that joins it" if getattr(model, "item_item", 0) else ""
        ways.setdefault(f"{model.loss}{joined}", []).append(variant.text)
    if len(ways) < 2:
        return []
    told = "; ".join(f"{way} for {', '.join(names)}" for way, names in ways.items())
    return [f"Part of a difference may be the loss: {told}."]
