"""The REST interfaces of Twilio, Telnyx and Plivo, as far as a call is hung up there: what they were asked, with whose key.

`rest_of_carriers(monkeypatch)` sends what this process asks of them to a server of the test's own.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

HOSTS = ("api.twilio.com", "api.telnyx.com", "api.plivo.com")


@dataclass
class Rest:
    """hung_up: (method, host and path, who asked, the body), in order. silent: no answer ever comes. refuses: everybody."""

    hung_up: list[tuple[str, str, str, str]] = field(default_factory=list)
    silent: bool = False
    refuses: bool = False


@asynccontextmanager
async def rest_of_carriers(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Rest]:
    rest = Rest()

    async def answer(request: web.Request) -> web.Response:
        kind, _, key = request.headers["Authorization"].partition(" ")
        who = base64.b64decode(key).decode() if kind == "Basic" else key
        rest.hung_up.append((request.method, request.path.lstrip("/"), who, await request.text()))
        if rest.silent:
            await asyncio.sleep(60)
        if rest.refuses:
            return web.json_response({"code": 20003, "message": "Authenticate"}, status=401)
        return web.json_response({}, status=204 if "plivo" in request.path else 200)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    ask = aiohttp.ClientSession._request

    async def asked_here(session: aiohttp.ClientSession, method: str, url: Any, **rest: Any) -> Any:
        url = URL(url)
        if url.host in HOSTS:
            url = URL(f"http://127.0.0.1:{port}/{url.host}{url.raw_path}", encoded=True)
        return await ask(session, method, url, **rest)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", asked_here)
    try:
        yield rest
    finally:
        await runner.cleanup()
