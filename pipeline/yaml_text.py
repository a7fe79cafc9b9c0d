"""Configurations as text: YAML that is read strictly, overrides, and values as messages show them."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from components.shared.errors import ConfigError

CONFIGS = Path(__file__).parent / "configs"


def find_file(file: str) -> Path:
    """The path of a configuration.

    Args:
        file: Its path, or the name of one in `pipeline/configs`.

    Raises:
        ConfigError: There is none.
    """
    candidates = [Path(file), CONFIGS / f"{file}.yaml"]
    for candidate in candidates:
        if _is(Path.is_file, candidate):
            return candidate
    names = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
    close = difflib.get_close_matches(file, names, n=1)
    raise ConfigError(
        f"There is no configuration {shown(file)}.",
        where="--config",
        found="a folder" if _is(Path.is_dir, candidates[0]) else "neither such a file nor such a name",
        expected=f"a YAML file, or one of {', '.join(names)}",
        fix=f"did you mean {close[0]!r}?" if close else None,
    )


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    try:
        return kind(path)
    except OSError:  # too long for a name, or in a folder that may not be read
        return False


_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 200
_REPR.maxlist = _REPR.maxdict = 8
_REPR.maxlevel = 3


def read_yaml(text: str) -> Any:
    """The value of a YAML text, in which no key may be twice: of the two, PyYAML takes the last without a word.

    Raises:
        yaml.YAMLError: It is not YAML, a key is there twice, or it is nested too deeply.
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        _refuse_twice(node)
        return loader.construct_document(node) if node else None
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None
    except ValueError as error:  # a date or a number that cannot be
        raise yaml.YAMLError(str(error)) from None
    finally:
        loader.dispose()


def _refuse_twice(root: yaml.Node | None) -> None:
    left, seen = [root], set()
    while left:
        node = left.pop()
        if node is None or id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            left += node.value
        elif isinstance(node, yaml.MappingNode):
            lines: dict[tuple[str, str], int] = {}
            for key, value in node.value:
                left.append(value)
                if not isinstance(key, yaml.ScalarNode):
                    continue
                of_key = (key.tag, key.value)
                if of_key in lines:
                    first = f", first in line {lines[of_key] + 1}"
                    problem = f"the key {shown(key.value)} is there twice{first}"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                lines[of_key] = key.start_mark.line


def shown(value: Any, bare: bool = False) -> str:
    """A value for a message, cut where it is long; `bare` without quotation marks."""
    try:
        text = _REPR.repr(value)
    except ValueError:
        text = "a number of thousands of digits"
    return text[1:-1] if bare and isinstance(value, str) else text


def refuse_nul(values: Any, source: str, overridden: Sequence[str]) -> None:
    """No file name may have a NUL, and no other text has a use for one."""
    left: list[tuple[str, Any]] = [("", values)]
    seen = set()
    while left:
        key, value = left.pop()
        if isinstance(value, str) and "\0" in f"{key}{value}":
            raise ConfigError(
                "There is a NUL character in a value.",
                where=f"{source_of_key(key, source, overridden)}, key {shown(key, bare=True)}",
                found=shown(value),
                expected="text without it",
            )
        if isinstance(value, Mapping | list) and id(value) not in seen:
            seen.add(id(value))
            items = value.items() if isinstance(value, Mapping) else enumerate(value)
            left += [(f"{key}.{name}" if key else str(name), inner) for name, inner in items]


def source_of_key(key: str, source: str, overridden: Sequence[str]) -> str:
    below = any(f"{key}.".startswith(f"{one}.") or f"{one}.".startswith(f"{key}.") for one in overridden)
    return "--set" if below else source


def read_file(path: Path) -> dict[str, Any]:
    try:
        values = read_yaml(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigError(
            "The configuration cannot be read.",
            where=f"{path}:{mark.line + 1}" if mark else str(path),
            found=str(getattr(error, "problem", None) or error),
            expected="YAML in UTF-8",
        ) from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            "The configuration is not a mapping.",
            where=str(path),
            found=type(values).__name__,
            expected="keys such as `data:` with values below them",
        )
    return values


def parse_override(override: str) -> tuple[str, Any]:
    """Key and value of `key=value`, the value being YAML.

    Raises:
        ConfigError: It is not of that form.
    """
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(
            "An override is not of the form key=value.",
            where="--set",
            found=shown(override),
            expected="for example --set model.embedding_dim=64",
        )
    try:
        # A lone | or > would start a block of text.
        return key.strip(), text if text in ("|", ">") else read_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError(
            "The value of an override is not YAML.",
            where=f"--set {shown(key, bare=True)}",
            found=f"{shown(text)}: {getattr(error, 'problem', None) or error}",
            fix="""quote it, for example --set 'data.delimiter="&"'""",
        ) from None


def assign(values: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        inner = values.setdefault(parent, {})
        if inner is None:
            inner = values[parent] = {}
        if not isinstance(inner, dict):
            raise ConfigError(
                f"{shown(parent)} has no keys below it.",
                where=f"--set {shown(key, bare=True)}",
                found=shown(inner),
            )
        values = inner
    values[last] = value
