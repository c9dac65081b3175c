"""`runner new`: whatever is answered, the agent it writes passes check and talks, and nothing is ever overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from runner.cli import main
from runner.document.load import load
from runner.effective import effective
from runner.new import Answers, agent_text, ask
from tests.emulators import OpenAIEmulator
from tests.running import run

KEYS = {"OPENAI_API_KEY": "sk-dummy-0000"}


def typing(*lines: str):
    """Somebody who types these lines and then leaves."""
    left = list(lines)

    def answer(_question: str) -> str:
        if not left:
            raise EOFError
        return left.pop(0)

    return answer


@given(what=st.text(max_size=200), name=st.text(max_size=60), stages=st.booleans())
@example(what="Takes orders: large # small {{ x }} {% if %} - [a, b]", name='Luigi "the" 3rd: pizza', stages=True)
@example(what="yes", name="null", stages=False)
@example(what="\u2028 a \x85 b\x00\ttab\n- item\n", name="#", stages=True)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_answer_makes_an_agent_without_a_single_problem(
    what: str, name: str, stages: bool, tmp_path: Path
) -> None:
    answers = ask(typing(), what, name, stages)
    file = tmp_path / "new.yaml"
    loaded = load(file, text=agent_text(file, answers), env={})
    assert [problem for problem in loaded.problems if problem.is_error] == []
    agent = loaded.definition
    assert agent
    assert bool(agent.stages) == stages
    now = effective(agent, agent.first_stage)
    assert now.greeting
    assert now.greeting.text
    shown = " ".join(answers.name.replace("{{", "{ {").replace("{%", "{ %").replace("{#", "{ #").split())
    if shown:
        assert shown in now.greeting.text
        assert shown in now.prompt
    if answers.what.isalnum():
        assert answers.what in now.prompt


def test_three_questions_are_asked_and_their_answers_taken() -> None:
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return ["Takes orders.", "Luigi", "y"][len(asked) - 1]

    assert ask(answer, None, None, None) == Answers("Takes orders.", "Luigi", stages=True)
    assert len(asked) == 3


def test_nobody_is_asked_what_an_option_says() -> None:
    assert ask(typing(), "Takes orders.", "Luigi", False) == Answers("Takes orders.", "Luigi", stages=False)


def test_who_types_nothing_gets_an_agent_all_the_same() -> None:
    assert ask(typing("", "", ""), None, None, None) == ask(typing(), None, None, None) == Answers()


@pytest.mark.parametrize("flags", [("--stages",), ("--no-stages",)])
def test_new_agent_passes_check_and_answers(flags: tuple[str, ...], tmp_path: Path) -> None:
    made = run("new", "agents/pizza.yaml", "--what", "Takes orders.", "--name", "Luigi", *flags, cwd=tmp_path)
    assert (made.returncode, made.stderr) == (0, "")
    assert "runner agents/pizza.yaml" in made.stdout
    assert run("check", "agents", cwd=tmp_path).stdout == "1 agent, no problems.\n"
    mind = OpenAIEmulator()
    mind.reply("With pleasure. Which one?")
    with mind.in_thread() as emulator:
        arguments = ("chat", "agents/pizza.yaml", "--services", "cloud", "--set", f"llm.endpoint={emulator.url}")
        talked = run(*arguments, cwd=tmp_path, input="I would like a pizza\n", env=KEYS)
    assert talked.returncode == 0, talked.stderr
    assert "Hello, this is Luigi. How can I help you?" in talked.stdout
    assert "With pleasure. Which one?" in talked.stdout
    assert "What you are there for: Takes orders." in mind.request.system


def test_questions_are_answered_on_the_terminal(tmp_path: Path) -> None:
    made = run("new", "pizza", cwd=tmp_path, input="Takes orders.\nLuigi\nyes\n")
    assert made.returncode == 0
    assert made.stdout.count("?") >= 3
    agent = load(tmp_path / "pizza.yaml").definition
    assert agent
    assert (agent.name, agent.description, agent.variables["company"]) == ("pizza", "Takes orders.", "Luigi")
    assert agent.stages


def test_what_is_there_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("prompt: Mine.\n")
    for typed in (file, tmp_path / "mine"):
        assert main(["new", str(typed), "--what", "x", "--name", "", "--no-stages"]) == 2
        assert "is there already and stays as it is" in capsys.readouterr().err
    assert file.read_text() == "prompt: Mine.\n"
    link = tmp_path / "link.yaml"
    link.symlink_to(tmp_path / "nowhere.yaml")
    assert main(["new", str(link), "--what", "x", "--name", "", "--no-stages"]) == 2


@pytest.mark.parametrize("name", ["_shared.yaml", "pizza.tests.yaml", ".hidden.yaml"])
def test_file_that_would_not_be_an_agent_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", str(tmp_path / name), "--what", "x", "--name", "", "--no-stages"]) == 2
    assert "not a name for an agent" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_folder_is_not_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", str(tmp_path)]) == 2
    assert "is a folder. Name the file" in capsys.readouterr().err


def test_place_that_cannot_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").write_text("a file, not a folder")
    assert main(["new", str(tmp_path / "a" / "x.yaml"), "--what", "x", "--name", "", "--no-stages"]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_editor_finds_the_schema_from_the_new_file(tmp_path: Path) -> None:
    made = run("new", tmp_path / "agents" / "x.yaml", "--what", "x", "--name", "", "--no-stages", cwd=tmp_path)
    assert made.returncode == 0
    first = (tmp_path / "agents" / "x.yaml").read_text().splitlines()[0]
    assert Path(first.removeprefix("# yaml-language-server: $schema=")).is_file()
