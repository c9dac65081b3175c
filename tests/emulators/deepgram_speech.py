"""Deepgram's speech socket (`/v1/speak`) as Pipecat 1.14 meets it.

Comes in: Speak, Flush, Clear and Close. Goes out: Metadata, sound as binary messages, Flushed, Cleared and Warning.

Sources: Deepgram's documentation ("Text to Speech, Continuous Text Stream", "Flush", "Clear"), and the types of its SDK. Not
emulated: other encodings, and speech before the Flush (the vendor begins at the end of a sentence).
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import WSCloseCode, WSMsgType, web

from .serving import Emulator, Message, Planned, Session
from .sound import encoded, voiced

RATES = {8000, 16000, 24000, 32000, 44100, 48000}
MOST_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to a text after so many pieces of its sound."""

    kind: Literal["hang", "close"]
    after: int = 0
    code: int = 1000


@dataclass
class DeepgramSession(Session):
    """One socket. waiting: texts that were not flushed yet."""

    waiting: list[str] = field(default_factory=list)
    speaker: asyncio.Task[None] | None = None


class DeepgramSpeechEmulator(Emulator):
    """`async with DeepgramSpeechEmulator() as emu:`, then `DeepgramTTSService(base_url=emu.url, ...)`.

    key:    the only accepted key; None: any. voices: known ones; None: all.
    spoken: every text that was flushed, in order.
    """

    scheme = "ws"

    def __init__(self, *, key: str | None = None, voices: Iterable[str] | None = None) -> None:
        super().__init__()
        self.key = key
        self.voices = None if voices is None else set(voices)
        self.piece_seconds = 0.1
        self.sessions: list[DeepgramSession] = []
        self.spoken: list[str] = []
        self._refused: Planned[int] = Planned()
        self._faults: Planned[Fault] = Planned()

    def refuse_handshakes(self, status: int = 401, times: int | None = 1) -> None:
        self._refused.plan(status, times)

    def hang(self, after: int = 0, times: int | None = 1) -> None:
        """Sends nothing more of the next text after `after` pieces of it."""
        self._faults.plan(Fault("hang", after), times)

    def close(self, code: int = 1000, after: int = 0, times: int | None = 1) -> None:
        """Closes the socket after `after` pieces of the next text; 1006: breaks the connection."""
        self._faults.plan(Fault("close", after, code), times)

    def mend(self) -> None:
        """Nothing fails any more."""
        self._faults.clear()
        self._refused.clear()

    def routes(self) -> Iterable[web.RouteDef]:
        return [web.get("/v1/speak", self._serve)]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if refusal := self._refusal(request):
            return refusal
        socket = web.WebSocketResponse(compress=False, timeout=1.0)
        await socket.prepare(request)
        session = DeepgramSession(self, request, socket)
        self.sessions.append(session)
        names = {"model_name": request.query["model"], "model_version": "2026-01-01.0", "model_uuid": str(uuid.uuid4())}
        await session.send({"type": "Metadata", "request_id": str(uuid.uuid4()), **names})
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._take(session, message.data)
        finally:
            if session.speaker:
                session.speaker.cancel()
            session.note_closed(socket.close_code or WSCloseCode.ABNORMAL_CLOSURE)
        return socket

    def _refusal(self, request: web.Request) -> web.Response | None:
        """The answer to a handshake that is refused."""
        query = request.query
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if status := self._refused.take():
            return _refused(status, "REFUSED", "The request is refused.")
        if scheme != "Token" or not key or (self.key is not None and key != self.key):
            return _refused(401, "INVALID_AUTH", "Invalid credentials.")
        if "model" not in query or (self.voices is not None and query["model"] not in self.voices):
            return _refused(400, "Bad Request", "No such model/language/tier combination found.")
        if query.get("encoding") != "linear16" or int(query.get("sample_rate", "0")) not in RATES:
            return _refused(400, "Bad Request", "Unsupported encoding or sample_rate.")
        if unknown := query.keys() - {"model", "encoding", "sample_rate", "speed", "mip_opt_out"}:
            return _refused(400, "Bad Request", f"Unknown parameters: {', '.join(sorted(unknown))}.")
        return None

    async def _take(self, session: DeepgramSession, text: str) -> None:
        try:
            body = json.loads(text)
        except json.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            await session.send(_warning("The message is no JSON.", "INVALID_MESSAGE"))
            return
        session.received.append(Message(time.monotonic(), body))
        match body:
            case {"type": "Speak", "text": str(said)} if len(body) == 2 and len(said) <= MOST_CHARACTERS:
                session.waiting.append(said)
            case {"type": "Flush"} if len(body) == 1:
                said, before = "".join(session.waiting).strip(), session.speaker
                session.waiting.clear()
                session.speaker = self._spawn(self._speak(session, said, before))
            case {"type": "Clear"} if len(body) == 1:
                session.waiting.clear()
                if session.speaker:
                    session.speaker.cancel()
                await session.send({"type": "Cleared", "sequence_id": len(session.of_type("Clear"))})
            case {"type": "Close"} if len(body) == 1:
                await session.end(WSCloseCode.OK, "")
            case _:
                await session.send(_warning("The message is not known.", "INVALID_MESSAGE"))

    async def _speak(self, session: DeepgramSession, text: str, before: asyncio.Task[None] | None) -> None:
        if before:
            await asyncio.wait([before])
        self.spoken.append(text)
        rate = int(session.query["sample_rate"])
        samples = voiced(text, rate, float(session.query.get("speed", 1.0)))
        size, fault = round(self.piece_seconds * rate), self._faults.take()
        for number, start in enumerate(range(0, len(samples), size)):
            if fault and number == fault.after:
                await self._break(session, fault)
            if session.socket.closed:
                return
            await session.socket.send_bytes(encoded(samples[start : start + size], "pcm_s16le"))
            await asyncio.sleep(0.01)
        await session.send({"type": "Flushed", "sequence_id": len(session.of_type("Flush"))})

    async def _break(self, session: DeepgramSession, fault: Fault) -> None:
        if fault.kind == "close" and fault.code == WSCloseCode.ABNORMAL_CLOSURE:
            await session._drop()
        elif fault.kind == "close":
            await session.end(fault.code, "")
        await asyncio.Event().wait()


def _refused(status: int, code: str, words: str) -> web.Response:
    said = {"err_code": code, "err_msg": words, "request_id": str(uuid.uuid4())}
    return web.json_response(said, status=status, headers={"dg-error": words})


def _warning(words: str, code: str) -> dict[str, Any]:
    return {"type": "Warning", "description": words, "code": code}
