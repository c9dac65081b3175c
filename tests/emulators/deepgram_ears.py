"""Deepgram's streaming recogniser (`/v1/listen`) as Pipecat 1.14 meets it through Deepgram's own package.

Comes in: a websocket with query parameters, audio frames and JSON messages. Goes out: `Results`, growing and final, and
`Metadata` before the server closes. Which words are spoken is said by a `Timeline` of numbered sound.

Sources: developers.deepgram.com, pages Finalize, Audio Keep Alive, Close Stream, Endpointing; message models of deepgram-sdk 7.
Not known and chosen here: what is said to a `Finalize` with nothing to finish: nothing, as the page allows. Not emulated: closing
after ten seconds without sound or `KeepAlive`.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from .assemblyai_rules import Configuration
from .hearing import Ear, Heard, Timeline
from .serving import Emulator, Message, Planned, Session

ENDPOINTING_MS = 10
"""What the vendor waits by default before it ends a stretch of speech."""


@dataclass
class DeepgramSession(Session):
    """One recognition session. audio: every byte that came. hangs: it takes everything and says nothing any more."""

    audio: bytearray = field(default_factory=bytearray)
    hangs: bool = False

    @property
    def finals(self) -> list[str]:
        return [m.body["channel"]["alternatives"][0]["transcript"] for m in self.sent if m.body.get("is_final")]


class DeepgramEars(Emulator):
    """`async with DeepgramEars(timeline) as emu:`, then point a client at `emu.url`.

    final_delay: from the end of a stretch of speech to its words, seconds. key: the only accepted one; None: any.
    hangs:       sessions begin, and nothing is said in them.
    """

    scheme = "ws"

    def __init__(self, timeline: Timeline, *, key: str | None = None) -> None:
        super().__init__()
        self.timeline = timeline
        self.key = key
        self.final_delay = 0.2
        self.hangs = False
        self.sessions: list[DeepgramSession] = []
        self._refused: Planned[int] = Planned()

    @property
    def session(self) -> DeepgramSession:
        """The newest session."""
        return self.sessions[-1]

    def refuse_handshakes(self, status: int = 401, times: int | None = 1) -> None:
        self._refused.plan(status, times)

    def routes(self) -> Iterable[web.RouteDef]:
        return [web.get("/v1/listen", self._serve)]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        status = self._refused.take()
        if self.key is not None and request.headers.get("Authorization") != f"Token {self.key}":
            status = 401
        if request.query.get("encoding") != "linear16" or not request.query.get("sample_rate", "").isdecimal():
            status = status or 400
        if status:
            return web.json_response({"err_code": "REFUSED", "err_msg": "refused"}, status=status)
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        session = DeepgramSession(self, request, socket, hangs=self.hangs)
        self.sessions.append(session)
        try:
            await self._converse(session)
        finally:
            session.note_closed(socket.close_code or WSCloseCode.ABNORMAL_CLOSURE)
        return socket

    async def _converse(self, session: DeepgramSession) -> None:
        endpointing = session.query.get("endpointing") or str(ENDPOINTING_MS)
        silence = int(endpointing) if endpointing.isdecimal() else 3_600_000
        values = {"sample_rate": int(session.query["sample_rate"])}
        values |= {"min_turn_silence": silence, "max_turn_silence": silence}
        ear = Ear(
            deque(),
            Configuration(values),
            threshold=250.0,
            pause_ms=200,
            word_ms=250,
            partial_ms=300,
            timeline=self.timeline,
        )
        growing = session.query.get("interim_results") == "true"
        async for message in session.socket:
            if message.type is WSMsgType.BINARY:
                session.audio += message.data
                for heard in ear.hear(message.data):
                    if growing or heard.is_end:
                        await self._tell(session, heard)
            elif message.type is WSMsgType.TEXT:
                body: dict[str, Any] = json.loads(message.data)
                session.received.append(Message(time.monotonic(), body))
                match body["type"]:
                    case "Finalize":
                        if heard := ear.force():
                            await self._tell(session, heard, forced=True)
                    case "CloseStream":
                        await self._close(session)
                        return
                    case "KeepAlive":
                        pass
                    case other:
                        raise ValueError(f"Deepgram has no message {other!r}")

    async def _tell(self, session: DeepgramSession, heard: Heard, *, forced: bool = False) -> None:
        if heard.is_end:
            await asyncio.sleep(self.final_delay)
        if session.hangs:
            return
        step = (heard.end_ms - heard.start_ms) / 1000 / max(1, len(heard.words))
        words = [
            {"word": word.lower().strip(".,?!"), "punctuated_word": word, "confidence": 0.98}
            | {"start": heard.start_ms / 1000 + n * step, "end": heard.start_ms / 1000 + (n + 1) * step}
            for n, word in enumerate(heard.words)
        ]
        await session.send(
            {
                "type": "Results",
                "channel_index": [0, 1],
                "start": heard.start_ms / 1000,
                "duration": (heard.end_ms - heard.start_ms) / 1000,
                "is_final": heard.is_end,
                "speech_final": heard.is_end and not forced,
                "from_finalize": forced,
                "channel": {"alternatives": [{"transcript": heard.text, "confidence": 0.98, "words": words}]},
                "metadata": {
                    "request_id": str(uuid.uuid4()),
                    "model_uuid": str(uuid.uuid4()),
                    "model_info": {"name": "general-nova-3", "version": "2025-04-17.0", "arch": "nova-3"},
                },
            }
        )

    async def _close(self, session: DeepgramSession) -> None:
        if not session.hangs:
            about = {"transaction_key": "deprecated", "request_id": str(uuid.uuid4()), "sha256": "", "created": ""}
            await session.send({"type": "Metadata", "duration": 0.0, "channels": 1} | about)
        await session.end(1000, "")
