"""A call without sound: the caller types, the agent's words come back as text, everything between is the same engine."""

from __future__ import annotations

import asyncio

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndFrame,
    Frame,
    FunctionCallResultFrame,
    FunctionCallsStartedFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSSpeakFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

_SETTLED_SECS = 0.15
"""After the end of an answer, how long nothing more may come: a transition's own line follows within milliseconds."""

_EMPTY_SECS = 1.5
"""The same for an answer without words."""


class _Passage(FrameProcessor):
    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)


class _WrittenVoice(FrameProcessor):
    """Stands where speech synthesis stands: a line to be spoken becomes a line of text, and its end counts as spoken."""

    def __init__(self) -> None:
        super().__init__()
        self.under_way = 0
        self.words = False
        self.answered = False
        self.ended = False
        self.last = 0.0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        match frame:
            case TTSSpeakFrame():
                self.words = self.words or bool(frame.text.strip())
                await self.push_frame(LLMFullResponseStartFrame())
                await self.push_frame(LLMTextFrame(frame.text))
                await self._finish(LLMFullResponseEndFrame())
                return
            case LLMFullResponseEndFrame():
                self._count(-1)
                await self._finish(frame)
                return
            case LLMFullResponseStartFrame():
                self._count(+1)
            case LLMTextFrame():
                self.words = self.words or bool(frame.text.strip())
            case FunctionCallsStartedFrame() if direction is FrameDirection.DOWNSTREAM:
                self._count(len(frame.function_calls))
            case FunctionCallResultFrame() if direction is FrameDirection.DOWNSTREAM:
                self._count(-1)
            case EndFrame():
                self.ended = True
            case _:
                pass
        await self.push_frame(frame, direction)

    async def _finish(self, end: LLMFullResponseEndFrame) -> None:
        await self.push_frame(end)
        await self.broadcast_frame(BotStartedSpeakingFrame)
        await self.broadcast_frame(BotStoppedSpeakingFrame)
        self.answered = True
        self.last = asyncio.get_running_loop().time()

    def _count(self, by: int) -> None:
        self.under_way = max(0, self.under_way + by)
        self.last = asyncio.get_running_loop().time()


class TypedCarrier:
    """Carrier and writer of a typed call."""

    def __init__(self) -> None:
        self._input, self._output, self._voice = _Passage(), _Passage(), _WrittenVoice()

    def input(self) -> FrameProcessor:
        return self._input

    def output(self) -> FrameProcessor:
        return self._output

    def voice(self) -> FrameProcessor:
        return self._voice

    def asked(self) -> None:
        """A turn of the caller begins: from now on an answer is awaited."""
        self._voice.words = self._voice.answered = False

    async def quiet(self, at_most: float) -> None:
        """Wait until the agent has answered and nothing more is under way, at most so many seconds."""
        loop, voice = asyncio.get_running_loop(), self._voice
        deadline = loop.time() + at_most
        while loop.time() < deadline and not voice.ended:
            idle = loop.time() - voice.last
            settled = _SETTLED_SECS if voice.words else _EMPTY_SECS
            if voice.answered and not voice.under_way and idle >= settled:
                return
            await asyncio.sleep(0.02)
