"""Files that are right are read without a word, and mean what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.definition import AgentDefinition, Greeting, Only, Service, Transition
from runner.document.load import load

GOOD = Path(__file__).parents[1] / "examples" / "good"
AGENTS = Path(__file__).parents[2] / "agents"
FILES = sorted([*GOOD.glob("*.yaml"), *AGENTS.glob("*.yaml")])


def agent(name: str) -> AgentDefinition:
    loaded = load(GOOD / f"{name}.yaml", env={})
    assert loaded.definition is not None, loaded.problems
    return loaded.definition


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_right_file_is_read_without_a_word(file: Path) -> None:
    loaded = load(file, env={})
    assert loaded.problems == ()
    assert loaded.definition is not None
    assert loaded.definition.sources == loaded.sources


def test_hello_has_eight_lines_and_every_agent_points_editors_at_the_schema() -> None:
    assert len((AGENTS / "hello.yaml").read_text().splitlines()) == 8
    for file in AGENTS.glob("*.yaml"):
        assert file.read_text().splitlines()[0] == "# yaml-language-server: $schema=../schema/agent.schema.json"


def test_smallest_agent_gets_every_default() -> None:
    made = agent("smallest")
    assert made.name == "smallest"
    assert made.file == GOOD / "smallest.yaml"
    assert made.stt == Service("assemblyai", {"model": "universal-3-5-pro", "turn_detection": "pipecat"})
    assert made.llm == Service("openai", {"model": "gpt-4o"})
    voice = "79a125e8-cd45-4c13-8a67-188112f4dd22"
    assert made.tts == Service("cartesia", {"model": "sonic-3.6", "voice": voice, "language": "en"})
    assert made.greeting is None
    assert made.turns.smart_turn
    assert made.limits.max_call is None
    assert made.first_stage is None


def test_words_that_look_like_numbers_dates_and_answers_stay_text() -> None:
    made = agent("words-stay-words")
    assert made.name == "on"
    assert made.description == "2024-05-01"
    assert made.prompt == "No"
    assert made.greeting == Greeting(text="12:30")
    assert dict(made.variables) == {
        "company": "3M",
        "opening": "08:30",
        "code": "010",
        "version": "1.10",
        "answer": "yes",
        "truth": "true",
        "big": "1e5",
    }
    assert made.stt.settings["keyterms"] == ("yes", "off", "007", "1.10", "2024-05-01", "~x", "true")


def test_durations_come_in_the_unit_of_the_setting() -> None:
    made = agent("numbers")
    assert made.stt.settings["min_turn_silence"] == 400
    assert isinstance(made.stt.settings["min_turn_silence"], int)
    assert made.stt.settings["max_turn_silence"] == 1500
    assert made.stt.settings["interruption_delay"] == 300
    assert made.turns.vad.start_secs == 0.3
    assert made.turns.vad.stop_secs == 0.5
    assert made.turns.vad.confidence == 0.7
    assert made.turns.idle is not None
    assert made.turns.idle.after == 60.0
    assert made.turns.idle.tries == 2
    assert made.limits.max_call == 5400.0
    assert made.limits.wait_for_return == 60.0
    assert made.turns.barge_in is False
    assert made.llm.settings == {"model": "gpt-4o", "seed": -7, "top_p": 0.5}


def test_zero_is_a_value_and_smart_turn_may_be_a_group() -> None:
    made = agent("smart-turn")
    assert made.llm.settings["temperature"] == 0
    assert made.turns.smart_turn
    assert made.turns.smart_turn_stop_secs == 2.0


def test_settings_that_the_file_gives_are_told_from_defaults() -> None:
    assert agent("numbers").llm.given == ("seed", "top_p")


def test_anchors_and_merges_repeat_what_they_name() -> None:
    stages = agent("anchors").stages
    assert stages["second"].stt == {"vad_threshold": 0.4, "keyterms": ("Miller", "Smith"), "min_turn_silence": 800}
    assert stages["second"].next == stages["first"].next
    assert stages["last"].stt["keyterms"] == ("Miller", "Smith")


def test_prompt_files_are_read_and_named_once_among_the_sources() -> None:
    made = agent("prompt-file")
    assert made.prompt == "You answer the telephone of {{ company }}.\n\nBe brief.\n"
    assert made.stages["hello"].prompt == made.prompt
    assert made.sources == (GOOD / "prompt-file.yaml", GOOD / "prompts" / "shop.md")


def test_ways_out_keep_their_order_and_kind() -> None:
    made = agent("ways")
    assert made.anywhere == (Transition("human", "The caller asks for a person", ("Let me talk to a human",)),)
    assert made.stages["ask"].next == (
        Transition("thanks", "The caller has given the number", ("My number is four five one",)),
        Transition("human", after_tries=3),
        Transition("ask", otherwise=True),
    )
    assert made.stages["thanks"].next[0].to == "back"
    assert made.first_stage == "ask"


def test_stage_settings_are_what_the_stage_says_and_nothing_else() -> None:
    ask = agent("ways").stages["ask"]
    assert ask.stt == {"keyterms": Only(("order number",)), "max_turn_silence": 3000}
    assert ask.llm == {"temperature": 0}
    assert ask.tts == {"speed": 0.9}
    assert ask.listen_for == "number"


def test_endpoint_stands_apart_from_the_settings() -> None:
    made = agent("everything")
    assert made.stt.endpoint == "wss://streaming.eu.assemblyai.com/v3/ws"
    assert "endpoint" not in made.stt.settings
    assert made.stt.settings["about"] == "Refund calls of a shoe shop."
    assert made.stt.settings["language_codes"] == ("en", "es")


def test_text_below_a_bar_is_left_as_it_is() -> None:
    made = agent("long-texts")
    assert "“Curly quotes” and a no-break\u00a0space" in made.prompt
    assert "key: value\n- dash\n" in made.prompt
    assert made.greeting == Greeting(text="Folded text: here.")
