"""The one idea: everything that changes a call is a difference between two effective configurations.

`effective(agent, stage)` says what every part of a call is set to at one moment; `change(before, after)` says what has to be
told to a running call to get from one moment to another. Both are pure. Starting a call, entering a stage, leaving it, and
saving the file are the same operation with other arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import TypeVar, cast

from runner.catalog import (
    CALL_VARIABLES,
    LANGUAGE_NAMES,
    PARTS,
    PROVIDERS,
    TURNS,
    Part,
    When,
)
from runner.definition import (
    AgentDefinition,
    Greeting,
    Idle,
    Limits,
    OnTrouble,
    Service,
    Setting,
    SpokenLanguage,
    Stage,
    Transition,
    Turns,
)
from runner.effective_services import Dictation, in_language, in_stage, silences
from runner.following import with_new_names
from runner.prompts import render

Record = TypeVar("Record", Greeting, Idle, Limits, OnTrouble)


@dataclass(frozen=True, slots=True)
class Effective:
    """What a call is set to at one moment.

    prompt:   the agent's prompt and the stage's, rendered together: the one system instruction of the model.
    ways:     the ways out of the stage, its own before those from anywhere.
    say:      what is spoken when the stage is entered, rendered; None for nothing.
    greeting: rendered, None when the caller speaks first. Heard only at the start of a call.
    listen_for: what is dictated in the stage; None for ordinary speech.
    on_trouble: rendered, None where nothing is said in trouble.
    """

    stage: str | None
    stt: Service
    llm: Service
    tts: Service
    prompt: str
    ways: tuple[Transition, ...]
    turns: Turns
    limits: Limits
    on_trouble: OnTrouble | None
    say: str | None = None
    asks: bool = True
    end: bool = False
    greeting: Greeting | None = None
    listen_for: Dictation | None = None

    @property
    def opens(self) -> bool:
        """Whether a call that begins here begins with words of the agent."""
        return self.greeting is not None or self.say is not None

    @property
    def opening(self) -> str | None:
        """The words that a call which begins here begins with, None where the model finds them or the caller speaks first."""
        return self.greeting.text if self.greeting else self.say

    def service(self, part: Part) -> Service:
        return {"stt": self.stt, "llm": self.llm, "tts": self.tts}[part]

    def instead(self, part: Part, number: int) -> Effective:
        """The same moment with the fallback of that number, from 0, in place of the part's first service."""
        return replace(self, **{part: self.service(part).fallback[number]})


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One setting that differs. `path` is dotted as in the agent file; None stands for "not set"."""

    path: str
    before: object
    after: object
    when: When


@dataclass(frozen=True, slots=True)
class Change:
    """The difference between two moments, in the order of the agent file."""

    fields: tuple[FieldChange, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.fields)

    def of(self, part: Part) -> dict[str, Setting]:
        """The new values of one service's settings that can be told to a running call, by their names in the agent file."""
        prefix = f"{part}."
        told: dict[str, Setting] = {}
        for field in self.fields:
            if (
                field.path.startswith(prefix)
                and field.when in ("now", "next turn")
                and not field.path.startswith(f"{prefix}fallback")
            ):
                told[field.path.removeprefix(prefix)] = field.after  # type: ignore[assignment]
        return told

    def instead(self, part: Part, number: int) -> Change:
        """The same difference as that fallback of the part sees it: what changes for it stands in place of the part's own."""
        own, aside = f"{part}.fallback.{number}.", f"{part}."
        mine = [
            replace(field, path=aside + field.path.removeprefix(own))
            for field in self.fields
            if field.path.startswith(own)
        ]
        return Change((*mine, *(field for field in self.fields if not field.path.startswith(aside))))

    def touches(self, path: str) -> bool:
        """Whether the value at `path`, or one below it, differs."""
        return any(field.path == path or field.path.startswith(f"{path}.") for field in self.fields)


def own_language(agent: AgentDefinition) -> str:
    """The short code of the language that the agent itself speaks."""
    given = agent.tts.settings.get("language")
    return given.split("-")[0].lower() if isinstance(given, str) and given else "en"


def variables_of(agent: AgentDefinition, language: str | None = None) -> dict[str, str]:
    """The names that texts may use: those of the file, and the name of the language spoken now."""
    code = language or own_language(agent)
    numbers = dict.fromkeys(CALL_VARIABLES, "")
    return {**numbers, "language": LANGUAGE_NAMES.get(code, code), **agent.variables}


def effective(
    agent: AgentDefinition, stage: str | None, language: str | None = None, speaker: str | None = None
) -> Effective:
    """What a call of `agent` is set to while it is in `stage` (None for an agent without stages).

    language: the short code of what the caller speaks, None for the agent's own language. speaker: the ear's letter for
    whom the agent answers, None where nobody is told apart.

    Raises:
        KeyError: the agent has no such stage.
        PromptError: a template fails; `document.load` refuses such an agent, so this is a bug.
    """
    here = agent.stages[stage] if stage is not None else Stage(name="")
    services = {part: in_stage(agent, part, here) for part in PARTS}
    turns, stt, dictation = silences(agent, here, services["stt"])
    instead = tuple(silences(agent, here, service)[1] for service in stt.fallback)
    own = own_language(agent)
    spoken = agent.languages.get(language or own, SpokenLanguage())
    variables = variables_of(agent, language)
    person = agent.speakers.people.get(speaker or "")
    prompts = (agent.prompt, here.prompt, spoken.prompt, person.prompt if person else None)
    texts = [render(text, variables).strip() for text in prompts if text]
    say = spoken.say.get(here.name, here.say)

    def filled_in(record: Record, place: str, names: tuple[str, ...]) -> Record:
        """A record at `place` of the file, with the variables in those of its texts that it has, in the language spoken now."""
        texts = {name: spoken.lines.get(f"{place}.{name}", own) for name in names if (own := getattr(record, name))}
        return replace(record, **{name: render(text, variables).strip() for name, text in texts.items()})

    return Effective(
        stage=stage,
        stt=replace(stt, fallback=instead),
        llm=services["llm"],
        tts=in_language(services["tts"], spoken, language if language in agent.languages else None, own),
        prompt="\n\n".join(text for text in texts if text),
        ways=(*here.next, *(() if here.end else agent.anywhere)),
        turns=replace(turns, idle=turns.idle and filled_in(turns.idle, "turns.idle", ("say", "goodbye"))),
        limits=filled_in(agent.limits, "limits", ("warning", "goodbye")),
        on_trouble=agent.on_trouble and filled_in(agent.on_trouble, "on_trouble", ("say", "goodbye")),
        say=render(say, variables).strip() if say else None,
        asks=here.prompt is not None or stage is None,
        end=here.end,
        greeting=agent.greeting and filled_in(agent.greeting, "greeting", ("text", "prompt")),
        listen_for=dictation,
    )


def change(before: Effective | None, after: Effective) -> Change:
    """What differs. With `before` None everything that is set counts: the start of a call."""
    found: list[FieldChange] = []
    for part in PARTS:
        found.extend(_service_changes(part, before.service(part) if before else None, after.service(part)))
    if before is None or before.prompt != after.prompt:
        found.append(FieldChange("prompt", before and before.prompt, after.prompt, "next turn"))
    if before is None or before.ways != after.ways:
        found.append(FieldChange("next", before and before.ways, after.ways, "next turn"))
    found.extend(_record_changes("turns.vad", before and before.turns.vad, after.turns.vad, TURNS["vad"]))
    for name, when in TURNS.items():
        if name != "vad":
            found.extend(_value_change(f"turns.{name}", before and before.turns, after.turns, name, when))
    if (before.listen_for if before else None) != after.listen_for:
        found.append(FieldChange("listen_for", before and before.listen_for, after.listen_for, "next turn"))
    found.extend(_record_changes("limits", before and before.limits, after.limits, "now"))
    found.extend(_trouble_changes(before, after))
    return Change(tuple(found))


def _trouble_changes(before: Effective | None, after: Effective) -> Iterator[FieldChange]:
    """What is said in trouble: switched on or off, and in which words."""
    was, now = before and before.on_trouble, after.on_trouble
    switch = FieldChange("on_trouble", before and bool(was), bool(now), "now")
    if before is None:
        yield from _record_changes("on_trouble", None, now, "now") if now else (switch,)
        return
    if now and not was:
        yield switch
    yield from _record_changes("on_trouble", was or OnTrouble(), now or OnTrouble(), "now")
    if was and not now:
        yield switch


def in_fallback(path: str) -> tuple[Part, int, str] | None:
    """The part, the number from 0 and the name of a setting in a list of fallbacks; None for any other path."""
    part, fallback, number, name = (*path.split(".", 3), "", "", "")[:4]
    found: Part | None = next((one for one in PARTS if one == part), None)
    return (found, int(number), name) if found and fallback == "fallback" and number else None


def follows_first(agent: AgentDefinition, path: str) -> bool:
    """Whether a setting of a fallback is what it is because the part's first service has it: nobody wrote it there."""
    if not (at := in_fallback(path)):
        return False
    part, number, name = at
    first: Service = getattr(agent, part)
    own = first.fallback[number]
    return own.provider == first.provider and name not in own.given


def held_after(held: Effective, now: Effective) -> Effective:
    """What the parts of a running call hold once `now` was told to them: `now`, but for a service that another provider takes
    over with the next call; that one keeps what it held."""
    return replace(now, **{part: _held(held.service(part), now.service(part)) for part in PARTS})


def _held(held: Service, now: Service) -> Service:
    if now.provider != held.provider:
        return held
    return now if _who(now.fallback) == _who(held.fallback) else replace(now, fallback=held.fallback)


def _who(fallback: tuple[Service, ...]) -> list[tuple[str, str | None]]:
    """What a list of fallbacks is in a running call, which keeps it; the settings of each can change."""
    return [(service.provider, service.endpoint) for service in fallback]


def file_changes(before: AgentDefinition, after: AgentDefinition) -> Change:
    """What a save changed, for the person who saved: every field of the agent and of its stages, and when each is heard.

    A renamed stage is one change, from its old name to its new one. What one running call notices is `reach.reach`.
    """
    old_stages = before.stages
    before, names = with_new_names(before, after)
    found = list(change(effective(_bare(before), None), effective(_bare(after), None)).fields)
    if before.greeting != after.greeting:
        found.append(FieldChange("greeting", before.greeting, after.greeting, "next call"))
    if before.anywhere != after.anywhere:
        found.append(FieldChange("anywhere", before.anywhere, after.anywhere, "next turn"))
    found.extend(FieldChange(f"stages.{was}", was, name, "now") for was, name in names.items())
    found.extend(_stages_changes(before, after))
    found.extend(
        _order_changes(tuple(dict.fromkeys(names.get(name, name) for name in old_stages)), tuple(after.stages))
    )
    if before.variables != after.variables:
        found.append(FieldChange("variables", before.variables, after.variables, "next turn"))
    found.extend(_record_changes("audio", before.audio, after.audio, "next call"))
    found.extend(_record_changes("daily", before.daily, after.daily, "next call"))
    if before.voicemail != after.voicemail:
        was, will = (None if one is None else one.say or "nothing" for one in (before.voicemail, after.voicemail))
        found.append(FieldChange("voicemail", was, will, "next call"))
    found.extend(_value_change("speakers.mode", before.speakers, after.speakers, "mode", "next turn"))
    found.extend(_group_changes("speakers.people", before.speakers.people, after.speakers.people))
    found.extend(_each_line(_group_changes("languages", before.languages, after.languages)))
    for name in ("name", "description", "reload"):
        found.extend(_value_change(name, before, after, name, "now"))
    return Change(tuple(found))


def _stages_changes(before: AgentDefinition, after: AgentDefinition) -> Iterator[FieldChange]:
    """Stages that came, changed and went. A call that has or had no stages keeps to that, so all of it is the next call's."""
    none = not (before.stages and after.stages)
    for name, stage in after.stages.items():
        if name not in before.stages:
            yield FieldChange(f"stages.{name}", None, stage, "next call" if none else "next stage")
        else:
            yield from _stage_changes(name, before.stages[name], stage)
    for name, stage in before.stages.items():
        if name not in after.stages:
            yield FieldChange(f"stages.{name}", stage, None, "next call" if none else "next stage")


def _order_changes(before: tuple[str, ...], after: tuple[str, ...]) -> Iterator[FieldChange]:
    """Another first stage, or the stages that both have in another order."""
    if before and after and before[0] != after[0]:
        yield FieldChange("stages", before[0], after[0], "next call")
    elif [name for name in before if name in after] != [name for name in after if name in before]:
        yield FieldChange("stages", before, after, "next call")


def _bare(agent: AgentDefinition) -> AgentDefinition:
    return replace(agent, stages={}, anywhere=())


def _stage_changes(name: str, before: Stage, after: Stage) -> Iterator[FieldChange]:
    whens: dict[str, When] = {"say": "next stage", "end": "next stage"}
    for field in fields(Stage):
        if field.name not in ("name", "renamed_from"):
            yield from _value_change(
                f"stages.{name}.{field.name}", before, after, field.name, whens.get(field.name, "next turn")
            )


def _value_change(path: str, before: object, after: object, name: str, when: When) -> Iterator[FieldChange]:
    old = getattr(before, name) if before is not None else None
    new = getattr(after, name)
    if before is None or old != new:
        yield FieldChange(path, old, new, when)


def _group_changes(path: str, before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[FieldChange]:
    """What differs in records that have names: those that came and went whole, the others field by field."""
    for name, record in after.items():
        if name in before:
            yield from _record_changes(f"{path}.{name}", before[name], record, "next turn")
        else:
            yield FieldChange(f"{path}.{name}", None, record, "next turn")
    for name, record in before.items():
        if name not in after:
            yield FieldChange(f"{path}.{name}", record, None, "next turn")


def _each_line(changes: Iterable[FieldChange]) -> Iterator[FieldChange]:
    """The same, but for what a language says (`SpokenLanguage.lines`): each line at its place in the file."""
    for one in changes:
        language, _, name = one.path.rpartition(".")
        if name != "lines":
            yield one
            continue
        was, now = cast("dict[str, str]", one.before), cast("dict[str, str]", one.after)
        for place in {**was, **now}:
            if was.get(place) != now.get(place):
                yield FieldChange(f"{language}.{place}", was.get(place), now.get(place), one.when)


def _record_changes(path: str, before: object, after: object, when: When) -> Iterator[FieldChange]:
    for field in fields(after):  # type: ignore[arg-type]
        yield from _value_change(f"{path}.{field.name}", before, after, field.name, when)


def _service_changes(part: Part, before: Service | None, after: Service) -> Iterator[FieldChange]:
    if before is None or before.provider != after.provider:
        yield FieldChange(f"{part}.provider", before and before.provider, after.provider, "next call")
    if before is None or before.endpoint != after.endpoint:
        yield FieldChange(f"{part}.endpoint", before and before.endpoint, after.endpoint, "next call")
    yield from _setting_changes(part, part, before, after)
    had = before.fallback if before else ()
    if _who(had) != _who(after.fallback):
        yield FieldChange(f"{part}.fallback", had, after.fallback, "next call")
        return
    for number, (old, new) in enumerate(zip(had, after.fallback, strict=True)):
        yield from _setting_changes(f"{part}.fallback.{number}", part, old, new)


def _setting_changes(path: str, part: Part, before: Service | None, after: Service) -> Iterator[FieldChange]:
    table = PROVIDERS[part, after.provider].fields
    old: Mapping[str, Setting] = before.settings if before else {}
    other = before is not None and before.provider != after.provider
    for name, field in table.items():
        if old.get(name) != after.settings.get(name):
            when = "next call" if other else field.when
            yield FieldChange(f"{path}.{name}", old.get(name), after.settings.get(name), when)
