"""What a call waits for while nobody speaks.

Comes in: what passes the ear, the model, the voice and the carrier's output. Goes out: after a moment of silence, which part is
being waited for, and again when it is another one; that it is over; and after as long as a caller waits, which part let them
wait, so that somebody can act.

Silence begins when the caller's words are owed, a model was asked or a line is to be spoken. It ends with a sound of the
agent, or when somebody interrupts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pipecat.frames.frames import (
    AggregatedTextFrame,
    BotStartedSpeakingFrame,
    Frame,
    InterruptionFrame,
    LLMContextFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameProcessor

from runner.catalog import Part

NOTICED_SECS = 2.0
"""A silence that is shorter is told by nobody. A longer one is looked at again each time as much has passed."""


class Silence:
    """The silences of one call.

    patience: how long a caller waits for the agent's first sound, seconds; asked at each silence. None: as long as it takes.
    noticed:  called when a silence lasts `NOTICED_SECS`, with the part that is waited for and the seconds so far.
    ended:    called when a silence that was noticed is over, with its seconds.
    too_long: called when the model or the voice let the caller wait longer than `patience`.
    """

    def __init__(
        self,
        *,
        patience: Callable[[], float | None],
        noticed: Callable[[Part, float], None],
        ended: Callable[[float], None],
        too_long: Callable[[Part, float], Awaitable[None]],
    ) -> None:
        self._patience, self._noticed, self._ended, self._too_long = patience, noticed, ended, too_long
        self._part: Part | None = None
        self._told: Part | None = None
        self._since = 0.0
        self._clock: asyncio.Task[None] | None = None

    def follow(
        self, listener: FrameProcessor, model: FrameProcessor, voice: FrameProcessor | None, output: FrameProcessor
    ) -> None:
        """Watch these parts. listener: the caller's side of the context, where what the ear says arrives."""

        @listener.event_handler("on_before_process_frame")
        async def _hears(_: object, frame: Frame) -> None:
            if isinstance(frame, TranscriptionFrame) and self._part == "stt":
                self.over()

        @listener.event_handler("on_before_push_frame")
        async def _voice_activity(_: object, frame: Frame) -> None:
            match frame:
                case VADUserStartedSpeakingFrame() | UserStartedSpeakingFrame():
                    self.over()
                case VADUserStoppedSpeakingFrame() if voice is not None:
                    self._wait_for("stt")
                case _:
                    pass

        @model.event_handler("on_before_process_frame")
        async def _asked(_: object, frame: Frame) -> None:
            if isinstance(frame, LLMContextFrame):
                self._wait_for("llm")

        @model.event_handler("on_before_push_frame")
        async def _answers(_: object, frame: Frame) -> None:
            if isinstance(frame, LLMTextFrame | AggregatedTextFrame) and self._part == "llm":
                self._wait_for("tts")

        if voice is not None:

            @voice.event_handler("on_before_process_frame")
            async def _speaks(_: object, frame: Frame) -> None:
                if isinstance(frame, TTSSpeakFrame):
                    self._wait_for("tts")

        @output.event_handler("on_before_process_frame")
        async def _sounds(_: object, frame: Frame) -> None:
            if isinstance(frame, TTSAudioRawFrame | BotStartedSpeakingFrame | InterruptionFrame):
                self.over()

    @property
    def lasts(self) -> bool:
        """The caller waits for the agent, which has something to say or to think about."""
        return self._part is not None

    def over(self) -> None:
        """Somebody is heard, or nobody has to be."""
        self._part = None
        if self._clock:
            self._clock.cancel()
            self._clock = None
        if self._told:
            self._told = None
            self._ended(self._seconds)

    @property
    def _seconds(self) -> float:
        return asyncio.get_running_loop().time() - self._since

    def _wait_for(self, part: Part) -> None:
        if self._clock is None or self._clock.done():
            self._since = asyncio.get_running_loop().time()
            self._clock = asyncio.create_task(self._count())
        self._part = part

    async def _count(self) -> None:
        patience = self._patience()
        while (left := NOTICED_SECS if patience is None else patience - self._seconds) > 0:
            await asyncio.sleep(min(NOTICED_SECS, left))
            if self._part and self._part != self._told:
                self._told = self._part
                self._noticed(self._part, self._seconds)
        part, self._clock = self._part, None
        self.over()
        if patience is not None and part in ("llm", "tts"):
            await self._too_long(part, patience)
