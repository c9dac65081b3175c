"""`bot(runner_args)` where others call it: Pipecat's own development runner in a process of its own, and `pipecat eval`."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import websockets

from tests.caller import Caller
from tests.cloud.vendors import KEYS, Ports, Vendors
from tests.running import Running, environment, free_port
from tests.webrtc import WebRTCCaller

NO_CALL = "This agent takes no calls now."

AGENT = """\
name: {name}
variables:
  company: Northwind
prompt: You are brief and work for {{{{ company }}}}.
greeting: {greeting}
stt:
  endpoint: ws://127.0.0.1:{ports.ears}/v3/ws
llm:
  endpoint: http://127.0.0.1:{ports.mind}/v1
tts:
  endpoint: ws://127.0.0.1:{ports.voice}/tts/websocket
"""

SCENARIO = """\
name: sells
scenarios:
  - name: skis
    turns:
      - user: What do you sell?
        expect:
          - event: response
            text_contains: skis
"""


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory, ports: Ports) -> Path:
    folder = tmp_path_factory.mktemp("hosted") / "agents"
    folder.mkdir()
    for name, greeting in {"support": "Hello, this is {{ company }}.", "sales": "Hello, buy something."}.items():
        (folder / f"{name}.yaml").write_text(AGENT.format(name=name, greeting=f'"{greeting}"', ports=ports))
    (folder / "broken.yaml").write_text("name: broken\npromt: You are brief.\n")
    return folder


@pytest.fixture(scope="module")
def host(agents: Path) -> Iterator[tuple[Running, int]]:
    """Pipecat's development runner with a folder of agents, and its port."""
    port = free_port()
    env = {**KEYS, "RUNNER_AGENT": str(agents), "PYTHONWARNINGS": "ignore"}
    with Running("--port", str(port), cwd=agents.parent, env=env, module="runner.bot") as running:
        running.wait_for("Uvicorn running on", seconds=60)
        yield running, port


@pytest.fixture(scope="module")
def single(agents: Path) -> Iterator[tuple[Running, int]]:
    """The same with one agent file."""
    port = free_port()
    env = {**KEYS, "RUNNER_AGENT": str(agents / "sales.yaml"), "PYTHONWARNINGS": "ignore"}
    with Running("--port", str(port), cwd=agents.parent, env=env, module="runner.bot") as running:
        running.wait_for("Uvicorn running on", seconds=60)
        yield running, port


async def test_pipecats_development_runner_takes_a_webrtc_call(host: tuple[Running, int], vendors: Vendors) -> None:
    address = f"http://127.0.0.1:{host[1]}/api/offer"
    async with WebRTCCaller(address, data={"agent": "support", "variables": {"company": "Acme"}}) as caller:
        await caller.wait_until(lambda: "this is Acme" in caller.agent_text, "the greeting")
        assert caller.voiced, "the greeting was heard"
        await caller.send_text("What do you sell?")
        await caller.wait_until(lambda: "What do you sell?" in caller.agent_text, "the answer")
        assert "work for Acme" in str(vendors.mind.request.body["messages"][0]), "the body's variable is in the prompt"


async def test_session_that_names_no_agent_of_the_folder_is_turned_away_in_words(host: tuple[Running, int]) -> None:
    running, port = host
    address = f"http://127.0.0.1:{port}/api/offer"
    for data, words in {
        '{"agent": "../../etc/passwd"}': "'../../etc/passwd' that there is not. There are: broken, sales, support.",
        '{"agent": 7}': 'The session\'s body says "agent": 7.',
        '{"agent": "sales", "variables": {"compani": "Acme"}}': '"compani"',
        '{"agent": "broken"}': 'Did you mean "prompt"?',
        "{}": "There are 3 agents: broken, sales, support. Say which",
    }.items():
        before = len(running.lines)
        async with WebRTCCaller(address, data=json.loads(data)) as caller:
            await asyncio.to_thread(running.wait_for, words, after=before)
            await asyncio.wait_for(caller.closed.wait(), 20)
            assert [message["data"] for message in caller.of("error")] == [
                {"error": NO_CALL, "message": NO_CALL, "fatal": True}
            ]
    assert "Traceback" not in running.output


async def test_what_a_body_holds_that_means_nothing_is_said_and_the_call_goes_on(
    host: tuple[Running, int], vendors: Vendors
) -> None:
    running, port = host
    before = len(running.lines)
    body = {"agent": "support", "dialin_settings": {}, "variabels": {"company": "Acme"}}
    async with WebRTCCaller(f"http://127.0.0.1:{port}/api/offer", data=body) as caller:
        await caller.wait_until(lambda: "this is Northwind" in caller.agent_text, "the greeting")
    said = await asyncio.to_thread(running.wait_for, "variabels", after=before)
    assert 'The session\'s body holds "variabels". It may hold agent, variables, ' in said
    assert said.endswith("The call goes on without it.")


async def test_session_without_keys_ends_with_their_names(agents: Path, tmp_path: Path) -> None:
    port = free_port()
    env = {"RUNNER_AGENT": str(agents / "sales.yaml"), "PYTHONWARNINGS": "ignore"}
    with Running("--port", str(port), cwd=tmp_path, env=env, module="runner.bot") as running:
        running.wait_for("Uvicorn running on", seconds=60)
        async with Caller(f"ws://127.0.0.1:{port}/ws-client") as caller:
            await caller.wait_for_end()
            assert caller.close_code == 1011
        running.wait_for("Without keys: ASSEMBLYAI_API_KEY, CARTESIA_API_KEY")


def test_pipecat_eval_runs_an_agent_file(single: tuple[Running, int], vendors: Vendors, tmp_path: Path) -> None:
    scenario = tmp_path / "sells.yaml"
    scenario.write_text(SCENARIO)
    command = [
        sys.executable,
        "-m",
        "pipecat.evals",
        "run",
        str(scenario),
        "--bot-url",
        f"ws://127.0.0.1:{single[1]}/ws",
    ]
    vendors.mind.reply("We sell skis.")
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def test_entry_like_pipecat_clouds_answers_by_websocket_webrtc_and_telephone(
    agents: Path, vendors: Vendors, tmp_path: Path
) -> None:
    (tmp_path / "bot.py").write_text("from runner.bot import bot\n")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {**KEYS, "RUNNER_AGENT": str(agents), "PYTHONWARNINGS": "ignore", "PYTHONPATH": path}
    port = free_port()
    with Running(str(port), cwd=tmp_path, env=env, module="cloud_entry") as running:
        running.wait_for("Uvicorn running on", seconds=60)
        body = base64.b64encode(json.dumps({"agent": "sales"}).encode()).decode()
        async with Caller(f"ws://127.0.0.1:{port}/ws?body={quote(body)}") as caller:
            await caller.wait_for_agent_words("buy something")
        async with WebRTCCaller(f"http://127.0.0.1:{port}/api/offer", data={"agent": "support"}) as caller:
            await caller.wait_until(lambda: "this is Northwind" in caller.agent_text, "the greeting")
        async with websockets.connect(f"ws://127.0.0.1:{port}/ws?body={quote(body)}", proxy=None) as phone:
            await phone.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
            start = {"streamSid": "MZ1", "accountSid": "AC1", "callSid": "CA1", "tracks": ["inbound"]}
            form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
            opening = {"event": "start", "sequenceNumber": "1", "start": {**start, "mediaFormat": form}}
            await phone.send(json.dumps({**opening, "streamSid": "MZ1"}))
            media = json.loads(await asyncio.wait_for(phone.recv(), 20))
            assert (media["event"], media["streamSid"]) == ("media", "MZ1")
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.post(f"http://127.0.0.1:{port}/bot", json={"agent": "sales"})).status_code == 200
        running.wait_for("A session of the kind PipecatSessionArguments brings no caller.")
        assert "Traceback" not in running.output


async def test_websocket_client_of_the_development_runner_is_answered(
    single: tuple[Running, int], vendors: Vendors
) -> None:
    async with Caller(f"ws://127.0.0.1:{single[1]}/ws-client") as caller:
        await caller.wait_for_agent_words("buy something")
    assert "Traceback" not in single[0].output
