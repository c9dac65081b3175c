"""Rules about rates, telephone lines, Daily rooms, and settings that need a companion."""

from __future__ import annotations

from collections.abc import Iterator

from runner.document.rules.answers import REASONING
from runner.document.rules.rule import Hit, Rule
from runner.document.rules.view import Agent, group_of, number_of

GUIDE = "AssemblyAI, Universal 3.5 Pro Realtime with Pipecat"

COMPANIONS: dict[str, str] = {
    "max_speakers": "speaker_labels",
    "speaker_format": "speaker_labels",
    "redact_pii_policies": "redact_pii",
    "redact_pii_sub": "redact_pii",
}
"""Settings of AssemblyAI that do nothing until another one is true."""


def _rate_too_high(agent: Agent) -> Iterator[Hit]:
    for path, own, _ in agent.ears():
        rate = number_of(own.get("sample_rate"))
        if rate is not None and rate > 16000:
            yield Hit((*path, "sample_rate"), {"rate": f"{rate:g}"}, "value")


def _rate_added(agent: Agent) -> Iterator[Hit]:
    """8 kHz come in, more is sent on: the sound is blown up and not a bit better."""
    line = number_of(group_of(agent.data.get("audio")).get("in_sample_rate"))
    for path, own, _ in agent.ears():
        rate = number_of(own.get("sample_rate"))
        if rate is not None and line is not None and line < rate <= 16000:
            yield Hit((*path, "sample_rate"), {"rate": f"{rate:g}", "line": f"{line:g}"}, "value")


def _rate_fixed(agent: Agent) -> Iterator[Hit]:
    """One rate for calls that have different ones: a telephone brings 8000 Hz, a browser more."""
    line = number_of(group_of(agent.data.get("audio")).get("in_sample_rate"))
    for path, own, _ in agent.ears():
        rate = number_of(own.get("sample_rate"))
        if path == ("stt",) and rate is not None and rate <= 16000 and line in (None, 16000):
            yield Hit((*path, "sample_rate"), {"rate": f"{rate:g}"}, "value")


def _telephone_out(agent: Agent) -> Iterator[Hit]:
    audio = group_of(agent.data.get("audio"))
    out = number_of(audio.get("out_sample_rate"))
    if audio.get("in_sample_rate") == 8000 and (out is None or out > 8000):
        name = "in_sample_rate" if out is None else "out_sample_rate"
        yield Hit(("audio", name), {"out": f"{out or 24000:g}"}, "value")


def _without_companion(agent: Agent) -> Iterator[Hit]:
    for path, own, whole in agent.ears():
        for name, other in COMPANIONS.items():
            if name in own and whole.get(other) is not True:
                yield Hit((*path, name), {"name": name, "other": other})


def _waits_turned_round(agent: Agent) -> Iterator[Hit]:
    for path, own, whole in agent.ears():
        low = number_of(whole.get("reconnect_backoff_min_wait", 0.25))
        high = number_of(whole.get("reconnect_backoff_max_wait", 10))
        names = [name for name in ("reconnect_backoff_min_wait", "reconnect_backoff_max_wait") if name in own]
        if names and low is not None and high is not None and low > high:
            yield Hit((*path, names[0]), {"low": f"{low:g}", "high": f"{high:g}"}, "value")


def _public_room(agent: Agent) -> Iterator[Hit]:
    if group_of(agent.data.get("daily")).get("privacy") == "public":
        yield Hit(("daily", "privacy"), on="value")


def _room_shorter_than_call(agent: Agent) -> Iterator[Hit]:
    room = number_of(group_of(agent.data.get("daily")).get("expires_in"))
    call = number_of(group_of(agent.data.get("limits")).get("max_call"))
    if room is not None and call is not None and room < call:
        yield Hit(("daily", "expires_in"), {"room": f"{room:g}", "call": f"{call:g}"}, "value")


def _room_shorter_than_wait(agent: Agent) -> Iterator[Hit]:
    daily = group_of(agent.data.get("daily"))
    room, wait = number_of(daily.get("expires_in", 7200)), number_of(daily.get("wait_for_caller", 120))
    if room is not None and wait is not None and room < wait:
        name = "wait_for_caller" if "wait_for_caller" in daily else "expires_in"
        yield Hit(("daily", name), {"room": f"{room:g}", "wait": f"{wait:g}"}, "value")


def _only_for_thinkers(agent: Agent) -> Iterator[Hit]:
    for path, own, whole in agent.services("llm"):
        model = str(whole.get("model", "gpt-4o"))
        known = model.startswith(("gpt-4", "gpt-3"))
        for name in ("reasoning_effort", "verbosity"):
            if name in own and known and not REASONING.match(model) and "endpoint" not in whole:
                yield Hit((*path, name), {"name": name, "model": model})


RULES = (
    Rule(
        "rate-too-high",
        "warning",
        "stt.sample_rate",
        "sample_rate {rate} costs bandwidth and helps nothing.",
        "Remove the line, so that it follows each call.",
        f"{GUIDE}: Latency (use 16 kHz, higher rates do not improve accuracy)",
        _rate_too_high,
    ),
    Rule(
        "rate-added",
        "warning",
        "stt.sample_rate and audio.in_sample_rate",
        "The caller's sound has {line} Hz (audio.in_sample_rate); sending {rate} makes it bigger and not better.",
        "Remove sample_rate, so that it follows audio.",
        f"{GUIDE}: Telephony (match the transport's rates)",
        _rate_added,
    ),
    Rule(
        "rate-fixed",
        "warning",
        "stt.sample_rate",
        "A caller's sound has 8000 Hz by telephone and 16000 in the browser; this sends both with {rate}.",
        "Remove sample_rate, so that it follows each call.",
        f"{GUIDE}: Telephony (match the transport's rates)",
        _rate_fixed,
    ),
    Rule(
        "telephone-out",
        "warning",
        "audio",
        "A telephone line carries 8000 Hz both ways, but the agent speaks with {out}.",
        "Write out_sample_rate: 8000",
        f"{GUIDE}: Telephony with Telnyx (audio is 8 kHz, match the transport's rates)",
        _telephone_out,
    ),
    Rule(
        "without-companion",
        "warning",
        "stt",
        '"{name}" has no effect without "{other}".',
        "Add {other}: true",
        "AssemblyAI, streaming API: speaker_labels with max_speakers, redact_pii with its policies",
        _without_companion,
    ),
    Rule(
        "waits-turned-round",
        "error",
        "stt.reconnect_backoff_min_wait and reconnect_backoff_max_wait",
        "The shortest wait ({low} s) is longer than the longest ({high} s).",
        "The first must be the shorter one.",
        "Pipecat 1.14, WebsocketService: waits grow from the shortest (4 s) to the longest (10 s)",
        _waits_turned_round,
    ),
    Rule(
        "public-room",
        "warning",
        "daily.privacy",
        "Anybody who has the link of a public room can join the call.",
        "Remove the line: rooms are private, and the printed link lets the right ones in.",
        "Daily, REST API: a public room needs no meeting token",
        _public_room,
    ),
    Rule(
        "room-shorter-than-call",
        "warning",
        "daily.expires_in and limits.max_call",
        "The room ends after {room} s, before the longest call does ({call} s, limits.max_call).",
        "Write a longer time.",
        "Daily, REST API: exp and eject_at_room_exp",
        _room_shorter_than_call,
    ),
    Rule(
        "room-shorter-than-wait",
        "warning",
        "daily.expires_in and wait_for_caller",
        "The room ends after {room} s, before the agent has waited for its caller ({wait} s, wait_for_caller).",
        "Write a longer time for expires_in, or a shorter one for wait_for_caller.",
        "Daily, REST API: exp",
        _room_shorter_than_wait,
    ),
    Rule(
        "only-for-thinkers",
        "error",
        "llm",
        'OpenAI refuses "{name}" with {model}.',
        "Remove the line; it belongs to models that think first, such as gpt-5.",
        "OpenAI, API reference: reasoning_effort and verbosity are for reasoning models",
        _only_for_thinkers,
    ),
)
"""The table of these rules."""
