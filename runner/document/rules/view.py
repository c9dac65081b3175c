"""One agent file as the rules see it: data that the schema may have refused, so every look is careful."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from runner.document.check import Schema, inside, resolved, schema
from runner.document.places import Source, Where

Group = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Agent:
    """One file as the rules see it. texts: everything that is a template, by path, with the file it stands in."""

    source: Source
    data: Group
    given: Mapping[str, str]
    prompts: Mapping[Where, tuple[Path, str]]

    @property
    def stages(self) -> dict[str, Group]:
        return {name: stage for name, stage in group_of(self.data.get("stages")).items() if isinstance(stage, dict)}

    @property
    def variables(self) -> dict[str, str]:
        own = {name: str(value) for name, value in group_of(self.data.get("variables")).items() if value is not None}
        return {**own, **self.given}

    def stt(self, stage: str | None = None) -> Group:
        """What holds for the ear: the agent's settings, and over them those of a stage."""
        own = group_of(self.data.get("stt"))
        return {**own, **group_of(self.stages.get(stage, {}).get("stt"))} if stage else own

    def ears(self) -> Iterator[tuple[Where, Group, Group]]:
        """Every `stt` of the file: its path, what it says itself, what holds there."""
        yield ("stt",), self.stt(), self.stt()
        for name, stage in self.stages.items():
            if isinstance(stage.get("stt"), dict):
                yield ("stages", name, "stt"), stage["stt"], self.stt(name)

    def texts(self) -> Iterator[tuple[Where, str, Schema]]:
        """Every text of the file with its path and its part of the schema."""
        yield from _texts(self.data, schema(), ())

    def templates(self) -> Iterator[tuple[Where, str, Path | None]]:
        """Every text that is filled in, and the file it comes from when it is not this one."""
        for path, text, node in self.texts():
            if node.get("x-template"):
                yield path, text, None
        for path, (file, text) in self.prompts.items():
            yield path, text, file


def group_of(value: object) -> Group:
    return cast("Group", value) if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _texts(value: object, node: Schema, path: Where) -> Iterator[tuple[Where, str, Schema]]:
    if isinstance(value, str):
        yield path, value, resolved(node)
        return
    inner_values: Any = value
    pairs: Any = cast("Group", value).items() if isinstance(value, dict) else enumerate(list_of(value))
    for key, inner in pairs:
        part = inside(node, key, inner_values)
        if part is not None:
            yield from _texts(inner, part, (*path, key))
