"""The web application: the page, WebRTC offers, RTVI over websocket, the agents' state, health.

Comes in: requests. Goes out: calls to the switchboard. Binds where the command line says; knows who may ask what.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.request_handler import (
    IceCandidate,
    SmallWebRTCPatchRequest,
    SmallWebRTCRequest,
    SmallWebRTCRequestHandler,
)
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport

from runner.live.access import Access
from runner.live.admission import Admission
from runner.live.call import Call
from runner.live.carriers.client_sound import ClientSerializer
from runner.live.carriers.daily_start import start_routes
from runner.live.carriers.daily_webhook import webhook_routes
from runner.live.carriers.phones import phone_routes
from runner.live.reload import Agents, LiveAgent
from runner.live.switchboard import Switchboard
from runner.live.turned_away import answer_who_is_not_admitted
from runner.problem import short_path

_PAGE = Path(__file__).resolve().parent.parent / "page" / "static"
_CLIENT_READY_SECS = 3.0
"""How long the greeting waits for a client that never says it is ready."""

_NOBODY_CAME_SECS = 20.0
"""A page that could not connect by WebRTC goes on by websocket; the call that waits for it is given up after this time."""

_PIN_TAKES = "pin takes 1 (keep the version the call begins with) or 0."

_KEEP_ALIVE_SECS = 15.0


@dataclass(slots=True)
class News:
    """What saves did, told to every page that listens."""

    _listeners: set[asyncio.Queue[dict[str, Any] | None]] = field(
        default_factory=set[asyncio.Queue[dict[str, Any] | None]]
    )

    def tell(self, item: dict[str, Any]) -> None:
        for queue in self._listeners:
            queue.put_nowait(item)

    def close(self) -> None:
        """No more news: every page's stream ends."""
        for queue in self._listeners:
            queue.put_nowait(None)

    async def listen(self) -> AsyncIterator[dict[str, Any] | None]:
        """Items as they come; None from time to time, so that a closed connection is noticed."""
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            while True:
                try:
                    item = await asyncio.wait_for(queue.get(), _KEEP_ALIVE_SECS)
                except TimeoutError:
                    yield None
                else:
                    if item is None:
                        return
                    yield item
        finally:
            self._listeners.discard(queue)


def build_app(agents: Agents, switchboard: Switchboard, access: Access, news: News) -> FastAPI:
    """The application. `access` decides about hosts, origins and the token before any route runs."""
    app = FastAPI(title="runner", docs_url=None, redoc_url=None, openapi_url=None)
    webrtc = SmallWebRTCRequestHandler()
    app.state.webrtc = webrtc
    answer_who_is_not_admitted(app)
    app.include_router(phone_routes(agents, switchboard, access))
    app.include_router(start_routes(agents, switchboard))
    app.include_router(webhook_routes(agents, switchboard, access))

    @app.middleware("http")
    async def guard(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        path = request.url.path
        refusal = access.refuse(request.headers, request.query_params.get("token"), path=path)
        if refusal and not access.is_proven_elsewhere(path):
            return JSONResponse({"detail": refusal}, status_code=403)
        response = await answer(request)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    def agent_named(name: str | None) -> LiveAgent:
        agent = agents.named(name)
        if agent is None:
            known = ", ".join(a.name for a in agents)
            raise HTTPException(
                404, f"There is no agent {name!r}. There are: {known}." if name else f"Say which: {known}."
            )
        return agent

    @app.get("/")
    async def page() -> FileResponse:
        return FileResponse(_PAGE / "index.html", headers={"Cache-Control": "no-store"})

    app.mount("/static", StaticFiles(directory=_PAGE, check_dir=False), name="static")

    @app.get("/health")
    async def health() -> dict[str, Any]:
        calls = switchboard.calls
        return {
            "status": "draining" if switchboard.gate.draining else "ok",
            "calls": len(calls),
            "limit": switchboard.gate.limit,
            "agents": [
                {"name": a.name, "version": a.version, "calls": sum(c.agent_name == a.name for c in calls)}
                for a in agents
            ],
        }

    @app.get("/api/agents")
    async def all_agents() -> dict[str, Any]:
        return {"agents": [describe(agent, switchboard) for agent in agents]}

    @app.get("/api/events")
    async def events() -> StreamingResponse:
        async def stream() -> AsyncIterator[str]:
            for agent in agents:
                yield _sse({"type": "agent", **describe(agent, switchboard), "changes": []})
            async for item in news.listen():
                yield _sse(item) if item else ": still here\n\n"

        return StreamingResponse(stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    @app.post("/api/offer")
    async def offer(request: Request) -> dict[str, str] | None:
        body = await _json(request)
        agent = agent_named(request.query_params.get("agent"))
        try:
            wanted = SmallWebRTCRequest.from_dict(body)
        except TypeError:
            raise HTTPException(422, "A WebRTC offer needs sdp and type.") from None

        asked = request.query_params.get("pin")
        if asked is None and isinstance(wanted.request_data, dict):
            asked = cast("dict[str, Any]", wanted.request_data).get("pin")
        pinned = _wants_pin(asked)
        if pinned is None:
            raise HTTPException(422, _PIN_TAKES)

        with contextlib.ExitStack() as stack:
            goes_on = wanted.pc_id in webrtc._pcs_map  # pyright: ignore[reportPrivateUsage]  # a call that runs (1.14)
            admission = None if goes_on else stack.enter_context(switchboard.admit())

            async def connected(connection: SmallWebRTCConnection) -> None:
                transport = SmallWebRTCTransport(
                    webrtc_connection=connection,
                    params=TransportParams(audio_in_enabled=True, audio_out_enabled=True),
                )
                await _take_call(switchboard, agent, transport, "web", pinned=pinned, admission=admission)

            return await webrtc.handle_web_request(wanted, connected)

    @app.patch("/api/offer")
    async def candidates(request: Request) -> dict[str, str]:
        body = await _json(request)
        try:
            found = [IceCandidate(**candidate) for candidate in body.get("candidates", [])]
            await webrtc.handle_patch_request(SmallWebRTCPatchRequest(pc_id=body["pc_id"], candidates=found))
        except (KeyError, TypeError):
            raise HTTPException(422, "ICE candidates need pc_id and candidates.") from None
        return {"status": "success"}

    @app.websocket("/ws-client/{name}")
    async def rtvi_client(socket: WebSocket, name: str) -> None:
        refusal = access.refuse(socket.headers, socket.query_params.get("token"), path=socket.url.path)
        agent = agents.named(name)
        pinned = _wants_pin(socket.query_params.get("pin"))
        if refusal or agent is None or pinned is None:
            why = refusal or (f"There is no agent {name!r}." if agent is None else _PIN_TAKES)
            await socket.send_denial_response(
                JSONResponse({"detail": why}, status_code=422 if agent and not refusal else 403)
            )
            return
        with switchboard.admit() as admission:
            await socket.accept()
            transport = FastAPIWebsocketTransport(
                websocket=socket,
                params=FastAPIWebsocketParams(
                    audio_in_enabled=True,
                    audio_out_enabled=True,
                    serializer=ClientSerializer(),
                    allowed_origins=[],
                ),
            )
            call = await _take_call(switchboard, agent, transport, "websocket", pinned=pinned, admission=admission)
        await call.over()

    return app


def describe(agent: LiveAgent, switchboard: Switchboard) -> dict[str, Any]:
    """An agent as the page shows it."""
    return {
        "name": agent.name,
        "description": agent.definition.description,
        "version": agent.version,
        "stages": list(agent.definition.stages),
        "problems": [
            {
                **problem.as_json(),
                "file": short_path(problem.file),
                "snippet": problem.snippet,
                "length": problem.length,
            }
            for problem in agent.problems
        ],
        "services": [
            {"part": choice.part, "name": switchboard.describe(choice), "why": choice.why, "local": choice.local}
            for choice in switchboard.choices(agent.definition)
        ],
    }


async def _take_call(
    switchboard: Switchboard,
    agent: LiveAgent,
    transport: Any,
    carrier: str,
    *,
    pinned: bool,
    admission: Admission | None,
) -> Call:
    call = await switchboard.place(agent, transport, carrier, pinned=pinned, admission=admission)
    call.await_caller(_NOBODY_CAME_SECS)

    @call.worker.rtvi.event_handler("on_client_ready")
    async def ready(*_: object) -> None:
        await call.begin()

    waiting: set[asyncio.Task[None]] = set()

    async def begin_in_any_case() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(call.over(), _CLIENT_READY_SECS)
        await call.begin()

    @transport.event_handler("on_client_connected")
    async def connected(*_: object) -> None:
        # Not awaited here: Pipecat 1.14 ends a transport only when its handlers have ended.
        task = asyncio.create_task(begin_in_any_case())
        waiting.add(task)
        task.add_done_callback(waiting.discard)

    @transport.event_handler("on_client_disconnected")
    async def gone(*_: object) -> None:
        await call.cancel("the caller hung up")

    return call


def _wants_pin(asked: object) -> bool | None:
    """Whether a call asks to keep its version: `1` and `0` and the words for them; None for anything else."""
    if asked is None or isinstance(asked, bool):
        return bool(asked)
    return {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }.get(str(asked).strip().lower())


async def _json(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        raise HTTPException(400, "The request's body is not JSON.") from None
    if not isinstance(body, dict):
        raise HTTPException(400, "The request's body is not a JSON object.")
    return cast("dict[str, Any]", body)


def _sse(item: dict[str, Any]) -> str:
    return f"data: {json.dumps(item)}\n\n"
