"""A call that the agent makes: a person is greeted, a machine gets its message, and nobody is talked over."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from runner.live.line import Line
from tests.emulators import AssemblyAIEmulator, OpenAIEmulator, until
from tests.faults.faulty_call import FaultyCall, faulty_call
from tests.speech import speak

AGENT = """
variables:
  company: Northwind
greeting: Hello, this is Maya from {{ company }}.
voicemail:
  say: Please call {{ company }} back.
"""
PLACED = Line(placed=True)


def vendors(*heard: str, choice: str) -> dict[str, Any]:
    """An ear that understands `heard`, and a model that takes whoever answered for `choice`."""
    ears, mind = AssemblyAIEmulator(), OpenAIEmulator()
    ears.script(list(heard))

    def answer(body: dict[str, Any]) -> str:
        if "voicemail" not in json.dumps(body["messages"]):
            return "I see."
        return json.dumps({"voicemail": {"choice": choice, "probabilities": {choice: 0.98}}})

    mind.answer = answer
    return {"ears": ears, "mind": mind}


async def pick_up(call: FaultyCall, text: str) -> None:
    sound = speak(text)  # made before the receiver is up: it takes a while
    answering = asyncio.create_task(call.line.microphone.speak(sound))
    await call.call.begin()
    await answering


async def test_machine_gets_the_message_after_its_greeting_and_the_call_ends(tmp_path: Path) -> None:
    text = "You have reached Dana. Please leave a message after the tone."
    async with faulty_call(tmp_path, AGENT, on=PLACED, begin=False, **vendors(text, choice="voicemail")) as call:
        await pick_up(call, text)
        assert call.sound == 0, "nothing is said into the machine's greeting"
        await call.until_over()
    assert call.said == ["Please call Northwind back."]
    assert call.sound > 0.5
    assert call.reason == "an answering machine took the call (voicemail)"


async def test_person_hears_the_greeting_once_and_the_hello_is_no_turn(tmp_path: Path) -> None:
    async with faulty_call(tmp_path, AGENT, on=PLACED, begin=False, **vendors("Hello?", choice="conversation")) as call:
        await pick_up(call, "Hello?")
        await call.until_said("Hello, this is Maya from Northwind.")
        await asyncio.sleep(1)
        assert call.said == ["Hello, this is Maya from Northwind."]
        assert len(call.mind.requests) == 1, "who it is was asked, and nothing else"
        await call.ask("Who is calling?")
        await call.until_said("I see.")
        assert call.reason is None


async def test_person_who_says_nothing_is_greeted(tmp_path: Path) -> None:
    async with faulty_call(tmp_path, AGENT, on=PLACED, lines=False, **vendors(choice="conversation")) as call:
        await call.until_said("Hello, this is Maya from Northwind.")
        assert not call.mind.requests


async def test_person_speaks_first_where_the_agent_does_not(tmp_path: Path) -> None:
    text = AGENT.replace("greeting: Hello, this is Maya from {{ company }}.\n", "")
    said = "Dana speaking, how can I help?"
    async with faulty_call(tmp_path, text, on=PLACED, begin=False, **vendors(said, choice="conversation")) as call:
        await pick_up(call, said)
        await call.until_said("I see.")
        assert call.mind.requests[-1].messages[-1] == {"role": "user", "content": said}


async def test_caller_who_calls_is_never_asked_whether_it_is_a_machine(tmp_path: Path) -> None:
    async with faulty_call(tmp_path, AGENT, lines=False, **vendors(choice="voicemail")) as call:
        await until(lambda: call.sound > 0.5)
        await call.until_said("Hello, this is Maya from Northwind.")
        assert not call.mind.requests
