"""The caller speaks without a pause while stages change and the file is saved: every 10 ms of the caller reach AssemblyAI, once
and in order, and nothing in the call waits.

In real time, on real sockets, with numbered speech. `tests/bench/stage_changes.py` runs all of it and Pipecat's own service.
"""

from __future__ import annotations

import asyncio
import itertools

import pytest

from tests.bench.stage_changes import CONNECTS, TERMINATES, continuous_speech, moments, run, saved, told
from tests.cloud.ears import ear_of
from tests.emulators import AssemblyAIEmulator
from tests.emulators.line import line


@pytest.mark.alone
async def test_nothing_is_lost_doubled_or_held_up_whatever_the_vendor_takes() -> None:
    """All nine pairs of waiting times at once, 80 changes each."""
    quiet, _ = await run(0.02, 0.0, 0)
    pairs = list(itertools.product(TERMINATES, CONNECTS))
    costs = await asyncio.gather(*(run(*pair, 80) for pair in pairs))
    for pair, (cost, caller) in zip(pairs, costs, strict=True):
        assert (cost.lost, cost.doubled, cost.in_order) == (0, 0, True), pair
        assert cost.p99 <= quiet.p99 + 50, pair
        assert not caller.errors, pair
    used = [sum(bool(session.audio) for session in caller.emulator.sessions) for _, caller in costs]
    assert min(used) > 1, "the sound really went over"


@pytest.mark.alone
async def test_two_hundred_stages_and_two_hundred_saves_with_a_vendor_that_never_says_goodbye() -> None:
    cost, caller = await run(None, 0.15, 400)
    assert (cost.lost, cost.doubled, cost.in_order) == (0, 0, True)
    assert cost.p99 <= 50
    assert not caller.errors


async def test_pipecats_own_service_loses_what_this_counts() -> None:
    """What the tests above would see if nothing were done about it."""
    cost, _ = await run(0.6, 0.0, 2, stock=True, secs=1.0)
    assert cost.lost >= 600


async def test_live_fields_need_one_connection() -> None:
    async with AssemblyAIEmulator() as emulator:
        files = [f"stt: {{keyterms: [word{n}], about: Text {n}., vad_threshold: 0.{n + 1}}}\n" for n in range(8)]
        ear, first = ear_of(files[0], emulator)
        async with line(ear, emulator, vad=False) as caller:
            speaking = asyncio.create_task(caller.say(continuous_speech(5)))
            before = first
            for text in files * 6:
                await asyncio.sleep(0.1)
                _, now = ear_of(text, emulator)
                await told(ear, now, before, stock=False)
                before = now
            await speaking
            until = caller.now
            await asyncio.sleep(0.5)
            assert caller.compare(until) == (0, 0, True)
        assert emulator.handshakes == 1
        assert len(emulator.session.updates) == 47, "one message for each change"
        assert emulator.session.configuration.values["keyterms_prompt"] == ["word7"]


async def test_changes_that_come_together_are_one_message() -> None:
    async with AssemblyAIEmulator() as emulator:
        ear, first = ear_of("stt: {keyterms: [a]}\n", emulator)
        async with line(ear, emulator, vad=False) as caller:
            await caller.say(continuous_speech(0.5))
            before = first
            for text in ("stt: {keyterms: [b]}\n", "stt: {keyterms: [c], about: Shoes}\n", "stt: {keyterms: [d]}\n"):
                _, now = ear_of(text, emulator)
                await told(ear, now, before, stock=False)
                before = now
            await asyncio.sleep(0.2)
        (update,) = emulator.session.updates
        assert update.body == {"type": "UpdateConfiguration", "keyterms_prompt": ["d"]}


async def test_change_that_is_taken_back_at_once_opens_nothing() -> None:
    async with AssemblyAIEmulator() as emulator:
        emulator.connect_delay = 0.15
        ear, first = ear_of("", emulator)
        _, other = ear_of("stt: {mode: max_accuracy}\n", emulator)
        async with line(ear, emulator, vad=False) as caller:
            await caller.say(continuous_speech(0.5))
            await told(ear, other, first, stock=False)
            await told(ear, first, other, stock=False)
            await asyncio.sleep(0.5)
            assert emulator.handshakes == 1
            # Taken back while the other session is being opened: it is left unused.
            await told(ear, other, first, stock=False)
            await asyncio.sleep(0.1)
            await told(ear, first, other, stock=False)
            await caller.say(continuous_speech(1))
            until = caller.now
            await asyncio.sleep(0.3)
            assert caller.compare(until) == (0, 0, True)
        assert emulator.handshakes == 2
        assert not emulator.sessions[1].audio


@pytest.mark.parametrize("muted", [False, True])
async def test_sound_goes_over_when_nothing_is_said_or_when_no_sound_comes(muted: bool) -> None:
    async with AssemblyAIEmulator() as emulator:
        ear, first = ear_of("", emulator)
        _, other = ear_of("stt: {mode: max_accuracy}\n", emulator)
        async with line(ear, emulator) as caller:
            await caller.say(continuous_speech(0.5))
            await asyncio.sleep(2.0)
            caller.mute(muted)
            await told(ear, other, first, stock=False)
            await asyncio.sleep(0.6)
            assert len(emulator.sessions) == 2
            assert emulator.sessions[0].terminated_at, "it did not wait for long"
            assert emulator.session.query["mode"] == "max_accuracy"


def test_what_is_changed_really_differs() -> None:
    assert len({repr(moment.stt) for moment in moments(64)}) >= 16
    assert saved(0) != saved(1)
