"""Cartesia's speech socket (`/tts/websocket`) as Pipecat 1.14 meets it, and `/voices/ID` for the check of keys.

Comes in: generation requests and cancels, many contexts on one socket. Goes out: chunk, timestamps, flush_done, done
and error messages.

Sources: the vendor's documentation, SDK 4.2.0, Pipecat 1.14. Not emulated: A-law, and the expiry of a context one
second after its last audio (what the vendor then sends is not documented).
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from aiohttp import WSCloseCode, WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .serving import Emulator, Message, Planned, Session
from .sound import encoded, seconds_of, voiced, words_of


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Voice(BaseModel):
    model_config = ConfigDict(strict=True)

    mode: Literal["id"] = "id"
    id: Annotated[str, Field(min_length=1)]


class _OutputFormat(_Strict):
    container: Literal["raw"]
    encoding: Literal["pcm_s16le", "pcm_f32le", "pcm_mulaw"]
    sample_rate: Literal[8000, 16000, 22050, 24000, 44100, 48000]


class _GenerationConfig(_Strict):
    volume: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0
    speed: Annotated[float, Field(ge=0.6, le=1.5)] = 1.0
    emotion: str | None = None


class GenerationRequest(_Strict):
    """One text for a context, as Cartesia's API reference has it."""

    context_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    model_id: Annotated[str, Field(min_length=1)]
    transcript: str
    voice: _Voice
    output_format: _OutputFormat
    continue_: Annotated[bool, Field(alias="continue")] = False
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$")] = "en"
    generation_config: _GenerationConfig = _GenerationConfig()
    add_timestamps: bool = False
    add_phoneme_timestamps: bool = False
    use_normalized_timestamps: bool = False
    max_buffer_delay_ms: Annotated[int, Field(ge=0, le=5000)] = 3000
    flush: bool = False
    duration: float | None = None
    speed: Literal["slow", "normal", "fast"] | None = None
    pronunciation_dict_id: str | None = None

    @property
    def locked(self) -> dict[str, object]:
        """What may not change within a context."""
        return {
            "voice": self.voice.id,
            "model_id": self.model_id,
            "language": self.language,
            "output_format": self.output_format,
        }


class LineRequest(_Strict):
    """One text of `/tts/bytes`, as Cartesia's API reference has it."""

    transcript: Annotated[str, Field(min_length=1)]
    model_id: Annotated[str, Field(min_length=1)]
    voice: _Voice
    output_format: _OutputFormat
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$")] = "en"
    generation_config: _GenerationConfig = _GenerationConfig()
    pronunciation_dict_id: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """An error message in place of an answer."""

    message: str
    with_context: bool
    title: str
    code: str
    status: int


@dataclass(frozen=True, slots=True)
class Break:
    """What happens to a text after so many of its chunks."""

    kind: Literal["hang", "close", "garble", "twice"]
    after: int = 0
    code: int = 1000
    sent: tuple[str, ...] = ()


@dataclass
class Context:
    """One speech context: what was asked of it and what it gave.

    transcripts: in order, empty ones left out.  audio_bytes: sent.
    Times: `time.monotonic()` seconds, None: has not happened.
    """

    id: str
    first: GenerationRequest
    opened_at: float = field(default_factory=time.monotonic)
    transcripts: list[str] = field(default_factory=list)
    first_audio_at: float | None = None
    cancelled_at: float | None = None
    done_at: float | None = None
    audio_bytes: int = 0
    spoken_seconds: float = 0.0
    flushes: int = 0
    queue: asyncio.Queue[GenerationRequest] = field(default_factory=asyncio.Queue)

    @property
    def text(self) -> str:
        return "".join(self.transcripts)

    @property
    def is_open(self) -> bool:
        return self.cancelled_at is None and self.done_at is None


@dataclass
class CartesiaSession(Session):
    """One socket. contexts: by id, in the order they were opened."""

    contexts: dict[str, Context] = field(default_factory=dict)
    speakers: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def error(
        self, title: str, message: str, *, context_id: str | None = None, code: str = "", status: int = 500
    ) -> None:
        """Sends an error now, from any thread. Without a context_id: allowed by the SDK's type, a trap for clients."""
        self.say(error_body(title, message, context_id, code, status))


class CartesiaEmulator(Emulator):
    """`async with CartesiaEmulator() as emu:`, then `CartesiaTTSService(url=emu.url, ...)`.

    first_delay:       seconds from a text to its first chunk.
    real_time_factor:  seconds of work per second of sound; 0: all at once, 1: as slow as it is spoken.
    chunk_seconds:     of sound in each chunk.
    key:               the only accepted key; None: any.
    voices:            known voice ids; None: all.
    most_contexts:     active at once over all sockets before 429; None: no limit (the vendor: 2 to 15 by plan).
    """

    path = "/tts/websocket"
    scheme = "ws"

    def __init__(self, *, key: str | None = None, voices: Iterable[str] | None = None) -> None:
        super().__init__()
        self.key = key
        self.voices = None if voices is None else set(voices)
        self.first_delay = 0.0
        self.real_time_factor = 0.1
        self.chunk_seconds = 0.1
        self.most_contexts: int | None = None
        self.sessions: list[CartesiaSession] = []
        self.voices_asked: list[str] = []
        self._refused_handshakes: Planned[int] = Planned()
        self._failures: Planned[Failure] = Planned()
        self._breaks: Planned[Break] = Planned()
        self.lines: list[str] = []

    @property
    def session(self) -> CartesiaSession:
        """The newest socket."""
        return self.sessions[-1]

    @property
    def contexts(self) -> list[Context]:
        """Every context of every socket, in order."""
        return [context for session in self.sessions for context in session.contexts.values()]

    @property
    def spoken(self) -> list[str]:
        """Every text that was asked for, in order."""
        texts = [m for s in self.sessions for m in s.received if m.body.get("transcript")]
        return [m.body["transcript"] for m in sorted(texts, key=lambda m: m.at)]

    def refuse_handshakes(self, status: int = 401, times: int | None = 1) -> None:
        self._refused_handshakes.plan(status, times)

    def hang(self, after: int = 0, times: int | None = 1) -> None:
        """Sends nothing more of the next text after `after` chunks of it."""
        self._breaks.plan(Break("hang", after), times)

    def close(self, code: int = 1000, after: int = 0, times: int | None = 1) -> None:
        """Closes the socket after `after` chunks of the next text; 1006: breaks the connection."""
        self._breaks.plan(Break("close", after, code), times)

    def garble(self, *sent: str, after: int = 0, times: int | None = 1) -> None:
        """Sends these messages after `after` chunks of the next text, and goes on."""
        self._breaks.plan(Break("garble", after, sent=sent), times)

    def twice(self, times: int | None = 1) -> None:
        """Sends every chunk of the next text twice."""
        self._breaks.plan(Break("twice"), times)

    def fail(
        self,
        message: str = "internal error",
        *,
        with_context: bool = True,
        times: int | None = 1,
        title: str = "Internal Server Error",
        code: str = "internal_error",
        status: int = 500,
    ) -> None:
        """Answers the next text with an error; `with_context=False` leaves out its context_id."""
        self._failures.plan(Failure(message, with_context, title, code, status), times)

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            web.get(self.path, self._serve),
            web.get("/voices/{id}", self._one_voice),
            web.post("/tts/bytes", self._speak_line),
        ]

    async def _speak_line(self, request: web.Request) -> web.Response:
        """One text over HTTP, its whole sound at once."""
        if self.key is not None and request.headers.get("X-API-Key") != self.key:
            return web.Response(status=401, text="Invalid API key")
        body = LineRequest.model_validate(await request.json())
        if self.voices is not None and body.voice.id not in self.voices:
            return web.Response(status=404, text="Voice not found")
        self.lines.append(body.transcript)
        form, manner = body.output_format, body.generation_config
        samples = voiced(body.transcript, form.sample_rate, manner.speed, manner.volume)
        return web.Response(body=encoded(samples, form.encoding), content_type="application/octet-stream")

    async def _one_voice(self, request: web.Request) -> web.Response:
        voice, version = request.match_info["id"], request.headers.get("Cartesia-Version", "")
        self.voices_asked.append(voice)
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", version):
            return _refused_by_http("Bad request", "Cartesia-Version is missing", "bad_request", 400)
        if scheme != "Bearer" or not key or (self.key is not None and key != self.key):
            return _refused_by_http("Unauthorized", "Invalid API key", "unauthorized", 401)
        if self.voices is not None and voice not in self.voices:
            return _refused_by_http("Voice not found", "voice.id is not known", "voice_not_found", 404)
        return web.json_response({"id": voice, "name": "Katie", "language": "en", "is_public": True})

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if status := self._refused_handshakes.take():
            return web.Response(status=status)
        key, version = request.headers.get("X-API-Key"), request.headers.get("Cartesia-Version", "")
        if not key or (self.key is not None and key != self.key) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", version):
            return web.Response(status=401, text="Invalid API key or missing Cartesia-Version")
        socket = web.WebSocketResponse(compress=False, timeout=1.0)
        await socket.prepare(request)
        session = CartesiaSession(self, request, socket)
        self.sessions.append(session)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._take(session, message.data)
        finally:
            for speaker in session.speakers.values():
                speaker.cancel()
            session.note_closed(socket.close_code or WSCloseCode.ABNORMAL_CLOSURE)
        return socket

    async def _take(self, session: CartesiaSession, text: str) -> None:
        try:
            body = json.loads(text)
        except json.JSONDecodeError as problem:
            body = problem
        if not isinstance(body, dict):
            await session.send(error_body("Invalid JSON", f"{body}", None, "bad_request", 400))
            return
        session.received.append(Message(time.monotonic(), body))
        if "cancel" in body:
            await self._cancel(session, body)
            return
        try:
            request = GenerationRequest.model_validate(body)
        except ValidationError as problem:
            first = problem.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            await session.send(_refused(body, "Invalid request", f"{where}: {first['msg']}"))
            return
        await self._generate(session, request, body)

    async def _cancel(self, session: CartesiaSession, body: dict[str, Any]) -> None:
        context = session.contexts.get(str(body.get("context_id")))
        if body.keys() != {"cancel", "context_id"} or body["cancel"] is not True:
            await session.send(_refused(body, "Invalid request", "cancel takes context_id and nothing else"))
        elif context and context.is_open:
            context.cancelled_at = time.monotonic()
            session.speakers.pop(context.id).cancel()

    async def _generate(self, session: CartesiaSession, request: GenerationRequest, body: dict[str, Any]) -> None:
        if failure := self._failures.take():
            about = request.context_id if failure.with_context else None
            await session.send(error_body(failure.title, failure.message, about, failure.code, failure.status))
            return
        if self.voices is not None and request.voice.id not in self.voices:
            await session.send(_refused(body, "Voice not found", "voice.id is not known", "voice_not_found", 404))
            return
        context = session.contexts.get(request.context_id)
        if context is None:
            active = sum(context.is_open for context in self.contexts)
            if self.most_contexts is not None and active >= self.most_contexts:
                text = f"{self.most_contexts} contexts are active"
                await session.send(_refused(body, "Too many requests", text, "concurrency_limited", 429))
                return
            context = session.contexts[request.context_id] = Context(request.context_id, request)
            session.speakers[context.id] = self._spawn(self._speak(session, context))
        elif not context.is_open:
            await session.send(_refused(body, "Invalid context", "context has ended", "context_closed"))
            return
        elif changed := [name for name, value in request.locked.items() if context.first.locked[name] != value]:
            text = f"{', '.join(changed)} must stay the same within a context"
            await session.send(_refused(body, "Invalid request", text))
            return
        if request.transcript:
            context.transcripts.append(request.transcript)
        context.queue.put_nowait(request)

    async def _speak(self, session: CartesiaSession, context: Context) -> None:
        """Speaks the texts of one context in order until one comes with `continue: false`."""
        waiting, due = "", 0.0
        while True:
            try:
                async with asyncio.timeout_at(due if waiting else None):
                    request = await context.queue.get()
            except TimeoutError:
                await self._speak_text(session, context, context.first, waiting)
                waiting = ""
                continue
            if not waiting:
                due = asyncio.get_running_loop().time() + request.max_buffer_delay_ms / 1000
            waiting += request.transcript
            ends_sentence = waiting.rstrip().endswith((".", "!", "?"))
            if waiting and (not request.max_buffer_delay_ms or ends_sentence or request.flush or not request.continue_):
                await self._speak_text(session, context, request, waiting)
                waiting = ""
            if not request.continue_:
                break
        context.done_at = time.monotonic()
        await session.send({"type": "done", "context_id": context.id, "done": True, "status_code": 200})

    async def _speak_text(
        self, session: CartesiaSession, context: Context, request: GenerationRequest, text: str
    ) -> None:
        context.flushes += 1
        tag = {"context_id": context.id, "done": False, "status_code": 206, "flush_id": context.flushes}
        started = time.monotonic()
        await asyncio.sleep(self.first_delay)
        form, manner = request.output_format, request.generation_config
        samples = voiced(text, form.sample_rate, manner.speed, manner.volume)
        words = words_of(text, manner.speed) if request.add_timestamps else []
        size = max(1, round(self.chunk_seconds * form.sample_rate))
        fault = self._breaks.take()
        for number, start in enumerate(range(0, len(samples), size)):
            if fault and number == fault.after:
                await self._break(session, fault)
            chunk = encoded(samples[start : start + size], form.encoding)
            context.first_audio_at = context.first_audio_at or time.monotonic()
            step_time = round(1000 * (time.monotonic() - started), 3)
            data = base64.b64encode(chunk).decode()
            for _ in range(2 if fault and fault.kind == "twice" else 1):
                await session.send(tag | {"type": "chunk", "data": data, "step_time": step_time})
            context.audio_bytes += len(chunk)
            end = (start + size) / form.sample_rate
            said = [word for word in words if word.start < end]
            words = words[len(said) :]
            if said:
                offset = context.spoken_seconds
                times = {
                    "words": [word.text for word in said],
                    "start": [round(offset + word.start, 3) for word in said],
                    "end": [round(offset + word.end, 3) for word in said],
                }
                await session.send(tag | {"type": "timestamps", "word_timestamps": times})
            await asyncio.sleep(self.chunk_seconds * self.real_time_factor)
        context.spoken_seconds += seconds_of(text, manner.speed)
        await session.send(tag | {"type": "flush_done", "flush_done": True})

    async def _break(self, session: CartesiaSession, fault: Break) -> None:
        for message in fault.sent:
            await session.send_text(message)
        if fault.kind == "close" and fault.code == WSCloseCode.ABNORMAL_CLOSURE:
            await session._drop()
        elif fault.kind == "close":
            await session.end(fault.code, "")
        if fault.kind in ("close", "hang"):
            await asyncio.Event().wait()


def error_body(title: str, message: str, context_id: str | None, code: str, status: int) -> dict[str, Any]:
    body: dict[str, Any] = {"type": "error", "done": True, "title": title, "message": message}
    body |= {"error_code": code, "status_code": status, "request_id": str(uuid.uuid4())}
    return body if context_id is None else body | {"context_id": context_id}


def _refused_by_http(title: str, message: str, code: str, status: int) -> web.Response:
    said = {"error_code": code, "title": title, "message": message, "request_id": str(uuid.uuid4())}
    return web.json_response(said, status=status)


def _refused(
    body: dict[str, Any], title: str, message: str, code: str = "invalid_request", status: int = 400
) -> dict[str, Any]:
    about = body.get("context_id")
    return error_body(title, message, about if isinstance(about, str) else None, code, status)
