"""What only shows listening ("mhm", "yeah, okay") neither stops the agent nor is answered, and is noted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from tests.caller import Caller, Said
from tests.cloud.saves import AgentFile
from tests.cloud.test_barge_in_by_words import MODES, STORY, cancels, said
from tests.cloud.test_stages_stt import go
from tests.cloud.vendors import Vendors
from tests.running import Running
from tests.speech import speak

Call = Callable[[str], Caller]
FileOf = Callable[[str], AgentFile]

SOON = 2.0
"""Seconds within which a caller who means it silences the voice, counted from the end of what they say; how soon it is under no
load is measured in `test_barge_in`."""


@pytest.fixture
def seconds_a_character() -> float:
    """As slow as a person, so that there is something to talk into."""
    return 0.05


async def let_it_talk(caller: Caller, vendors: Vendors) -> None:
    """The agent tells a long story at the speed of speech."""
    vendors.voice.real_time_factor = 0.9
    vendors.mind.reply(f"{STORY} {STORY}", "All right.", "All right.")
    await caller.send_text("Tell me a story.")
    await caller.wait_for_agent_sound(after=time.monotonic())


async def hear(caller: Caller, vendors: Vendors, words: str) -> Said:
    """`caller` says `words` in one breath: a comma would be a pause, which ends a turn."""
    vendors.ears.script([words])
    return await caller.say(words.lower().replace(",", "").replace("...", "."))


def noted(caller: Caller) -> list[str]:
    """What the page was told that the caller murmured."""
    return [data["text"] for data in caller.told("caller") if data["turn"] == 0]


async def murmur(caller: Caller, vendors: Vendors, words: str) -> None:
    """Say `words` while the agent speaks, and be noted for it."""
    before = len(noted(caller))
    assert caller.hears_agent, "the agent speaks"
    await hear(caller, vendors, words)
    await caller.wait_until(lambda: len(noted(caller)) > before, f"the note of {words!r}")


async def cut(caller: Caller, vendors: Vendors, words: str) -> None:
    """Say `words` while the agent speaks, and silence it."""
    before, requests = cancels(vendors), len(vendors.mind.requests)
    assert caller.hears_agent, "the agent speaks"
    await hear(caller, vendors, words)
    await caller.wait_until(lambda: cancels(vendors) > before, "the cancel of the agent's voice", seconds=SOON)
    await caller.wait_until(lambda: len(vendors.mind.requests) > requests, "the answer to the cut")


@pytest.mark.parametrize("agent", MODES)
async def test_murmurs_are_noted_and_what_is_meant_is_answered(
    agent: str, call: Call, vendors: Vendors, running: Running
) -> None:
    begun = len(running.lines)
    speak("I know that one.")  # kept, so that it begins at once when it is said
    vendors.voice.real_time_factor = 0.9
    vendors.mind.reply("Do you know the old one?", "I will tell you what we can do here.", "I see.")
    async with call(agent) as caller:
        await caller.send_text("Ask me.")
        await caller.wait_for_agent_sound()
        await caller.wait_until(lambda: sum(heard.seconds for heard in caller.sound) > 0.95, "the agent's last moment")
        answered = time.monotonic()
        await vendors.hear(caller, "I know that one.")
        await caller.wait_until(lambda: len(vendors.mind.requests) == 2, "the answer to who began a moment too early")

        await caller.wait_for_agent_sound(after=max(answered, vendors.mind.requests[-1].at))
        await murmur(caller, vendors, "Mhm.")
        await caller.wait_for_agent_words("what we can do here.")
        await caller.wait_for_silence()
        await vendors.hear(caller, "Tell me more.")
        await caller.wait_for_agent_words("I see.")
        await caller.wait_for_silence()

        await let_it_talk(caller, vendors)
        before = cancels(vendors), len(vendors.mind.requests), len(caller.interruptions)
        await murmur(caller, vendors, "YEAH, okay...")
        assert (cancels(vendors), len(vendors.mind.requests), len(caller.interruptions)) == before
        await cut(caller, vendors, "No wait, stop.")
        await caller.wait_for_agent_words("All right.")
        await caller.wait_for_silence()
        await vendors.hear(caller, "Okay.")
        await caller.wait_until(lambda: len(vendors.mind.requests) == 6, "the answer to an okay in silence")
        running.wait_for("[caller] Mhm. (while the agent spoke on)", after=begun)
    assert noted(caller) == ["Mhm.", "YEAH, okay..."]
    assert said(vendors) == [
        "Ask me.",
        "I know that one.",
        "Tell me more.",
        "Tell me a story.",
        "No wait, stop.",
        "Okay.",
    ]


async def test_stage_keeps_what_is_overheard_and_a_save_changes_it(
    call: Call, vendors: Vendors, file_of: FileOf
) -> None:
    """The stage lets the ear decide about turns, so the call gets other strategies."""
    file = file_of("listens_by_stage")
    async with call("listens_by_stage") as caller:
        await caller.wait_for_stage("talk")
        await go(caller, vendors, "story")
        await caller.wait_for_silence()
        await let_it_talk(caller, vendors)
        await murmur(caller, vendors, "Okay.")
        await file.save(caller, ("[mhm, okay] # now", "[mhm]"))
        await asyncio.sleep(0.1)
        await cut(caller, vendors, "Okay.")
    assert noted(caller) == ["Okay."]
