"""Pipecat's ear by AssemblyAI, with every setting changeable while the caller speaks.

Comes in: frames of a call, and settings by `STTUpdateSettingsFrame`. Goes out: Pipecat's frames of what was heard. The sessions
themselves are `sessions`' affair.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from loguru import logger
from pipecat import version as pipecat_version
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    ProposedUserStoppedSpeakingFrame,
    StartFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.assemblyai.models import SpeechStartedMessage, TurnMessage
from pipecat.services.assemblyai.stt import (
    AssemblyAISTTService,
    _prepare_language_codes,  # pyright: ignore[reportPrivateUsage]
    is_u3_pro_model,
    map_language_from_assemblyai,
)
from pipecat.services.stt_service import STTService, WebsocketSTTService
from pipecat.transcriptions.language import Language
from pipecat.utils.errors import ErrorCategory
from pipecat.utils.time import time_now_iso8601
from pipecat.utils.types import NOT_GIVEN, is_given
from websockets.asyncio.client import ClientConnection

from runner.catalog import MAX_SILENCE_MS
from runner.compiler.services.assemblyai.differences import Address
from runner.compiler.services.assemblyai.refusals import RefusedError
from runner.compiler.services.assemblyai.session import PIECE_SECS, Message, Session
from runner.compiler.services.assemblyai.sessions import Sessions
from runner.compiler.services.assemblyai.settings import (
    ARGUMENTS,
    BY_ITSELF,
    NAMES,
    OURS,
    PARAMETERS,
    EarSettings,
    beyond,
    in_address,
)
from runner.compiler.services.assemblyai.speakers import TellsSpeakers
from runner.compiler.services.refused import RefusedChangeFrame, RefusedSessionFrame

VENDOR = "wss://streaming.assemblyai.com/v3/ws"

_READ = {"Begin", "Turn", "SpeechStarted", "Termination"}
"""The messages that Pipecat 1.14 reads; of any other it makes an error frame."""

_TAIL_SECS = 0.15
"""Loud sound shorter than this makes no words."""


class AssemblyAIEars(TellsSpeakers):
    """Pipecat's service on sessions of our own.

    Pipecat 1.14 closes and reopens the session inside the path of the frames for every setting but two, and loses what the
    caller says meanwhile. Here a documented field is one `UpdateConfiguration` on the open session; any other opens the next
    session in the background, and the caller's sound goes over when that one has begun. Nothing waits for the network. The
    text of the vendor's `Error` and `Warning` messages is kept.

    settings: what the agent file says; `vad_force_turn_endpoint`, `sample_rate` and the like too. What is not given is what
    Pipecat has by itself.

    A `sample_rate` other than the one the caller's sound has (Pipecat 1.14 would only put another number on it) is really
    sent: the sound is resampled.

    holds_endpoint: while it is true, a stop of the local voice detection does not end AssemblyAI's turn, as it does in pipecat
    turn detection otherwise; `end_utterance` does. Turn taking sets it while the caller dictates.
    """

    holds_endpoint = False

    Settings = EarSettings
    _settings: EarSettings  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, *, api_key: str, endpoint: str = VENDOR, should_interrupt: bool, settings: EarSettings) -> None:
        given = {name: getattr(settings, name) for name in ARGUMENTS}
        super().__init__(
            api_key=api_key,
            api_endpoint_base_url=endpoint,
            should_interrupt=should_interrupt,
            settings=settings,
            **{n: value for n, value in given.items() if is_given(value) and value is not None and n not in OURS},
        )
        for name in (*PARAMETERS, *ARGUMENTS):
            if not is_given(getattr(self._settings, name)):
                setattr(self._settings, name, BY_ITSELF.get(name))
        self._keep_sound: Any = self._settings.keep_sound
        self._reconnect_backoff_min_wait: Any = self._settings.reconnect_backoff_min_wait
        self._sessions = Sessions(self)
        self._in_rate = 0
        self._pipeline_rate = 0
        self._vad_speaking = False
        self._turn_proposed = False
        self._last_reply: str | None = None
        self._early_errors: list[ErrorFrame] = []
        self._has_started = False

    # Settings

    async def _update_settings(self, delta: Any) -> dict[str, Any]:
        """Take what a delta gives; None gives a setting back to what the service has by itself. Returns at once."""
        fitting: dict[str, Any] = {}
        for name, value in delta.given_fields().items():
            if words := beyond(name, value):
                await self.refused_change({name}, words)
                fitting[name] = NOT_GIVEN
            elif value is None:
                fitting[name] = self._last_reply if name == "agent_context" else BY_ITSELF.get(name)
        changed = await STTService._update_settings(self, replace(delta, **fitting))
        for name in changed.keys() & set(ARGUMENTS):
            setattr(self, f"_{name}", getattr(self._settings, name))
        if "sample_rate" in changed:
            self._sample_rate = self._settings.sample_rate or self._pipeline_rate
        if "vad_force_turn_endpoint" in changed:
            self._turn_proposed = False
        if changed.keys() & {"keepalive_timeout", "keepalive_interval"} and self._has_started:
            await self._cancel_keepalive_task()
            self._create_keepalive_task()
        if "ttfs_p99_latency" in changed and self._vad_force_turn_endpoint and self._has_started:
            await self.broadcast_service_metadata()
        self._sessions.changed()
        self._sessions.revive()
        return changed

    def wanted(self) -> dict[str, str]:
        """The parameters of a session as the settings are now, as they stand in an address."""
        stored, self._settings = self._settings, self._agreeing()
        try:
            query = super()._build_ws_url().removeprefix(self._api_endpoint_base_url).lstrip("?")
        finally:
            self._settings = stored  # pyright: ignore[reportIncompatibleVariableOverride]
        found = dict(parse_qsl(query, keep_blank_values=True))
        if not is_u3_pro_model(stored.model):
            found.pop("prompt", None)
        if stored.previous_context_n_turns == 0:
            found.pop("agent_context", None)  # said before context was switched off
        for name in PARAMETERS:
            if (value := getattr(stored, name)) is not None:
                found[name] = in_address(value)
        return found

    def assume_rate(self, rate: int) -> None:
        """The rate of the caller's sound, Hz, where no pipeline says it."""
        self._pipeline_rate = self._in_rate = rate
        self._sample_rate = self._init_sample_rate or rate

    def difference(self, has: Address) -> tuple[dict[str, Any], bool]:
        """What would be said to a session that runs with `has`, and whether it takes another session beside that."""
        return self._sessions.difference(has)

    def typed(self, name: str) -> object:
        """The value of a live field as an update says it."""
        value = getattr(self._agreeing(), name)
        if name == "language_codes":
            return _prepare_language_codes(value)
        return self._clip_agent_context(value) if name == "agent_context" else value

    def _agreeing(self) -> EarSettings:
        """The settings with the silences that go with the turn detection, as Pipecat 1.14 makes them agree when it is
        constructed, and only then."""
        if not self._vad_force_turn_endpoint:
            return self._settings
        agreed = replace(self._settings)
        if is_u3_pro_model(agreed.model):
            shortest = 100 if agreed.min_turn_silence is None else agreed.min_turn_silence
            agreed.min_turn_silence = agreed.max_turn_silence = shortest
        else:
            if agreed.end_of_turn_confidence_threshold is None:
                agreed.end_of_turn_confidence_threshold = 1.0
            if agreed.min_turn_silence is None:
                agreed.min_turn_silence = 160
        return agreed

    def _build_ws_url(self) -> str:
        return self.url_of(self.wanted())

    def url_of(self, address: Address) -> str:
        """A whole address; an endpoint may have parameters of its own."""
        base = self._api_endpoint_base_url
        return f"{base}{'&' if '?' in base else '?'}{urlencode(address)}"

    @property
    def headers(self) -> dict[str, str]:
        """Of the handshake, as Pipecat 1.14 sends them."""
        return {
            "Authorization": self._api_key,
            "User-Agent": f"AssemblyAI/1.0 (integration=Pipecat/{pipecat_version()})",
        }

    async def connect(self, address: Address) -> ClientConnection:
        return await self._websocket_connect(self.url_of(address), additional_headers=self.headers)

    async def _send_update_configuration(self, **_: Any) -> None:
        """Pipecat 1.14 calls this for the agent's own words, which stand in the settings already."""
        self._sessions.changed()

    async def _process_assistant_turn(self, text: str) -> None:
        self._last_reply = text or self._last_reply
        await super()._process_assistant_turn(text)

    # The call

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        self._has_started = True
        for error in self._early_errors:
            await self.push_error_frame(error)

    async def _connect(self) -> None:
        """Begin to open the first session. Pipecat 1.14 would let the call's start wait for it."""
        await WebsocketSTTService._connect(self)
        self._pipeline_rate = self._in_rate = self._setup_rate()
        self._sessions.start()

    def _setup_rate(self) -> int:
        return self._setup.audio_in_sample_rate if self._setup else self._sample_rate

    async def _disconnect(self) -> None:
        """Leave without waiting: the sessions are closed in the background (Pipecat 1.14 waits up to five seconds)."""
        await WebsocketSTTService._disconnect(self)
        was_connected, self._connected = self._connected, False
        self._sessions.stop()
        self._websocket = None
        if was_connected:
            await self._call_event_handler("on_disconnected")

    async def process_audio_frame(self, frame: InputAudioRawFrame, direction: FrameDirection) -> None:
        self._in_rate = frame.sample_rate
        await super().process_audio_frame(frame, direction)

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        self._sessions.hear(audio, self._in_rate)
        yield None

    def _record_stt_audio_usage(self, audio: bytes | bytearray) -> None:
        if self._in_rate:
            self._stt_usage_pending_seconds += len(audio) / (self._in_rate * 2)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._vad_speaking = True
            self._sessions.voice_began()
        await super(AssemblyAISTTService, self).process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame):
            self._vad_speaking = False
            if self._vad_force_turn_endpoint and not self.holds_endpoint:
                self.end_utterance()
            else:
                self._sessions.voice_ended()

    def end_utterance(self) -> None:
        """Ask AssemblyAI for the end of the turn that it hears (`ForceEndpoint`), in either turn detection."""
        self.request_finalize()
        self._sessions.force_end()

    def _is_keepalive_ready(self) -> bool:
        return self._sessions.current is not None

    async def _send_keepalive(self, silence: bytes) -> None:
        if session := self._sessions.current:
            piece = bytes(round(self._in_rate * PIECE_SECS) * 2)
            for _ in range(2):
                session.hear(piece, loud=False)
                self._record_stt_audio_usage(piece)

    # What the sessions ask and tell

    @property
    def speaking(self) -> bool:
        """Whether the local VAD hears the caller."""
        return self._vad_speaking

    @property
    def reconnects(self) -> bool:
        return self._reconnect_on_error

    @property
    def backoff(self) -> tuple[float, float]:
        return self._reconnect_backoff_min_wait, self._reconnect_backoff_max_wait

    @property
    def keep_secs(self) -> float:
        return self._keep_sound

    @property
    def longest_silence(self) -> float:
        """After how much silence AssemblyAI ends a turn by itself, seconds."""
        longest = self._agreeing().max_turn_silence
        return longest / 1000 if isinstance(longest, int) else MAX_SILENCE_MS / 1000

    @property
    def hears(self) -> bool:
        """Whether a session hears the caller."""
        return self._sessions.current is not None

    def take_unheard(self) -> tuple[bytes, int]:
        """What the caller said that was not finished when this ear was given up: sound, 16 bits mono, and its rate, Hz. For an
        ear that takes over; this one forgets it."""
        return self._sessions.take_unheard(), self._in_rate

    async def set_usable(self, is_usable: bool) -> None:
        """An ear that is given work again tries to have a session again."""
        await super().set_usable(is_usable)
        if is_usable:
            self._sessions.revive()

    async def went_over(self, old: Session | None, new: Session) -> None:
        self._websocket = new.socket
        self._connected = True
        if old is None:
            await self._call_event_handler("on_connected")
        if self._turn_proposed:
            await self._end_turn_in_silence(new)

    async def last_revisions(self) -> None:
        await self.wait_for_revisions(self._sessions.leaving)

    async def take(self, session: Session, message: Message) -> None:
        """One message of a session, in the order in which the caller spoke."""
        self.telling = session
        if session is self._sessions.current:
            await self._handle_message(message)
        elif message.get("type") == "Turn" and message.get("end_of_turn"):
            await self._last_words(TurnMessage.model_validate(message))
        elif message.get("type") == "Turn":
            await self._handle_message(message)

    async def refused_change(self, names: set[str], words: str) -> None:
        settings = tuple(sorted(NAMES.get(name, name) for name in names))
        await self._tell(RefusedChangeFrame(error=words, category=ErrorCategory.UNKNOWN, settings=settings))

    async def cannot_open(self, refusal: RefusedError, *, last: bool) -> None:
        """There is no session, and a try failed. last: no other is made."""
        await self._tell(self._frame(refusal, last), permanent=last)

    async def broke(self, refusal: RefusedError, *, last: bool) -> None:
        """A session ended by itself. last: no other is opened."""
        self._connected = False
        await self._tell(self._frame(refusal, last), permanent=last)

    def _frame(self, refusal: RefusedError, last: bool) -> ErrorFrame:
        words = refusal.words
        if last and refusal.again and not self.reconnects:
            words = f"{words}, and stt.reconnect_on_error is off"
        settings = tuple(sorted(NAMES[name] for name in refusal.names & NAMES.keys()))
        if refusal.category is ErrorCategory.INVALID_REQUEST and refusal.status:
            settings = ("endpoint",)
        return RefusedSessionFrame(error=words, category=refusal.category, settings=settings, again=not last)

    async def _tell(self, frame: ErrorFrame, *, permanent: bool = False) -> None:
        """Errors before the call has begun wait for its beginning: Pipecat 1.14 drops them."""
        if not self._has_started and self._setup:
            frame.processor = self
            self._early_errors.append(frame)
            if permanent:
                await self.set_usable(False)
                await self._call_event_handler("on_error", frame)
            return
        await self.push_error_frame(frame, force_treat_as_permanent=permanent)

    # Words

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

    # Pipecat's own ways to a session, which nothing takes here

    async def _connect_websocket(self) -> None:
        raise NotImplementedError("the sessions are opened by Sessions")

    async def _disconnect_websocket(self) -> None:
        raise NotImplementedError("the sessions are closed by Sessions")
