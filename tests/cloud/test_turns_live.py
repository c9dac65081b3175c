"""Every setting of turn taking, saved while a call is on, has its effect in that call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import pytest_asyncio

from tests.caller import Caller
from tests.cloud.saves import AgentFile
from tests.cloud.test_barge_in_by_words import cancels, said
from tests.cloud.vendors import Vendors
from tests.speech import silence

Call = Callable[[str], Caller]

STORY = (
    "Well, let me tell you a long story about the river and the mill, and about the man who lived there for many years, "
    "and who had three daughters and a dog."
)


@pytest.fixture
def seconds_a_character() -> float:
    """As slow as a person, so that there is something to cut off."""
    return 0.06


@pytest.fixture
def file(file_of: Callable[[str], AgentFile]) -> AgentFile:
    return file_of("turns_live")


@pytest_asyncio.fixture
async def caller(call: Call, vendors: Vendors) -> Any:
    vendors.voice.real_time_factor = 0.9
    async with call("turns_live") as caller:
        await caller.wait_until(lambda: caller.of("bot-ready"), "the agent")
        yield caller


async def tell_story(caller: Caller, vendors: Vendors) -> int:
    """The agent begins a story. Returns how often its voice has been cancelled so far."""
    after = max((heard.at for heard in caller.sound), default=0.0)
    vendors.mind.reply(STORY)
    await caller.send_text("Tell me a story.")
    await caller.wait_for_agent_sound(after=after)
    return cancels(vendors)


async def is_cut_by(caller: Caller, vendors: Vendors, words: str | None) -> bool:
    """Whether the agent stops its story for what the caller says; None is a sound without any word."""
    before = await tell_story(caller, vendors)
    vendors.mind.answer = lambda body: "All right."
    vendors.ears.script([words] if words else [])
    await caller.say(words or "I want to know something else now.")
    await caller.say_samples(silence(0.8))
    cut = cancels(vendors) > before
    if not cut:
        await caller.send_text("Stop.")
        await caller.wait_until(lambda: cancels(vendors) > before or not caller.hears_agent, "the end", seconds=15)
    await caller.wait_for_silence()
    return cut


async def answer_time(caller: Caller, vendors: Vendors, words: str = "I want my money back.") -> float:
    """Seconds from the caller's last sound to the request."""
    vendors.mind.answer = lambda body: "I see."
    count = len(vendors.mind.requests)
    spoken = await vendors.hear(caller, words)
    await caller.wait_until(lambda: len(vendors.mind.requests) > count, "the request")
    await caller.wait_for_agent_sound(after=spoken.ended)
    await caller.wait_for_silence()
    return vendors.mind.requests[count].at - spoken.ended


async def test_barge_in(caller: Caller, vendors: Vendors, file: AgentFile) -> None:
    assert await is_cut_by(caller, vendors, "Stop there please.")
    await file.save(caller, ("barge_in: true", "barge_in: false"))
    assert not await is_cut_by(caller, vendors, "Stop there please.")
    await file.save(caller, ("barge_in: false", "barge_in: true"))
    assert await is_cut_by(caller, vendors, "Stop there please.")


async def test_barge_in_is_saved_while_the_agent_speaks(caller: Caller, vendors: Vendors, file: AgentFile) -> None:
    """New strategies learn that the agent is speaking: one word is too little although they have not heard it begin."""
    before = await tell_story(caller, vendors)
    await file.save(caller, ("barge_in: true", "barge_in: {after_words: 2}"))
    await vendors.hear(caller, "Really?")
    await caller.wait_until(lambda: vendors.ears.session.finals == ["Really?"], "the word")
    assert cancels(vendors) == before
    await vendors.hear(caller, "Stop there please.")
    await caller.wait_until(lambda: cancels(vendors) > before, "the cancel of the agent's voice")


async def test_words_that_do_not_count(caller: Caller, vendors: Vendors, file: AgentFile) -> None:
    assert await is_cut_by(caller, vendors, "I see.")
    await file.save(caller, ("barge_in: true", "barge_in: {ignore: [i see]}"))
    assert not await is_cut_by(caller, vendors, "I see.")


async def test_mute(caller: Caller, vendors: Vendors, file: AgentFile) -> None:
    await file.save(caller, ("barge_in: true", "mute: [always]"))
    await tell_story(caller, vendors)
    await vendors.hear(caller, "Stop there please.")
    await caller.wait_until(lambda: STORY in caller.agent_text, "the whole story", seconds=20)
    await caller.wait_for_silence()
    assert "Stop there please." not in said(vendors)
    await file.save(caller, ("mute: [always]", "barge_in: true"))
    assert await is_cut_by(caller, vendors, "Stop there please.")


async def test_mute_of_the_greeting_that_is_over_mutes_nothing(
    caller: Caller, vendors: Vendors, file: AgentFile
) -> None:
    await file.save(caller, ("barge_in: true", "mute: [greeting, tools]"))
    assert await answer_time(caller, vendors) < 3


async def test_what_tells_that_the_caller_begins(caller: Caller, vendors: Vendors, file: AgentFile) -> None:
    assert await is_cut_by(caller, vendors, None), "the sound of speech is enough"
    await answer_time(caller, vendors)  # ends the turn in which no word was heard
    await file.save(caller, ("barge_in: true", "start: [transcription]"))
    assert await is_cut_by(caller, vendors, "Stop there please.")
    assert not await is_cut_by(caller, vendors, None), "no word was heard"


async def test_what_tells_that_the_caller_has_finished(caller: Caller, vendors: Vendors, file: AgentFile) -> None:
    smart = await answer_time(caller, vendors)
    await file.save(caller, ("barge_in: true", "smart_turn: false\n  speech_timeout: 2s"))
    slow = await answer_time(caller, vendors)
    await file.save(caller, ("speech_timeout: 2s", "speech_timeout: 0.1s"))
    quick = await answer_time(caller, vendors)
    await file.save(caller, ("smart_turn: false\n  speech_timeout: 0.1s", "smart_turn: true"))
    again = await answer_time(caller, vendors)
    print(f"seconds to the request: Smart Turn {smart}, timeout 2 s {slow}, 0.1 s {quick}, Smart Turn again {again}")
    assert slow > 2
    assert quick < 1
    assert again < 2


async def test_how_long_smart_turn_waits_for_an_unfinished_sentence(
    caller: Caller, vendors: Vendors, file: AgentFile
) -> None:
    words = "I would like to have the"
    long = await answer_time(caller, vendors, words)
    await file.save(caller, ("barge_in: true", "smart_turn: {stop_secs: 1}"))
    short = await answer_time(caller, vendors, words)
    print(f"seconds to the request after an unfinished sentence: 3 s {long}, 1 s {short}")
    assert long > 2.5
    assert short < 2


async def test_vad(caller: Caller, vendors: Vendors, file: AgentFile) -> None:
    await file.save(caller, ("barge_in: true", "vad: {stop_secs: 1.0}"))
    spoken = await vendors.hear(caller, "I want my money back.")
    await caller.wait_until(lambda: vendors.ears.session.of_type("ForceEndpoint"), "the end")
    assert vendors.ears.session.of_type("ForceEndpoint")[-1].at - spoken.ended > 0.9


async def test_idle_time_lives_on_through_other_changes(caller: Caller, vendors: Vendors, file: AgentFile) -> None:
    await file.save(caller, ("barge_in: true", "barge_in: true\n  idle: {after: 2s, say: Are you there?}"))
    await answer_time(caller, vendors)
    await file.save(caller, ("barge_in: true", "barge_in: {after_words: 2}"))
    await caller.wait_for_agent_words("Are you there?")


@pytest.mark.parametrize(
    "how", ["barge_in: {after_words: 2}", "smart_turn: false", "vad: {stop_secs: 0.5}", "mute: [tools]"]
)
async def test_a_save_in_mid_utterance_leaves_the_turn_whole(
    how: str, caller: Caller, vendors: Vendors, file: AgentFile
) -> None:
    words = "I have bought a pair of blue shoes in your shop on Monday and now I would like to send them back."
    vendors.mind.reply("I see.")
    speaking = asyncio.create_task(vendors.hear(caller, words))
    await asyncio.sleep(1.5)
    await file.save(caller, ("barge_in: true", how))
    assert not speaking.done()
    await speaking
    await caller.wait_for_agent_words("I see.")
    # The emulated vendor ends its turn in a pause for breath and has no words for the rest, so another session may follow.
    assert [final for session in vendors.ears.sessions for final in session.finals] == [words]
    assert said(vendors) == [words]
