"""The caller cuts in: how long until the voice is told to stop and the sound stops."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable

import pytest

from tests.caller import Caller
from tests.cloud.vendors import Vendors

Call = Callable[[str], Caller]

STORY = (
    "Well, let me tell you a long story about the river and the mill, and about the man who lived there for many years."
)
CUTS = ("Stop there please.", "Wait a moment.", "I know that one.", "I want a refund.", "Hold on.")


@pytest.fixture
def seconds_a_character() -> float:
    """As slow as a person, so that there is something to cut off."""
    return 0.06


def cancels(vendors: Vendors) -> list[float]:
    """When the voice was told to stop."""
    return [m.at for session in vendors.voice.sessions for m in session.received if m.body.get("cancel")]


async def cut_in(caller: Caller, vendors: Vendors, words: str, *, after: float) -> tuple[float, float, float, float]:
    """Let the agent talk for a moment, then cut in with `words`.

    Returns when the caller's first and last voiced 20 ms left, when the voice was cancelled, and when the last voiced sound
    of the agent came.
    """
    await caller.wait_for_agent_sound(after=after)
    await asyncio.sleep(0.7)
    before = len(cancels(vendors))
    said = await vendors.hear(caller, words)
    await caller.wait_until(lambda: len(cancels(vendors)) > before, "the cancel of the agent's voice")
    cancelled = cancels(vendors)[before]
    await caller.wait_until(lambda: caller.interruptions[-1:] > [said.began], "the end of the agent's sound")
    quiet_from = caller.interruptions[-1] + 0.1
    last = max(heard.at for heard in caller.voice_after(after) if heard.at < quiet_from)
    return said.began, said.ended, cancelled, last


@pytest.mark.alone
async def test_voice_is_cancelled_within_300_ms_of_the_first_voiced_frame(call: Call, vendors: Vendors) -> None:
    vendors.voice.real_time_factor = 0.9
    vendors.mind.answer = lambda body: STORY
    to_cancel: list[float] = []
    to_silence: list[float] = []
    async with call("opener") as caller:
        ended = 0.0
        for words in CUTS:
            began, ended, cancelled, last = await cut_in(caller, vendors, words, after=ended)
            to_cancel.append(cancelled - began)
            to_silence.append(last - began)
    shown = f"to the cancel {to_cancel}, to the agent's last sound {to_silence}"
    assert statistics.median(to_cancel) <= 0.3, shown
    assert statistics.median(to_silence) <= 0.3, shown


async def test_assemblyais_speech_started_cancels_the_voice_at_once(call: Call, vendors: Vendors) -> None:
    vendors.voice.real_time_factor = 0.9
    vendors.mind.answer = lambda body: STORY
    async with call("vendor_turns") as caller:
        await caller.wait_for_stage("talk")
        await caller.send_text("Tell me a story.")
        _, _, cancelled, _ = await cut_in(caller, vendors, "I want to hear another one.", after=0)
    started = next(m.at for m in vendors.ears.session.sent if m.body["type"] == "SpeechStarted")
    assert 0 <= cancelled - started <= 0.3


async def test_history_holds_only_what_the_caller_heard(call: Call, vendors: Vendors) -> None:
    vendors.voice.real_time_factor = 0.9
    vendors.mind.answer = lambda body: STORY
    async with call("opener") as caller:
        await cut_in(caller, vendors, "Stop there please.", after=0)
        await caller.wait_until(lambda: len(vendors.mind.requests) == 2, "the answer to the cut")
    heard = vendors.mind.request.messages[1]
    assert heard["role"] == "assistant"
    assert heard["content"]
    assert STORY.startswith(heard["content"])
    assert len(heard["content"]) < len(STORY) / 2


async def test_agent_that_may_not_be_cut_off_finishes(call: Call, vendors: Vendors) -> None:
    vendors.voice.real_time_factor = 0.9
    vendors.mind.reply("This takes a little while to say, please be patient.", "I have heard you.")
    async with call("patient") as caller:
        await caller.send_text("Tell me.")
        spoke = await caller.wait_for_agent_sound()
        await vendors.hear(caller, "I want a refund.")
        await caller.wait_for_agent_words("This takes a little while to say, please be patient.")
        await caller.wait_for_agent_words("I have heard you.")
    assert cancels(vendors) == []
    assert [at for at in caller.interruptions if at > spoke] == []
