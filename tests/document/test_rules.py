"""Advice that a schema cannot give: where it is given, and where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.document.load import load
from runner.problem import Problem


def problems(text: str) -> list[Problem]:
    return list(load(Path("/nowhere/agent.yaml"), text="prompt: Be kind.\n" + text, env={}).problems)


def codes(text: str) -> list[str]:
    return [problem.code for problem in problems(text)]


def keyterms(first: int, last: int) -> str:
    return "[" + ", ".join(f"term{n}" for n in range(first, last)) + "]"


def stage_with(settings: str) -> str:
    return f"stages:\n  one:\n    say: Hello.\n    end: true\n    stt:\n      {settings}\n"


def test_hundred_keyterms_are_right_and_one_more_is_not() -> None:
    assert codes(f"stt: {{keyterms: {keyterms(0, 100)}}}\n") == []
    found = problems(f"stt: {{keyterms: {keyterms(0, 101)}}}\n")
    assert [problem.code for problem in found] == ["too-many"]
    assert found[0].snippet[found[0].column - 1 :].startswith("term100")


def test_keyterms_of_agent_and_stage_count_together_each_once() -> None:
    agent = f"stt: {{keyterms: {keyterms(0, 90)}}}\n"
    assert codes(agent + stage_with(f"keyterms: {keyterms(80, 100)}")) == ["keyterm-repeated"] * 10
    assert codes(agent + stage_with(f"keyterms: {keyterms(90, 101)}")) == ["too-many-keyterms"]
    assert codes(agent + stage_with(f"keyterms: {{only: {keyterms(90, 190)}}}")) == []


def test_silences_of_stage_and_agent_are_compared() -> None:
    agent = "stt: {turn_detection: assemblyai, min_turn_silence: 500, max_turn_silence: 2s}\n"
    assert codes(agent + stage_with("min_turn_silence: 1.9s")) == []
    found = problems(agent + stage_with("min_turn_silence: 3s"))
    assert [(p.code, p.line) for p in found] == [("min-over-max", 8)]


def test_silence_without_effect_is_a_warning_but_not_where_the_caller_dictates() -> None:
    found = problems(stage_with("max_turn_silence: 3s"))
    assert [(p.code, p.severity) for p in found] == [("max-silence-unused", "warning")]
    assert (
        codes(
            stage_with("max_turn_silence: 3s").replace("end: true", "listen_for: email\n    next: [{otherwise: one}]")
        )
        == []
    )
    assert codes("stt: {turn_detection: assemblyai, max_turn_silence: 3s}\n") == []


@pytest.mark.parametrize("model", ["universal-3-5-pro", "universal-3-6-pro", "u3-rt-pro"])
def test_u3_family_may_detect_turns_and_know_the_subject(model: str) -> None:
    assert codes(f"stt: {{model: {model}, turn_detection: assemblyai, about: Shoes, mode: balanced}}\n") == []


@pytest.mark.parametrize("model", ["universal-streaming-english", "universal-streaming-multilingual"])
def test_streaming_family_may_not(model: str) -> None:
    found = problems(f"stt: {{model: {model}, turn_detection: assemblyai, about: Shoes, interruption_delay: 50}}\n")
    assert [(p.code, p.severity) for p in found] == [
        ("model-without-turn-detection", "error"),
        ("model-refuses", "error"),
        ("model-ignores", "warning"),
    ]
    assert codes(f"stt: {{model: {model}, format_turns: false, keyterms: [Northwind]}}\n") == []


def turns_of_a_stage(turns: str, agents: str = "", ear: str = "{}") -> str:
    way = "    next: [{otherwise: bye}]\n  bye: {say: Goodbye., end: true}\n"
    return f"{agents}stages:\n  one:\n    prompt: x\n    stt: {ear}\n    turns: {{{turns}}}\n{way}"


IDLE = "turns: {idle: {after: 9s, say: Hello?}}\n"


@pytest.mark.parametrize(
    ("text", "code", "at"),
    [
        (turns_of_a_stage("smart_turn: true", ear="{turn_detection: assemblyai}"), "smart-turn-unused", "smart_turn"),
        (turns_of_a_stage("vad: {stop_secs: 1}"), "smart-turn-slowed", "vad.stop_secs"),
        (turns_of_a_stage("idle: {after: 2s}", IDLE), "idle-too-soon", "idle.after"),
        (turns_of_a_stage("smart_turn: {stop_secs: 9}", IDLE), "idle-too-soon", "smart_turn.stop_secs"),
        (
            turns_of_a_stage("idle: {after: 90s}", f"limits: {{max_call: 1m}}\n{IDLE}"),
            "idle-after-the-end",
            "idle.after",
        ),
        (turns_of_a_stage("vad: {min_volume: 1}"), "hard-of-hearing", "vad.min_volume"),
        (turns_of_a_stage("vad: {start_secs: 0}"), "jumpy", "vad.start_secs"),
        (turns_of_a_stage("barge_in: false", "turns: {mute: [always]}\n"), "muted-anyway", "barge_in"),
        (turns_of_a_stage("speech_timeout: 1s"), "other-stop", "speech_timeout"),
        (turns_of_a_stage("stop: smart_turn, smart_turn: false"), "stop-against-smart-turn", "smart_turn"),
        (turns_of_a_stage("stop: speech_timeout", ear="{turn_detection: assemblyai}"), "own-turns", "stop"),
        (turns_of_a_stage("vad: {confidence: 0.9}"), "thresholds-apart", "vad.confidence"),
    ],
)
def test_advice_about_turn_taking_is_given_in_the_stage_that_needs_it(text: str, code: str, at: str) -> None:
    assert [(p.code, p.path) for p in problems(text)] == [(code, f"stages.one.turns.{at}")]


@pytest.mark.parametrize(
    "text",
    [
        turns_of_a_stage("vad: {stop_secs: 1}, smart_turn: false"),
        turns_of_a_stage("vad: {stop_secs: 1}", ear="{turn_detection: assemblyai}"),
        turns_of_a_stage("idle: false, smart_turn: {stop_secs: 9}", IDLE),
        turns_of_a_stage("barge_in: false, mute: {only: []}", "turns: {mute: [always]}\n"),
        turns_of_a_stage("speech_timeout: 1s", "turns: {stop: speech_timeout}\n"),
        turns_of_a_stage("speech_timeout: 1s, stop: speech_timeout"),
        turns_of_a_stage("vad: {confidence: 0.9}", ear="{vad_threshold: 0.6}"),
        turns_of_a_stage("idle: {after: 30s, say: Hm?}"),
    ],
)
def test_what_the_stage_itself_or_the_agent_says_counts_for_the_advice(text: str) -> None:
    assert codes(text) == []


def test_a_misspelled_half_of_an_idle_is_one_problem() -> None:
    assert codes(turns_of_a_stage("idle: {afer: 30s, say: Hm?}")) == ["unknown-key"]


@pytest.mark.parametrize("setting", ["mode: balanced", "voice_focus: far-field", "sample_rate: 8000"])
def test_what_a_session_opens_with_may_stand_in_a_stage(setting: str) -> None:
    assert codes(stage_with(setting)) == []


def test_stage_that_names_a_model_without_turn_detection_needs_pipecats() -> None:
    found = problems("stt: {turn_detection: assemblyai}\n" + stage_with("model: universal-streaming-english"))
    assert [(p.code, p.path) for p in found] == [("model-without-turn-detection", "stages.one.stt.model")]
    both = "model: universal-streaming-english\n      turn_detection: pipecat"
    assert codes("stt: {turn_detection: assemblyai}\n" + stage_with(both)) == []


def test_multi_stands_alone() -> None:
    assert codes("stt: {language_codes: [multi]}\n") == []
    assert codes("stt: {language_codes: [en, multi]}\n") == ["multi-not-alone"]


def test_two_limits_of_an_answer_cannot_stand_together() -> None:
    assert codes("llm: {max_tokens: 50, max_completion_tokens: 50}\n") == ["either-or"]


def test_stage_reached_only_from_anywhere_is_reached() -> None:
    text = (
        "anywhere:\n  - {when: a person, to: two}\nstages:\n  one:\n    prompt: x\n  two:\n    say: y\n    end: true\n"
    )
    assert codes(text) == []


def test_stages_that_lead_only_to_each_other_are_not_reached() -> None:
    text = "stages:\n  one: {say: x, end: true}\n  two: {say: x, next: [{otherwise: three}]}\n"
    text += "  three: {say: x, next: [{otherwise: two}]}\n"
    assert codes(text) == ["unreachable", "unreachable"]


def test_way_to_a_stage_of_a_file_without_stages_is_a_problem() -> None:
    assert codes("anywhere:\n  - {when: a person, to: human}\n") == ["no-stages"]


def test_second_otherwise_is_a_problem() -> None:
    assert codes("stages:\n  one:\n    say: x\n    next: [{otherwise: one}, {otherwise: back}]\n") == [
        "otherwise-twice"
    ]


def test_greeting_and_first_stage_may_not_both_open_but_a_later_stage_may_say_something() -> None:
    later = "greeting: Hi.\nstages:\n  one: {prompt: x, next: [{otherwise: two}]}\n  two: {say: Bye., end: true}\n"
    assert codes(later) == []
    assert codes("greeting: Hi.\nstages:\n  one: {say: Hello., end: true}\n") == ["two-openings"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("greeting: Read order #5 to me", "cut-by-hash"),
        ("greeting: Press # to go on", "cut-by-hash"),
        ("greeting: Hello.  # said at the start", ""),
        ("greeting: Order#5 is here", ""),
        ('greeting: "Read order #5 to me" #really', ""),
        ("llm: {model: gpt-4o} #fast", ""),
        ("stt:\n  mode: balanced #fast", ""),
    ],
)
def test_text_that_a_hash_cuts_is_noticed_and_a_comment_is_not(line: str, code: str) -> None:
    assert codes(line + "\n") == ([code] if code else [])


def test_empty_prompt_file_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("\n")
    (tmp_path / "a.yaml").write_text("prompt: {file: a.md}\n")
    assert [p.message for p in load(tmp_path / "a.yaml").problems] == ['The file "a.md" is empty.']
