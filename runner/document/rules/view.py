"""One agent file as the rules see it: data that the schema may have refused, so every look is careful."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from runner.catalog import CALL_VARIABLES, Part
from runner.definition import BACK
from runner.document.check import Schema, inside, resolved, schema, settings_of
from runner.document.names import homes_of
from runner.document.places import Source, Spot, Where

Group = dict[str, Any]

OWN_VENDORS: dict[Part, str] = {"stt": "assemblyai", "llm": "openai", "tts": "cartesia"}
"""Who provides a service when the file names nobody."""


@dataclass(frozen=True)
class TurnTaking:
    """One `turns` of the file, the agent's or a stage's.

    path:   where it stands. own: what it says itself. agents: what the agent's says.
    of_stage: the name of its stage, "" for the agent's.
    ends:   who decides, while it holds, that the caller has finished: `pipecat`, `assemblyai`.
    """

    path: Where
    own: Group
    agents: Group
    of_stage: str
    ends: frozenset[str]

    @cached_property
    def whole(self) -> Group:
        """What holds there: groups over groups, lists behind lists."""
        made = {**self.agents, **self.own}
        if not self.of_stage:
            return made
        for name, value in self.own.items():
            if name in ("barge_in", "smart_turn", "vad", "idle") and isinstance(value, dict):
                made[name] = {**group_of(self.agents.get(name)), **cast("Group", value)}
        if "mute" in self.own:
            only = group_of(self.own["mute"]).get("only")
            added = [*list_of(self.agents.get("mute")), *list_of(self.own["mute"])]
            made["mute"] = added if only is None else list_of(only)
        return made

    @property
    def by_smart_turn(self) -> bool:
        """Whether Smart Turn decides, where this machine does, and not a silence alone."""
        for said in (self.own, self.agents):
            if said.get("stop") == "speech_timeout" or said.get("smart_turn") is False:
                return False
            if "stop" in said or "smart_turn" in said:
                return True
        return True

    def says(self, *names: str) -> bool:
        """Whether it says itself what stands there: `says("idle", "after")`."""
        value: object = self.own
        for name in names:
            if name not in (group := group_of(value)):
                return False
            value = group[name]
        return True


@dataclass(frozen=True)
class Agent:
    """One file as the rules see it.

    given:   the variables of `--var`.
    prompts: the texts of prompt files with their files, by the path of the prompt.
    """

    source: Source
    data: Group
    given: Mapping[str, str]
    prompts: Mapping[Where, tuple[Path, str]]

    @cached_property
    def stages(self) -> dict[str, Group]:
        """The stages that are groups, in file order."""
        return {name: stage for name, stage in group_of(self.data.get("stages")).items() if isinstance(stage, dict)}

    @cached_property
    def variables(self) -> dict[str, str]:
        """The variables with their texts, those of `--var` over the file's; what every call knows; and `language`, where it
        is told."""
        own = {name: str(value) for name, value in group_of(self.data.get("variables")).items() if value is not None}
        told = "languages" in self.data or any(whole.get("language_detection") is True for _, _, whole in self.ears())
        numbers = dict.fromkeys(CALL_VARIABLES, "")
        return {**numbers, **({"language": "English"} if told else {}), **own, **self.given}

    def services(self, part: Part) -> Iterator[tuple[Where, Group, Group]]:
        """Every `stt`, `llm` or `tts` of the file, those of stages and the items of `fallback` too: its path, what it says
        itself, what holds there.

        Nothing where another vendor provides the service than the one these rules are about.
        """
        whole = group_of(self.data.get(part))
        mine = whole.get("provider", OWN_VENDORS[part]) == OWN_VENDORS[part]
        first = whole if mine else {}
        if mine:
            yield (part,), whole, whole
            for name, stage in self.stages.items():
                own = stage.get(part)
                if isinstance(own, dict):
                    yield ("stages", name, part), own, {**whole, **own}
        for number, item in enumerate(list_of(whole.get("fallback"))):
            if item and group_of(item).get("provider", whole.get("provider", OWN_VENDORS[part])) == OWN_VENDORS[part]:
                yield (part, "fallback", number), group_of(item), {**first, **group_of(item)}

    def ears(self) -> Iterator[tuple[Where, Group, Group]]:
        """Every `stt` of the file that is AssemblyAI."""
        return self.services("stt")

    @cached_property
    def turns(self) -> list[TurnTaking]:
        """Every `turns` of the file, the agent's first, even when it says nothing."""
        whole = group_of(self.data.get("turns"))
        detection = str(group_of(self.data.get("stt")).get("turn_detection", "pipecat"))
        by_stage = {
            name: str(group_of(stage.get("stt")).get("turn_detection", detection))
            for name, stage in self.stages.items()
        }
        found = [TurnTaking(("turns",), whole, whole, "", frozenset((detection, *by_stage.values())))]
        for name, stage in self.stages.items():
            if own := group_of(stage.get("turns")):
                at = ("stages", name, "turns")
                found.append(TurnTaking(at, own, whole, name, frozenset((by_stage[name],))))
        return found

    @cached_property
    def texts(self) -> list[tuple[Where, str, Schema]]:
        """Every text of the file with its path and its part of the schema."""
        return list(_texts(self.data, schema(), ()))

    @cached_property
    def templates(self) -> list[tuple[Where, str, Path | None]]:
        """Every text that is filled in, and the file it comes from when it is not this one."""
        found: list[tuple[Where, str, Path | None]] = [
            (path, text, None) for path, text, node in self.texts if node.get("x-template")
        ]
        return [*found, *((path, text, file) for path, (file, text) in self.prompts.items())]

    @property
    def prompt_texts(self) -> Iterator[tuple[Where, str, Path | None]]:
        """What the model is told: prompts of the agent, of stages and of the greeting."""
        return (found for found in self.templates if found[0][-1] == "prompt")

    @property
    def spoken_texts(self) -> Iterator[tuple[Where, str]]:
        """What is spoken as written."""
        return (
            (path, text)
            for path, text, _ in self.templates
            if path[-1] in ("greeting", "say", "goodbye") or (path[0] == "languages" and path[-2] == "say")
        )

    @cached_property
    def ways(self) -> list[tuple[Where, str, str | None]]:
        """Every stage named by a way out: its path, its name, the stage it leads out of (None: anywhere)."""
        found: list[tuple[Where, str, str | None]] = []
        for number, item in enumerate(list_of(self.data.get("anywhere"))):
            if isinstance(group_of(item).get("to"), str):
                found.append((("anywhere", number, "to"), item["to"], None))
        for name, stage in self.stages.items():
            for number, item in enumerate(list_of(stage.get("next"))):
                for key in ("to", "otherwise"):
                    if isinstance(group_of(item).get(key), str):
                        found.append((("stages", name, "next", number, key), item[key], name))
        return found

    @property
    def stray_stages(self) -> bool:
        """Whether a stage stands outside of `stages`; which names exist is not known then."""
        known = settings_of(schema(), self.data)
        return any(
            name not in known and not homes_of(name) and group_of(value).keys() & {"say", "next", "end"}
            for name, value in self.data.items()
        )

    @property
    def lost_ways(self) -> bool:
        """Whether a way out does not say where it leads."""
        lists = [self.data.get("anywhere"), *(stage.get("next") for stage in self.stages.values())]
        items = [group_of(item) for each in lists for item in list_of(each)]
        lost = any(
            one.keys() & {"when", "to", "otherwise"} or isinstance(one.get("next"), dict)
            for one in self.stages.values()
        )
        return lost or any("to" not in item and "otherwise" not in item for item in items)

    def reached(self) -> set[str]:
        """The stages a call can get to."""
        seen = {next(iter(self.stages), "")}
        while True:
            found = {to for _, to, start in self.ways if to != BACK and (start is None or start in seen)} - seen
            if not found:
                return seen
            seen |= found

    def spot_in(self, path: Where, text: str, start: int, length: int, file: Path | None = None) -> Spot | None:
        """Where a piece of a text stands in its file; None when the lines do not show it as it is."""
        piece = text[start : start + length].split("\n")[0]
        number = text[:start].count("\n")
        if file is not None:
            return Spot(number + 1, start - (text.rfind("\n", 0, start) + 1) + 1, len(piece) or 1)
        place, lines = self.source.place(path), self.source.home(path).lines
        first = place.value.line + (number + 1 if place.style == "block" else 0)
        words = re.compile(r"\s+".join(map(re.escape, piece.split())) or "(?!)")
        for line in range(first, max(place.last_line, first) + 1):
            if line > len(lines):
                break
            at = place.value.column - 1 if line == place.value.line else 0
            found = words.search(lines[line - 1], at)
            if found:
                return Spot(line, found.start() + 1, found.end() - found.start())
        return None


def group_of(value: object) -> Group:
    return cast("Group", value) if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def number_of(value: object) -> float | None:
    """A number, None for anything else (true and false are none)."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _texts(value: object, node: Schema, path: Where) -> Iterator[tuple[Where, str, Schema]]:
    if isinstance(value, str):
        yield path, value, resolved(node)
        return
    pairs: Any = cast("Group", value).items() if isinstance(value, dict) else enumerate(list_of(value))
    for key, inner in pairs:
        part = inside(node, key, cast("object", value))
        if part is not None:
            yield from _texts(inner, part, (*path, key))
