"""--fix mends what is safe, touches no other byte, and never makes anything worse."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.cli import main
from runner.document.fix import Fixed, fixed
from runner.document.load import Loaded, load

EXAMPLES = Path(__file__).parents[1] / "examples"
HEAD = "prompt: Be kind.\n"


def mended(folder: Path, text: str | bytes) -> Fixed:
    file = folder / "agent.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())

    def read(text: str) -> Loaded:
        return load(file, text=text, env={})

    done = fixed(file, read)
    assert done is not None
    return done


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("stt:\n  speech_model: u3-rt-pro # new\n", "stt:\n  model: u3-rt-pro # new\n"),
        ("stt:\n  min_end_of_turn_silence_when_confident: 300\n", "stt:\n  min_turn_silence: 300\n"),
        ("stt:\n  keyterms_prompt: [a, b]\n", "stt:\n  keyterms: [a, b]\n"),
        (
            "stt:\n  language_code: es\ntts:\n  language: es\non_trouble: false\n",
            "stt:\n  language_codes: [es]\ntts:\n  language: es\non_trouble: false\n",
        ),
        ("stt: {vad_force_turn_endpoint: false}\n", "stt: {turn_detection: assemblyai}\n"),
        ("stt:\n  vad_force_turn_endpoint: true\n", "stt:\n  turn_detection: pipecat\n"),
        ("stt:\n  should_interrupt: false\n  mode: balanced\n", "stt:\n  mode: balanced\nturns:\n  barge_in: false\n"),
        ("allow_interruptions: true\nturns:\n  smart_turn: false\n", "turns:\n  barge_in: true\n  smart_turn: false\n"),
        ("max_call: 15m  # long\n", "limits:\n  max_call: 15m  # long\n"),
        ("Greeting: Hi.\n", "greeting: Hi.\n"),
        ("greeting: {{ 'x' }} there # said\n", "greeting: \"{{ 'x' }} there\" # said\n"),
        ("greeting: One rule: be quick.\n", 'greeting: "One rule: be quick."\n'),
        ('greeting: One "rule": it\'s fine\n', "greeting: 'One \"rule\": it''s fine'\n"),
        ("greeting: @you, hello\n", 'greeting: "@you, hello"\n'),
        ("greeting: “Hi.”\n", 'greeting: "Hi."\n'),
        ("greeting: Order #5 please\n", 'greeting: "Order #5 please"\n'),
        ("llm:\n\ttemperature: 0.4\n\tseed: 7\n", "llm:\n  temperature: 0.4\n  seed: 7\n"),
        ("llm:\n\u00a0 temperature:\u00a00.4\n", "llm:\n  temperature: 0.4\n"),
        ("llm:\n  temperature: 0,4\n", "llm:\n  temperature: 0.4\n"),
        ("llm:\n  temperature: '0.4'\n", "llm:\n  temperature: 0.4\n"),
        ("turns:\n  barge_in: off   # never\n", "turns:\n  barge_in: false   # never\n"),
        ("turns:\n  barge_in: 'Yes'\n", "turns:\n  barge_in: true\n"),
        (
            "stt:\n  mode: Max-Accuracy\n  min_turn_silence: 500\n",
            "stt:\n  mode: max_accuracy\n  min_turn_silence: 500\n",
        ),
        ("stt:\n  keyterms: Northwind\n", "stt:\n  keyterms: [Northwind]\n"),
        ("llm:\n  model:gpt-4o\n", "llm:\n  model: gpt-4o\n"),
        (
            "stages:\n  a:\n    prompt: x\n    next:\n      - when: y\n        examples:\n          - I say: no\n        to: a\n",
            "stages:\n  a:\n    prompt: x\n    next:\n      - when: y\n        examples:\n"
            '          - "I say: no"\n        to: a\n',
        ),
    ],
)
def test_mistake_with_one_meaning_is_mended(tmp_path: Path, wrong: str, right: str) -> None:
    done = mended(tmp_path, HEAD + wrong)
    assert done.after == HEAD + right
    assert done.count == 1
    assert load(done.file, text=done.after, env={}).problems == ()
    assert mended(tmp_path, done.after).count == 0


@pytest.mark.parametrize(
    "text",
    [
        "promt: Hi.\n",
        "prompt: x\nllm:\n  temprature: 1\n",
        "prompt: x\nllm: {temperature: 9}\n",
        "prompt: x\nstt: {model: u3-rt-pro, speech_model: universal-3-6-pro}\n",
        "prompt: x\nstt: {speech_model: best}\n",
        "prompt: x\ngreeting: Wait  # a comment\n",
        'prompt: "x\n',
        "prompt: x\nturns:\n  barge_in: false\nstt:\n  should_interrupt: true\n",
    ],
)
def test_mistake_that_could_mean_something_else_is_left_alone(tmp_path: Path, text: str) -> None:
    assert mended(tmp_path, text).after == text


def test_every_other_byte_stays_line_ends_and_mark_too(tmp_path: Path) -> None:
    text = "\ufeff# top\r\n\r\nPrompt:   Be kind.   # odd   spaces\r\nstt:  {  speech_model: u3-rt-pro}\r\nllm:\n  seed:  7"
    done = mended(tmp_path, text)
    assert done.after == text.replace("Prompt", "prompt").replace("speech_model", "model")
    done.write()
    assert done.file.read_bytes() == done.after.encode("utf-8")


@pytest.mark.parametrize("file", sorted((EXAMPLES / "bad").glob("*.yaml")), ids=lambda file: file.stem)
def test_no_bad_file_gets_worse(tmp_path: Path, file: Path) -> None:
    text = file.read_bytes()
    done = mended(tmp_path, text)
    before, after = load(done.file, env={}).problems, load(done.file, text=done.after, env={}).problems
    if done.count:
        assert sum(p.is_error for p in after) < sum(p.is_error for p in before)
        assert {(p.code, p.message) for p in after if p.is_error} < {(p.code, p.message) for p in before if p.is_error}
    else:
        assert done.after.encode() == text


@pytest.mark.parametrize("file", sorted((EXAMPLES / "good").glob("*.yaml")), ids=lambda file: file.stem)
def test_right_file_is_never_touched(tmp_path: Path, file: Path) -> None:
    done = fixed(file, lambda text: load(file, text=text, env={}))
    assert done is not None
    assert (done.after, done.count, done.diff()) == (done.before, 0, "")


def test_file_that_is_not_text_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    assert fixed(file, lambda text: load(file, text=text)) is None
    file.write_bytes("prompt: Straße\n".encode("latin-1"))
    assert fixed(file, lambda text: load(file, text=text)) is None


def test_command_shows_the_difference_and_what_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("prompt: Be kind.\nstt:\n  speech_model: u3-rt-pro\n  mood: good\n")
    assert main(["check", str(file), "--fix"]) == 1
    said = capsys.readouterr().out
    assert "-  speech_model: u3-rt-pro\n+  model: u3-rt-pro\n" in said
    assert "1 mistake mended." in said
    assert '"mood" is not a setting of stt. Did you mean "mode"?' in said
    assert file.read_text() == "prompt: Be kind.\nstt:\n  model: u3-rt-pro\n  mood: good\n"


def test_difference_never_shows_a_key(tmp_path: Path) -> None:
    done = mended(tmp_path, "Prompt: Be kind.\nllm:\n  api_key: 8f2a77c0d1e9\n  Model: sk-abcdefghijklmnopqrst\n")
    assert done.count
    assert "8f2a" not in done.diff()
    assert "sk-" not in done.diff()
