"""What the page is told about a call, beside what RTVI tells it anyway: one small record for each event.

What the agent said travels by RTVI itself; `agent` adds, when it has been said, which version and stage made it."""

from __future__ import annotations

from typing import Any

from runner.events import (
    AgentSaid,
    AgentVersion,
    Backchannel,
    CallerSaid,
    Event,
    LanguageChanged,
    SilenceOver,
    Silent,
    SpeakerCorrected,
    StageEntered,
    Trouble,
    TurnLatency,
)


def as_message(event: Event) -> dict[str, Any] | None:
    """The data of RTVI's `server-message`, None for what RTVI itself carries."""
    match event:
        case StageEntered(left, stage, version):
            return {"type": "stage", "from": left, "to": stage, "version": version}
        case CallerSaid(speaker=speaker, language=language) if speaker or language:
            return {"type": "caller", **turn_of(event)}
        case Backchannel():
            return {"type": "caller", **listening(event)}
        case SpeakerCorrected(turn, text, before, speaker, version):
            return {
                "type": "correction",
                "turn": turn,
                "text": text,
                "before": before,
                "speaker": speaker,
                "version": version,
            }
        case LanguageChanged(left, language, version):
            return {"type": "language", "from": left, "to": language, "version": version}
        case AgentVersion(version, stage, changes):
            return {"type": "version", "version": version, "stage": stage, "changes": list(changes)}
        case AgentSaid(_, stage, version, interrupted):
            return {"type": "agent", "stage": stage, "version": version, "interrupted": interrupted}
        case TurnLatency(seconds, parts, version):
            return {
                "type": "latency",
                "version": version,
                "ms": round(seconds * 1000),
                "parts": [
                    # A key of the file says what to change; the name of a processor is no news for people.
                    {"name": what, "ms": round(secs * 1000)} | ({"owner": whose} if whose.startswith("turns.") else {})
                    for what, secs, whose in parts
                ],
            }
        case Trouble(text, version, mended):
            return {"type": "problem", "message": text, "mended": mended, "version": version}
        case Silent(text, part, seconds, version, awaited):
            known = {"message": text, "awaited": awaited, "part": part}
            return {"type": "silence", **known, "ms": round(seconds * 1000), "version": version}
        case SilenceOver(seconds, version):
            return {"type": "silence-over", "ms": round(seconds * 1000), "version": version}
        case _:
            return None


def turn_of(said: CallerSaid) -> dict[str, Any]:
    """A caller's turn with what is known of who spoke and in which language."""
    known: dict[str, Any] = {"turn": said.turn, "text": said.text}
    if said.speaker is not None:
        known |= {"speaker": said.speaker, "name": said.name, "answered": said.answered}
    if said.language is not None:
        known |= {"language": said.language, "confidence": said.confidence}
    return known | {"stage": said.stage, "version": said.version}


def listening(said: Backchannel) -> dict[str, Any]:
    """Words by which the caller only showed that they listen. They are no turn, so their number is 0."""
    known = {"turn": 0, "text": said.text, "answered": False, "backchannel": True}
    return known | {"stage": said.stage, "version": said.version}
