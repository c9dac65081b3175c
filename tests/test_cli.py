"""The command line as a process: what it prints, what it returns, how long that takes."""

from __future__ import annotations

import asyncio
import json
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from runner.local import PACKAGES
from tests.caller import Caller
from tests.cloud.vendors import KEYS, Ports, vendors_on
from tests.emulators import OpenAIEmulator, wait_until
from tests.live.typed_call import TypedCall
from tests.running import PROJECT, Running, environment, free_port, run

GOOD = "name: good\nprompt: You are Maya.\ngreeting: Hello.\n"
BROKEN = "name: broken\npromt: You are Maya.\n"


def agent(folder: Path, text: str | bytes = GOOD, name: str = "agent.yaml") -> Path:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def records(output: str) -> list[dict]:
    """What a program reads from `--json`: every line has to be a record with a type."""
    found = [json.loads(line) for line in output.splitlines()]
    assert all(isinstance(record["type"], str) for record in found)
    return found


def within_a_second(attempt: Callable[[], float]) -> bool:
    """Whether one of three attempts takes less. Other programs of this machine may need it at the moment."""
    return any(attempt() < 1 for _ in range(3))


@pytest.fixture
def without_pipecat(tmp_path: Path) -> dict[str, str]:
    """An environment in which importing Pipecat ends the process with code 77."""
    trap = tmp_path / "trap" / "pipecat"
    trap.mkdir(parents=True)
    (trap / "__init__.py").write_text("import os\nos._exit(77)\n")
    return {"PYTHONPATH": str(trap.parent)}


@pytest.fixture
def without_local_extra(tmp_path: Path) -> dict[str, str]:
    """An environment in which the packages of the extra `local` are not installed, as their records are not found."""
    (tmp_path / "sitecustomize.py").write_text(
        "from importlib.metadata import MetadataPathFinder as Finder\n"
        "found = Finder.find_distributions\n"
        f"hidden = {PACKAGES!r}\n"
        "def find(*context):\n"
        "    return [] if context and context[0].name in hidden else found(*context)\n"
        "Finder.find_distributions = staticmethod(find)\n"
    )
    return {"PYTHONPATH": str(tmp_path)}


# runner check


def test_check_of_good_files_says_how_many_and_returns_0(without_pipecat: dict[str, str]) -> None:
    done = run("check", "agents/", cwd=PROJECT, env=without_pipecat)
    assert (done.returncode, done.stderr) == (0, "")
    number = len(list((PROJECT / "agents").glob("*.yaml")))
    assert done.stdout == f"{number} agents, no problems.\n"


def test_check_of_a_broken_file_points_at_the_place_and_returns_1(
    tmp_path: Path, without_pipecat: dict[str, str]
) -> None:
    agent(tmp_path, BROKEN)
    done = run("check", "agent.yaml", cwd=tmp_path, env=without_pipecat)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "agent.yaml:2:1"
    assert lines[1].endswith("| promt: You are Maya.")
    assert lines[2].strip() == "^^^^^"
    assert '"promt"' in lines[3]
    assert '"prompt"' in done.stdout
    assert lines[-1] == "1 problem."


def test_check_for_programs_has_every_field_of_a_problem(tmp_path: Path) -> None:
    broken, good = agent(tmp_path, BROKEN, "b.yaml"), agent(tmp_path, GOOD, "g.yaml")
    done = run("check", tmp_path, "--format", "json", cwd=tmp_path)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["checked"] == 2
    [problem] = found["problems"]
    assert set(problem) == {"file", "line", "column", "path", "code", "severity", "message", "hint"}
    assert (problem["file"], problem["line"], problem["column"]) == (str(broken), 2, 1)
    assert problem["severity"] == "error"
    done = run("check", good, "--format", "json", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"checked": 1, "problems": []})


@pytest.mark.parametrize("arguments", [["check"], ["check", "--nonsense"], ["chat"], ["--port", "99999", "a.yaml"], []])
def test_wrong_usage_returns_2(tmp_path: Path, arguments: list[str]) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "usage: runner" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [["check"], ["chat"], []])
def test_folder_without_agents_is_wrong_usage(tmp_path: Path, command: list[str]) -> None:
    done = run(*command, ".", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "agent" in done.stderr


def test_reader_that_goes_away_is_no_fault(tmp_path: Path) -> None:
    for number in range(30):
        agent(tmp_path, BROKEN * 1, f"agent{number}.yaml")
    line = f"{sys.executable} -m runner.cli check . --format json | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) in [("0", ""), ("1", "")]


STAGES = "prompt: Hi.\nstages:\n  a:\n    prompt: Ask.\n    next:\n      - when: The caller wants a refund\n"
BROKEN_FILES: dict[str, tuple[str | bytes, int, str]] = {
    "wrong key": (BROKEN, 2, "promt"),
    "duplicate key": ("prompt: one\nname: x\nprompt: two\n", 3, "prompt"),
    "wrong type": ("prompt: Hi.\nllm:\n  temperature: warm\n", 3, "warm"),
    "tab": ("prompt: Hi.\nllm:\n\ttemperature: 0.4\n", 3, "tab"),
    "unclosed quote": ('prompt: "Hi.\nname: x\n', 1, "quot"),
    "unquoted braces": ("prompt: Hi.\nvariables:\n  name: Zoe\ngreeting: {{ name }}\n", 4, "{{"),
    "split by a comma": (
        "prompt: Hi.\nstages:\n  a:\n    prompt: Ask.\n    next:\n"
        "      - {when: The caller is angry, or wants a person, to: a}\n",
        6,
        "comma",
    ),
    "cut by a hash": ("prompt: You are agent #1 of the shop.\n", 1, "#"),
    "missing stage": (STAGES + "        to: refnd\n", 7, "refnd"),
    "unknown variable": ("prompt: You are {{ nmae }}.\nvariables:\n  name: Zoe\n", 1, "nmae"),
    "number out of range": ("prompt: Hi.\nllm:\n  temperature: 7\n", 3, "7"),
    "empty": ("", 1, "empty"),
    "binary": (bytes(range(256)) * 40, 1, "not text"),
    "5 MB": ("prompt: Hi.\n" + "# padding\n" * 500_000, 1, "MB"),
    "alias bomb": (
        "prompt: Hi.\nvariables:\n  a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"  {b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        3,
        "",
    ),
}


@pytest.mark.parametrize("kind", BROKEN_FILES)
def test_broken_file_is_explained_within_a_second(tmp_path: Path, kind: str, without_pipecat: dict[str, str]) -> None:
    """Seconds of a processor, not of the clock: a check waits for nothing, and other programs may run beside the tests."""
    text, line, words = BROKEN_FILES[kind]
    agent(tmp_path, text)

    def attempt() -> float:
        begun = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = run("check", "agent.yaml", cwd=tmp_path, env=without_pipecat)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert (done.returncode, done.stderr) == (1, "")
        assert f"agent.yaml:{line}:" in done.stdout
        assert words in done.stdout
        return ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime

    assert within_a_second(attempt)


# starting


def test_start_with_a_broken_file_says_the_problems_and_never_loads_pipecat(
    tmp_path: Path, without_pipecat: dict[str, str]
) -> None:
    file = agent(tmp_path, BROKEN)
    for command in ([], ["chat"]):
        done = run(*command, file, cwd=tmp_path, env=without_pipecat)
        assert (done.returncode, done.stdout) == (1, "")
        assert "agent.yaml:2:1" in done.stderr


def test_cloud_without_keys_names_all_of_them(tmp_path: Path, without_pipecat: dict[str, str]) -> None:
    done = run(agent(tmp_path), "--services", "cloud", cwd=tmp_path, env=without_pipecat)
    assert done.returncode == 1
    assert all(key in done.stderr for key in KEYS)
    assert done.stdout == ""


def test_typed_call_in_the_cloud_needs_the_key_of_the_model_only(
    tmp_path: Path, without_pipecat: dict[str, str]
) -> None:
    done = run("chat", agent(tmp_path), "--services", "cloud", cwd=tmp_path, env=without_pipecat)
    assert done.returncode == 1
    assert [key for key in KEYS if key in done.stderr] == ["OPENAI_API_KEY"]


def test_without_keys_and_without_the_extra_one_line_says_what_to_install(
    tmp_path: Path, without_pipecat: dict[str, str], without_local_extra: dict[str, str]
) -> None:
    paths = [without_pipecat["PYTHONPATH"], without_local_extra["PYTHONPATH"]]
    done = run(agent(tmp_path), cwd=tmp_path, env={"PYTHONPATH": ":".join(paths)})
    assert done.returncode == 1
    assert all(key in done.stderr for key in KEYS)
    assert [line for line in done.stderr.splitlines() if "pip install" in line] == [
        '  pip install "voice-agent-runner[local]"'
    ]


def test_env_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("OPENAI_API_KEY=sk-ä\n".encode("utf-16"))
    done = run("check", agent(tmp_path), cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == f"{tmp_path / '.env'} is not written in UTF-8. Save it as UTF-8 in your editor.\n"


def test_env_file_of_a_windows_editor_counts(tmp_path: Path, without_local_extra: dict[str, str]) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfOPENAI_API_KEY=sk-dummy\r\n")
    done = run("chat", agent(tmp_path), "--services", "cloud", "--json", cwd=tmp_path, env=without_local_extra)
    assert done.returncode == 0
    assert records(done.stdout)[0]["services"] == {"llm": "OpenAI"}


def test_second_start_on_the_same_port_says_at_once_what_to_do(tmp_path: Path, without_pipecat: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        agent(tmp_path)
        done = run("agent.yaml", "--port", port, "--services", "cloud", cwd=tmp_path, env={**KEYS, **without_pipecat})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"Port {port} is in use, perhaps by another runner. Stop that one, or take another port:\n"
        f"  runner agent.yaml --port {port + 1}\n"
    )


def test_the_articles_url_is_answered(tmp_path: Path, without_pipecat: dict[str, str]) -> None:
    done = run(agent(tmp_path, BROKEN), "--url", "https://x.daily.co/y", cwd=tmp_path, env=without_pipecat)
    assert done.stderr.startswith("--url is called --room here; going on with it.\n")


@pytest.mark.parametrize("command", [[], ["check"], ["chat"], ["explain"], ["diff"], ["new"]])
def test_help_shows_examples(tmp_path: Path, command: list[str], without_pipecat: dict[str, str]) -> None:
    done = run(*command, "--help", cwd=tmp_path, env=without_pipecat)
    assert (done.returncode, done.stderr) == (0, "")
    examples = done.stdout.partition("example")[2]
    assert f"runner {' '.join(command)}".strip() in examples
    assert ".yaml" in examples


# typed calls


def test_refund_is_reached_by_typing() -> None:
    done = run(
        *("chat", "agents/support.yaml", "--json", "--services", "local"), cwd=PROJECT, input="I want a refund\n"
    )
    assert done.returncode == 0
    found = records(done.stdout)
    assert found[0]["type"] == "ready"
    assert [record["to"] for record in found if record["type"] == "stage"] == ["identify", "refund"]
    assert found[-1]["type"] == "end"


def test_a_person_is_reached_from_anywhere_and_the_call_ends() -> None:
    done = run(
        *("chat", "agents/support.yaml", "--json", "--services", "local"),
        cwd=PROJECT,
        input="I want a refund\nLet me talk to a human\nAre you still there\n",
    )
    assert done.returncode == 0
    found = records(done.stdout)
    assert [record["to"] for record in found if record["type"] == "stage"] == ["identify", "refund", "human"]
    assert found[-1] == {"type": "end", "reason": "the agent ended it (stage human)", "version": 1}
    assert found[-2]["text"] == "I am connecting you to a colleague now. Please hold the line."


def test_last_line_needs_no_newline_and_strange_bytes_do_no_harm(tmp_path: Path) -> None:
    with OpenAIEmulator().in_thread() as model:
        model.reply("First.", "Second.")
        arguments = ["--json", "--services", "cloud", "--set", f"llm.endpoint={model.url}"]
        done = subprocess.run(
            [sys.executable, "-m", "runner.cli", "chat", agent(tmp_path), *arguments],
            cwd=tmp_path,
            input=b"caf\xe9\r\n\n  \nlast",
            env=environment({"OPENAI_API_KEY": "sk-dummy-mind"}),
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert [record["text"] for record in records(done.stdout.decode()) if record["type"] == "agent"] == [
            "Hello.",
            "First.",
            "Second.",
        ]
        said = [message["content"] for message in model.request.messages if message["role"] == "user"]
        assert said == ["caf\ufffd", "last"]
    assert done.returncode == 0


# stopping


@pytest.fixture
def model() -> Iterator[OpenAIEmulator]:
    with OpenAIEmulator().in_thread() as emulator:
        yield emulator


@pytest.mark.alone
def test_ctrl_c_ends_a_typed_call_that_waits(tmp_path: Path, model: OpenAIEmulator) -> None:
    def attempt() -> float:
        with TypedCall(agent(tmp_path), model) as call:
            code, taken = call.stop()
        assert code in (0, 130)
        assert call.records[-1]["type"] == "end"
        assert "Traceback" not in call.output
        return taken

    assert within_a_second(attempt)


@pytest.mark.alone
def test_ctrl_c_ends_a_typed_call_while_the_model_is_silent(tmp_path: Path, model: OpenAIEmulator) -> None:
    def attempt() -> float:
        model.stall(after=1)
        with TypedCall(agent(tmp_path), model) as call:
            before = len(model.requests)
            call.type("Tell me everything")
            wait_until(lambda: len(model.requests) > before, 10)
            code, taken = call.stop()
        assert code in (0, 130)
        assert call.records[-1]["type"] == "end"
        assert "Traceback" not in call.output
        return taken

    assert within_a_second(attempt)


LONG = "Hello. " + "This greeting goes on and on while somebody at the terminal has heard enough of it. " * 4


@pytest.mark.parametrize(("how", "greeting"), [(signal.SIGINT, LONG), (signal.SIGTERM, "Hello.")])
@pytest.mark.alone
def test_ctrl_c_ends_a_web_call(tmp_path: Path, how: int, greeting: str) -> None:
    file = agent(tmp_path, GOOD.replace("Hello.", greeting))
    assert within_a_second(lambda: asyncio.run(_web_call_stopped(file, how)))


async def _web_call_stopped(file: Path, how: int) -> float:
    """Hold a web call, with the page beside it, stop `runner`, and return the seconds that took."""
    ports, port = Ports.free(), free_port()
    arguments = ["--no-browser", "--port", str(port), *ports.arguments]
    with vendors_on(ports), Running(file, *arguments, cwd=file.parent, env=KEYS) as running:
        running.wait_for("ready")
        async with Caller(f"ws://127.0.0.1:{port}/ws-client/good") as caller:
            await caller.wait_for_agent_sound()
            address = f"http://127.0.0.1:{port}/api/events"
            async with httpx.AsyncClient(trust_env=False) as client, client.stream("GET", address) as page:
                news = page.aiter_lines()
                assert (await anext(news)).startswith("data:")
                code, taken = await asyncio.to_thread(running.stop, how)
                assert [line async for line in news] == [""]
    assert code in (0, 130)
    assert running.output.endswith("call ended: runner was stopped")
    assert caller.close_code == 1000
    return taken


@pytest.mark.alone
def test_ctrl_c_while_it_starts_is_no_fault(tmp_path: Path) -> None:
    with Running(agent(tmp_path), "--port", free_port(), "--services", "cloud", cwd=tmp_path, env=KEYS) as running:
        time.sleep(1)
        code, _ = running.stop()
    assert code in (0, 130)
    assert "Traceback" not in running.output


# a fault of ours


@pytest.fixture
def faulty(tmp_path: Path) -> dict[str, str]:
    """An environment with a copy of runner that fails while it reads, and tells a key in doing so."""
    copy = tmp_path / "copy" / "runner"
    shutil.copytree(PROJECT / "runner", copy, ignore=shutil.ignore_patterns("page", "local", "__pycache__"))
    (copy / "document" / "load.py").write_text("raise RuntimeError('no way past sk-very-secret-91b0aa')\n")
    return {"PYTHONPATH": str(copy.parent), "XDG_STATE_HOME": str(tmp_path / "state")}


@pytest.mark.parametrize("command", [["check"], ["chat"], []])
def test_fault_of_ours_is_3_and_a_log_without_keys(tmp_path: Path, faulty: dict[str, str], command: list[str]) -> None:
    agents = tmp_path / "agents"
    agents.mkdir()
    (agents / ".env").write_text("OPENAI_API_KEY=sk-very-secret-91b0aa\n")
    done = run(*command, agent(agents), cwd=tmp_path, env=faulty)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("Sorry: this is a fault in runner, not in your file.")
    [log] = (tmp_path / "state" / "runner").iterdir()
    assert str(log) in done.stderr
    text = log.read_text()
    assert "RuntimeError: no way past [OPENAI_API_KEY]" in text
    assert "Traceback" in text
    assert "sk-very-secret" not in text + done.stderr
