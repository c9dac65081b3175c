"""AssemblyAI's streaming v3 (`/v3/ws`, `/v3/token`) as Pipecat 1.14 and runner's check of keys meet it.

Comes in: a websocket with query parameters, audio frames and JSON messages. Goes out: Begin, SpeechStarted, Turn,
Termination, or an Error frame and a close with the same code. As with the vendor, the upgrade succeeds first and
refusals come after it.

Sources: the vendor's documentation and SDK 1.8.2, and reports of live calls up to 2026-09-24. Not known and chosen
here: what `/v3/token` says to a wrong key; a single frame below 50 ms is tolerated; ForceEndpoint without an open turn
does nothing; `mode` in an update has no effect. Not emulated: closing after `inactivity_timeout`.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from .assemblyai_rules import Configuration, RefusedError
from .hearing import Ear, Heard, Timeline
from .serving import Emulator, Message, Planned, Session

CLOSE_REASON = "See Error message for details"
SHORTEST_FRAME_MS, LONGEST_FRAME_MS = 50.0, 1000.0
# Live, 20 ms frames were refused after 49 of them.
SHORT_FRAMES_TOLERATED_MS = 980.0
BYTES_A_SAMPLE = {"pcm_s16le": 2, "pcm_mulaw": 1}


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """at: `time.monotonic()` seconds.  size: bytes.  after_terminate: the client had already said Terminate."""

    at: float
    size: int
    after_terminate: bool


@dataclass
class AssemblyAISession(Session):
    """One recognition session.

    configuration:          what the session runs with now, updates included.
    audio:                  every audio byte before Terminate, in order.
    audio_after_terminate:  every audio byte after it: what the caller said and nobody heard.
    frames:                 each audio frame's time and size.
    hangs:                  it takes everything and says nothing any more, not even goodbye.
    tamper:                 like the emulator's, for this session alone.
    told:                   number of a finished turn -> who spoke and in which language, as it was sent.
    """

    configuration: Configuration = field(default_factory=Configuration)
    audio: bytearray = field(default_factory=bytearray)
    audio_after_terminate: bytearray = field(default_factory=bytearray)
    frames: list[AudioFrame] = field(default_factory=list)
    terminated_at: float | None = None
    told: dict[int, dict[str, Any]] = field(default_factory=dict)
    hangs: bool = False
    tamper: Tamper | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.id = str(uuid.uuid4())
        self.short_ms = 0.0
        self.announced = -1
        self.ear: Ear | None = None
        self.outgoing: asyncio.Queue[tuple[float, dict[str, Any] | None]] = asyncio.Queue()

    @property
    def owner(self) -> AssemblyAIEmulator:
        assert isinstance(self.emulator, AssemblyAIEmulator)
        return self.emulator

    @property
    def updates(self) -> list[Message]:
        return self.of_type("UpdateConfiguration")

    @property
    def finals(self) -> list[str]:
        """Transcripts of the turns this session has ended, formatted ones only."""
        return [m.body["transcript"] for m in self.sent if m.body.get("end_of_turn") and m.body["turn_is_formatted"]]

    @property
    def unscripted(self) -> int:
        """How often speech opened a turn for which the script had nothing left."""
        return self.ear.unscripted if self.ear else 0

    @property
    def audio_seconds(self) -> float:
        return len(self.audio) / (BYTES_A_SAMPLE.get(self.configuration.encoding, 1) * self.configuration.sample_rate)

    def fail(self, code: int = 3005, text: str = "Session Cancelled: An error occurred") -> None:
        """Ends the session with an Error frame, now, from any thread."""
        self.emulator.act(self.refuse(code, text))

    def warn(self, text: str, code: int = 1) -> None:
        """Sends a Warning (in the SDK; the codes are not documented)."""
        self.say({"type": "Warning", "warning_code": code, "warning": text})

    async def refuse(self, code: int, text: str) -> None:
        await self.send({"type": "Error", "error_code": code, "error": text})
        await self.end(code, CLOSE_REASON)


Tamper = Callable[[AssemblyAISession, dict[str, Any]], Sequence[dict[str, Any] | str]]


class AssemblyAIEmulator(Emulator):
    """`async with AssemblyAIEmulator() as emu: emu.script(["I want a refund."])`, then point a client at `emu.url`.

    Times in seconds, all may be changed while it runs:
    connect_delay:      before the upgrade is answered.
    begin_delay:        from the upgrade to Begin (the vendor: about 1.2 with connecting).
    final_delay:        from the end of a turn (silence or ForceEndpoint) to its final (the vendor: about 0.27).
    termination_delay:  from Terminate to Termination (the vendor: 0.55 to 1.2); None: never answered.
    expires_in:         from the upgrade to the end of the longest session; it then ends with 3008 (the vendor: 3 hours).
    key:                the only accepted key; None: any key that is not a Bearer.
    tamper:             a session and a message that is due -> what is sent instead: messages, text that is none, or nothing.
    speakers:           with speaker_labels, the label of each coming final; then A, or UNKNOWN for one or two words.
    languages:          with language_detection, code and confidence of each coming final; then English.
    revisions:          what the `SpeakerRevision` before Termination says otherwise: number of the turn -> label.
    timeline:           which word is spoken in which of the numbered 10 ms of the caller's sound; replaces the script.
    """

    path = "/v3/ws"
    scheme = "ws"

    def __init__(self, *, key: str | None = None) -> None:
        super().__init__()
        self.key = key
        self.connect_delay = 0.0
        self.begin_delay = 0.0
        self.final_delay = 0.27
        self.termination_delay: float | None = 0.7
        self.expires_in = 3 * 3600.0
        self.timeline: Timeline | None = None
        self.tamper: Tamper | None = None
        self.threshold = 250.0
        self.pause_ms = 200
        self.word_ms = 250
        self.partial_ms = 300
        self.speakers: deque[str] = deque()
        self.languages: deque[tuple[str, float]] = deque()
        self.revisions: dict[int, str] = {}
        self.sessions: list[AssemblyAISession] = []
        self.handshakes = 0
        self.tokens_asked: list[int] = []
        self._script: deque[tuple[str, ...]] = deque()
        self._refused_handshakes: Planned[int] = Planned()
        self._refused_sessions: Planned[tuple[int, str]] = Planned()
        self._refused_updates: Planned[str] = Planned()

    @property
    def session(self) -> AssemblyAISession:
        """The newest session."""
        return self.sessions[-1]

    def script(self, utterances: Iterable[str | Sequence[str]]) -> None:
        """Adds what the caller is going to say: one entry each time speech opens a turn.

        An entry that is a list is one utterance spoken with pauses: `["jane", "at example", "dot com."]`.
        Speech with an empty script is heard as nothing and counted in `session.unscripted`.
        """
        self._script.extend((entry,) if isinstance(entry, str) else tuple(entry) for entry in utterances)

    def refuse_handshakes(self, status: int = 401, times: int | None = 1) -> None:
        """Answers the next handshakes with an HTTP status instead of the upgrade."""
        self._refused_handshakes.plan(status, times)

    def refuse_sessions(
        self, code: int = 1008, text: str = "Unauthorized Connection: Invalid API key", times: int | None = 1
    ) -> None:
        """Accepts the upgrade of the next sessions, then ends them with an Error frame."""
        self._refused_sessions.plan((code, text), times)

    def refuse_updates(
        self, text: str = "User Input Validation Error: Invalid 'keyterms_prompt'", times: int | None = 1
    ) -> None:
        """Ends the session with 3006 at the next UpdateConfiguration, however good it is."""
        self._refused_updates.plan(text, times)

    def routes(self) -> Iterable[web.RouteDef]:
        return [web.get(self.path, self._serve), web.get("/v3/token", self._give_token)]

    async def _give_token(self, request: web.Request) -> web.Response:
        """Answers with a temporary token; the status is kept in `tokens_asked`."""
        key = request.headers.get("Authorization")
        secs, longest = request.query.get("expires_in_seconds", ""), request.query.get("max_session_duration_seconds")
        if not key or key.lower().startswith("bearer ") or (self.key is not None and key != self.key):
            status, body = 401, {"error": "Unauthorized Connection: Invalid API key"}
        elif not _is_between(secs, 1, 600) or (longest is not None and not _is_between(longest, 60, 10800)):
            status, body = 422, {"error": "expires_in_seconds must be between 1 and 600"}
        else:
            status, body = 200, {"token": uuid.uuid4().hex, "expires_in_seconds": int(secs)}
        self.tokens_asked.append(status)
        return web.json_response(body, status=status)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.handshakes += 1
        await asyncio.sleep(self.connect_delay)
        if status := self._refused_handshakes.take():
            return web.Response(status=status)
        socket = web.WebSocketResponse(compress=False, timeout=1.0, max_msg_size=16 * 1024 * 1024)
        await socket.prepare(request)
        session = AssemblyAISession(self, request, socket)
        self.sessions.append(session)
        sender = self._spawn(_send_when_due(session))
        try:
            await self._converse(session)
        except RefusedError as refusal:
            await session.refuse(refusal.code, refusal.text)
        finally:
            sender.cancel()
            session.note_closed(socket.close_code or WSCloseCode.ABNORMAL_CLOSURE)
        return socket

    async def _converse(self, session: AssemblyAISession) -> None:
        self._authorize(session)
        if refused := self._refused_sessions.take():
            raise RefusedError(*refused)
        configuration = session.configuration
        configuration.connect(session.query)
        ear = Ear(
            self._script,
            configuration,
            threshold=self.threshold,
            pause_ms=self.pause_ms,
            word_ms=self.word_ms,
            partial_ms=self.partial_ms,
            timeline=self.timeline,
        )
        session.ear = ear
        begin = {"type": "Begin", "id": session.id, "expires_at": int(time.time() + self.expires_in)}
        self._spawn(self._expire(session, time.monotonic() + self.expires_in))
        self._queue(session, begin | {"configuration": configuration.echo()}, self.begin_delay)

        async for message in session.socket:
            if message.type is WSMsgType.BINARY:
                self._take_audio(session, ear, message.data)
            elif message.type is WSMsgType.TEXT:
                self._take_message(session, ear, message.data)

    async def _expire(self, session: AssemblyAISession, at: float) -> None:
        while session.is_open and time.monotonic() < at:  # noqa: ASYNC110 - it may be closed at any moment
            await asyncio.sleep(min(0.2, max(0.0, at - time.monotonic())))
        if session.is_open:
            await session.refuse(3008, "Session Expired: Maximum session duration exceeded")

    def _authorize(self, session: AssemblyAISession) -> None:
        key = session.headers.get("Authorization")
        if not key:
            raise RefusedError(1008, "Unauthorized Connection: Missing Authorization header")
        if key.lower().startswith("bearer ") or (self.key is not None and key != self.key):
            raise RefusedError(1008, "Unauthorized Connection: Invalid API key")

    def _take_audio(self, session: AssemblyAISession, ear: Ear, audio: bytes) -> None:
        after = session.terminated_at is not None
        session.frames.append(AudioFrame(time.monotonic(), len(audio), after))
        if after:
            session.audio_after_terminate += audio
            return
        session.audio += audio
        _check_duration(session, len(audio))
        for heard in ear.hear(audio):
            self._tell(session, heard)

    def _take_message(self, session: AssemblyAISession, ear: Ear, text: str) -> None:
        try:
            body = json.loads(text)
        except json.JSONDecodeError as problem:
            raise RefusedError(3006, f"User Input Validation Error: Invalid JSON: {problem}") from None
        if not isinstance(body, dict):
            raise RefusedError(3006, "User Input Validation Error: Invalid JSON: expected an object")
        session.received.append(Message(time.monotonic(), body))
        match body.get("type"):
            case "UpdateConfiguration":
                if refused := self._refused_updates.take():
                    raise RefusedError(3006, refused)
                session.configuration.update({name: value for name, value in body.items() if name != "type"})
            case "ForceEndpoint":
                self._tell(session, ear.force())
            case "KeepAlive":
                pass
            case "Terminate":
                self._terminate(session, ear)
            case other:
                raise RefusedError(3006, f"User Input Validation Error: Invalid Message Type: {other}")

    def _terminate(self, session: AssemblyAISession, ear: Ear) -> None:
        if session.terminated_at is not None:
            return
        session.terminated_at = time.monotonic()
        self._tell(session, ear.force())
        if not session.configuration.is_u3:
            self._queue(
                session, _turn(session, Heard(session.announced + 1, "", (), 0, 0, is_end=True), formatted=True)
            )
        if self.termination_delay is None:
            return
        if session.configuration.flag("speaker_labels"):
            revised = [
                {
                    "turn_order": order,
                    "speaker_label": self.revisions.get(order, told.get("speaker_label")),
                    "words": [],
                }
                for order, told in session.told.items()
            ]
            self._queue(session, {"type": "SpeakerRevision", "revisions": revised}, self.termination_delay)
        lasted = round(time.monotonic() - session.opened_at, 2)
        termination = {"type": "Termination", "audio_duration_seconds": round(session.audio_seconds, 2)}
        self._queue(session, termination | {"session_duration_seconds": lasted}, self.termination_delay)
        session.outgoing.put_nowait((0, None))

    def _tell(self, session: AssemblyAISession, heard: Heard | None) -> None:
        if heard is None:
            return
        delay = self.final_delay if heard.is_end else 0.0
        is_u3 = session.configuration.is_u3
        if heard.is_end:
            self._tell_apart(session, heard)
        if heard.order > session.announced:
            session.announced = heard.order
            if is_u3:
                started = {"type": "SpeechStarted", "timestamp": heard.start_ms, "confidence": 0.96}
                self._queue(session, started, delay)
        if is_u3:
            self._queue(session, _turn(session, heard, formatted=True), delay)
            return
        self._queue(session, _turn(session, heard, formatted=False), delay)
        # The older family sends a final twice when it formats.
        if heard.is_end and session.configuration.flag("format_turns"):
            self._queue(session, _turn(session, heard, formatted=True), delay)

    def _tell_apart(self, session: AssemblyAISession, heard: Heard) -> None:
        """Who spoke and in which language, for finals only; a turn of one or two words is too short to tell who spoke."""
        told = session.told.setdefault(heard.order, {})
        if session.configuration.flag("language_detection"):
            code, confidence = self.languages.popleft() if self.languages else ("en", 0.99)
            told |= {"language_code": code, "language_confidence": confidence}
        if session.configuration.flag("speaker_labels"):
            short = "UNKNOWN" if len(heard.words) < 3 else "A"
            told |= {"speaker_label": self.speakers.popleft() if self.speakers else short, "speaker_confidence": 0.88}

    def _queue(self, session: AssemblyAISession, body: dict[str, Any], delay: float = 0.0) -> None:
        session.outgoing.put_nowait((time.monotonic() + delay, body))


async def _send_when_due(session: AssemblyAISession) -> None:
    """Keeps the order: what is queued later never overtakes what waits for its time. None ends the session."""
    while True:
        due, body = await session.outgoing.get()
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        if session.hangs:
            continue
        if body is None:
            await session.end(1000, "Session Ended")
            return
        tamper = session.tamper or session.owner.tamper
        for piece in tamper(session, body) if tamper else [body]:
            await (session.send_text(piece) if isinstance(piece, str) else session.send(piece))


def _check_duration(session: AssemblyAISession, size: int) -> None:
    """Raises RefusedError(3007) for a frame above 1000 ms, or when short frames go on for about a second."""
    width = BYTES_A_SAMPLE.get(session.configuration.encoding)
    if width is None:
        return
    lasts = round(1000 * size / (width * session.configuration.sample_rate), 1)
    session.short_ms = session.short_ms + lasts if lasts < SHORTEST_FRAME_MS else 0.0
    if lasts > LONGEST_FRAME_MS or session.short_ms >= SHORT_FRAMES_TOLERATED_MS:
        violation = f"Input Duration Violation: {lasts} ms. Expected between 50 and 1000 ms"
        raise RefusedError(3007, f"Input Duration Error: {violation}")


def _turn(session: AssemblyAISession, heard: Heard, *, formatted: bool) -> dict[str, Any]:
    text = heard.text if formatted else "".join(c for c in heard.text.lower() if c not in ".,?!")
    words = [word if formatted else word.lower().strip(".,?!") for word in heard.words]
    step = (heard.end_ms - heard.start_ms) / max(1, len(words))
    body: dict[str, Any] = {
        "type": "Turn",
        "turn_order": heard.order,
        "turn_is_formatted": formatted,
        "end_of_turn": heard.is_end,
        "transcript": text,
        "end_of_turn_confidence": 1.0 if heard.is_end else 0.0,
        "utterance": text if heard.is_end else "",
        "words": [
            {
                "start": round(heard.start_ms + index * step),
                "end": round(heard.start_ms + (index + 1) * step),
                "text": word,
                "confidence": 0.92,
                "word_is_final": heard.is_end or index < len(words) - 1,
            }
            for index, word in enumerate(words)
        ],
    }
    if heard.is_end:
        body |= session.told.get(heard.order, {})
    return body


def _is_between(number: str, least: int, most: int) -> bool:
    return number.isdecimal() and least <= int(number) <= most
