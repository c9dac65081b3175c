"""The sound of a gap: what is kept and what is dropped; and an ear that is given up, or given work again."""

from __future__ import annotations

import asyncio

import pytest
from pipecat.frames.frames import ErrorFrame, TranscriptionFrame
from pipecat.processors.frame_processor import FrameProcessor

from runner.compiler.services import generic
from runner.compiler.services.assemblyai import silence as assemblyai_silence
from runner.compiler.services.gone import ServiceGone, tell_when_gone
from runner.definition import Service
from tests.bench.stage_changes import continuous_speech
from tests.cloud.ears import ear_of
from tests.emulators import AssemblyAIEmulator, until
from tests.emulators.line import Line, line
from tests.emulators.numbered import numbers_in


async def begun(emulator: AssemblyAIEmulator, caller: Line) -> None:
    await until(lambda: emulator.sessions and emulator.session.frames and caller.now > 20, 20)


@pytest.mark.parametrize(("keep", "least", "most"), [("1s", 700, 1500), ("30s", 2000, 20_000)])
async def test_sound_of_a_gap_is_heard_later_but_not_older_than_the_file_says(keep: str, least: int, most: int) -> None:
    async with AssemblyAIEmulator() as emulator:
        emulator.script(f"Sentence {number}." for number in range(40))
        ear, _ = ear_of(f"stt: {{keep_sound: {keep}}}\n", emulator)
        async with line(ear, emulator, vad=False) as caller:
            await begun(emulator, caller)
            speaking = asyncio.create_task(caller.say(continuous_speech(3.0)))
            await asyncio.sleep(0.5)
            emulator.connect_delay = 2.0
            emulator.session.drop()
            began = caller.now
            await speaking
            await until(lambda: len(emulator.sessions) == 2 and emulator.session.audio, 10)
            there = caller.now
            heard = set(numbers_in(emulator.session.audio)) - {-1}
            gap = [number for number in heard if number < there]
            assert least <= (there - min(gap)) * 10 <= most
            if keep == "30s":
                assert set(range(began, there - 20)) <= heard, "nothing of the gap is missing"


async def test_vendor_that_hears_no_words_in_a_noise_is_not_taken_for_deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assemblyai_silence, "FIRST_DOUBT_SECS", 0.5)
    async with AssemblyAIEmulator() as emulator:
        emulator.termination_delay = 0.1
        ear, _ = ear_of("", emulator)
        async with line(ear, emulator) as caller:
            await begun(emulator, caller)
            for _ in range(3):
                await caller.say(continuous_speech(0.9))
                await asyncio.sleep(1.6)
            assert ear.is_usable
            assert not caller.errors
            assert 2 <= len(emulator.sessions) <= 3, "each false alarm makes the next doubt come later"
            emulator.script(["And these are words."])
            await caller.say(continuous_speech(0.9))
            await until(lambda: caller.words, 10)
            assert caller.text == "And these are words."


async def test_ear_that_was_given_up_hears_again_when_it_is_given_work() -> None:
    async with AssemblyAIEmulator() as emulator:
        emulator.refuse_sessions(1008, "Unauthorized Connection: Invalid API key")
        ear, _ = ear_of("", emulator)
        told: list[ServiceGone] = []

        async def gone(what: ServiceGone) -> None:
            told.append(what)

        tell_when_gone("stt", ear, gone)
        async with line(ear, emulator) as caller:
            await until(lambda: told, 10)
            assert told[0].part == "stt"
            assert "Invalid API key" in told[0].why
            emulator.script(["Hello again."])
            await ear.set_usable(True)
            await until(lambda: len(emulator.sessions) == 2, 10)
            await caller.say(continuous_speech(1.0))
            await until(lambda: caller.words, 10)
            assert len(told) == 1


async def test_another_providers_ear_that_fails_at_every_sentence_is_gone() -> None:
    ear = generic.build("stt", Service("groq", {"model": "whisper-large-v3-turbo"}), {"GROQ_API_KEY": "a-key"})
    told: list[ServiceGone] = []

    async def gone(what: ServiceGone) -> None:
        told.append(what)

    tell_when_gone("stt", ear, gone)
    await _fails(ear, 2)
    await ear.push_frame(TranscriptionFrame("Hello.", "", ""))
    await _fails(ear, 2)
    await asyncio.sleep(0.1)
    assert not told, "it understood something between"
    await _fails(ear, 1)
    await until(lambda: told)
    assert told[0].why == "The server had an error"


async def _fails(ear: FrameProcessor, times: int) -> None:
    for _ in range(times):
        await ear.push_error_frame(ErrorFrame("The server had an error"))
