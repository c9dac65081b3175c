"""What the sessions of AssemblyAI hear becomes Pipecat's frames: words, and where a turn begins and ends.

Comes in: the messages of the sessions, in the order in which the caller spoke. Goes out: transcriptions, and in AssemblyAI's own
turn detection the caller's turns. A turn may begin in one session and end in the next.
"""

from __future__ import annotations

import asyncio

from loguru import logger
from pipecat.frames.frames import Frame, ProposedUserStoppedSpeakingFrame, TranscriptionFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.assemblyai.models import SpeechStartedMessage, TurnMessage
from pipecat.services.assemblyai.stt import map_language_from_assemblyai
from pipecat.transcriptions.language import Language
from pipecat.utils.time import time_now_iso8601

from runner.compiler.services.assemblyai.session import Message, Session
from runner.compiler.services.assemblyai.sessions import Sessions
from runner.compiler.services.assemblyai.speakers import TellsSpeakers

_READ = {"Begin", "Turn", "SpeechStarted", "Termination"}
"""The messages that Pipecat 1.14 reads; of any other it makes an error frame."""

_TAIL_SECS = 0.15
"""Loud sound shorter than this makes no words."""


class TellsWords(TellsSpeakers):
    """Pipecat's service, that hears several sessions."""

    _sessions: Sessions
    _turn_proposed = False
    """In AssemblyAI's own turn detection: a turn of the caller is open."""

    async def take(self, session: Session, message: Message) -> None:
        """One message of a session, in the order in which the caller spoke."""
        self.telling = session
        if session is self._sessions.current:
            await self._handle_message(message)
        elif message.get("type") == "Turn" and message.get("end_of_turn"):
            await self._last_words(TurnMessage.model_validate(message))
        elif message.get("type") == "Turn":
            await self._handle_message(message)

    async def push_frame(self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        """Words stay: a turn that begins with words that are growing interrupts, and Pipecat 1.14 would drop their end with
        all that waits in its queues."""
        if isinstance(frame, TranscriptionFrame):
            frame.interruptible = False
        await super().push_frame(frame, direction)

    async def _handle_message(self, message: Message) -> None:
        match message.get("type"):
            case kind if kind in _READ:
                await super()._handle_message(message)
            case "Warning":
                logger.warning(f"AssemblyAI warns ({message.get('warning_code')}): {message.get('warning')}")
            case kind:
                logger.debug(f"AssemblyAI also says: {kind}")

    async def _handle_speech_started(self, message: SpeechStartedMessage) -> None:
        """A turn that goes on in another session begins once."""
        if not self._turn_proposed:
            await super()._handle_speech_started(message)
            self._turn_proposed = not self._vad_force_turn_endpoint

    async def _handle_transcription(self, message: TurnMessage) -> None:
        await super()._handle_transcription(message)
        if message.transcript and message.end_of_turn:
            self._turn_proposed = False

    async def _last_words(self, message: TurnMessage) -> None:
        """What a session that was left still heard: text, and no end of the caller's turn. It is final when the caller has
        stopped and the session after it has heard nothing worth a word."""
        if not message.transcript or (self._settings.format_turns and not message.turn_is_formatted):
            return
        new = self._sessions.current
        if self._vad_force_turn_endpoint and (new is None or new.voiced_secs < _TAIL_SECS):
            self.confirm_finalize()
        text, speaker = message.transcript, message.speaker or self._user_id
        sure = message.language_code and (message.language_confidence or 0) >= 0.7
        language = map_language_from_assemblyai(message.language_code or "en") if sure else Language.EN
        await self.emit_stt_usage_metrics()
        await self.push_frame(TranscriptionFrame(text, speaker, time_now_iso8601(), language, message))

    async def _end_turn_in_silence(self, session: Session) -> None:
        """In AssemblyAI's own turn detection a turn that went over to another session ends there; where that one hears
        nothing any more, nobody would end it."""
        longest = self._settings.max_turn_silence
        silence = longest / 1000 if isinstance(longest, int) else 1.0
        sessions = self._sessions
        while self._turn_proposed and session is sessions.current and not session.spoke:
            if sessions.sound.silent_secs >= silence and not sessions.words_are_due(session):
                self._turn_proposed = self._user_speaking = False
                await self.broadcast_frame(ProposedUserStoppedSpeakingFrame)
                return
            await asyncio.sleep(0.05)
