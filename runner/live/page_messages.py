"""What the page is told about a call, beside what RTVI tells it anyway: one small record for each event."""

from __future__ import annotations

from typing import Any

from runner.events import AgentVersion, Event, StageEntered, Trouble, TurnLatency


def as_message(event: Event) -> dict[str, Any] | None:
    """The data of RTVI's `server-message`, None for what RTVI itself carries."""
    match event:
        case StageEntered(left, stage, version):
            return {"type": "stage", "from": left, "to": stage, "version": version}
        case AgentVersion(version, _, changes):
            return {"type": "version", "version": version, "changes": list(changes)}
        case TurnLatency(seconds, parts):
            return {
                "type": "latency",
                "ms": round(seconds * 1000),
                "parts": [{"name": what, "ms": round(secs * 1000), "owner": whose} for what, secs, whose in parts],
            }
        case Trouble(text):
            return {"type": "problem", "message": text}
        case _:
            return None
