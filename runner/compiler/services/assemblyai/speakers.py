"""Who spoke, as AssemblyAI tells it: letters on finished turns, and corrections when a session ends.

Comes in: turns and `SpeakerRevision` messages of the ear's sessions. Goes out: transcriptions that name their session, so that a
correction finds them, and the corrections.

Letters belong to one session: another session begins again with A.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from weakref import WeakKeyDictionary

from pipecat.frames.frames import Frame, TranscriptionFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.assemblyai.stt import AssemblyAISTTService

from runner.compiler.callers.said import SESSION
from runner.compiler.services.assemblyai.session import Message, Session

Revised = Callable[[int, int, str], None]
"""Told the number of a session, the number of a turn in it, and who really spoke."""


class TellsSpeakers(AssemblyAISTTService):
    """Pipecat's service, whose words go out as they were heard.

    Pipecat 1.14 writes `speaker_format` into the text of the transcription. There turn taking would count the label among the
    caller's words, and the page would show it; it is for what the model reads, and `callers` writes it there.
    """

    speaker_revised: Revised | None = None
    telling: Session | None = None
    """The session whose message is being read."""

    @property
    def _speaker_format(self) -> str | None:
        return None

    @_speaker_format.setter
    def _speaker_format(self, value: str | None) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The setting is kept with the others; Pipecat's constructor comes by here."""

    async def push_frame(self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        if isinstance(frame, TranscriptionFrame) and self.telling:
            frame.metadata[SESSION] = self._number_of(self.telling)
        await super().push_frame(frame, direction)

    def revised(self, session: Session, message: Message) -> None:
        """A session has thought again about who spoke. Pipecat 1.14 makes an error of it at every clean end of a call."""
        for one in message.get("revisions") or ():
            order, speaker = one.get("turn_order"), one.get("speaker_label")
            if self.speaker_revised and isinstance(order, int) and isinstance(speaker, str):
                self.speaker_revised(self._number_of(session), order, speaker)

    async def wait_for_revisions(self, leaving: Collection[asyncio.Task[None]]) -> None:
        """Wait until the sessions that were left have said who spoke; for nothing where speakers are not told apart."""
        if self._settings.speaker_labels is True and leaving:
            await asyncio.wait(leaving)

    def _number_of(self, session: Session) -> int:
        if not hasattr(self, "_numbers"):
            self._numbers: WeakKeyDictionary[Session, int] = WeakKeyDictionary()
            self._next_number = 1
        if session not in self._numbers:
            self._numbers[session], self._next_number = self._next_number, self._next_number + 1
        return self._numbers[session]
