"""A call that the agent makes may reach an answering machine.

Comes in: what is heard after somebody, or something, has answered. Goes out: the verdict, once: a person, or a machine whose
greeting is over. Until then nothing is said and nothing is answered, so that nobody talks over a machine's greeting, and a
person's "Hello?" is answered by the greeting of the agent file and not by two things at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pipecat.classifiers.llm.classifier import LLMClassifier
from pipecat.extensions.voicemail.voicemail_detector import VoicemailDetector
from pipecat.frames.frames import Frame, LLMContextFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import LLMService

_QUIET_SECS = 4.0
"""Who answers and says nothing for so long is a person that waits: machines greet at once."""


class AnsweringMachine(VoicemailDetector):
    """Pipecat 1.14's detector, which stands before the caller's side of the context. `patience` stands after it.

    llm: the model of the call, asked whether what was heard is a person.
    """

    def __init__(self, llm: LLMService[Any]) -> None:
        super().__init__(classifier=LLMClassifier(llm=llm))
        self.patience = _Patience(self)
        self._quiet: asyncio.TimerHandle | None = None

    def listen(self, *, person: Callable[[], Awaitable[bool]], machine: Callable[[], Awaitable[None]]) -> None:
        """Say who answered.

        person:  awaited when a person has; returns whether the agent speaks first. If it does not, what was said is answered.
        machine: awaited when the greeting of a machine is over and it records.
        """

        @self.event_handler("on_conversation_detected")
        async def is_person(*_: object) -> None:
            opens = await person()
            await self.patience.go_on(answer=not opens)

        @self.event_handler("on_voicemail_detected")
        async def is_machine(*_: object) -> None:
            await machine()

    @property
    def is_person(self) -> bool:
        """Whether it is known that a person answered."""
        return self._decision == "conversation"

    @property
    def is_decided(self) -> bool:
        """Whether it is known who answered."""
        return self._decision is not None

    def answered(self) -> None:
        """Somebody, or something, has picked up the receiver."""
        if self._quiet is None and not self.is_decided:
            self._quiet = asyncio.get_running_loop().call_later(_QUIET_SECS, self._nothing_heard)

    async def cleanup(self) -> None:
        if self._quiet:
            self._quiet.cancel()
        await super().cleanup()

    def _nothing_heard(self) -> None:
        # Private in Pipecat 1.14, which would wait for a first word for ever.
        if not self.is_decided and not self._transcript and not self._user_speaking:
            self.create_task(self._decide("conversation"))


class _Patience(FrameProcessor):
    """Keeps the caller's finished turns from the model until it is known who answered."""

    def __init__(self, machine: AnsweringMachine) -> None:
        super().__init__()
        self._machine = machine
        self._waits: LLMContextFrame | None = None
        self._goes_on = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame) and direction is FrameDirection.DOWNSTREAM and not self._goes_on:
            self._waits = frame
        else:
            await self.push_frame(frame, direction)

    async def go_on(self, *, answer: bool) -> None:
        """A person answered. answer: what was said so far is to be answered."""
        self._goes_on = True
        waits, self._waits = self._waits, None
        if waits and answer:
            await self.push_frame(waits)
