"""Other providers in an agent file: their names and settings are checked like those of the three, at their lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.document.load import load
from runner.effective import effective

STAGES = """
stages:
  ask:
    prompt: Ask.
    {part}:
      {line}
    next:
      - otherwise: done
  done:
    say: Goodbye.
    end: true
"""


def problems(text: str) -> list[tuple[int, int, str, str]]:
    """Line, column, message and hint of each problem."""
    found = load(Path("agent.yaml"), text="prompt: Say hello.\n" + text).problems
    return [(problem.line, problem.column, problem.message, problem.hint) for problem in found]


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("llm:\n  provider: antropic\n", 3, 13, '"provider" cannot be "antropic". Did you mean "anthropic"?'),
        ("llm:\n  provider: claude\n", 3, 13, '"provider" cannot be "claude". Did you mean "anthropic"?'),
        ("tts:\n  provider: ElevenLabs\n", 3, 13, '"provider" cannot be "ElevenLabs". Did you mean "elevenlabs"?'),
        ("tts:\n  provider: aws\n", 3, 13, '"provider" cannot be "aws". Did you mean "aws_polly"?'),
        ("llm:\n  provider: deepgram\n", 3, 13, '"deepgram" does not do llm, but stt or tts.'),
        (
            "stt:\n  provider: deepgram\n  smart_formt: true\n",
            4,
            3,
            '"smart_formt" is not a setting of stt. Did you mean "smart_format"?',
        ),
        (
            "stt:\n  provider: deepgram\n  keyterms: [RMA]\n",
            4,
            3,
            '"keyterms" is not a setting of stt. Did you mean "keyterm"?',
        ),
        ("stt:\n  provider: deepgram\n  diarize: perhaps\n", 4, 12, '"diarize" must be true or false, not perhaps.'),
        ("stt:\n  provider: deepgram\n  keyterm: RMA\n", 4, 12, '"keyterm" must be a list, not RMA.'),
        (
            "tts:\n  provider: elevenlabs\n  voice: some\n  stability: 3\n",
            5,
            14,
            '"stability" must be from 0.0 to 1.0, not 3.',
        ),
        (
            "tts:\n  provider: elevenlabs\n  voice: some\n  apply_text_normalization: of\n",
            5,
            29,
            '"apply_text_normalization" cannot be "of". Did you mean "off"?',
        ),
        ("tts:\n  provider: elevenlabs\n", 2, 1, '"tts" needs "voice".'),
        ("tts:\n  provider: elevenlabs\n  voice: some\n  volume: 1.2\n", 5, 3, '"volume" is not a setting of tts.'),
        ("tts:\n  provider: fish\n  voice: some\n  endpoint: wss://x\n", 5, 3, '"endpoint" is not a setting of tts.'),
        (
            "llm:\n  provider: groq\n  endpoint: groq.com\n",
            4,
            13,
            '"endpoint" must begin with wss://, ws://, https:// or http://, not groq.com.',
        ),
        ("llm:\n  provider: groq\n  api_key: sk-1\n", 4, 3, "Keys are never written into an agent file."),
    ],
)
def test_mistake_is_one_problem_at_its_place(text: str, line: int, column: int, said: str) -> None:
    assert [found[:3] for found in problems(text)] == [(line, column, said)]


@pytest.mark.parametrize("value", ["deepgram", "[deepgram]", "", "{provider: 3}", "{provider: [deepgram]}"])
def test_part_that_is_no_group_or_names_no_provider_is_one_problem(value: str) -> None:
    assert len(problems(f"stt: {value}\n")) == 1


def test_pasted_key_is_sent_to_the_variable_of_its_provider() -> None:
    ((_, _, _, hint),) = problems("llm:\n  provider: groq\n  api_key: sk-1\n")
    assert "GROQ_API_KEY=..." in hint


def test_settings_of_a_provider_that_does_not_exist_are_left_alone() -> None:
    found = problems("llm:\n  provider: antropic\n  temperature: 0.3\n" + STAGES.format(part="llm", line="top_k: 3"))
    assert len(found) == 1


@pytest.mark.parametrize(
    ("text", "part", "line", "said"),
    [
        ("stt: {provider: deepgram}", "stt", "smart_formt: true", '"smart_formt" is not a setting of a stage\'s stt.'),
        ("stt: {provider: deepgram}", "stt", "keyterms: [a]", '"keyterms" is not a setting of a stage\'s stt.'),
        ("stt: {provider: deepgram}", "stt", "endpoint: wss://x", '"endpoint" is not a setting of a stage\'s stt.'),
        ("llm: {provider: groq}", "llm", "temperature: hot", '"temperature" must be a number, not hot.'),
        ("stt: {provider: gladia}", "stt", "language: de", '"language" cannot change from stage to stage'),
    ],
)
def test_stage_takes_the_settings_of_the_agents_provider(text: str, part: str, line: str, said: str) -> None:
    found = problems(f"{text}\n" + STAGES.format(part=part, line=line))
    assert [(at, message.startswith(said)) for at, _, message, _ in found] == [(8, True)], found


def test_list_of_a_stage_adds_to_the_agents_or_replaces_it() -> None:
    text = "prompt: Say hello.\nstt: {provider: deepgram, keyterm: [Northwind]}\n"
    for line, expected in (("keyterm: [RMA]", ("Northwind", "RMA")), ("keyterm: {only: [RMA]}", ("RMA",))):
        loaded = load(Path("agent.yaml"), text=text + STAGES.format(part="stt", line=line))
        assert loaded.definition, [problem.message for problem in loaded.problems]
        assert effective(loaded.definition, "ask").stt.settings["keyterm"] == expected
        assert effective(loaded.definition, "done").stt.settings["keyterm"] == ("Northwind",)


def test_ear_of_another_provider_waits_while_the_caller_dictates() -> None:
    text = "prompt: Say hello.\nstt: {provider: deepgram}\n" + STAGES.format(part="stt", line="diarize: true")
    loaded = load(
        Path("agent.yaml"), text=text.replace("    prompt: Ask.\n", "    prompt: Ask.\n    listen_for: email\n")
    )
    assert loaded.definition, [problem.message for problem in loaded.problems]
    assert effective(loaded.definition, "ask").turns.vad.stop_secs == 2.0
    assert effective(loaded.definition, "done").turns.vad.stop_secs == 0.2
