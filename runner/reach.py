"""What one running call notices of a save, and when. Pure.

Comes in: where the call is, and the agent as saved. Goes out: phrases for people, one for each moment: `prompt and llm.model from
the next turn`, `voice from the next sentence`, `say when the call next enters email`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import cast

from runner.catalog import NEW_CONNECTION, PARTS, PROVIDERS, STILL_MEANT_HERE, Part
from runner.definition import AgentDefinition, Setting, Stage
from runner.effective import (
    Effective,
    FieldChange,
    change,
    effective,
    file_changes,
    follows_first,
    held_after,
    in_fallback,
    own_language,
    variables_of,
)
from runner.effective_services import turns_with
from runner.following import Following, follow, with_new_names
from runner.prompts import render
from runner.wording import joined, moment, short_name

_AT_ONCE = "at once"
_FIRST_WORD = "from the call's first word"
_NEXT_TURN = "from the next turn"
_NEXT_SENTENCE = "from the next sentence"
_LEAVES = "when the call leaves"
_ENTERS = "when the call next enters"
_SPOKEN = "when the caller speaks it"
_NEXT_CALL = "from the next call"
_UNHEARD_TYPED = "not heard in a typed call"
_UNUSED_HERE = "without effect on what runs on this machine"
_SOON = (_AT_ONCE, f"{_AT_ONCE} ({NEW_CONNECTION})", _NEXT_TURN, _NEXT_SENTENCE)
_ORDER = (
    *(*_SOON[:2], _FIRST_WORD, *_SOON[2:], _LEAVES, _ENTERS),
    *(_SPOKEN, _NEXT_CALL, "after runner is started again", _UNUSED_HERE, _UNHEARD_TYPED),
)
"""Every moment, soonest first."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a running call is.

    agent:   what it holds: its version of the file, with the old text of its stage where a save removed that.
    stage:   its stage, None for an agent without stages.
    begun:   whether the caller is there. typed: nothing is heard or spoken.
    seconds: how long it has lasted since it began.
    local:   the parts that run on this machine.
    built:   the providers it was built with, which it keeps.
    language: the short code of what the caller speaks, None for the agent's own language.
    held:    what its parts hold where a save named another provider; None for what its version says.
    """

    agent: AgentDefinition
    stage: str | None
    begun: bool = True
    typed: bool = False
    seconds: float = 0.0
    local: frozenset[Part] = frozenset()
    built: Mapping[Part, str] = field(default_factory=dict[Part, str])
    held: Effective | None = None
    language: str | None = None

    def moment(self, agent: AgentDefinition, stage: str | None) -> Effective:
        """What the call would be set to with this agent in this stage."""
        return effective(agent, stage, self.language)


def reach(place: Place, after: AgentDefinition) -> tuple[str, ...]:
    """What this call notices of `after`, soonest first; empty when it notices nothing."""
    if not place.begun:
        place = replace(place, agent=replace(place.agent, stages=after.stages), stage=after.first_stage)
    going = follow(place.agent, place.stage, after)
    told = _Told()
    for name, when in _here(place, going, after):
        told.add(name, when)
    _fate(told, place, going, after)
    if place.begun:
        _elsewhere(told, place, going, after)
    _outside(told, place, going, after)
    return told.phrases()


class _Told:
    """Names by the moment they are noticed at; what needs a stage by the stage, so that equal ones share a phrase."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], list[str]] = {}
        self.sentences: list[str] = []

    def add(self, name: str, when: str, stage: str = "") -> None:
        names = self._names.setdefault((when, stage), [])
        if name not in names:
            names.append(name)

    def phrases(self) -> tuple[str, ...]:
        found = list(self.sentences)
        for when in _ORDER:
            by_names: dict[tuple[str, ...], list[str]] = {}
            for (at, stage), names in self._names.items():
                if at == when:
                    by_names.setdefault(tuple(names), []).append(stage)
            for names, stages in by_names.items():
                where = joined([stage for stage in stages if stage], "or")
                found.append(f"{joined(names)} {when}{f' {where}' if where else ''}")
        return tuple(found)


def _here(place: Place, going: Following, after: AgentDefinition) -> Iterator[tuple[str, str]]:
    """What differs in the stage the call is in."""
    before, now = place.moment(place.agent, place.stage), place.moment(going.agent, going.stage)
    found = change(held_after(place.held, before) if place.held else before, now)
    other = {part for part in PARTS if found.touches(f"{part}.provider")}
    for one in found.fields:
        part, _, name = one.path.partition(".")
        if part in PARTS and part in other and name != "provider":
            continue
        if _follows_by_itself(one, place, going) or _is_no_news(one, place, going):
            continue
        if one.path == "next":
            yield from _ways(place, going, after)
        else:
            yield short_name(one.path), _when(one, place, now)
    if before.say != now.say and not place.begun:
        yield "say", _FIRST_WORD


def _ways(place: Place, going: Following, after: AgentDefinition) -> Iterator[tuple[str, str]]:
    was, names = with_new_names(place.agent, after)
    own = was.stages[names.get(place.stage, place.stage)].next if place.stage else ()
    if own != (going.agent.stages[going.stage].next if going.stage else ()) and going.fate != "removed":
        yield "the ways out", _first_word(place, _NEXT_TURN)
    if was.anywhere != going.agent.anywhere:
        yield "anywhere", _first_word(place, _NEXT_TURN)


def _when(one: FieldChange, place: Place, now: Effective) -> str:
    part, _, name = one.path.partition(".")
    if part in PARTS:
        if place.typed and part != "llm":
            return _UNHEARD_TYPED
        if place.built.get(part, now.service(part).provider) != now.service(part).provider:
            return _NEXT_CALL
        if part in place.local and name not in STILL_MEANT_HERE[part]:
            return _UNUSED_HERE
        table = PROVIDERS[part, now.service(part).provider].fields
        if one.when == "now" and name in table and table[name].note == NEW_CONNECTION:
            return _SOON[1]
    if place.typed and (part in ("turns", "listen_for") and not one.path.startswith("turns.idle")):
        return _UNHEARD_TYPED
    if one.path.startswith("limits."):
        return _AT_ONCE
    return _first_word(place, moment(one.path, one.when))


def _first_word(place: Place, when: str) -> str:
    return _FIRST_WORD if not place.begun and when in _SOON else when


def _follows_by_itself(one: FieldChange, place: Place, going: Following) -> bool:
    """Silences drag each other along: told is only what somebody wrote otherwise."""
    if in_fallback(one.path):
        return follows_first(going.agent, one.path)
    part, _, name = one.path.partition(".")
    if part in PARTS and name in ("min_turn_silence", "max_turn_silence"):
        return _written(place.agent, place.stage, part, name) == _written(going.agent, going.stage, part, name)
    if one.path == "turns.vad.stop_secs":
        return _written_wait(place.agent, place.stage) == _written_wait(going.agent, going.stage)
    return False


def _is_no_news(one: FieldChange, place: Place, going: Following) -> bool:
    """What waits for the next call since an earlier save."""
    part, _, name = one.path.partition(".")
    return (
        part in PARTS
        and name in ("provider", "endpoint", "fallback")
        and getattr(getattr(place.agent, part), name) == getattr(getattr(going.agent, part), name)
    )


def _written(agent: AgentDefinition, stage: str | None, part: str, name: str) -> tuple[object, object]:
    own = getattr(agent.stages[stage], part).get(name) if stage else None
    return getattr(agent, part).settings.get(name), own


def _written_wait(agent: AgentDefinition, stage: str | None) -> float:
    """The wait of the voice detection as the file has it, before the ear's silences raise it."""
    return turns_with(agent.turns, agent.stages[stage].turns if stage else {}).vad.stop_secs


def _fate(told: _Told, place: Place, going: Following, after: AgentDefinition) -> None:
    """What becomes of the call's stage, and of the limit it may have passed already."""
    if going.fate == "renamed":
        told.sentences.append(f"goes on in {going.stage}, the new name of {place.stage}")
    elif going.fate == "removed":
        left = "until it leaves it" if after.stages else "to its end: the file has no stages any more"
        told.sentences.append(f"stays in the old text of {place.stage} {left}")
    elif going.fate == "without stages":
        told.add("the stages", _NEXT_CALL)
    limit = after.limits.max_call
    if limit is not None and limit != place.agent.limits.max_call and place.begun and place.seconds >= limit:
        told.sentences.append("ends at once: it has lasted longer than limits.max_call")


def _elsewhere(told: _Told, place: Place, going: Following, after: AgentDefinition) -> None:
    """The stages the call is not in, and what its own says on entering."""
    if going.fate == "without stages" or place.stage is None:
        return
    was, _ = with_new_names(place.agent, after)
    for name, stage in after.stages.items():
        if name not in was.stages:
            told.add("the new stage", _ENTERS, name)
            continue
        for what in _stage_differs(was, was.stages[name], after, stage):
            if name != going.stage or what == "say":
                told.add(what, _ENTERS, name)
    gone = [name for name in was.stages if name not in after.stages and name != place.stage]
    if gone:
        told.sentences.append(f"{joined(gone)} {'is' if len(gone) == 1 else 'are'} gone")


def _stage_differs(was: AgentDefinition, before: Stage, after: AgentDefinition, now: Stage) -> Iterator[str]:
    for one in fields(Stage):
        if one.name in ("name", "renamed_from"):
            continue
        old, new = getattr(before, one.name), getattr(now, one.name)
        if one.name in ("prompt", "say"):
            old = render(old, variables_of(was)) if old else None
            new = render(new, variables_of(after)) if new else None
        if old == new:
            continue
        if one.name in (*PARTS, "turns"):
            old, new = cast("Mapping[str, Setting]", old), cast("Mapping[str, Setting]", new)
            yield from (short_name(f"{one.name}.{key}") for key in {**old, **new} if old.get(key) != new.get(key))
        else:
            yield "the ways out" if one.name == "next" else one.name


def _outside(told: _Told, place: Place, going: Following, after: AgentDefinition) -> None:
    """What its stage hides for now, and what belongs to no stage: the greeting, where calls begin, sound, the agent's name."""
    before, now = place.moment(place.agent, place.stage), place.moment(going.agent, going.stage)
    if place.stage is not None:
        here = change(before, now)
        bare = [effective(replace(agent, stages={}, anywhere=()), None) for agent in (place.agent, after)]
        for one in change(bare[0], bare[1]).fields:
            hidden = not here.touches(one.path) and one.path != "prompt" and one.when in ("now", "next turn")
            if hidden and not _follows_by_itself(one, place, going):
                when = _when(one, place, now)
                told.add(short_name(one.path), _LEAVES, place.stage) if when in _SOON else told.add(
                    short_name(one.path), when
                )
    if before.greeting != now.greeting:
        told.add("greeting", _NEXT_CALL if place.begun else _FIRST_WORD)
    for one in file_changes(place.agent, after).fields:
        part = one.path.partition(".")[0]
        if one.path == "stages" and going.fate != "without stages" and place.begun:
            told.add("the first stage" if isinstance(one.after, str) else "the order of the stages", _NEXT_CALL)
        elif part == "languages" and one.path.split(".")[1] != (place.language or own_language(place.agent)):
            told.add(".".join(one.path.split(".")[:2]), _SPOKEN)
        elif part == "speakers":
            told.add(".".join(one.path.split(".")[:2]), _first_word(place, _NEXT_TURN))
        elif part in ("audio", "daily"):
            told.add(short_name(one.path), _NEXT_CALL)
        elif one.path in ("name", "description", "reload"):
            told.add(one.path, _AT_ONCE)
