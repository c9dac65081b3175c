"""Data and the schema in, problems out. The schema is the authority; here it is only read and applied.

Text without quotes becomes a number or true/false where the schema wants one, durations become numbers of the setting's unit,
and `${NAME}` is filled in where the schema says so, before anything is checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

from jsonschema import Draft202012Validator, ValidationError
from referencing.jsonschema import DRAFT202012, EMPTY_REGISTRY

from runner.catalog import PARTS
from runner.document.places import Source, Where
from runner.problem import Problem

Schema = dict[str, Any]

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)$")
_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)?(\.[0-9]+)?([eE][-+]?[0-9]+)?$|[-+]?[0-9]+\.$")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s?(ms|s|m|h)$")
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_ENV = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@cache
def schema() -> Schema:
    """The schema of an agent file."""
    return _schema_file("agent.schema.json")


PROVIDERS = "providers.schema.json"
"""What stands beside `agent.schema.json` for all providers but three. Read only for a file that names one of them."""


@cache
def _schema_file(name: str) -> Schema:
    """A schema by its file's name: beside `runner/` in a checkout, inside it in a wheel."""
    here = Path(__file__).resolve().parents[1]
    for file in (here / "schema" / name, here.parent / "schema" / name):
        if file.is_file():
            return json.loads(file.read_text(encoding="utf-8"))
    raise FileNotFoundError(f"schema/{name} is missing from this installation")


@cache
def _validator() -> Draft202012Validator:
    """For files that name none but the three providers described by hand: nothing else is read."""
    return Draft202012Validator(schema(), registry=EMPTY_REGISTRY)


@cache
def _validator_of_all() -> Draft202012Validator:
    """For files that name another provider."""
    other = DRAFT202012.create_resource(_schema_file(PROVIDERS))
    return Draft202012Validator(schema(), registry=EMPTY_REGISTRY.with_resource(other.id() or "", other).crawl())


def _names_another(data: object) -> bool:
    """Whether some part is done by a provider that stands in the other file, or is no group, so that it could be."""
    if not isinstance(data, dict):
        return False
    for part in PARTS:
        default = schema()["$defs"][part]["properties"]["provider"]["default"]
        group = cast("Schema", data).get(part, {})
        if not isinstance(group, dict):
            return True
        instead: Any = cast("Schema", group).get("fallback")
        items = cast("list[Any]", instead) if isinstance(instead, list) else []
        for one in cast("list[Any]", [group, *items]):
            if not isinstance(one, dict) or cast("Schema", one).get("provider", default) != default:
                return True
    return False


@cache
def known_names() -> frozenset[str]:
    """Every name of a setting, at any level."""
    found: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            part = cast("Schema", node)
            found.update(cast("Schema", part.get("properties", {})))
            for inner in part.values():
                walk(inner)
        elif isinstance(node, list):
            for inner in cast("list[Any]", node):
                walk(inner)

    walk(schema())
    return frozenset(found)


def resolved(node: Schema) -> Schema:
    """A part of the schema with its reference followed; what stands beside the reference wins."""
    while "$ref" in node:
        file, _, place = node["$ref"].partition("#/")
        target: Any = _schema_file(file) if file else schema()
        for name in place.split("/"):
            target = target[name]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def settings_of(node: Schema, data: object) -> dict[str, Schema]:
    """The settings a group may have, given what it already says (its provider)."""
    node = resolved(node)
    found: dict[str, Schema] = dict(node.get("properties", {}))
    for part in cast("list[Schema]", node.get("allOf", [])):
        chosen = part.get("then" if _applies(part["if"], data) else "else") if "if" in part else part
        if chosen is None:
            continue
        for name, more in settings_of(chosen, data).items():
            found[name] = _both(found[name], more) if name in found else more
    return found


def _applies(condition: Schema, data: object) -> bool:
    return not _ruled_out(condition, data) and _validator().evolve(schema=condition).is_valid(cast("Any", data))


def _ruled_out(condition: Schema, data: object) -> bool:
    """Whether a `const` of the condition says no. Much faster than a validator, and there is one condition a provider."""
    if "const" in condition:
        return data != condition["const"]
    if not isinstance(data, dict):
        return False
    group = cast("Schema", data)
    wanted = cast("dict[str, Schema]", condition.get("properties", {}))
    return any(name in group and _ruled_out(part, group[name]) for name, part in wanted.items())


def _both(one: Schema, other: Schema) -> Schema:
    """Two parts of the schema that hold for the same value."""
    made = dict(resolved(one))
    for key, value in resolved(other).items():
        known = made.get(key)
        both = isinstance(known, dict) and isinstance(value, dict)
        made[key] = _both(cast("Schema", known), cast("Schema", value)) if both else value
    return made


def is_taken(node: Schema) -> bool:
    """Whether a file may say it: not a name that is kept for later, and not one whose value cannot be chosen."""
    node = resolved(node)
    return "x-not-yet" not in node and "x-refused" not in node


def inside(node: Schema, key: str | int, data: object) -> Schema | None:
    """The part of the schema for one key or item of `data`, None when it knows no such thing."""
    node = resolved(node)
    if isinstance(key, int):
        items = node.get("items")
        return resolved(cast("Schema", items)) if isinstance(items, dict) else None
    found = settings_of(node, data).get(key)
    if found is None:
        more = node.get("additionalProperties")
        found = cast("Schema", more) if isinstance(more, dict) else None
    return resolved(found) if found is not None else None


def schema_at(data: object, path: Where) -> Schema | None:
    """The part of the schema for the value at `path` of `data`."""
    node: Schema | None = schema()
    for key in path:
        if node is None:
            return None
        node = inside(node, key, data)
        try:
            data = cast("Any", data)[key]
        except (KeyError, IndexError, TypeError):
            data = None
    return node


def types(node: Schema) -> tuple[str, ...]:
    kind = node.get("type", ())
    return (kind,) if isinstance(kind, str) else tuple(kind)


def duration(text: str, unit: str) -> float | int | None:
    """`3s`, `800ms`, `1.5 s`, `15m`, `1h` in seconds or milliseconds; None for anything else."""
    found = _DURATION.match(text)
    if not found:
        return None
    value = float(found.group(1)) * _SECONDS[found.group(2)] * (1000 if unit == "ms" else 1)
    value = round(value, 6)
    return int(value) if value.is_integer() else value


def fit(source: Source, env: Mapping[str, str]) -> tuple[Any, list[Problem]]:
    """The data of a file as the schema wants it, and the problems of `${NAME}`. Nothing in `source` is changed."""
    problems: list[Problem] = []

    def fitted(value: Any, node: Schema, path: Where) -> Any:
        if isinstance(value, dict):
            group = cast("dict[str, Any]", value)
            made: dict[str, Any] = {}
            for key, inner in group.items():
                part = inside(node, key, group)
                made[key] = inner if part is None else fitted(inner, part, (*path, key))
                if made[key] is _MISSING:
                    del made[key]
            return made
        if isinstance(value, list):
            part = inside(node, 0, None)
            items = cast("list[Any]", value)
            return items if part is None else [fitted(item, part, (*path, n)) for n, item in enumerate(items)]
        return fitted_text(value, node, path) if isinstance(value, str) else value

    def fitted_text(value: str, node: Schema, path: Where) -> Any:
        kinds = types(node)
        if node.get("x-env") and "${" in value:
            missing = [name for name in _ENV.findall(value) if not env.get(name)]
            for name in missing:
                problems.append(
                    source.on_value(
                        path,
                        "not-in-environment",
                        f"{name} is not set.",
                        f"Set it in the environment, or write {name}=... into the file .env.",
                    )
                )
            return _MISSING if missing else _ENV.sub(lambda found: env[found.group(1)], value)
        place = source.places.get(path)
        plain = place is not None and place.style == "plain"
        if plain and "boolean" in kinds and value in _TRUTH:
            return _TRUTH[value]
        if plain and ("number" in kinds or "integer" in kinds) and value.strip("+-"):
            if _INTEGER.match(value):
                return int(value) if len(value) < 20 else float(value)
            if _NUMBER.match(value):
                number = float(value)
                return int(number) if "integer" in kinds and number.is_integer() and abs(number) < 1e15 else number
        if "x-unit" in node:
            changed = duration(value, node["x-unit"])
            return value if changed is None else changed
        return value

    return fitted(source.data, schema(), ()), problems


_MISSING = object()


def faults(data: object) -> list[ValidationError]:
    """What the schema refuses."""
    validator = _validator_of_all() if _names_another(data) else _validator()
    return list(cast("Any", validator).iter_errors(data))
