"""Pipecat's ear by AssemblyAI, with every setting changeable while the caller speaks.

Comes in: frames of a call, and settings by `STTUpdateSettingsFrame`. Goes out: the caller's sound to the sessions, of which
`sessions` decides which one hears. What they are asked for is in `addresses`, what they hear in `words`, what people are told
of them in `report`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    StartFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.assemblyai.stt import AssemblyAISTTService
from pipecat.services.stt_service import STTService, WebsocketSTTService
from pipecat.utils.types import NOT_GIVEN, is_given

from runner.catalog import MAX_SILENCE_MS
from runner.compiler.services.assemblyai.addresses import MakesAddresses
from runner.compiler.services.assemblyai.differences import Address
from runner.compiler.services.assemblyai.report import Report
from runner.compiler.services.assemblyai.sending import PIECE_SECS
from runner.compiler.services.assemblyai.session import Session
from runner.compiler.services.assemblyai.sessions import Sessions
from runner.compiler.services.assemblyai.settings import ARGUMENTS, BY_ITSELF, OURS, PARAMETERS, EarSettings, beyond
from runner.compiler.services.assemblyai.words import TellsWords

VENDOR = "wss://streaming.assemblyai.com/v3/ws"


class AssemblyAIEars(MakesAddresses, TellsWords):
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
        self.report = Report(self, lambda: self._reconnect_on_error)
        self._sessions = Sessions(self)
        self._in_rate = 0
        self._pipeline_rate = 0
        self._vad_speaking = False
        self._last_reply: str | None = None
        self._has_started = False

    # Settings

    async def _update_settings(self, delta: Any) -> dict[str, Any]:
        """Take what a delta gives; None gives a setting back to what the service has by itself. Returns at once."""
        fitting: dict[str, Any] = {}
        for name, value in delta.given_fields().items():
            if words := beyond(name, value):
                await self.report.refused_change({name}, words)
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

    def assume_rate(self, rate: int) -> None:
        """The rate of the caller's sound, Hz, where no pipeline says it."""
        self._pipeline_rate = self._in_rate = rate
        self._sample_rate = self._init_sample_rate or rate

    def difference(self, has: Address) -> tuple[dict[str, Any], bool]:
        """What would be said to a session that runs with `has`, and whether it takes another session beside that."""
        return self._sessions.difference(has)

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
        await self.report.call_begins()

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
        was_connected = self.hears
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

    async def set_usable(self, is_usable: bool) -> None:
        """An ear that is given work again tries to have a session again."""
        await super().set_usable(is_usable)
        if is_usable:
            self._sessions.revive()

    async def went_over(self, old: Session | None, new: Session) -> None:
        self._websocket = new.socket
        if old is None:
            await self._call_event_handler("on_connected")
        if self._turn_proposed:
            await self._end_turn_in_silence(new)

    async def last_revisions(self) -> None:
        await self.wait_for_revisions(self._sessions.leaving)

    # Pipecat's own ways to a session, which nothing takes here

    async def _connect_websocket(self) -> None:
        raise NotImplementedError("the sessions are opened by Sessions")

    async def _disconnect_websocket(self) -> None:
        raise NotImplementedError("the sessions are closed by Sessions")
