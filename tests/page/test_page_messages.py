"""What happens in a call, as the page is told of it: at once, and when it comes back to the call."""

from __future__ import annotations

import io
import json
from typing import get_args

import pytest

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
from runner.live.call_log import CallLog
from runner.live.history import History
from runner.live.page_messages import as_message

AWAITED = "the model's first word (OpenAI)"
TOLD: list[tuple[Event, str | None]] = [
    (CallStarted("web", 1), None),
    (CallerSaid("Hello.", None, 1), None),
    (CallerSaid("Hola.", None, 1, turn=1, speaker="A", language="es", confidence=0.93), "caller"),
    (Backchannel("Mhm.", None, 1), "caller"),
    (SpeakerCorrected(1, "Hola.", "A", "B", 1), "correction"),
    (LanguageChanged(None, "es", 1), "language"),
    (AgentSaid("Buenos dias.", None, 1), "agent"),
    (StageEntered("first", "second", 1), "stage"),
    (AgentVersion(2, "second", ("prompt: from the next turn",)), "version"),
    (TurnLatency(0.6, (("LLM", 0.4, "OpenAI"),), 1), "latency"),
    (Silent(f"Nobody has spoken. The call waits for {AWAITED}.", "llm", 2.0, 1, AWAITED), "silence"),
    (SilenceOver(3.5, 1), "silence-over"),
    (Trouble("OpenAI: no.", 1), "problem"),
    (Trouble("OpenAI: no. Groq goes on.", 1, mended=True), "problem"),
    (CallEnded("the caller hung up", 1), None),
]


def test_every_event_is_told_in_its_own_way_or_travels_otherwise() -> None:
    assert {type(event) for event, _ in TOLD} == set(get_args(Event))
    for event, kind in TOLD:
        message = as_message(event)
        assert (message and message["type"]) == kind, event
        assert message is None or json.loads(json.dumps(message)) == message


@pytest.mark.parametrize("as_json", [True, False])
def test_log_of_serve_takes_every_event(as_json: bool) -> None:
    stream = io.StringIO()
    log = CallLog(as_json=as_json, stream=stream)
    for event, _ in TOLD:
        log.event(1, event, "shop")
    assert "Hola" not in stream.getvalue()


def test_page_that_comes_back_gets_speakers_languages_and_troubles_too() -> None:
    history = History()
    for event, _ in TOLD:
        history.take(event)
    lines = history.lines
    assert [(line["who"], line["text"]) for line in lines] == [
        ("caller", "Hello."),
        ("caller", "Hola."),
        ("caller", "Mhm."),
        ("language", "es"),
        ("agent", "Buenos dias."),
        ("stage", "second"),
        ("version", "version 2"),
        ("problem", "OpenAI: no."),
        ("mended", "OpenAI: no. Groq goes on."),
    ]
    known = {key: lines[1][key] for key in ("turn", "speaker", "was", "language", "confidence")}
    assert known == {"turn": 1, "speaker": "B", "was": "A", "language": "es", "confidence": 0.93}
    assert lines[2]["backchannel"]
    assert lines[6]["details"] == ["prompt: from the next turn"]
