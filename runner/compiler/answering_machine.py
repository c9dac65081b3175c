"""A call that the agent makes may reach an answering machine.

Comes in: what is heard after somebody, or something, has answered. Goes out: the verdict, once: a person, or a machine whose
greeting is over. Until then nothing is said and no turn begins, so that nobody talks over a machine's greeting, and a person's
"Hello?" is answered by the greeting of the agent file and not by two things at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pipecat.classifiers.llm.classifier import LLMClassifier
from pipecat.extensions.voicemail.voicemail_detector import VoicemailDetector
from pipecat.frames.frames import Frame, InterimTranscriptionFrame, TranscriptionFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService

_QUIET_SECS = 4.0
"""Who answers and says nothing for so long is a person that waits: machines greet at once."""


class AnsweringMachine(VoicemailDetector):
    """Pipecat 1.14's detector, which here holds words back instead of sound.

    llm:     the model of the call, asked whether what was heard is a person.
    person:  awaited when a person has answered. opens: whether the agent speaks first then; otherwise what was heard so far
             becomes the caller's first turn.
    machine: awaited when the greeting of a machine is over and it records.
    """

    def __init__(
        self,
        llm: LLMService[Any],
        *,
        person: Callable[[], Awaitable[None]],
        machine: Callable[[], Awaitable[None]],
        opens: Callable[[], bool],
    ) -> None:
        super().__init__(classifier=LLMClassifier(llm=llm))
        self._opens = opens
        self._held: list[Frame] = []
        self._holds: Frame | None = None
        self._quiet: asyncio.TimerHandle | None = None

        @self.event_handler("on_conversation_detected")
        async def is_person(*_: object) -> None:
            await person()
            held, self._held = self._held, []
            if not self._opens():
                for frame in held:
                    await self.push_frame(frame)

        @self.event_handler("on_voicemail_detected")
        async def is_machine(*_: object) -> None:
            await machine()

    @property
    def is_decided(self) -> bool:
        """Whether it is known who answered."""
        return self._decision is not None

    def answered(self) -> None:
        """Somebody, or something, has picked up the receiver."""
        if self._quiet is None and not self.is_decided:
            self._quiet = asyncio.get_running_loop().call_later(_QUIET_SECS, self._nothing_heard)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        words = isinstance(frame, TranscriptionFrame | InterimTranscriptionFrame)
        self._holds = frame if words and not self.is_decided else None
        await super().process_frame(frame, direction)

    async def push_frame(self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        if frame is self._holds:
            self._holds = None
            if isinstance(frame, TranscriptionFrame):
                self._held.append(frame)
            return
        await super().push_frame(frame, direction)

    async def cleanup(self) -> None:
        if self._quiet:
            self._quiet.cancel()
        await super().cleanup()

    def _nothing_heard(self) -> None:
        # Private in Pipecat 1.14, which would wait for a first word for ever.
        if not self.is_decided and not self._transcript and not self._user_speaking:
            self.create_task(self._decide("conversation"))
