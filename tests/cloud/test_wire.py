"""What goes over the vendors' wires is what the agent file says: all of it, nothing else, and once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.catalog import PROVIDERS
from runner.definition import AgentDefinition, Setting, Transition
from runner.document.load import load
from runner.effective import Effective, effective
from tests.caller import Caller
from tests.cloud.vendors import KEYS, Ports, Vendors, vendors_on
from tests.emulators import until
from tests.running import PROJECT, Running, free_port

EXAMPLES = sorted((PROJECT / "agents").glob("*.yaml"))
Call = Callable[[str], Caller]

SUPPORT_PROMPT = (
    "You are Maya, a friendly voice assistant for Northwind.\n"
    "Keep replies under three sentences. Speak naturally: plain words, nothing that only makes sense on paper."
)
SUPPORT_GREETING = "Hi, this is Maya from Northwind. How can I help?"


def definition(file: Path) -> AgentDefinition:
    loaded = load(file)
    assert loaded.definition, loaded.problems
    return loaded.definition


def as_query(value: Setting) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(list(value)) if isinstance(value, tuple) else str(value)


def expected_query(now: Effective) -> dict[str, str]:
    """The connect query: what every Universal-3 session gets (Pipecat 1.14), then the settings of the file."""
    query = {
        "sample_rate": "16000",
        "encoding": "pcm_s16le",
        "formatted_finals": "true",
        "format_turns": "true",
        "continuous_partials": "true",
    }
    if now.opening:
        query["agent_context"] = now.opening
    fields = PROVIDERS["stt", "assemblyai"].fields
    names = {name: field.wire for name, field in fields.items() if field.wire} | {"model": "speech_model"}
    return query | {names[name]: as_query(value) for name, value in now.stt.settings.items() if name in names}


def expected_tool(name: str, way: Transition) -> dict[str, Any]:
    examples = "".join(f'\n- "{example}"' for example in way.examples)
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": f"{way.when}\nFor example:{examples}" if examples else way.when,
            "parameters": {"type": "object", "properties": {}, "required": []},
        },
    }


def expected_body(agent: AgentDefinition, now: Effective, *history: dict[str, str]) -> dict[str, Any]:
    own = [way for way in now.ways if way.when and way not in agent.anywhere]
    tools = [expected_tool(f"anywhere_go_to_{way.to}", way) for way in agent.anywhere]
    tools += [expected_tool(f"go_to_{way.to}", way) for way in own]
    return {
        "stream": True,
        "stream_options": {"include_usage": True},
        **now.llm.settings,
        "messages": [{"role": "system", "content": now.prompt}, *history],
        **({"tools": tools} if tools else {}),
    }


def expected_speech(now: Effective, context: str, transcript: str) -> dict[str, Any]:
    settings = dict(now.tts.settings)
    voice, model = settings.pop("voice"), settings.pop("model")
    language = settings.pop("language", "en")
    generation = {name: settings.pop(name) for name in ("speed", "volume", "emotion") if name in settings}
    return {
        "context_id": context,
        "transcript": transcript,
        "continue": bool(transcript),
        "model_id": model,
        "voice": {"mode": "id", "id": voice},
        "language": language,
        "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24000},
        "add_timestamps": True,
        "use_normalized_timestamps": False,
        "max_buffer_delay_ms": 0,
        **settings,
        **({"generation_config": generation} if generation else {}),
    }


def said(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
async def test_every_example_sends_what_its_file_says_and_nothing_else(
    file: Path, call: Call, vendors: Vendors
) -> None:
    agent = definition(file)
    now = effective(agent, agent.first_stage)
    assert now.greeting
    greeting = now.greeting.text or "Hello there."
    vendors.mind.reply(*(["I see."] if now.greeting.text else [greeting, "I see."]))
    async with call(agent.name) as caller:
        await caller.wait_for_agent_words(greeting)
        await caller.send_text("Well.")
        await caller.wait_for_agent_words("I see.")
    (session,) = vendors.ears.sessions
    assert session.query == expected_query(now)
    assert session.configuration.ignored.keys() <= {"formatted_finals", "format_turns"}, (
        "nothing of the file is dropped"
    )
    *opening, request = vendors.mind.requests
    assert len(opening) == (not now.greeting.text)
    assert request.body == expected_body(agent, now, said("assistant", greeting), said("user", "Well."))
    (voice,) = vendors.voice.sessions
    assert [message.body for message in voice.received] == [
        expected_speech(now, context.id, transcript)
        for context in voice.contexts.values()
        for transcript in (*context.transcripts, "")
    ]
    assert vendors.spoken == [greeting, "I see."]


async def test_support_goes_over_the_wire_as_written_here(call: Call, vendors: Vendors) -> None:
    """The same without any code of runner's: the words of agents/support.yaml, spelled out."""
    vendors.mind.reply("I see.")
    async with call("support") as caller:
        await caller.wait_for_agent_sound()
        await caller.send_text("Well.")
        await until(lambda: len(vendors.spoken) == 2)
    assert vendors.ears.session.query == {
        "sample_rate": "16000",
        "encoding": "pcm_s16le",
        "speech_model": "universal-3-5-pro",
        "formatted_finals": "true",
        "format_turns": "true",
        "continuous_partials": "true",
        "min_turn_silence": "100",
        "max_turn_silence": "100",
        "keyterms_prompt": '["Northwind", "RMA", "order number", "refund"]',
        "agent_context": SUPPORT_GREETING,
    }
    body = vendors.mind.request.body
    assert (body["model"], body["temperature"], body["stream"]) == ("gpt-4o", 0.4, True)
    assert vendors.mind.request.system == (
        f"{SUPPORT_PROMPT}\n\nFind out why the caller is calling. Ask one short question."
    )
    assert vendors.mind.request.tools == ["anywhere_go_to_human", "go_to_refund", "go_to_email"]
    first = vendors.voice.sessions[0].received[0].body
    assert first["transcript"] == SUPPORT_GREETING
    assert first["model_id"] == "sonic-3.6"
    assert first["voice"] == {"mode": "id", "id": "79a125e8-cd45-4c13-8a67-188112f4dd22"}


async def test_keys_travel_in_headers_only(call: Call, vendors: Vendors) -> None:
    async with call("support") as caller:
        await caller.wait_for_agent_sound()
        await caller.send_text("Well.")
        await until(lambda: vendors.mind.requests)
    assert vendors.ears.session.headers["Authorization"] == KEYS["ASSEMBLYAI_API_KEY"]
    assert vendors.mind.request.headers["Authorization"] == f"Bearer {KEYS['OPENAI_API_KEY']}"
    assert vendors.voice.sessions[0].headers["X-API-Key"] == KEYS["CARTESIA_API_KEY"]
    sockets = [*vendors.ears.sessions, *vendors.voice.sessions]
    sent = [str(socket.request.url) for socket in sockets]
    sent += [json.dumps(message.body) for socket in sockets for message in socket.received]
    sent += [json.dumps(request.body) for request in vendors.mind.requests]
    assert not [text for text in sent for key in KEYS.values() if key in text]


async def test_greeting_is_the_first_sound_and_is_spoken_once(call: Call, vendors: Vendors) -> None:
    async with call("support") as caller:
        await caller.wait_for_agent_sound()
        await caller.client_ready()
        await caller.wait_for_agent_words(SUPPORT_GREETING)
    assert vendors.spoken == [SUPPORT_GREETING]
    assert not vendors.mind.requests


async def test_model_opens_where_the_greeting_is_a_prompt(call: Call, vendors: Vendors) -> None:
    vendors.mind.reply("Hello. Who is calling?", "Thank you.")
    async with call("opener") as caller:
        await caller.wait_for_agent_words("Hello. Who is calling?")
        await caller.send_text("Jane.")
        await caller.wait_for_agent_words("Thank you.")
    opening, answer = vendors.mind.requests
    assert opening.system == answer.system == "You are brief."
    assert [m["role"] for m in opening.messages] == ["system", "developer"]
    assert "Greet the caller and ask for the name." in opening.messages[1]["content"]
    assert answer.messages[1:] == [said("assistant", "Hello. Who is calling?"), said("user", "Jane.")]


async def test_a_turn_is_one_request_however_many_partials_it_had(call: Call, vendors: Vendors) -> None:
    vendors.mind.reply("I see.")
    async with call("hello") as caller:
        await caller.wait_for_agent_words("What would you like to talk about?")
        await caller.wait_for_silence()
        await vendors.hear(caller, "My neighbour plays the trumpet every night.")
        await caller.wait_for_agent_words("I see.")
    partials = [m for m in caller.of("user-transcription") if not m.data["final"]]
    assert len(partials) >= 2
    (request,) = vendors.mind.requests
    assert request.messages[-1] == said("user", "My neighbour plays the trumpet every night.")
    assert request.at > partials[-1].at


async def test_third_request_holds_both_earlier_turns_once(call: Call, vendors: Vendors) -> None:
    turns = [("Hello.", "Answer one."), ("And now?", "Answer two."), ("Sure?", "Answer three.")]
    vendors.mind.reply("Yes?", *(answer for _, answer in turns))
    async with call("opener") as caller:
        await caller.wait_for_agent_words("Yes?")
        for turn, answer in turns:
            await caller.send_text(turn)
            await caller.wait_for_agent_words(answer)
    _, _, _, third = vendors.mind.requests
    assert third.messages[1:] == [
        said("assistant", "Yes?"),
        said("user", "Hello."),
        said("assistant", "Answer one."),
        said("user", "And now?"),
        said("assistant", "Answer two."),
        said("user", "Sure?"),
    ]


async def test_variables_of_the_command_line_change_prompt_and_greeting(tmp_path: Path) -> None:
    ports, port = Ports.free(), free_port()
    variables = ("--var", "agent_name=Zoe", "--var", "company=Acme")
    command = (PROJECT / "agents" / "support.yaml", "--no-browser", "--port", port, *variables, *ports.arguments)
    with Running(*command, cwd=tmp_path, env=KEYS) as running, vendors_on(ports) as vendors:
        await asyncio.to_thread(running.wait_for, "ready")
        async with Caller(f"ws://127.0.0.1:{port}/ws-client/support") as caller:
            await caller.wait_for_agent_sound()
            await caller.send_text("Well.")
            await until(lambda: vendors.mind.requests)
    assert vendors.spoken[0] == SUPPORT_GREETING.replace("Maya", "Zoe").replace("Northwind", "Acme")
    assert vendors.mind.request.system.startswith("You are Zoe, a friendly voice assistant for Acme.")
