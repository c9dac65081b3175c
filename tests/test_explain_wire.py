"""What `runner explain` says goes on the wire is what the vendors' emulators see, for every agent here and every stage."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from pipecat.frames.frames import LLMContextFrame
from pipecat.transports.base_input import BaseInputTransport
from pipecat.workers.runner import WorkerRunner

from runner.compiler.conversation import Conversation
from runner.compiler.pipeline import Compiled, compile_call
from runner.compiler.services import Here
from runner.definition import AgentDefinition
from runner.document.load import load
from runner.events import Event, StageEntered
from runner.explaining.report import report
from runner.explaining.wire import Ear, Sent, Wire, wire
from tests.caller import Caller
from tests.cloud.vendors import KEYS, Ports, Vendors, vendors_on
from tests.emulators import until
from tests.emulators.pipecat_call import Loudspeaker, Microphone
from tests.running import PROJECT, Running, free_port, run

FOLDERS = (PROJECT / "agents", PROJECT / "tests" / "cloud" / "agents")
EVERY = [file for folder in FOLDERS for file in sorted(folder.glob("*.yaml"))]


class Carrier:
    """A caller who is there and says nothing."""

    def __init__(self) -> None:
        self._microphone, self._loudspeaker = Microphone(), Loudspeaker()

    def input(self) -> BaseInputTransport:
        return self._microphone

    def output(self) -> Loudspeaker:
        return self._loudspeaker


class Visit:
    """One running call, moved from stage to stage by hand."""

    def __init__(self, agent: AgentDefinition) -> None:
        self.events: list[Event] = []
        self.conversation = Conversation(agent, version=1, listener=self.events.append, choose=None)
        rates = agent.audio.in_sample_rate, agent.audio.out_sample_rate
        self.compiled: Compiled = compile_call(self.conversation, Carrier(), keys=KEYS, here=Here(), sample_rates=rates)

    async def go(self, stage: str) -> None:
        entered = sum(isinstance(event, StageEntered) for event in self.events)
        await self.conversation.enter(stage)
        await until(lambda: sum(isinstance(event, StageEntered) for event in self.events) > entered)


@asynccontextmanager
async def visit(agent: AgentDefinition, vendors: Vendors) -> AsyncGenerator[Visit]:
    """A call that has begun."""
    made = Visit(agent)
    runner = WorkerRunner(handle_sigint=False, handle_sigterm=False, check_dangling_tasks=False)
    await runner.add_workers(made.compiled.worker)
    running = asyncio.create_task(runner.run())
    try:
        await until(lambda: vendors.ears.sessions and vendors.voice.sessions)
        await made.conversation.begin(made.compiled.context)
        yield made
    finally:
        await made.compiled.worker.cancel()
        await running
        await made.compiled.close()


def definition(file: Path, ports: Ports) -> AgentDefinition:
    given = [argument for argument in ports.arguments if "=" in argument]
    loaded = load(file, settings=dict(pair.split("=", 1) for pair in given))
    assert loaded.definition, loaded.problems
    return loaded.definition


@pytest.fixture
def ports() -> Ports:
    return Ports.free()


def told(vendors: Vendors, after: int = 0) -> list[dict[str, Any]]:
    """What the stages told the ear from message number `after` on, beside what Pipecat tells it of the agent's own words."""
    return [m.body for m in vendors.ears.session.updates if m.body.keys() != {"type", "agent_context"}][after:]


async def come(vendors: Vendors, count: int) -> None:
    """Until the ear was told so many things, and a moment for more that nobody expects."""
    await until(lambda: len(told(vendors)) >= count)
    await asyncio.sleep(0.03)


def seen(session: Any) -> str:
    return f"ws://{session.request.host}{session.request.raw_path}"


def without_context(url: str) -> str:
    """An address without what the agent said last, which explain cannot know."""
    return re.sub(r"&agent_context=[^&]*", "", url)


def ear(made: Wire) -> Ear:
    assert isinstance(made.stt, Ear)
    return made.stt


def sent(one: object) -> Sent:
    assert isinstance(one, Sent)
    return one


def ways_in(agent: AgentDefinition, wires: dict[str, Wire]) -> list[tuple[str, str, list[dict[str, Any]], str | None]]:
    """(from, to, messages, address of another session) for each way explain tells of, those that end the call left out."""
    return [
        (
            other,
            stage,
            [message for message in entering.messages if message.keys() != {"type", "agent_context"}],
            entering.reopened.url if entering.reopened else None,
        )
        for stage, made in wires.items()
        for entering in ear(made).entering
        for other in entering.come_from
        if not agent.stages[stage].end and not agent.stages[other].end
    ]


@pytest.mark.parametrize("file", EVERY, ids=lambda file: file.stem)
async def test_sessions_and_requests_are_what_explain_says(file: Path, ports: Ports) -> None:
    agent = definition(file, ports)
    first = agent.first_stage
    wires = {stage: await wire(agent, stage) for stage in agent.stages or [None]}
    with vendors_on(ports) as vendors:
        async with visit(agent, vendors) as call:
            assert {seen(vendors.ears.session)} == {ear(made).opened.url for made in wires.values()}
            assert seen(vendors.voice.session) == sent(wires[first].tts).opened.url
            for stage, made in wires.items():
                if stage is not None and stage != first and not agent.stages[stage].end:
                    await call.go(stage)
                if stage is None or not agent.stages[stage].end:
                    await same_request(call, vendors, sent(made.llm))
                    await same_speech(vendors, sent(made.tts))
            said = vendors.ears.session.headers["Authorization"], vendors.voice.session.headers["X-API-Key"]
            assert said == (KEYS["ASSEMBLYAI_API_KEY"], KEYS["CARTESIA_API_KEY"])
        masked = (ear(wires[first]).opened, sent(wires[first].llm).opened, sent(wires[first].tts).opened)
        assert "[ASSEMBLYAI_API_KEY]" in masked[0].headers.values()
        assert "Bearer [OPENAI_API_KEY]" in masked[1].headers.values()
        assert "[CARTESIA_API_KEY]" in masked[2].headers.values()


async def same_request(call: Visit, vendors: Vendors, said: Sent) -> None:
    """Ask the model as the call would, and compare what it is asked, without what was said."""
    await asyncio.sleep(0.1)
    await until(lambda: all(request.finished_at for request in vendors.mind.requests))
    count = len(vendors.mind.requests)
    await call.compiled.ask_model(LLMContextFrame(context=call.compiled.context))
    await until(lambda: len(vendors.mind.requests) > count)
    request = vendors.mind.request
    assert request.body | {"messages": request.messages[:1]} == said.body
    assert {message["role"] for message in request.messages[1:]} <= {"user", "assistant"}
    await until(lambda: request.finished_at)


async def same_speech(vendors: Vendors, said: Sent) -> None:
    def spoken() -> list[dict[str, Any]]:
        return [message.body for message in vendors.voice.session.received if message.body.get("transcript")]

    await until(spoken)
    fixed = {"transcript": "", "context_id": ""}
    assert spoken()[-1] | fixed == said.body | fixed


@pytest.mark.parametrize("file", [file for file in EVERY if "stages:" in file.read_text()], ids=lambda file: file.stem)
async def test_entering_a_stage_sends_the_message_explain_says(file: Path, ports: Ports) -> None:
    agent = definition(file, ports)
    wires = {stage: await wire(agent, stage) for stage in agent.stages}
    with vendors_on(ports) as vendors:
        async with visit(agent, vendors) as call:
            reopening = any(way[3] for way in ways_in(agent, wires))
            for other, stage, messages, reopened in ways_in(agent, wires):
                here = call.conversation.now.stage
                if here != other:
                    await call.go(other)
                    await asyncio.sleep(1 if reopening else 0.15)  # going over waits for a silence
                before, sessions = len(told(vendors)), len(vendors.ears.sessions)
                await call.go(stage)
                if reopened:
                    await until(lambda: len(vendors.ears.sessions) > sessions)  # noqa: B023 - asked at once
                    assert without_context(seen(vendors.ears.session)) == without_context(reopened)
                    await until(lambda: not vendors.ears.sessions[-2].is_open)  # the call has gone over
                    continue
                await come(vendors, before + len(messages))
                assert told(vendors, before) == messages, f"{other} -> {stage}"
            opened = [way for way in ways_in(agent, wires) if way[3]]
            assert vendors.ears.handshakes <= 1 + 2 * len(opened)


@pytest.mark.parametrize(("name", "stage"), [("dictation", "part"), ("dictation", "email"), ("vendor_turns", "email")])
async def test_session_lost_in_a_stage_is_opened_again_as_explain_says(name: str, stage: str, ports: Ports) -> None:
    agent = definition(FOLDERS[1] / f"{name}.yaml", ports)
    said = ear(await wire(agent, stage))
    assert said.again != said.opened
    with vendors_on(ports) as vendors:
        async with visit(agent, vendors) as call:
            await call.go(stage)
            await asyncio.sleep(0.1)
            vendors.ears.session.fail(3005)
            await until(lambda: len(vendors.ears.sessions) == 2)
            query = {name: value for name, value in vendors.ears.session.query.items() if name != "agent_context"}
            assert query == dict(parse_qsl(urlsplit(said.again.url).query, keep_blank_values=True))


async def test_ear_is_told_nothing_on_entering_the_last_stage(ports: Ports) -> None:
    agent = definition(PROJECT / "agents" / "support.yaml", ports)
    goodbye = replace(agent.stages["goodbye"], say="Bye.")
    agent = replace(agent, greeting=None, stages={**agent.stages, "goodbye": goodbye})
    assert not ear(await wire(agent, "goodbye")).entering
    with vendors_on(ports) as vendors:
        async with visit(agent, vendors) as call:
            await call.go("email")
            await asyncio.sleep(0.1)
            before = len(told(vendors))
            await call.go("goodbye")
            await until(lambda: not vendors.ears.session.is_open)
            assert not told(vendors, before)


async def test_telephone_and_every_other_kind_of_setting_is_what_explain_says(tmp_path: Path, ports: Ports) -> None:
    file = tmp_path / "telephone.yaml"
    file.write_text(TELEPHONE, encoding="utf-8")
    agent = definition(file, ports)
    made = await wire(agent, None)
    with vendors_on(ports) as vendors:
        async with visit(agent, vendors) as call:
            assert seen(vendors.ears.session) == ear(made).opened.url
            await same_request(call, vendors, sent(made.llm))
            await same_speech(vendors, sent(made.tts))
    query = dict(parse_qsl(urlsplit(ear(made).opened.url).query))
    assert (query["sample_rate"], query["max_speakers"], query["redact_pii_policies"]) == (
        "8000",
        "2",
        '["email_address"]',
    )
    assert sent(made.tts).body["output_format"]["sample_rate"] == 8000
    assert sent(made.tts).body["generation_config"] == {"speed": 1.1, "emotion": "content"}
    assert (sent(made.llm).body["seed"], sent(made.llm).body["verbosity"]) == (7, "low")


TELEPHONE = """\
prompt: Be brief.
greeting: Good day.
audio:
  in_sample_rate: 8000
  out_sample_rate: 8000
stt:
  turn_detection: assemblyai
  mode: min_latency
  about: Calls of a shoe shop & its customers?
  keyterms: [Müller, "a+b=c&d"]
  language_codes: [en, es]
  speaker_labels: true
  max_speakers: 2
  redact_pii: true
  redact_pii_policies: [email_address]
llm:
  model: gpt-4.1
  seed: 7
  verbosity: low
tts:
  speed: 1.1
  emotion: content
  language: es
"""


async def test_explaining_opens_no_connection(ports: Ports) -> None:
    agent = definition(PROJECT / "agents" / "support.yaml", ports)
    with vendors_on(ports) as vendors:
        await report(agent, "email", {}, {})
        await asyncio.sleep(0.1)
        assert not vendors.ears.sessions
        assert not vendors.mind.requests
        assert not vendors.voice.sessions


SPY = """
import sys
def spy(event, arguments):
    if event == "socket.getaddrinfo":
        with open({file!r}, "a") as out:
            name = arguments[0].decode() if isinstance(arguments[0], bytes) else arguments[0]
            out.write(f"{{name}}:{{arguments[1]}}\\n")
sys.addaudithook(spy)
"""
"""Notes which hosts a process looks up."""


def looked_up(file: Path, besides: Sequence[str] = ("127.0.0.1", "localhost", "None", "0.0.0.0")) -> set[str]:
    lines = file.read_text().splitlines() if file.exists() else []
    return {line for line in lines if line.split(":")[0] not in besides}


@pytest.mark.skipif(sys.platform == "win32", reason="the process is started with POSIX signals")
async def test_hosts_are_those_a_call_looks_up(tmp_path: Path) -> None:
    notes = tmp_path / "hosts.txt"
    (tmp_path / "sitecustomize.py").write_text(SPY.format(file=str(notes)))
    agent, port = PROJECT / "agents" / "hello.yaml", free_port()
    env = {**KEYS, "PYTHONPATH": str(tmp_path), "HF_HUB_OFFLINE": ""}
    command = (agent, "--no-browser", "--port", port, "--services", "cloud")
    with Running(*command, cwd=tmp_path, env=env) as running:
        await asyncio.to_thread(running.wait_for, "ready")
        async with Caller(f"ws://127.0.0.1:{port}/ws-client/hello"):
            await until(lambda: len(looked_up(notes)) >= 2, within=20)
            await asyncio.sleep(1)
    # A spoken call ends as soon as it cannot hear, so the model is looked up in a typed one.
    await asyncio.to_thread(run, "chat", agent, "--services", "cloud", cwd=tmp_path, input="Hello.\n", env=env)
    said = await asyncio.to_thread(run, "explain", agent, "--hosts", cwd=tmp_path)
    hosts = {line.split()[0] for line in said.stdout.splitlines() if "Daily room" not in line and "--daily" not in line}
    assert looked_up(notes) == hosts
