"""A stage's own turn taking holds in it and nowhere else; what the turn mode could change, in both."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.caller import Caller
from tests.cloud.saves import AgentFile
from tests.cloud.test_barge_in_by_words import cancels, said
from tests.cloud.test_stages_stt import go
from tests.cloud.vendors import Vendors

Call = Callable[[str], Caller]

STORY = "Well, let me tell you a long story about the river and the mill."
TERMS_END = "then we pay you the whole price."
MODES = ("notice", "vendor_notice")


@pytest.fixture
def seconds_a_character() -> float:
    """As slow as a person, so that there is something to cut off."""
    return 0.06


async def enter(caller: Caller, vendors: Vendors, stage: str) -> float:
    """Type one's way to a stage that speaks on entering. Returns when its first sound came."""
    vendors.voice.real_time_factor = 0.9
    vendors.mind.call_tool(f"go_to_{stage}")
    after = max((heard.at for heard in caller.sound), default=0.0)
    await caller.send_text("Go on.")
    await caller.wait_for_stage(stage)
    return await caller.wait_for_agent_sound(after=after)


async def is_cut_by(caller: Caller, vendors: Vendors, words: str) -> bool:
    """Whether the agent stops a story for what the caller says."""
    vendors.voice.real_time_factor = 0.9
    vendors.mind.reply(STORY)
    vendors.mind.answer = lambda body: "All right."
    told, after = caller.agent_text.count(STORY), max((heard.at for heard in caller.sound), default=0.0)
    await caller.send_text("Tell me a story.")
    await caller.wait_for_agent_sound(after=after)
    before = cancels(vendors)
    await vendors.hear(caller, words)
    await caller.wait_until(
        lambda: cancels(vendors) > before or caller.agent_text.count(STORY) > told, "the story's end", seconds=20
    )
    return cancels(vendors) > before


@pytest.mark.parametrize("agent", MODES)
async def test_a_notice_is_said_out_although_the_caller_talks_over_it_and_the_next_stage_may_be_cut(
    agent: str, call: Call, vendors: Vendors
) -> None:
    async with call(agent) as caller:
        await caller.wait_for_stage("talk")
        await enter(caller, vendors, "terms")
        vendors.mind.call_tool("go_to_talk")
        vendors.mind.reply(STORY)
        vendors.mind.answer = lambda body: "All right."
        await vendors.hear(caller, "Yes, I agree.")
        await caller.wait_until(lambda: len(vendors.mind.requests) == 2, "what the caller said over the terms")
        assert TERMS_END not in caller.agent_text
        await caller.wait_until(lambda: TERMS_END in caller.agent_text, "the end of the terms", seconds=20)
        await caller.wait_for_stage("talk")
        assert cancels(vendors) == 0
        after = max(heard.at for heard in caller.sound if heard.is_voiced)
        await caller.wait_for_agent_sound(after=after + 0.3)
        await vendors.hear(caller, "Stop there please.")
        await caller.wait_until(lambda: cancels(vendors), "the cancel of the next stage's words")


async def test_nothing_is_heard_while_a_stage_that_mutes_speaks(call: Call, vendors: Vendors) -> None:
    async with call("notice") as caller:
        await caller.wait_for_stage("talk")
        await enter(caller, vendors, "deaf")
        await vendors.hear(caller, "Stop there please.")
        await caller.wait_for_agent_words("which you have heard before.")
        await caller.wait_for_silence()
        await go(caller, vendors, "talk")
        await caller.wait_for_silence()
        assert await is_cut_by(caller, vendors, "I know that one.")
    assert "Stop there please." not in said(vendors)


async def test_words_are_ignored_in_the_stage_that_says_so(call: Call, vendors: Vendors) -> None:
    async with call("vendor_notice") as caller:
        await caller.wait_for_stage("talk")
        await go(caller, vendors, "listen")
        await caller.wait_for_silence()
        assert not await is_cut_by(caller, vendors, "I see.")
        await go(caller, vendors, "talk")
        await caller.wait_for_silence()
        assert await is_cut_by(caller, vendors, "I see.")


async def waits(caller: Caller, vendors: Vendors, stage: str, words: str) -> float:
    """Seconds from the agent's last sound on entering a stage to its question to a silent caller."""
    await go(caller, vendors, stage)
    await caller.wait_for_silence()
    quiet = max(heard.at for heard in caller.sound if heard.is_voiced)
    asked = await caller.wait_for_agent_sound(after=quiet + 0.3, seconds=15)
    await caller.wait_for_agent_words(words)
    return asked - quiet


async def test_a_silent_caller_is_asked_by_the_time_of_the_stage(call: Call, vendors: Vendors) -> None:
    async with call("vendor_notice") as caller:
        await caller.wait_for_stage("talk")
        short = await waits(caller, vendors, "check", "And now?")
        await go(caller, vendors, "talk")
        long = await waits(caller, vendors, "search", "Have you found it?")
        await go(caller, vendors, "talk")
        began = time.monotonic()
        await caller.wait_until(lambda: time.monotonic() - began > 1.5, "some silence")
        questions = [caller.agent_text.count(question) for question in ("And now?", "Have you found it?")]
        assert questions == [1, 1], "nobody is asked where no stage says so"
    print(f"seconds until the question: {short:.1f} where 1 is written, {long:.1f} where 3 is")
    assert 0.9 < short < 2.9 < long


@pytest.mark.parametrize("agent", MODES)
async def test_a_save_changes_a_stages_turns_in_a_running_call(
    agent: str, call: Call, vendors: Vendors, file_of: Callable[[str], AgentFile]
) -> None:
    file = file_of("notice")
    async with call(agent) as caller:
        await caller.wait_for_stage("talk")
        await file.save(caller, ("barge_in:\n        ignore: [i see]", "barge_in: false # now"))
        await go(caller, vendors, "listen")
        await caller.wait_for_silence()
        assert not await is_cut_by(caller, vendors, "Stop there please.")
        await file.save(caller, ("barge_in: false # now", "barge_in: true"))
        assert caller.told("version")[-1]["changes"] == ["turns.barge_in from the next turn"]
        await caller.wait_for_silence()
        assert await is_cut_by(caller, vendors, "Stop there please.")
