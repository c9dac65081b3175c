"""What somebody sees who edits an agent in an editor: offers, explanations and marks, from the first line's schema."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.catalog import PROVIDERS
from tests.editors.language_server import LanguageServer
from tests.running import PROJECT

FIRST = "# yaml-language-server: $schema=../schema/agent.schema.json\n"
EXAMPLES = sorted((PROJECT / "agents").glob("*.yaml"))

HERE = "^"


def at_mark(text: str) -> tuple[str, int, int]:
    """Text without its mark, and the line and character where it stood."""
    before = text[: text.index(HERE)]
    return text.replace(HERE, "", 1), before.count("\n"), len(before) - before.rfind("\n") - 1


@pytest.fixture
def show(editor: LanguageServer, request: pytest.FixtureRequest) -> Callable[[str], tuple[str, int, int]]:
    """Opens a text as a file of `agents/` that nobody has saved: its address, and the place of its mark."""

    def open_(text: str) -> tuple[str, int, int]:
        clean, line, character = at_mark(FIRST + text) if HERE in text else (FIRST + text, 0, 0)
        number = abs(hash((request.node.nodeid, text)))
        return editor.open(PROJECT / "agents" / f"unsaved-{number}.yaml", clean), line, character

    return open_


Show = Callable[[str], tuple[str, int, int]]


def test_completion_inside_stt_offers_every_setting_of_the_ear(editor: LanguageServer, show: Show) -> None:
    offered = editor.complete(*show("prompt: Hi.\nstt:\n  ^\n"))
    assert "keyterms" in offered
    assert offered.keys() >= PROVIDERS["stt", "assemblyai"].fields.keys() | {"provider", "endpoint"}
    assert "Words and names that must be heard right" in str(offered["keyterms"]["documentation"])


@pytest.mark.parametrize(("part", "provider"), [("llm", "openai"), ("tts", "cartesia")])
def test_completion_offers_every_setting_of_the_other_parts(
    part: Any, provider: str, editor: LanguageServer, show: Show
) -> None:
    offered = editor.complete(*show(f"prompt: Hi.\n{part}:\n  ^\n"))
    assert offered.keys() >= PROVIDERS[part, provider].fields.keys()


def test_settings_of_another_provider_are_offered_explained_and_checked(editor: LanguageServer, show: Show) -> None:
    text = "prompt: Hi.\nstt:\n  provider: deepgram\n  "
    offered = editor.complete(*show(f"{text}^\n"))
    assert offered.keys() >= {"keyterm", "smart_format", "endpointing"}
    assert "diarization" in editor.hover(*show(f"{text}diar^ize: true\n"))
    address, _, _ = show(f"{text}keyterms: [RMA]\n")
    assert "keyterms" in " ".join(mark["message"] for mark in editor.marks(address))
    address, _, _ = show(f"{text}keyterm: [RMA]\n")
    assert editor.marks(address) == []


def test_completion_offers_the_providers(editor: LanguageServer, show: Show) -> None:
    offered = editor.complete(*show("prompt: Hi.\ntts:\n  provider: ^\n"))
    assert offered.keys() >= {"cartesia", "elevenlabs", "deepgram"}


def test_completion_offers_what_a_stage_can_have(editor: LanguageServer, show: Show) -> None:
    offered = editor.complete(*show("prompt: Hi.\nstages:\n  hello:\n    ^\n"))
    assert offered.keys() >= {"prompt", "say", "listen_for", "stt", "llm", "tts", "next", "end"}
    offered = editor.complete(*show("prompt: Hi.\nstages:\n  hello:\n    prompt: Hi.\n    stt:\n      ^\n"))
    assert "keyterms" in offered
    offered = editor.complete(*show("prompt: Hi.\nstages:\n  hello:\n    listen_for: ^\n"))
    assert offered.keys() >= {"email", "phone", "number", "name", "address", "date"}


def test_completion_offers_the_values_of_a_setting(editor: LanguageServer, show: Show) -> None:
    offered = editor.complete(*show("prompt: Hi.\nstt:\n  mode: ^\n"))
    assert offered.keys() >= {"min_latency", "balanced", "max_accuracy"}


def test_completion_at_the_top_offers_the_groups(editor: LanguageServer, show: Show) -> None:
    offered = editor.complete(*show("prompt: Hi.\n^\n"))
    assert offered.keys() >= {"greeting", "stt", "llm", "tts", "turns", "limits", "stages", "anywhere", "variables"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prompt: Hi.\nstt:\n  key^terms: [RMA]\n", "Words and names that must be heard right"),
        ("prompt: Hi.\nstt:\n  min_turn^_silence: 400\n", "A plain number is milliseconds"),
        ("prompt: Hi.\nllm:\n  temp^erature: 0.4\n", "How freely the model words its answers"),
        ("prompt: Hi.\nturns:\n  idle:\n    af^ter: 8s\n    say: Hello?\n", "How long the caller may be silent"),
        ("pro^mpt: Hi.\n", "Who the agent is and how it answers"),
        (
            "prompt: Hi.\nstages:\n  a:\n    prompt: Hi.\n    listen_^for: email\n    end: true\n",
            "What the caller is going to dictate",
        ),
    ],
)
def test_hover_explains_a_setting(text: str, words: str, editor: LanguageServer, show: Show) -> None:
    assert words in editor.hover(*show(text))


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("promt: Hi.\nprompt: Hi.\n", 1, "promt"),
        ("prompt: Hi.\nstt:\n  keytermz: [RMA]\n", 3, "keytermz"),
        ("prompt: Hi.\nstt:\n  mode: fastest\n", 3, "min_latency"),
        ("prompt: Hi.\nllm:\n  temperature: warm\n", 3, "number"),
        ("prompt: Hi.\nstages:\n  a:\n    promt: Hi.\n    end: true\n", 4, "promt"),
    ],
)
def test_what_is_wrong_is_marked_on_its_line(
    text: str, line: int, word: str, editor: LanguageServer, show: Show
) -> None:
    address, _, _ = show(text)
    marks = editor.marks(address)
    assert {mark["range"]["start"]["line"] for mark in marks} == {line}
    assert word in " ".join(mark["message"] for mark in marks)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_nothing_is_marked_in_an_example(file: Path, editor: LanguageServer) -> None:
    assert editor.marks(editor.open(file, file.read_text(encoding="utf-8"))) == []


def test_durations_are_good_with_and_without_their_unit(editor: LanguageServer, show: Show) -> None:
    for value in ("400", "800ms", "0.8s"):
        address, _, _ = show(f"prompt: Hi.\nstt:\n  min_turn_silence: {value}\n")
        assert editor.marks(address) == []
