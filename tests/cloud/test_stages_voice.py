"""A stage that speaks and thinks otherwise: from its first sentence and its first request on, and taken back when it is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.caller import Caller
from tests.cloud.vendors import Vendors

Call = Callable[[str], Caller]

MAYA = "79a125e8-cd45-4c13-8a67-188112f4dd22"
TOM = "a0e99841-438c-4a64-b679-ae501e7d6091"


async def go(caller: Caller, vendors: Vendors, stage: str, says: str) -> list[dict[str, Any]]:
    """Enter `stage`, in which `says` is heard. Returns the messages by which the voice was asked for it."""
    before = len(caller.stages)
    vendors.mind.call_tool(f"go_to_{stage}")
    vendors.mind.reply(says)
    await caller.send_text("Go on.")
    await caller.wait_until(lambda: len(caller.stages) > before, f"stage {stage}")
    await caller.wait_for_agent_words(says)
    await caller.wait_for_silence()
    return asked(vendors, says)


def asked(vendors: Vendors, says: str) -> list[dict[str, Any]]:
    """The messages of the context in which `says` was spoken."""
    received = [message.body for session in vendors.voice.sessions for message in session.received]
    contexts = [context.id for context in vendors.voice.contexts if context.text.strip() == says]
    return [body for body in received if body["context_id"] in contexts and body.get("transcript")]


async def test_voice_of_a_stage_speaks_its_first_sentence_and_is_taken_back(call: Call, vendors: Vendors) -> None:
    async with call("voices") as caller:
        await caller.wait_for_stage("talk")
        (other,) = await go(caller, vendors, "other", "Somebody else.")
        (back,) = await go(caller, vendors, "talk", "Me again.")
    assert other["voice"]["id"] == TOM
    assert (other["model_id"], other["language"]) == ("sonic-3", "de")
    assert other["generation_config"] == {"speed": 0.9, "emotion": "calm"}
    assert back["voice"]["id"] == MAYA
    assert back["language"] == "en"
    assert back["generation_config"] == {"speed": 1.1}
    assert len(vendors.voice.sessions) == 1, "no second connection"


async def test_fixed_words_of_a_stage_are_spoken_by_its_own_voice(call: Call, vendors: Vendors) -> None:
    async with call("voices") as caller:
        await caller.wait_for_stage("talk")
        vendors.mind.call_tool("go_to_fixed")
        await caller.send_text("Go on.")
        await caller.wait_for_agent_words("This is fixed.")
        await caller.wait_for_silence()
    (fixed,) = asked(vendors, "This is fixed.")
    assert fixed["voice"]["id"] == TOM


async def test_model_of_a_stage_makes_its_first_request_and_is_taken_back(call: Call, vendors: Vendors) -> None:
    async with call("voices") as caller:
        await caller.wait_for_stage("talk")
        await go(caller, vendors, "other", "Somebody else.")
        entered, asked_by = vendors.mind.request.body, vendors.mind.request.headers.get("OpenAI-Organization")
        await go(caller, vendors, "talk", "Me again.")
        back, then_by = vendors.mind.request.body, vendors.mind.request.headers.get("OpenAI-Organization")
    assert (entered["model"], entered["temperature"], entered["max_completion_tokens"]) == ("gpt-4.1-mini", 0.1, 60)
    assert (asked_by, then_by) == ("org-other", None)
    assert back["temperature"] == 0.4
    assert back["model"] != "gpt-4.1-mini"
    assert "max_completion_tokens" not in back


async def test_text_is_handed_over_in_pieces_in_one_stage_only(call: Call, vendors: Vendors) -> None:
    async with call("voices") as caller:
        await caller.wait_for_stage("talk")
        (_, whole) = (await go(caller, vendors, "other", "Somebody else."), *await go(caller, vendors, "talk", "Me."))
        pieces = await go(caller, vendors, "pieces", "Another sentence of some words.")
        (again,) = await go(caller, vendors, "talk", "Whole sentences once more, please.")
    assert (whole["max_buffer_delay_ms"], again["max_buffer_delay_ms"]) == (0, 0)
    assert len(pieces) > 1
    assert {piece["max_buffer_delay_ms"] for piece in pieces} == {120}
