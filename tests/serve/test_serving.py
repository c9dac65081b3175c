"""`runner serve` as a person who deploys meets it: what is needed, what is printed, who may ask, what saves and new files do."""

from __future__ import annotations

import io
import json
import tomllib
from pathlib import Path

import httpx
import pytest

from runner.events import AgentSaid, CallEnded, CallerSaid, CallStarted, StageEntered, Trouble, TurnLatency
from runner.live.access import Access, TokenTooShort
from runner.live.call_log import CallLog
from runner.live.serving import default_limit
from runner.starting import PIPECAT, wrong_pipecat
from tests.cloud.vendors import KEYS, Ports, Vendors
from tests.running import PROJECT, run
from tests.serve.conftest import AGENT, serving

TOKEN = "shared-by-all-machines-7c1e"


def test_agents_come_and_are_mended_while_it_serves(tmp_path: Path, ports: Ports, vendors: Vendors) -> None:
    (tmp_path / "agents").mkdir()
    broken = tmp_path / "agents" / "refund.yaml"
    broken.write_text("promt: You hand out money.\n")
    with serving(tmp_path, ports, RUNNER_TOKEN=TOKEN) as server:

        def health() -> dict[str, object]:
            return httpx.get(f"{server.http}/health", trust_env=False).json()

        def asked(token: str) -> int:
            return httpx.get(f"{server.http}/api/agents?token={token}", trust_env=False).status_code

        assert (asked(TOKEN), asked("another-token-of-that-length"), asked("")) == (200, 403, 403)
        assert health()["broken"] == [{"file": "refund.yaml", "problems": 1}]
        assert health()["limit"] == default_limit(local=False)
        server.running.wait_for("agents/refund.yaml:1:1: problem unknown-key")
        broken.write_text("prompt: You hand out money.\n")
        server.running.wait_for("[new] refund takes calls, version 1")
        (server.agents / "late.yaml").write_text("prompt: You are late.\n")
        server.running.wait_for("[new] late takes calls, version 1")
        (server.agents / "shop.yaml").write_text(AGENT.replace("brief", "very talkative"))
        server.running.wait_for("[saved] shop is now version 2")
        (server.agents / "shop.yaml").write_text(f"{AGENT}stt:\n  provider: deepgram\n")
        server.running.wait_for("problem cannot-take-calls")
        server.running.wait_for("Version 2 stays in use")
        now = health()
        assert now["broken"] == []
        assert [(a["name"], a["version"]) for a in now["agents"]] == [("shop", 2), ("refund", 1), ("late", 1)]  # type: ignore[attr-defined]
        output = server.running.output
    for secret in (TOKEN, "hand out money", "talkative", *KEYS.values()):
        assert secret not in output


@pytest.mark.parametrize(
    ("arguments", "env", "code", "says"),
    [
        ([], {}, 1, "Without keys: ASSEMBLYAI_API_KEY, OPENAI_API_KEY, CARTESIA_API_KEY."),
        (["--limit", "0"], KEYS, 2, "a limit is a number from 1, not '0'"),
        ([], {**KEYS, "RUNNER_LIMIT": "many"}, 2, "RUNNER_LIMIT: a limit is a number from 1, not 'many'"),
        (["--drain-secs", "-1"], KEYS, 2, "a number of seconds, not '-1'"),
        (["--services", "auto"], KEYS, 2, "invalid choice: 'auto'"),
    ],
)
def test_what_is_missing_or_wrong_is_said(
    tmp_path: Path, arguments: list[str], env: dict[str, str], code: int, says: str
) -> None:
    (tmp_path / "shop.yaml").write_text(AGENT)
    stopped = run("serve", "shop.yaml", *arguments, cwd=tmp_path, env=env)
    assert stopped.returncode == code
    assert says in stopped.stderr


def test_token_that_can_be_guessed_is_refused() -> None:
    for host in ("127.0.0.1", "0.0.0.0"):
        access = Access.for_host(host)
        with pytest.raises(TokenTooShort, match="RUNNER_TOKEN is shorter than 16 characters and could be guessed"):
            access.with_token("secret")
        assert access.with_token(TOKEN).token == TOKEN
        assert access.with_token(None) == access


@pytest.mark.parametrize(("found", "fits"), [("0.0.85", False), ("1.13.9", False), ("1.15.0", False), ("1.14.7", True)])
def test_pipecat_of_another_version_is_said_with_the_line_that_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str, fits: bool
) -> None:
    installed = tmp_path / "site" / f"pipecat_ai-{found}.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: pipecat-ai\nVersion: {found}\n")
    monkeypatch.syspath_prepend(str(installed.parent))
    refusal = wrong_pipecat()
    assert (refusal is None) == fits
    if refusal and found == "0.0.85":
        (tmp_path / "shop.yaml").write_text(AGENT)
        started = run("shop.yaml", cwd=tmp_path, env={**KEYS, "PYTHONPATH": str(installed.parent)})
        assert started.returncode == 1
        assert started.stderr.splitlines()[-2:] == [
            "Pipecat 0.0.85 is installed. runner needs 1.14.0 or later, before 1.15:",
            '  pip install "pipecat-ai>=1.14.0,<1.15"',
        ]


def test_pipecat_that_is_needed_is_the_one_that_is_installed_with_runner() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    (needed,) = [line for line in project["project"]["dependencies"] if line.startswith("pipecat-ai[")]
    assert needed.endswith("]>={},<{}".format(*PIPECAT))
    assert wrong_pipecat() is None


@pytest.mark.parametrize("as_json", [True, False])
def test_log_tells_what_happened_and_never_what_was_said(as_json: bool) -> None:
    stream = io.StringIO()
    log = CallLog(as_json=as_json, stream=stream)
    log.line("ready")
    log.line()
    for event in (
        CallStarted("web", 1),
        CallerSaid("My card is 4111", "pay", 1),
        AgentSaid("Thank you, 4111", "pay", 1),
        StageEntered("pay", "goodbye", 1),
        TurnLatency(0.61, (("LLM", 0.4, "OpenAI"),), 1),
        Trouble("OpenAI: too many requests", 1),
        CallEnded("the caller hung up", 1),
    ):
        log.event(7, event, "shop")
    log.detail('the prompt says "formal" instead of "friendly"')
    written = stream.getvalue()
    for said in ("4111", "formal"):
        assert said not in written
    if not as_json:
        assert "call 7 started: shop (web), version 1\n" in written
        assert written.endswith("call 7 call ended: the caller hung up\n")
        return
    lines = [json.loads(line) for line in written.splitlines()]
    assert [line["event"] for line in lines] == ["note", "call_started", "stage", "latency", "trouble", "call_ended"]
    assert lines[3]["ms"] == 610
    assert lines[-1]["reason"] == "the caller hung up"
