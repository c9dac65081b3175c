"""Whole parts in a real pipeline: sound in, words out; words in, sound out; a question in, an answer out."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
    TTSUpdateSettingsFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.workers.runner import WorkerRunner

from runner.local import ears, voice
from runner.local.ears import WhisperEars
from runner.local.voice import LocalVoice
from runner.local.whisper import hear
from tests.local.calling import Happened, Watcher, played
from tests.local.test_hearing import NOISES, words
from tests.speech import silence, speak


@pytest.fixture(autouse=True)
async def loaded() -> None:
    await asyncio.gather(ears.warm(), voice.warm())


@pytest.mark.parametrize("rate", [16_000, 8_000])
async def test_a_turn_becomes_its_words_soon_after_its_end(rate: int) -> None:
    sound = np.concatenate([silence(0.5), speak("I need to change my email address."), silence(2)])
    for _attempt in range(3):
        happened = await played(sound, [WhisperEars(keyterms=["Northwind"])], rate=rate)
        assert [words(turn) for turn in happened.turns] == [words("I need to change my email address.")]
        (heard,) = happened.of(TranscriptionFrame)
        assert isinstance(heard, TranscriptionFrame)
        if heard.finalized:
            return
    pytest.fail("words are never final; once may happen, when a stalled machine makes the VAD hear a start again")


async def test_words_before_a_pause_do_not_end_the_turn_of_the_words_after_it() -> None:
    """Whisper answers for the first stretch while the caller is already in the second."""
    sound = np.concatenate(
        [silence(0.5), speak("Hi."), silence(0.05), speak("I want a refund for my order."), silence(2)]
    )
    happened = await played(sound, [WhisperEars()])
    assert len(happened.turns) == 1
    assert words(happened.turns[0])[-3:] == ["for", "my", "order"]


async def test_knocks_and_coughs_are_no_turn() -> None:
    noises = [(np.clip(NOISES[name], -1, 1) * 32767).astype(np.int16) for name in ("knock", "cough", "beep")]
    sound = np.concatenate([silence(0.5), *(part for noise in noises for part in (noise, silence(0.8)))])
    happened = await played(sound, [WhisperEars()])
    assert not happened.of(TranscriptionFrame)


async def said_by(service: LocalVoice, frames: list[Frame]) -> Happened:
    happened = Happened()
    worker = PipelineWorker(
        Pipeline([service, Watcher(happened)]), params=PipelineParams(audio_out_sample_rate=16_000), enable_rtvi=False
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    for frame in [*frames, EndFrame()]:
        await worker.queue_frame(frame)
    await running
    return happened


def pcm(happened: Happened) -> np.ndarray:
    return np.frombuffer(b"".join(frame.audio for frame in happened.of(TTSAudioRawFrame)), np.int16)  # pyright: ignore


async def test_the_voice_says_what_is_written() -> None:
    happened = await said_by(LocalVoice(), [TTSSpeakFrame("I can help with that. Is your order number 98213?")])
    sound = pcm(happened)
    assert 0.15 < np.abs(sound / 32768).max() < 1.0
    heard = words(hear((sound / 32768).astype(np.float32)).text)
    assert heard == words("I can help with that. Is your order number 98213?")
    assert len(happened.of(TTSAudioRawFrame)) == 2, "one piece of sound a sentence"
    assert len(happened.of(TTSStoppedFrame)) == 1


async def test_speed_changes_during_a_call_and_another_voice_changes_nothing() -> None:
    settings = LocalVoice.Settings
    text = TTSSpeakFrame("Thank you for calling Northwind.")
    plain = len(pcm(await said_by(LocalVoice(), [text])))
    fast = len(pcm(await said_by(LocalVoice(), [TTSUpdateSettingsFrame(delta=settings(speed=1.5)), text])))
    other = len(pcm(await said_by(LocalVoice(), [TTSUpdateSettingsFrame(delta=settings(voice="somebody")), text])))
    assert fast < 0.8 * plain
    assert other == plain


async def test_texts_without_a_sound_do_not_silence_the_voice_for_good() -> None:
    happened = await said_by(LocalVoice(), [*(TTSSpeakFrame("...") for _ in range(4)), TTSSpeakFrame("Hello there.")])
    assert np.abs(pcm(happened)).max() > 3000
