"""Run configurations: YAML files that map one to one onto frozen dataclasses."""

import dataclasses
import difflib
import json
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

T = typing.TypeVar("T")


def build(kind: type[T], values: dict[str, Any], *, where: str = "") -> T:
    """A dataclass from nested dictionaries. An unknown key is a ValueError that names the nearest one."""
    hints = typing.get_type_hints(kind)
    arguments = {}
    for key, value in values.items():
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1)
            hint = f"; did you mean {where}{near[0]}?" if near else f"; known: {', '.join(hints)}"
            raise ValueError(f"unknown key {where}{key}{hint}")
        arguments[key] = _value(value, hints[key], f"{where}{key}")
    return kind(**arguments)


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
        return float(value)
    if not any(type(value) is kind for kind in allowed):
        names = " or ".join(getattr(kind, "__name__", str(kind)) for kind in allowed)
        raise ValueError(f"{where} must be {names}, not {value!r}")
    return value


def dump(config: Any) -> str:
    """A dataclass as the YAML that `load` reads."""
    text: str = yaml.safe_dump(json.loads(json.dumps(dataclasses.asdict(config))), sort_keys=False)  # tuples: lists
    return text


def load(kind: type[T], path: Path | None, *, overrides: Sequence[str] = ()) -> T:
    """Read a YAML file (None: an empty one) into `kind`. Each override is `a.b=value`, the value in YAML."""
    values = yaml.safe_load(path.read_text(encoding="utf-8")) or {} if path else {}
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals:
            raise ValueError(f"an override must be key=value, not {override!r}")
        *parents, last = name.split(".")
        target = values
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = yaml.safe_load(text)
    return build(kind, values)
