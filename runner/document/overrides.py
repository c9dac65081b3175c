"""`--set PATH=VALUE` put into what was read, so that it is checked like everything in the file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from runner.document.places import Source, Where
from runner.document.source import read_value
from runner.problem import Problem

Group = dict[str, Any]


def set_all(source: Source, settings: Mapping[str, str]) -> list[Problem]:
    """Put the values of `--set` into the data; the paths that lead nowhere come back as problems."""
    problems: list[Problem] = []
    for where, value in settings.items():
        origin = f"--set {where}={value}"
        parts = [int(p) if p.isdigit() else p for p in re.split(r"\.|\[|\]\.?", where) if p]
        inner = read_value(source.file, value)
        target: Any = source.data
        for number, part in enumerate(parts[:-1]):
            target = _step(target, part, make={})
            if not isinstance(target, dict | list):
                what = ".".join(map(str, parts[: number + 1]))
                message = f'{origin}: "{what}" has no settings of its own.'
                problems.append(Problem(source.file, 1, 1, where, "bad-set", message))
                break
        else:
            if not parts:
                message = f"{origin}: a path is missing before the =, for example stt.mode=balanced."
                problems.append(Problem(source.file, 1, 1, "", "bad-set", message))
            elif not _put(target, parts[-1], inner.data):
                message = f"{origin}: there is no item {parts[-1]} in that list."
                problems.append(Problem(source.file, 1, 1, where, "bad-set", message))
            else:
                path: Where = tuple(parts)
                source.origins[path] = origin
                for at, place in inner.places.items():
                    source.places[(*path, *at)] = place
                for end in range(1, len(path)):
                    source.places.setdefault(path[:end], inner.place(()))
    return problems


def _step(target: Any, part: str | int, make: Any) -> Any:
    if isinstance(target, dict):
        group = cast("Group", target)
        if group.get(str(part)) is None:
            group[str(part)] = make
        return group[str(part)]
    if isinstance(target, list) and isinstance(part, int) and part < len(cast("list[Any]", target)):
        return cast("list[Any]", target)[part]
    return None


def _put(target: Any, part: str | int, value: Any) -> bool:
    if isinstance(target, dict):
        cast("Group", target)[str(part)] = value
        return True
    items = cast("list[Any]", target)
    if not isinstance(part, int) or part >= len(items):
        return False
    items[part] = value
    return True
