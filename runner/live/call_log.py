"""What `runner serve` writes to standard output: that calls began, moved on, had trouble and ended. Never what was said in them,
nor what stands in an agent file.

Comes in: what a `Terminal` is told. Goes out: lines for people, or JSON for programs that collect logs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TextIO

from runner.events import (
    AgentSaid,
    AgentVersion,
    Backchannel,
    CallEnded,
    CallerSaid,
    CallStarted,
    Event,
    LanguageChanged,
    SilenceOver,
    Silent,
    SpeakerCorrected,
    StageEntered,
    Trouble,
    TurnLatency,
)
from runner.problem import Problem, without_quotes
from runner.terminal import Terminal

_CONTENT = (CallerSaid, Backchannel, SpeakerCorrected, AgentSaid)


class CallLog(Terminal):
    """Each line names its call. as_json: `time`, `event` and what belongs to it; other lines have the event `note`."""

    def __init__(self, *, as_json: bool, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._as_json = as_json
        self._crowded = True

    def line(self, text: str = "", style: str = "") -> None:
        if not self._as_json:
            super().line(text, style)
        elif text.strip():
            self._write("note", {"text": text.strip()})

    def detail(self, text: str) -> None:
        pass

    def problems(self, problems: Sequence[Problem], after: str) -> None:
        for line in without_quotes(problems):
            self.line(f"[problem] {line}")
        if after:
            self.line(after)

    def event(self, call: int, event: Event, agent: str = "") -> None:
        if isinstance(event, _CONTENT):
            return
        if self._as_json:
            name, facts = _as_facts(event)
            self._write(name, {"call": call, "agent": agent, "version": event.version, **facts})
        elif isinstance(event, CallStarted):
            self.line(f"call {call} started: {agent} ({event.carrier}), version {event.version}")
        else:
            super().event(call, event)

    def _write(self, event: str, facts: dict[str, object]) -> None:
        now = time.time()
        at = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1000):03d}Z"
        super().line(json.dumps({"time": at, "event": event, **facts}, ensure_ascii=False))


def _as_facts(event: Event) -> tuple[str, dict[str, object]]:
    """The name of an event without content, and what it tells beside the call and the version."""
    match event:
        case CallStarted(carrier):
            return "call_started", {"carrier": carrier}
        case StageEntered(left, stage):
            return "stage", {"from": left, "to": stage}
        case AgentVersion():
            return "version", {}
        case LanguageChanged(left, language):
            return "language", {"from": left, "to": language}
        case Silent(_, part, seconds):
            return "silence", {"part": part, "ms": round(seconds * 1000)}
        case SilenceOver(seconds):
            return "silence_over", {"ms": round(seconds * 1000)}
        case TurnLatency(seconds, parts):
            return "latency", {"ms": round(seconds * 1000), "parts": {what: round(s * 1000) for what, s, _ in parts}}
        case Trouble(text):
            return "trouble", {"text": text}
        case CallEnded(reason):
            return "call_ended", {"reason": reason}
        case _:
            raise ValueError(f"{type(event).__name__} holds what was said.")
