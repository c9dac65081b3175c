"""Every moment of every example agent, and what a change makes of a moment: for the proofs about `change`."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from runner.catalog import PARTS, PROVIDERS, Part
from runner.definition import AgentDefinition, Only, OnTrouble, Service, Setting
from runner.document.load import load
from runner.effective import Change, Effective, FieldChange, effective
from tests.running import PROJECT

EXAMPLES = [
    *sorted((PROJECT / "agents").glob("*.yaml")),
    *sorted((PROJECT / "tests" / "cloud" / "agents").glob("*.yaml")),
    *sorted((PROJECT / "tests" / "examples" / "good").glob("*.yaml")),
]

PLAIN = AgentDefinition(
    name="a",
    file=Path("a.yaml"),
    prompt="Be kind.",
    stt=Service("assemblyai", {"model": "universal-3-5-pro", "turn_detection": "pipecat"}),
    llm=Service("openai", {"model": "gpt-4o"}),
    tts=Service("cartesia", {"model": "sonic-3.6", "voice": "v"}),
)


_SECONDS = st.integers(1, 99).map(lambda number: number / 10)
_WORDS = st.sampled_from([("mhm",), ("yeah", "I see"), ("mhm", "yeah")])
_TIMES = st.sampled_from([("tools",), ("always",), ("tools", "always")])

ANY_TURNS: st.SearchStrategy[dict[str, Setting]] = st.fixed_dictionaries(
    {},
    optional={
        "barge_in": st.booleans(),
        "barge_in_after_words": st.integers(1, 3),
        "barge_in_ignore": _WORDS | _WORDS.map(Only) | st.just(Only(())),
        "mute": _TIMES | _TIMES.map(Only) | st.just(Only(())),
        "vad": st.dictionaries(st.sampled_from(["confidence", "start_secs", "stop_secs"]), _SECONDS, min_size=1),
        "smart_turn": st.booleans(),
        "smart_turn_stop_secs": _SECONDS,
        "speech_timeout": _SECONDS,
        "idle": st.just(False)
        | st.fixed_dictionaries({"after": _SECONDS}, optional={"say": st.just("Hm?"), "tries": st.just(1)}),
        "look_ahead": st.sampled_from(["likely", "off"]),
    },
)
"""What any stage may say about turn taking (`Stage.turns`)."""


def opened(file: Path) -> AgentDefinition:
    found = load(file, env={"REGION": "eu", "HOST": "example.com"}).definition
    assert found, file
    return found


AT_ENTRY = {"stage", "say", "asks", "end", "greeting"}
"""What a moment holds that is no setting: it is carried out once, when the stage is entered or the call begins."""


def applied(moment: Effective, changed: Change) -> Effective:
    """`moment` after everything in `changed` was carried out.

    This belongs to the tests: a running call takes the new moment whole and tells its services what differs, so nothing but
    a proof ever has to compute a moment from a change.
    """
    for field in changed.fields:
        moment = _with(moment, field)
    return moment


def _with(moment: Effective, field: FieldChange) -> Effective:
    head, _, name = field.path.partition(".")
    match head:
        case "prompt":
            return replace(moment, prompt=field.after)  # type: ignore[arg-type]
        case "next":
            return replace(moment, ways=field.after)  # type: ignore[arg-type]
        case "listen_for":
            return replace(moment, listen_for=field.after)  # type: ignore[arg-type]
        case "stt" | "llm" | "tts":
            return replace(moment, **{head: _service_with(head, moment.service(head), name, field.after)})
        case "on_trouble" if not name:
            return replace(moment, on_trouble=OnTrouble() if field.after else None)
        case "turns" | "limits" | "on_trouble":
            return replace(moment, **{head: _record_with(getattr(moment, head), name, field.after)})
        case _:
            raise AssertionError(f"{field.path} is no part of a moment")


def _service_with(part: Part, service: Service, name: str, value: Any) -> Service:
    if name == "provider":
        known = PROVIDERS[part, value].fields
        return replace(service, provider=value, settings={n: v for n, v in service.settings.items() if n in known})
    if name in ("endpoint", "fallback"):
        return replace(service, **{name: value})
    if name.startswith("fallback."):
        _, number, inner = name.split(".", 2)
        instead = list(service.fallback)
        instead[int(number)] = _service_with(part, instead[int(number)], inner, value)
        return replace(service, fallback=tuple(instead))
    return replace(service, settings={**service.settings, name: value})


def _record_with(record: Any, path: str, value: object) -> Any:
    name, _, rest = path.partition(".")
    return replace(record, **{name: _record_with(getattr(record, name), rest, value) if rest else value})


def settings_of(moment: Effective) -> dict[str, object]:
    """All that a moment sets. A setting that is None is not set; `given` only says which line of the file it came from."""
    held: dict[str, object] = {f.name: getattr(moment, f.name) for f in fields(Effective) if f.name not in AT_ENTRY}
    for part in PARTS:
        service = moment.service(part)
        held[part] = [_set(one) for one in (service, *service.fallback)]
    return held


def _set(service: Service) -> tuple[str, str | None, dict[str, object]]:
    settings: dict[str, object] = {name: value for name, value in service.settings.items() if value is not None}
    return service.provider, service.endpoint, settings


def all_moments() -> list[Effective]:
    return [effective(agent, stage) for agent in map(opened, EXAMPLES) for stage in agent.stages or [None]]
