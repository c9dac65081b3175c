"""A server that says to the page exactly what a test tells it: RTVI over websocket, the agents' state, no voice agent behind."""

from __future__ import annotations

import asyncio
import json
import math
import struct
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pipecat.frames.protobufs import frames_pb2

STATIC = Path(__file__).resolve().parents[2] / "runner" / "page" / "static"


def agent(name: str = "support", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "description": f"The agent called {name}.",
        "version": 1,
        "stages": ["identify", "refund"],
        "problems": [],
        "services": [],
        **more,
    }


@dataclass
class Script:
    """What the server shows and what it was asked. `url` is set while it runs."""

    agents: list[dict[str, Any]]
    url: str = ""
    offers: int = 0
    heard_bytes: int = 0
    queries: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    received: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    _call: WebSocket | None = None
    _listeners: list[asyncio.Queue[str]] = field(default_factory=list[asyncio.Queue[str]])

    def save(self, name: str, *, changes: list[str] | None = None, **now: Any) -> None:
        """The agent's file was saved."""
        one = next(one for one in self.agents if one["name"] == name)
        one.update(now)
        for queue in self._listeners:
            queue.put_nowait(json.dumps({"type": "agent", **one, "changes": changes or []}))

    async def rtvi(self, kind: str, data: Any = None) -> None:
        message = {"label": "rtvi-ai", "type": kind, "id": "1", **({} if data is None else {"data": data})}
        frame = frames_pb2.Frame()  # pyright: ignore[reportAttributeAccessIssue]
        frame.message.data = json.dumps(message)
        await self._send(frame)

    async def tell(self, **data: Any) -> None:
        """One of runner's own messages."""
        await self.rtvi("server-message", data)

    async def say(self, text: str, segment: int, *, spoken: str | None = None) -> None:
        """Words of the agent, all of them audible unless `spoken` is only their beginning."""
        done = text if spoken is None else spoken
        status = "completed" if done == text else "in-progress"
        progress = {"accumulated_text": done, "remaining_text": text[len(done) :]}
        data = {"text": text, "will_be_spoken": True, "segment_id": segment, "spoken_status": status}
        await self.rtvi("bot-output", {**data, "spoken_progress": progress})

    async def tone(self, seconds: float) -> None:
        """A sine of half the full scale, 24 kHz."""
        count = int(24_000 * seconds)
        samples = (int(16384 * math.sin(2 * math.pi * 440 * i / 24_000)) for i in range(count))
        frame = frames_pb2.Frame()  # pyright: ignore[reportAttributeAccessIssue]
        frame.audio.audio = struct.pack(f"<{count}h", *samples)
        frame.audio.sample_rate = 24_000
        frame.audio.num_channels = 1
        await self._send(frame)

    async def hang_up(self) -> None:
        assert self._call
        await self._call.close(1000)

    async def _send(self, frame: Any) -> None:
        assert self._call, "no call is running"
        await self._call.send_bytes(frame.SerializeToString())

    def app(self) -> FastAPI:
        app = FastAPI()
        app.mount("/static", StaticFiles(directory=STATIC))

        @app.get("/")
        async def page() -> FileResponse:
            return FileResponse(STATIC / "index.html")

        @app.get("/api/agents")
        async def agents() -> dict[str, Any]:
            return {"agents": self.agents}

        @app.get("/api/events")
        async def events() -> StreamingResponse:
            queue: asyncio.Queue[str] = asyncio.Queue()
            self._listeners.append(queue)

            async def stream() -> AsyncIterator[str]:
                while True:
                    yield f"data: {await queue.get()}\n\n"

            return StreamingResponse(stream(), media_type="text/event-stream")

        @app.post("/api/offer")
        async def offer() -> Response:
            self.offers += 1
            return Response("no WebRTC here", 501)

        @app.websocket("/ws-client/{name}")
        async def call(socket: WebSocket, name: str) -> None:
            self.queries.append({"agent": name, **socket.query_params})
            await socket.accept()
            self._call = socket
            try:
                while True:
                    await self._take(await socket.receive_bytes())
            except (WebSocketDisconnect, RuntimeError):
                pass

        return app

    async def _take(self, data: bytes) -> None:
        frame = frames_pb2.Frame.FromString(data)  # pyright: ignore[reportAttributeAccessIssue]
        if frame.WhichOneof("frame") == "audio":
            assert frame.audio.sample_rate == 16_000
            self.heard_bytes += len(frame.audio.audio)
            return
        message = json.loads(frame.message.data)
        self.received.append(message)
        if message["type"] == "client-ready":
            await self.rtvi("bot-ready", {"version": "2.2.0"})

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Script, None]:
        config = uvicorn.Config(
            self.app(),
            host="127.0.0.1",
            port=0,
            log_level="warning",
            timeout_graceful_shutdown=1,
            ws="websockets-sansio",
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
            await asyncio.sleep(0.01)
        self.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
        try:
            yield self
        finally:
            server.should_exit = True
            server.force_exit = True
            await serving
