"""The one idea: everything that changes a call is a difference between two effective configurations.

`effective(agent, stage)` says what every part of a call is set to at one moment; `change(before, after)` says what has to be
told to a running call to get from one moment to another. Both are pure. Starting a call, entering a stage, leaving it, and
saving the file are the same operation with other arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace

from runner.catalog import (
    CALL_VARIABLES,
    DICTATION_MAX_SILENCE_MS,
    DICTATION_SECS,
    LANGUAGE_NAMES,
    MAX_SILENCE_MS,
    PARTS,
    PROVIDERS,
    SHARED,
    U3_FAMILY,
    Part,
    When,
)
from runner.definition import (
    AgentDefinition,
    Greeting,
    Limits,
    ListenFor,
    Only,
    Service,
    Setting,
    SpokenLanguage,
    Stage,
    Transition,
    Turns,
)
from runner.following import with_new_names
from runner.prompts import render


@dataclass(frozen=True, slots=True)
class Dictation:
    """What the caller dictates, and after how many seconds of silence it is over when it does not sound complete."""

    kind: ListenFor
    wait: float


@dataclass(frozen=True, slots=True)
class Effective:
    """What a call is set to at one moment.

    prompt:   the agent's prompt and the stage's, rendered together: the one system instruction of the model.
    ways:     the ways out of the stage, its own before those from anywhere.
    say:      what is spoken when the stage is entered, rendered; None for nothing.
    greeting: rendered, None when the caller speaks first. Heard only at the start of a call.
    listen_for: what is dictated in the stage; None for ordinary speech.
    """

    stage: str | None
    stt: Service
    llm: Service
    tts: Service
    prompt: str
    ways: tuple[Transition, ...]
    turns: Turns
    limits: Limits
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
    services = {part: _with_delta(agent, part, here) for part in PARTS}
    turns, stt, dictation = _silences(agent, here, services["stt"])
    instead = tuple(_silences(agent, here, service)[1] for service in stt.fallback)
    own = own_language(agent)
    spoken = agent.languages.get(language or own, SpokenLanguage())
    variables = variables_of(agent, language)
    person = agent.speakers.people.get(speaker or "")
    prompts = (agent.prompt, here.prompt, spoken.prompt, person.prompt if person else None)
    texts = [render(text, variables).strip() for text in prompts if text]
    say = spoken.say.get(here.name, here.say)
    return Effective(
        stage=stage,
        stt=replace(stt, fallback=instead),
        llm=services["llm"],
        tts=_in_language(services["tts"], spoken, language if language in agent.languages else None, own),
        prompt="\n\n".join(text for text in texts if text),
        ways=(*here.next, *(() if here.end else agent.anywhere)),
        turns=turns,
        limits=agent.limits,
        say=render(say, variables).strip() if say else None,
        asks=here.prompt is not None or stage is None,
        end=here.end,
        greeting=_greeting(agent.greeting, variables),
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
    found.extend(_record_changes("turns.vad", before and before.turns.vad, after.turns.vad, "now"))
    for field in fields(Turns):
        if field.name != "vad":
            when: When = "now" if field.name == "idle" else "next turn"
            found.extend(_value_change(f"turns.{field.name}", before and before.turns, after.turns, field.name, when))
    if (before.listen_for if before else None) != after.listen_for:
        found.append(FieldChange("listen_for", before and before.listen_for, after.listen_for, "next turn"))
    found.extend(_record_changes("limits", before and before.limits, after.limits, "now"))
    return Change(tuple(found))


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
    found.extend(_value_change("speakers.mode", before.speakers, after.speakers, "mode", "next turn"))
    found.extend(_group_changes("speakers.people", before.speakers.people, after.speakers.people))
    found.extend(_group_changes("languages", before.languages, after.languages))
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


def _with_delta(agent: AgentDefinition, part: Part, stage: Stage) -> Service:
    """The agent's service with the stage's delta, and with the resting value of every setting that only stages set."""
    service: Service = getattr(agent, part)
    return replace(
        _in_stage(agent, part, stage, service, lambda _: True),
        fallback=tuple(_fallback_in_stage(agent, part, stage, service, one) for one in service.fallback),
    )


def _fallback_in_stage(agent: AgentDefinition, part: Part, stage: Stage, first: Service, own: Service) -> Service:
    """A fallback in a stage. One of the same provider follows the stage, but for what it sets itself (lists add all the same);
    one of another provider takes what means the same with all providers, if it has a setting of that name."""
    table = PROVIDERS[part, own.provider].fields

    def follows(name: str) -> bool:
        if own.provider != first.provider and (name not in SHARED[part] or name not in table):
            return False
        return name not in own.given or isinstance(own.settings.get(name), tuple)

    return _in_stage(agent, part, stage, own, follows)


def _in_stage(
    agent: AgentDefinition, part: Part, stage: Stage, service: Service, follows: Callable[[str], bool]
) -> Service:
    """One service with what it follows of the stage's delta."""
    delta: Mapping[str, Setting] = getattr(stage, part)
    table = PROVIDERS[part, service.provider].fields
    settings = dict(service.settings)
    for other in agent.stages.values():
        for name in getattr(other, part):
            if name not in settings and name in table and table[name].rest is not None and follows(name):
                settings[name] = table[name].rest
    for name, value in delta.items():
        if follows(name):
            settings[name] = _joined(settings.get(name), value)
    return replace(service, settings=settings)


def _in_language(service: Service, spoken: SpokenLanguage, code: str | None, own: str) -> Service:
    """The voice while the caller speaks a language that the file names; None for one that it does not."""
    table = PROVIDERS["tts", service.provider].fields
    settings = dict(service.settings)
    if spoken.voice is not None and "voice" in table:
        settings["voice"] = spoken.voice
    if code is not None and code != own and "language" in table:
        settings["language"] = code
    fallback = tuple(_in_language(one, SpokenLanguage(), code, own) for one in service.fallback)
    return replace(service, settings=settings, fallback=fallback)


def _joined(base: Setting, delta: Setting) -> Setting:
    if isinstance(delta, Only):
        return delta.items
    if isinstance(delta, tuple) and isinstance(base, tuple):
        return tuple(dict.fromkeys((*base, *delta)))
    return delta


def _silences(agent: AgentDefinition, stage: Stage, stt: Service) -> tuple[Turns, Service, Dictation | None]:
    """Turn taking, the ear's silences and the wait of a dictation, made to agree.

    In pipecat turn detection every VAD stop ends AssemblyAI's turn (Pipecat 1.14 sends ForceEndpoint), so a longer silence
    works only if the local VAD waits as long; and Pipecat keeps minimum and maximum equal. While the caller dictates runner
    sends ForceEndpoint itself, after `wait`, and the ear's silence lies above that so that the ear does not end first. In
    AssemblyAI's own turn detection the vendor's recommended pair (100, 1000) is sent explicitly, because its defaults differ
    from page to page. Of another provider's ear only the local VAD's silence is known here; it is the wait.

    What the stage itself sets under `stt` wins over what dictation would set.
    """
    turns, kind = agent.turns, stage.listen_for
    if stt.provider != "assemblyai":
        dictation = Dictation(kind, max(DICTATION_SECS[kind], turns.vad.stop_secs)) if kind else None
        return _vad_waits(turns, dictation.wait if dictation else 0), stt, dictation
    settings = dict(stt.settings)
    if settings.get("turn_detection") == "assemblyai":
        dictation = _vendors_silences(settings, stage)
    elif settings.get("model") in U3_FAMILY:
        dictation = _pipecats_silences(settings, stage, turns)
        silence = _milliseconds(settings.get("min_turn_silence"))
        if not dictation and silence is not None:
            turns = _vad_waits(turns, silence / 1000)
    else:
        dictation = None
        if kind:
            by_hand = _milliseconds(stage.stt.get("max_turn_silence"))
            dictation = _dictation(kind, by_hand, turns)
            settings["max_turn_silence"] = by_hand or DICTATION_MAX_SILENCE_MS
            settings.pop("min_turn_silence", None)
        elif any(other.listen_for for other in agent.stages.values()):
            settings.setdefault("max_turn_silence", MAX_SILENCE_MS)
    return turns, replace(stt, settings=settings), dictation


def _vendors_silences(settings: dict[str, Setting], stage: Stage) -> Dictation | None:
    """Sets both silences for AssemblyAI's own turn detection. While the caller dictates it ends what sounds finished after the
    shorter one; runner asks for the end of anything else after the wait."""
    if not stage.listen_for:
        settings.setdefault("min_turn_silence", 100)
        settings.setdefault("max_turn_silence", 1000)
        return None
    low, high = (_milliseconds(stage.stt.get(name)) for name in ("min_turn_silence", "max_turn_silence"))
    usual = int(DICTATION_SECS[stage.listen_for] * 1000)
    settings["min_turn_silence"] = low = low or min(usual, high or usual)
    settings["max_turn_silence"] = high or max(low, DICTATION_MAX_SILENCE_MS)
    return Dictation(stage.listen_for, (high or max(low, usual)) / 1000)


def _pipecats_silences(settings: dict[str, Setting], stage: Stage, turns: Turns) -> Dictation | None:
    """Sets both silences, equal as Pipecat 1.14 wants them in its own turn detection on a Universal-3 Pro model."""
    if not stage.listen_for:
        settings["max_turn_silence"] = settings.setdefault("min_turn_silence", 100)
        return None
    by_hand = _milliseconds(stage.stt.get("max_turn_silence", stage.stt.get("min_turn_silence")))
    settings["min_turn_silence"] = settings["max_turn_silence"] = by_hand or DICTATION_MAX_SILENCE_MS
    return _dictation(stage.listen_for, by_hand, turns)


def _dictation(kind: ListenFor, by_hand: int | None, turns: Turns) -> Dictation:
    wait = by_hand / 1000 if by_hand else DICTATION_SECS[kind]
    return Dictation(kind, max(wait, turns.vad.stop_secs))


def _vad_waits(turns: Turns, secs: float) -> Turns:
    """The same turn taking, whose local VAD waits at least so long."""
    return turns if secs <= turns.vad.stop_secs else replace(turns, vad=replace(turns.vad, stop_secs=secs))


def _milliseconds(value: Setting) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def _greeting(greeting: Greeting | None, variables: Mapping[str, str]) -> Greeting | None:
    if greeting is None:
        return None
    return Greeting(
        text=render(greeting.text, variables).strip() if greeting.text else None,
        prompt=render(greeting.prompt, variables).strip() if greeting.prompt else None,
    )
