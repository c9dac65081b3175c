"""A vendor that refuses: said in plain words with the vendor's own, once, without a key; and the next call works."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.caller import Caller
from tests.cloud.vendors import KEYS, Vendors
from tests.emulators import until
from tests.running import Running

Call = Callable[[str], Caller]


async def problems(running: Running, since: int, count: int = 1) -> list[str]:
    """The `[problem]` lines of the terminal from line `since` on, as soon as there are `count`, and what follows at once."""

    def told() -> list[str]:
        return [line for line in running.lines[since:] if line.startswith("[problem]")]

    await until(lambda: len(told()) >= count, 8)
    await asyncio.sleep(0.5)
    return told()


def ear_refuses(vendors: Vendors) -> None:
    vendors.ears.key = "another"


def mind_refuses(vendors: Vendors) -> None:
    vendors.mind.key = "another"


def voice_refuses(vendors: Vendors) -> None:
    vendors.voice.key = "another"


@pytest.mark.parametrize(
    ("refuse", "words", "variable"),
    [
        (
            ear_refuses,
            "AssemblyAI does not accept the key: Unauthorized Connection: Invalid API key.",
            "ASSEMBLYAI_API_KEY",
        ),
        (mind_refuses, "OpenAI does not accept the key: Incorrect API key provided: ", "OPENAI_API_KEY"),
        (voice_refuses, "Cartesia does not accept the key: Invalid API key", "CARTESIA_API_KEY"),
    ],
)
async def test_wrong_key_is_said_once_with_its_variable_and_the_next_call_works(
    refuse: Callable[[Vendors], None], words: str, variable: str, call: Call, vendors: Vendors, running: Running
) -> None:
    since = len(running.lines)
    refuse(vendors)
    async with call("opener") as caller:
        lines = await problems(running, since)
        await caller.wait_until(lambda: caller.told("problem"), "what the page is told")
        assert len(caller.told("problem")) == 1, "the page is told the same"
    (line,) = lines
    assert line.startswith(f"[problem] {words}")
    assert line.endswith(f"Check {variable} in .env or in the environment.")
    assert not [key for key in KEYS.values() if key in running.output]

    vendors.ears.key, vendors.mind.key, vendors.voice.key = None, None, None
    vendors.mind.reply("Hello. Who is calling?")
    async with call("opener") as caller:
        await caller.wait_for_agent_words("Hello. Who is calling?")


async def test_refused_key_is_not_tried_again(call: Call, vendors: Vendors, running: Running) -> None:
    since = len(running.lines)
    ear_refuses(vendors)
    async with call("opener"):
        await problems(running, since)
        await asyncio.sleep(4.5)  # Pipecat 1.14 would come back after four seconds
    assert vendors.ears.handshakes <= 2


async def test_error_of_the_voice_that_names_no_context_costs_a_moment(
    call: Call, vendors: Vendors, running: Running
) -> None:
    since = len(running.lines)
    vendors.voice.fail("the machine is tired", with_context=False)
    vendors.mind.reply("This is said again.")
    async with call("opener") as caller:
        lines = await problems(running, since)
        await caller.wait_for_agent_words("This is said again.")
        assert len(vendors.voice.sessions) == 1, "the connection is kept"
    assert "[problem] Cartesia has a fault of its own: Internal Server Error: the machine is tired." in lines


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (429, "[problem] OpenAI is asked for too much at once: Rate limit reached for requests. "),
        (500, "[problem] OpenAI has a fault of its own: The server had an error while processing your request. "),
    ],
)
async def test_fault_of_the_model_costs_one_answer(
    status: int, line: str, call: Call, vendors: Vendors, running: Running
) -> None:
    since = len(running.lines)
    vendors.mind.fail(status, times=3)  # the first request and both retries
    async with call("patient") as caller:
        await caller.send_text("Hello?")
        (told,) = await problems(running, since)
        vendors.mind.reply("Here I am again.")
        await caller.send_text("Hello?")
        await caller.wait_for_agent_words("Here I am again.")
    assert told.startswith(line)


async def test_unknown_voice_is_named_with_the_key_of_the_file(call: Call, vendors: Vendors, running: Running) -> None:
    since = len(running.lines)
    vendors.voice.voices = {"another"}
    async with call("support"):
        (line,) = await problems(running, since)
    assert line == (
        "[problem] Cartesia refuses what it was asked for: Voice not found: voice.id is not known. "
        "Check agents/support.yaml:28: tts.voice."
    )
