"""Both articles' bots, as agent files: what their services send at the wire, minus what has no effect any more.

Beside each file stand the services as the article builds them, in the names of Pipecat 1.14 (the tutorial's are older), with
the article's own values. They talk to emulators of their own, and what both sent is compared.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from pipecat.frames.frames import LLMRunFrame
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregatorParams
from pipecat.services.assemblyai.stt import AssemblyAISTTService
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.workers.runner import WorkerRunner

from tests.caller import Caller
from tests.cloud.vendors import KEYS, Vendors
from tests.emulators import AssemblyAIEmulator, CartesiaEmulator, OpenAIEmulator, until
from tests.emulators.pipecat_call import PipecatCall

Call = Callable[[str], Caller]

TUTORIAL_PROMPT = (
    "You are a friendly, helpful voice assistant.\n"
    "Keep responses under 2–3 sentences. Speak naturally — no markdown, no lists, no bullet points."
)
VOICE = "79a125e8-cd45-4c13-8a67-188112f4dd22"
DEAD = {"end_of_turn_confidence_threshold"}
"""What the U3 family ignores (AssemblyAI's guide, "Legacy parameters")."""


@asynccontextmanager
async def as_the_article_has_it(prompt: str = "", **hearing: Any) -> AsyncGenerator[tuple[PipecatCall, Vendors]]:
    """A running call of Pipecat's own services. prompt: what the model is told. hearing: arguments of its
    AssemblyAISTTService."""
    vendors = Vendors(
        AssemblyAIEmulator(key=KEYS["ASSEMBLYAI_API_KEY"]),
        OpenAIEmulator(key=KEYS["OPENAI_API_KEY"]),
        CartesiaEmulator(key=KEYS["CARTESIA_API_KEY"]),
    )
    async with vendors.ears, vendors.mind, vendors.voice:
        mind = OpenAILLMService(
            api_key=KEYS["OPENAI_API_KEY"],
            base_url=vendors.mind.url,
            settings=OpenAILLMService.Settings(model="gpt-4o", system_instruction=prompt),
        )
        call = PipecatCall(
            AssemblyAISTTService(api_key=KEYS["ASSEMBLYAI_API_KEY"], api_endpoint_base_url=vendors.ears.url, **hearing),
            mind,
            CartesiaTTSService(
                api_key=KEYS["CARTESIA_API_KEY"],
                url=vendors.voice.url,
                settings=CartesiaTTSService.Settings(voice=VOICE),
            ),
            LLMUserAggregatorParams(),
        )
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(call.worker)
        running = asyncio.create_task(runner.run())
        try:
            yield call, vendors
        finally:
            await call.worker.cancel()
            await running
        await mind._client.close()  # Pipecat 1.14 leaves its HTTP client open.


def spoken(body: dict[str, Any]) -> dict[str, Any]:
    """A request to the voice without what differs from one to the next."""
    return {name: value for name, value in body.items() if name not in ("context_id", "transcript", "continue")}


async def test_the_tutorials_bot_is_an_agent_file(call: Call, vendors: Vendors) -> None:
    settings = AssemblyAISTTService.Settings(
        model="u3-rt-pro", end_of_turn_confidence_threshold=0.7, min_turn_silence=300, max_turn_silence=1000
    )
    async with as_the_article_has_it(TUTORIAL_PROMPT, vad_force_turn_endpoint=False, settings=settings) as (
        its,
        theirs,
    ):
        theirs.mind.reply("Hello there.")
        await its.queue(LLMRunFrame())
        await until(lambda: theirs.ears.sessions and theirs.voice.sessions and theirs.voice.sessions[0].received)
    vendors.mind.reply("Hello there.")
    async with call("article-tutorial") as caller:
        await caller.wait_for_agent_words("Hello there.")
    assert vendors.ears.session.query == {
        name: value for name, value in theirs.ears.sessions[0].query.items() if name not in DEAD
    }
    ours, its_own = vendors.mind.request.body, theirs.mind.request.body
    assert ours["messages"][: len(its_own["messages"])] == its_own["messages"]
    assert ours | {"messages": []} == its_own | {"messages": []}
    assert spoken(vendors.voice.sessions[0].received[0].body) == spoken(theirs.voice.sessions[0].received[0].body)


async def test_the_guides_agent_is_an_agent_file(call: Call, vendors: Vendors) -> None:
    greeting = "Hi, how can I help you today?"
    settings = AssemblyAISTTService.Settings(
        model="universal-3-5-pro",
        mode="balanced",
        interruption_delay=500,
        keyterms_prompt=["Xiomara", "Saoirse"],
        agent_context=greeting,
    )
    async with as_the_article_has_it(settings=settings) as (_, theirs):
        await until(lambda: theirs.ears.sessions)
    async with call("article-guide") as caller:
        await caller.wait_for_agent_words(greeting)
    assert vendors.ears.session.query == theirs.ears.sessions[0].query


async def test_the_guides_table_of_dynamic_configuration_is_stages(call: Call, vendors: Vendors) -> None:
    """Terms for the name, longer silences for the address, a quicker first word for the talk: one session, and back again."""
    vendors.mind.call_tool("go_to_email")
    vendors.mind.reply("I heard jane at example dot com, is that right?")
    vendors.mind.call_tool("go_to_talk")
    vendors.mind.reply("Thank you.")
    async with call("article-guide") as caller:
        await caller.wait_for_agent_words("Hi, how can I help you today?")
        await caller.send_text("This is Saoirse.")
        await caller.wait_for_agent_words("What is your email address?")
        session = vendors.ears.session
        await until(lambda: session.configuration.values.get("keyterms_prompt") in ([], None))
        await until(lambda: int(session.configuration.values["min_turn_silence"]) >= 1000)
        await caller.send_text("jane@example.com")
        await caller.wait_for_agent_words("is that right?")
        await caller.send_text("Yes that is right.")
        await caller.wait_for_agent_words("Thank you.")
        await until(lambda: int(session.configuration.values["interruption_delay"]) == 0)
        await until(lambda: int(session.configuration.values["min_turn_silence"]) == 100)
    assert len(vendors.ears.sessions) == 1
