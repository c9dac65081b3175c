"""Calls with several speakers and languages, rehearsed in the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.document.load import load
from runner.live.typed_turn import TypedTurn, typed_turn
from tests.cloud.vendors import KEYS
from tests.emulators import OpenAIEmulator
from tests.running import free_port, run

BOTH = "stt: {speaker_labels: true, language_detection: true}\n"


@pytest.mark.parametrize(
    ("settings", "line", "turn"),
    [
        (BOTH, "[B es] Hola, buenos días.", TypedTurn("Hola, buenos días.", "B", "es")),
        (BOTH, "[B] Hello.", TypedTurn("Hello.", "B")),
        (BOTH, "[es] Hola.", TypedTurn("Hola.", None, "es")),
        (BOTH, "[UNKNOWN] Yes.", TypedTurn("Yes.", "UNKNOWN")),
        (BOTH, "[] Hello.", TypedTurn("[] Hello.")),
        (BOTH, "[B]", TypedTurn("[B]")),
        (BOTH, "Hello [B] there.", TypedTurn("Hello [B] there.")),
        ("", "[B] Hello.", TypedTurn("[B] Hello.")),
        ("stt: {speaker_labels: true}\n", "[es] Hola.", TypedTurn("[es] Hola.")),
    ],
)
def test_marks_before_a_typed_line_say_who_and_in_which_language(settings: str, line: str, turn: TypedTurn) -> None:
    made = load(Path("/nowhere/agent.yaml"), text=f"prompt: Be kind.\n{settings}", env={}).definition
    assert made
    assert typed_turn(line, made) == turn


def test_chat_shows_speakers_and_languages_and_asks_the_model_for_each(tmp_path: Path) -> None:
    (tmp_path / "agent.yaml").write_text(
        f"prompt: Speak {{{{ language }}}}.\n{BOTH}speakers: {{mode: separate}}\nlanguages: {{es: {{prompt: Use usted.}}}}\n"
    )
    mind = OpenAIEmulator(key=KEYS["OPENAI_API_KEY"])
    port = free_port()
    typed = "[A en] My word is lighthouse.\n[B es] La mía es submarino.\n[A en] And mine was?\n"
    with mind.in_thread(port):
        mind.reply("Noted.", "Anotado.", "Lighthouse.")
        endpoint = f"llm.endpoint=http://127.0.0.1:{port}{OpenAIEmulator.path}"
        done = run(
            *("chat", "agent.yaml", "--json", "--services", "cloud", "--set", endpoint),
            cwd=tmp_path,
            input=typed,
            env=KEYS,
            seconds=120,
        )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    callers = [one for one in told if one["type"] == "caller"]
    assert [(one["turn"], one["speaker"], one["language"]) for one in callers] == [
        *((1, "A", "en"), (2, "B", "es"), (3, "A", "en"))
    ]
    assert [one["text"] for one in told if one["type"] == "agent"] == ["Noted.", "Anotado.", "Lighthouse."]
    requests = [request.body["messages"] for request in mind.requests]
    assert [len(messages) for messages in requests] == [2, 2, 4], "each in a conversation of its own"
    assert "submarino" not in str(requests[2])
    systems = [str(messages[0]["content"]) for messages in requests]
    assert ["Spanish" in text for text in systems] == [False, True, False], "each in a language of its own"
    assert systems[1].endswith("Use usted.")
    assert [(one["from"], one["to"]) for one in told if one["type"] == "language"] == [(None, "es"), ("es", None)]
