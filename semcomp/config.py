"""Run configurations: YAML files that map one to one onto frozen dataclasses."""

import dataclasses
import difflib
import json
import math
import re
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from semcomp.errors import file_error

T = typing.TypeVar("T")


def build(kind: type[T], values: dict[str, Any], *, where: str = "") -> T:
    """A dataclass from nested dictionaries. An unknown key is a ValueError that names the nearest one."""
    hints = typing.get_type_hints(kind)
    arguments = {}
    for key, value in values.items():
        if key not in hints:
            near = difflib.get_close_matches(str(key), hints, n=1)
            hint = f"; did you mean {where}{near[0]}?" if near else f"; known: {', '.join(hints)}"
            raise ValueError(f"unknown key {where}{key}{hint}")
        arguments[key] = _value(value, hints[key], f"{where}{key}")
    if missing := [field.name for field in dataclasses.fields(typing.cast(Any, kind)) if _lacks(field, arguments)]:
        raise ValueError(f"{where}{missing[0]} is missing: give it a value")
    return kind(**arguments)


def _lacks(field: "dataclasses.Field[Any]", arguments: dict[str, Any]) -> bool:
    has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    return field.init and not has_default and field.name not in arguments


def _value(value: Any, expected: Any, where: str) -> Any:
    """A value of the expected type: of a dataclass, of a tuple of any of these, or as YAML gives it."""
    arguments = typing.get_args(expected)
    if typing.get_origin(expected) is tuple and isinstance(value, list | tuple):
        return tuple(_value(item, arguments[0], f"{where}.{number}") for number, item in enumerate(value))
    allowed: tuple[Any, ...] = (expected,) if typing.get_origin(expected) is None else arguments
    inner = next((kind for kind in allowed if dataclasses.is_dataclass(kind)), None)
    if inner and not (value is None and type(None) in allowed):
        if not isinstance(value, dict):
            raise ValueError(f"{where} must hold keys of its own, not {value!r}")
        return build(typing.cast(type[Any], inner), value, where=f"{where}.")
    if float in allowed and type(value) in (int, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} must be a finite number, not {value}")
        return float(value)
    if not any(type(value) is kind for kind in allowed):
        names = " or ".join(getattr(kind, "__name__", str(kind)) for kind in allowed)
        raise ValueError(f"{where} must be {names}, not {value!r}")
    return value


def dump(config: Any) -> str:
    """A dataclass as the YAML that `load` reads."""
    values = json.loads(json.dumps(dataclasses.asdict(config)))  # tuples become lists
    text: str = yaml.dump(values, Dumper=_Dumper, sort_keys=False)
    return text


def load(kind: type[T], path: Path | None, *, overrides: Sequence[str] = ()) -> T:
    """Read a YAML file into a dataclass.

    Args:
        kind: The dataclass.
        path: The file. None takes an empty one.
        overrides: Changes, each as `a.b=value` with the value in YAML.

    Raises:
        FileError: The file cannot be read.
        ValueError: The file is not YAML, or a key or a value does not fit. The message is a sentence for the user.
    """
    values = {} if path is None else _mapping(_text(path), str(path))
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals or not name:
            raise ValueError(f"an override must be key=value, not {override!r}")
        *parents, last = name.split(".")
        target = values
        for parent in parents:
            if target.get(parent) is None:
                target[parent] = {}
            target = target[parent]
            if not isinstance(target, dict):
                raise ValueError(f"{override!r} sets a key of {parent}, which is {target!r} and holds no keys")
        target[last] = _parsed(text, override)
    try:
        return build(kind, values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}" if path is not None and not overrides else str(error)) from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise file_error(path, error) from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: give a YAML file") from error


def _mapping(text: str, name: str) -> dict[str, Any]:
    values = _parsed(text, name)
    if values is not None and not isinstance(values, dict):
        raise ValueError(f"{name} holds {type(values).__name__} instead of keys: write key: value, one a line")
    return values or {}


def _parsed(text: str, name: str) -> Any:
    """Parse YAML. ValueError where it is damaged, or where a key comes twice."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None and name != text else ""
        raise ValueError(f"{name} is not valid YAML{where}: {getattr(error, 'problem', None) or error}") from error


class _Loader(yaml.SafeLoader):
    """YAML whose keys are unique, and in which 1e-4 is a number, as in YAML 1.2."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a dictionary. MarkedYAMLError where a key comes twice, of which YAML would keep the last."""
        keys: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in keys:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value} comes twice", problem_mark=key.start_mark)
            keys.add(getattr(key, "value", ""))
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Quotes the strings that `_Loader` would take for numbers."""


_EXPONENT = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$")
for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789"))
