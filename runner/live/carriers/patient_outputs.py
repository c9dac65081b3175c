"""Outputs whose voice waits in mid-word while nobody listens.

Comes in: the voice, and whether somebody is there. Goes out: after a return the voice goes on a little before where it stopped,
at a pause between words, as players of recordings do.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any, cast

from pipecat.frames.frames import EndFrame, Frame, InterruptionFrame, OutputAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.smallwebrtc.transport import RawAudioTrack, SmallWebRTCOutputTransport
from pipecat.transports.websocket.fastapi import FastAPIWebsocketOutputTransport

_REPEATED_SECS = 1.5
"""How much of what was said last is said again after a return, at least; a pause between words is looked for before it."""

_PAUSE_WITHIN_SECS = 1.0
_KEPT_SECS = 8.0
_NEW_UTTERANCE_SECS = 0.5
"""After so long without a sound the voice begins something new."""

_ON_ITS_WAY_SECS = 0.25
"""What a page may still have to play: 0.04 s of it in a piece, the rest on the network and in the machine's sound buffers."""

_WRITE_SECS = 10.0
"""A client that takes no sound for so long does not listen any more, though its connection stands (Pipecat 1.14's own limit)."""


class _Patience:
    """What an output says, so that it can wait and go on."""

    def __init__(self) -> None:
        self.there = asyncio.Event()
        self.there.set()
        self.lost = 0.0
        self._said: deque[OutputAudioRawFrame] = deque()
        self._at = 0.0

    def note(self, frame: OutputAudioRawFrame) -> None:
        self._said.append(frame)
        while sum(map(_seconds, self._said)) > _KEPT_SECS:
            self._said.popleft()
        self._at = time.monotonic()

    def forget(self) -> None:
        self._said.clear()

    def begins(self) -> None:
        """A piece of voice is about to be said: what was said long before belongs to something else."""
        if time.monotonic() - self._at > _NEW_UTTERANCE_SECS:
            self.forget()

    def again(self) -> list[OutputAudioRawFrame]:
        """The end of what was said, from a pause on."""
        frames, behind = list(self._said), 0.0
        first, best, quietest = 0, 0, float("inf")
        for first in range(len(frames) - 1, -1, -1):
            behind += _seconds(frames[first])
            if behind < _REPEATED_SECS + self.lost:
                continue
            if behind > _REPEATED_SECS + self.lost + _PAUSE_WITHIN_SECS:
                break
            if (level := _loudness(frames[first])) < quietest:
                best, quietest = first, level
        return frames[best:] if quietest < float("inf") else frames


class _PatientOutput(BaseOutputTransport):
    """An output that waits while nobody listens."""

    patience: _Patience

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, InterruptionFrame):
            self.patience.forget()
        await super().process_frame(frame, direction)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        patience = self.patience
        if patience.there.is_set():
            patience.begins()
        else:
            await patience.there.wait()
            for earlier in patience.again():
                await self._write_in_time(earlier)
        patience.note(frame)
        return await self._write_in_time(frame)

    async def _write_in_time(self, frame: OutputAudioRawFrame) -> bool:
        try:
            async with asyncio.timeout(_WRITE_SECS):
                return await super().write_audio_frame(frame)
        except TimeoutError:
            told = f"The caller's side has taken no sound for {_WRITE_SECS:g} s, so the agent is not heard any more."
            await self.push_error(told, force_treat_as_permanent=True)
            return False


class WebsocketOutput(_PatientOutput, FastAPIWebsocketOutputTransport):
    """Sends a piece of sound when the one before has been played, and Pipecat 1.14 closes the connection right behind the last
    one: what a page still plays would be lost with it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.patience = _Patience()
        self._sounded = 0.0

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        written = await super().write_audio_frame(frame)
        self._sounded = time.monotonic()
        return written

    async def _write_frame(self, frame: Frame) -> bool:
        if isinstance(frame, EndFrame) and self.patience.there.is_set():
            await asyncio.sleep(max(0.0, self._sounded + _ON_ITS_WAY_SECS - time.monotonic()))
        return await super()._write_frame(frame)


class WebRTCOutput(_PatientOutput, SmallWebRTCOutputTransport):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.patience = _Patience()
        self._track: RawAudioTrack | None = None

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        self._track = self._client._audio_output_track
        return await super().write_audio_frame(frame)

    def let_go(self) -> None:
        """What waits for the last track to be played waits no longer."""
        waiting = cast(
            "list[tuple[bytes, asyncio.Future[bool] | None]]", self._track._chunk_queue if self._track else []
        )
        for _, played in waiting:
            if played and not played.done():
                played.set_result(False)


def _seconds(frame: OutputAudioRawFrame) -> float:
    return frame.num_frames / frame.sample_rate


def _loudness(frame: OutputAudioRawFrame) -> float:
    samples = memoryview(frame.audio).cast("h")
    return sum(map(abs, samples)) / max(1, len(samples))
