"""Who decides that the caller has finished changes in a running call, by a stage and by a save, without costing a word."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.caller import Caller, Said
from tests.cloud.saves import AgentFile
from tests.cloud.test_stages_stt import go, told
from tests.cloud.vendors import Vendors

Call = Callable[[str], Caller]
FileOf = Callable[[str], AgentFile]

LONG = "I have bought a pair of blue shoes in your shop on Monday and now I would like to send them back to you."
TO_VENDOR = ("turn_detection: pipecat", "turn_detection: assemblyai # now")
TO_PIPECAT = ("turn_detection: assemblyai # now", "turn_detection: pipecat")


async def say(caller: Caller, vendors: Vendors, words: str, answer: str) -> Said:
    """Say `words` and hear the `answer` to them."""
    vendors.mind.reply(answer)
    said = await vendors.hear(caller, words)
    await caller.wait_for_agent_words(answer)
    await caller.wait_for_silence()
    return said


async def ends_by(caller: Caller, vendors: Vendors, number: int) -> str:
    """Who ended a turn that the caller takes now: `pipecat`, which forces the end, or `assemblyai`, which finds it."""
    forced = len(vendors.ears.session.of_type("ForceEndpoint"))
    await say(caller, vendors, f"This is sentence number {number}.", f"Answer {number}.")
    return "pipecat" if len(vendors.ears.session.of_type("ForceEndpoint")) > forced else "assemblyai"


def asked(vendors: Vendors) -> list[str]:
    """What the caller said in each request that ends with words of the caller."""
    last = [request.messages[-1] for request in vendors.mind.requests]
    return [str(message["content"]) for message in last if message["role"] == "user"]


async def test_a_stage_has_the_other_turn_detection_and_it_returns(call: Call, vendors: Vendors) -> None:
    async with call("switching") as caller:
        await caller.wait_for_stage("talk")
        seen: list[str] = []
        for number, stage in enumerate(("talk", "story", "talk", "story")):
            if number:
                await go(caller, vendors, stage)
                await caller.wait_for_silence()
            seen.append(await ends_by(caller, vendors, number))
    assert seen == ["pipecat", "assemblyai", "pipecat", "assemblyai"]
    assert [update["max_turn_silence"] for update in told(vendors)] == [1000, 100, 1000]
    assert vendors.ears.session.unscripted == 0
    assert len(vendors.ears.sessions) == 1
    assert vendors.ears.session.finals == [f"This is sentence number {number}." for number in range(4)]


async def test_a_save_changes_it_in_both_directions(call: Call, vendors: Vendors, file_of: FileOf) -> None:
    file = file_of("switching")
    async with call("switching") as caller:
        await caller.wait_for_stage("talk")
        seen = [await ends_by(caller, vendors, 0)]
        await file.save(caller, TO_VENDOR)
        seen.append(await ends_by(caller, vendors, 1))
        await file.save(caller, TO_PIPECAT)
        seen.append(await ends_by(caller, vendors, 2))
        assert caller.told("version")[-1]["changes"]
    assert seen == ["pipecat", "assemblyai", "pipecat"]
    assert len(vendors.ears.sessions) == 1


@pytest.mark.parametrize("first", ["pipecat", "assemblyai"])
async def test_a_save_in_mid_utterance_neither_cuts_the_turn_nor_ends_it(
    first: str, call: Call, vendors: Vendors, file_of: FileOf
) -> None:
    file = file_of("switching")
    there, back = (TO_VENDOR, TO_PIPECAT) if first == "pipecat" else (TO_PIPECAT, TO_VENDOR)
    async with call("switching") as caller:
        await caller.wait_for_stage("talk")
        if first == "assemblyai":
            await file.save(caller, TO_VENDOR)
        assert await ends_by(caller, vendors, 0) == first
        vendors.mind.reply("I see.")
        speaking = asyncio.create_task(vendors.hear(caller, LONG))
        await asyncio.sleep(1.5)
        await file.save(caller, there)
        assert not speaking.done(), "the save came while the caller spoke"
        said = await speaking
        await caller.wait_for_agent_words("I see.")
        await caller.wait_for_silence()
        assert await ends_by(caller, vendors, 1) != first
        await file.save(caller, back)
        assert await ends_by(caller, vendors, 2) == first
    session = vendors.ears.session
    assert session.finals == [
        "This is sentence number 0.",
        LONG,
        "This is sentence number 1.",
        "This is sentence number 2.",
    ]
    assert asked(vendors) == session.finals
    assert not [m for m in session.of_type("ForceEndpoint") if said.began <= m.at <= said.ended]
    assert len(vendors.ears.sessions) == 1


@pytest.mark.alone
@pytest.mark.parametrize("mode", ["pipecat", "assemblyai"])
async def test_many_updates_while_the_caller_speaks_leave_the_transcript_as_it_is(
    mode: str, call: Call, vendors: Vendors, file_of: FileOf
) -> None:
    """Silences, words and thresholds, one save after the other, while sentences follow each other."""
    file = file_of("switching")
    sentences = [LONG, "They do not fit and I have never worn them outside of my house.", "What do I have to do now?"]
    async with call("switching") as caller:
        await caller.wait_for_stage("talk")
        line = "turn_detection: pipecat"
        if mode == "assemblyai":
            line = (
                "turn_detection: assemblyai # now\n  min_turn_silence: 600"  # the emulated ear takes 100 ms for an end
            )
            await file.save(caller, ("turn_detection: pipecat", line))
            await caller.wait_until(lambda: told(vendors), "the silence")
        speaking = asyncio.create_task(_say_all(caller, vendors, sentences))
        now, saves = line, 0
        while not speaking.done():
            new = f"{line}\n  vad_threshold: 0.{3 + saves % 4}\n  keyterms: [shoe {saves}]"
            await file.save(caller, (now, new))
            now, saves = new, saves + 1
            await asyncio.sleep(0.3)
        await speaking
    print(f"{saves} saves in {mode}")
    assert saves >= 8
    assert vendors.ears.session.finals == sentences
    assert asked(vendors) == sentences
    assert len(vendors.ears.sessions) == 1


async def _say_all(caller: Caller, vendors: Vendors, sentences: list[str]) -> None:
    for number, sentence in enumerate(sentences):
        await say(caller, vendors, sentence, f"Answer {number}.")
