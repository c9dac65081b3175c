"""load(): overrides, other files, and everything that can be wrong with a path."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner.document.load import agent_files, load

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "agents" / "support.yaml"


def messages(path: Path, **more: object) -> list[str]:
    return [p.message for p in load(path, **{"env": {}, **more}).problems]


def test_missing_file_is_a_problem_with_a_guess(tmp_path: Path) -> None:
    (tmp_path / "support.yaml").write_text("prompt: x\n")
    loaded = load(tmp_path / "suport.yaml")
    assert loaded.definition is None
    assert [(p.message, p.hint) for p in loaded.problems] == [
        ("There is no such file.", 'Did you mean "support.yaml"?')
    ]
    assert loaded.sources == (tmp_path / "suport.yaml",)


def test_folder_is_a_problem(tmp_path: Path) -> None:
    assert messages(tmp_path) == [f"{tmp_path.name} is a folder, not a file."]


def test_pipe_is_a_problem_and_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "agent.yaml")
    assert messages(tmp_path / "agent.yaml") == ["This is not an ordinary file."]


def test_impossible_path_is_a_problem() -> None:
    assert len(messages(Path("x" * 5000))) == 1
    assert len(messages(Path("a\0b.yaml"))) == 1


def test_relative_path_becomes_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    loaded = load(Path("agents/support.yaml"), env={})
    assert loaded.definition is not None
    assert loaded.definition.file == SUPPORT
    assert loaded.sources == (SUPPORT,)


def test_missing_prompt_file_is_found_at_its_name_and_still_a_source(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("prompt:\n  file: text/hello.md\n")
    loaded = load(file)
    assert [(p.line, p.column, p.code) for p in loaded.problems] == [(2, 9, "prompt-file")]
    assert loaded.sources == (file, tmp_path / "text" / "hello.md")


def test_text_given_is_read_instead_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("prompt: old\n")
    loaded = load(file, text="prompt: new\n")
    assert loaded.definition is not None
    assert loaded.definition.prompt == "new"


def test_variable_given_wins_over_the_file() -> None:
    loaded = load(SUPPORT, variables={"company": "Acme"}, env={})
    assert loaded.definition is not None
    assert loaded.definition.variables == {"company": "Acme", "agent_name": "Maya"}


def test_variable_that_nothing_uses_is_a_problem() -> None:
    assert messages(SUPPORT, variables={"compny": "Acme"}) == [
        '--var compny=Acme: this file has no variable "compny". Did you mean "company"?'
    ]


def test_variable_that_only_a_text_uses_may_be_given(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("prompt: Hi {{ who }}\n")
    assert load(file, variables={"who": "you"}).definition is not None
    assert messages(file) == ['"who" is not a variable.']


def test_setting_given_is_read_like_the_file() -> None:
    given = {
        "stt.endpoint": "ws://127.0.0.1:9001/v3/ws",
        "turns.barge_in": "false",
        "turns.vad.stop_secs": "400ms",
        "stt.keyterms": "[Acme, RMA]",
        "stages.refund.next[0].to": "goodbye",
        "stages.email.next.1.after_tries": "5",
        "greeting": "Hello: {{ company }} # here",
    }
    made = load(SUPPORT, settings=given, env={}).definition
    assert made is not None
    assert made.stt.endpoint == "ws://127.0.0.1:9001/v3/ws"
    assert made.turns.barge_in is False
    assert made.turns.vad.stop_secs == 0.4
    assert made.stt.settings["keyterms"] == ("Acme", "RMA")
    assert made.stages["refund"].next[0].to == "goodbye"
    assert made.stages["email"].next[1].after_tries == 5
    assert made.greeting is not None
    assert made.greeting.text == "Hello: {{ company }} # here"


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        ("stt.mode", "fast", '--set stt.mode=fast: "mode" cannot be "fast". Did you mean "min_latency"?'),
        ("stt.mood", "1", '--set stt.mood=1: "mood" is not a setting of stt. Did you mean "mode"?'),
        ("llm.temperature", "9", '--set llm.temperature=9: "temperature" must be from 0 to 2, not 9.'),
        ("name.first", "x", '--set name.first=x: "name" has no settings of its own.'),
        (
            "stages.email.next.9.to",
            "x",
            '--set stages.email.next.9.to=x: "stages.email.next.9" has no settings of its own.',
        ),
        ("stages.email.next.1.to", "hom", '--set stages.email.next.1.to=hom: There is no stage "hom".'),
        ("", "x", "--set =x: a path is missing before the =, for example stt.mode=balanced."),
    ],
)
def test_wrong_setting_is_named_as_it_was_given(where: str, value: str, message: str) -> None:
    assert messages(SUPPORT, settings={where: value}) == [message]


def test_endpoint_is_filled_in_from_the_environment_and_nothing_else_is(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("prompt: Say ${HOME}.\nllm:\n  endpoint: http://${HOST}:${PORT}/v1\n")
    made = load(file, env={"HOST": "127.0.0.1", "PORT": "9002", "HOME": "/x"}).definition
    assert made is not None
    assert made.llm.endpoint == "http://127.0.0.1:9002/v1"
    assert made.prompt == "Say ${HOME}."
    said = '"${HOME}" is not filled in from the environment here; it stays as it is.'
    assert messages(file, env={"HOST": "x"}) == [said, "PORT is not set."]


def test_agents_of_a_folder_leave_out_shared_parts_and_tests(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "_base.yaml", "b.tests.yaml", ".hidden.yaml", "notes.md", "c.yaml"):
        (tmp_path / name).write_text("prompt: x\n")
    (tmp_path / "folder.yaml").mkdir()
    assert [file.name for file in agent_files(tmp_path)] == ["a.yml", "b.yaml", "c.yaml"]
    assert agent_files(tmp_path / "_base.yaml") == [tmp_path / "_base.yaml"]


def run(code: str) -> tuple[float, str]:
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return time.perf_counter() - began, done.stdout


@pytest.mark.alone
def test_checking_the_agents_takes_hardly_longer_than_the_imports_and_never_loads_pipecat() -> None:
    check = (
        "import sys; from pathlib import Path; from runner.document.load import agent_files, load; "
        "assert all(load(f).definition for f in agent_files(Path('agents'))); "
        "print([m for m in sys.modules if m.startswith(('pipecat', 'pydantic', 'openai', 'numpy'))])"
    )
    bare = min(run("import yaml, jsonschema")[0] for _ in range(3))
    timed = [run(check) for _ in range(3)]
    assert timed[0][1].strip() == "[]"
    assert min(seconds for seconds, _ in timed) < 2 * bare + 0.2
