"""The three services and turn taking at one moment of a call: what a stage and a language set over the agent's own settings.

Comes in: an agent, a stage, a language. Goes out: services, and turn taking that agrees with them. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from runner.catalog import (
    DICTATION_MAX_SILENCE_MS,
    DICTATION_SECS,
    MAX_SILENCE_MS,
    PROVIDERS,
    SHARED,
    U3_FAMILY,
    Part,
)
from runner.definition import AgentDefinition, Idle, ListenFor, Only, Service, Setting, SpokenLanguage, Stage, Turns


@dataclass(frozen=True, slots=True)
class Dictation:
    """What the caller dictates, and after how many seconds of silence it is over when it does not sound complete."""

    kind: ListenFor
    wait: float


def in_stage(agent: AgentDefinition, part: Part, stage: Stage) -> Service:
    """The agent's service with the stage's delta, and with the resting value of every setting that only stages set."""
    service: Service = getattr(agent, part)
    return replace(
        _one_in_stage(agent, part, stage, service, lambda _: True),
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

    return _one_in_stage(agent, part, stage, own, follows)


def _one_in_stage(
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


def in_language(service: Service, spoken: SpokenLanguage, code: str | None, own: str) -> Service:
    """The voice while the caller speaks a language that the file names; None for one that it does not."""
    table = PROVIDERS["tts", service.provider].fields
    settings = dict(service.settings)
    if spoken.voice is not None and "voice" in table:
        settings["voice"] = spoken.voice
    if code is not None and code != own and "language" in table:
        settings["language"] = code
    fallback = tuple(in_language(one, SpokenLanguage(), code, own) for one in service.fallback)
    return replace(service, settings=settings, fallback=fallback)


def _joined(base: Setting, delta: Setting) -> Setting:
    if isinstance(delta, Only):
        return delta.items
    if isinstance(delta, tuple) and isinstance(base, tuple):
        return tuple(dict.fromkeys((*base, *delta)))
    return delta


def turns_with(turns: Turns, delta: Mapping[str, Setting]) -> Turns:
    """Turn taking with what a group `turns` says over it; the same for an agent's over the defaults and a stage's over those.

    delta: by the names of `Turns`, as in `Stage.turns`. What lies below `barge_in` or `smart_turn` switches it on, unless the
    delta switches it off; `barge_in: True` is the first sound of speech, whatever words were asked for before.
    """
    told: dict[str, Any] = {}
    for group in ("barge_in", "smart_turn"):
        if any(name.startswith(f"{group}_") for name in delta):
            told[group] = True
    if delta.get("barge_in") is True:
        turns = replace(turns, barge_in_after_words=0, barge_in_ignore=())
    for name, value in delta.items():
        if name == "idle":
            told[name] = _idle_with(turns.idle, value)
        elif isinstance(value, Mapping):
            told[name] = replace(getattr(turns, name), **value)
        else:
            told[name] = _joined(getattr(turns, name), value)
    return replace(turns, **told)


def _idle_with(idle: Idle | None, delta: Setting) -> Idle | None:
    """Half an `idle` over none is none: the old text of a stage may be over an agent that has no `idle` any more."""
    if not isinstance(delta, Mapping):
        return None
    values: dict[str, Any] = dict(delta)
    if idle is None:
        return Idle(**values) if {"after", "say"} <= values.keys() else None
    return replace(idle, **values)


def silences(agent: AgentDefinition, stage: Stage, stt: Service) -> tuple[Turns, Service, Dictation | None]:
    """Turn taking, the ear's silences and the wait of a dictation, made to agree.

    In pipecat turn detection every VAD stop ends AssemblyAI's turn (Pipecat 1.14 sends ForceEndpoint), so a longer silence
    works only if the local VAD waits as long; and Pipecat keeps minimum and maximum equal. While the caller dictates runner
    sends ForceEndpoint itself, after `wait`, and the ear's silence lies above that so that the ear does not end first. In
    AssemblyAI's own turn detection the vendor's recommended pair (100, 1000) is sent explicitly, because its defaults differ
    from page to page. Of another provider's ear only the local VAD's silence is known here; it is the wait.

    What the stage itself sets under `stt` wins over what dictation would set.
    """
    turns, kind = turns_with(agent.turns, stage.turns), stage.listen_for
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
