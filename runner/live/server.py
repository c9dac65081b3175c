"""The web application: the page, WebRTC offers, RTVI over websocket, the agents' state, health.

Comes in: requests. Goes out: calls to the switchboard. Binds where the command line says; knows who may ask what.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles

from runner.live.access import Access
from runner.live.carriers.browser import browser_routes
from runner.live.carriers.daily.start import start_routes
from runner.live.carriers.daily.webhook import webhook_routes
from runner.live.carriers.phone.routes import phone_routes
from runner.live.reload import Agents, LiveAgent
from runner.live.switchboard import Switchboard
from runner.live.turned_away import answer_who_is_not_admitted
from runner.problem import short_path

_PAGE = Path(__file__).resolve().parent.parent / "page" / "static"
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
    answer_who_is_not_admitted(app)
    app.include_router(browser_routes(agents, switchboard, access))
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

    @app.get("/")
    async def page() -> FileResponse:
        return FileResponse(_PAGE / "index.html", headers={"Cache-Control": "no-store"})

    app.mount("/static", StaticFiles(directory=_PAGE, check_dir=False), name="static")

    @app.get("/health")
    async def health() -> dict[str, Any]:
        calls = switchboard.calls
        return {
            "status": "draining" if switchboard.gate.draining else "ok",
            "calls": switchboard.gate.taken,
            "limit": switchboard.gate.limit,
            "agents": [
                {"name": a.name, "version": a.version, "calls": sum(c.agent_name == a.name for c in calls)}
                for a in agents
            ],
            "broken": [{"file": path.name, "problems": len(one.problems)} for path, one in agents.broken.items()],
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


def _sse(item: dict[str, Any]) -> str:
    return f"data: {json.dumps(item)}\n\n"
