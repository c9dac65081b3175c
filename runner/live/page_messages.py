"""What the page is told about a call, beside what RTVI tells it anyway: one small record for each event.

What the agent said travels by RTVI itself; `agent` adds, when it has been said, which version and stage made it."""

from __future__ import annotations

from typing import Any

from runner.events import AgentSaid, AgentVersion, Event, StageEntered, Trouble, TurnLatency


def as_message(event: Event) -> dict[str, Any] | None:
    """The data of RTVI's `server-message`, None for what RTVI itself carries."""
    match event:
        case StageEntered(left, stage, version):
            return {"type": "stage", "from": left, "to": stage, "version": version}
        case AgentVersion(version, stage, changes):
            return {"type": "version", "version": version, "stage": stage, "changes": list(changes)}
        case AgentSaid(_, stage, version, interrupted):
            return {"type": "agent", "stage": stage, "version": version, "interrupted": interrupted}
        case TurnLatency(seconds, parts, version):
            return {
                "type": "latency",
                "version": version,
                "ms": round(seconds * 1000),
                "parts": [{"name": what, "ms": round(secs * 1000), "owner": whose} for what, secs, whose in parts],
            }
        case Trouble(text, version):
            return {"type": "problem", "message": text, "version": version}
        case _:
            return None
