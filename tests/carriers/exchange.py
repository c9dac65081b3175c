"""The server of `runner` in the test's own event loop, with what its calls told: for tests of what carriers send and get."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from loguru import logger

from runner.environment import Environment
from runner.events import Event
from runner.live.access import Access
from runner.live.call import Call
from runner.live.reload import Agents, reader
from runner.live.server import News, build_app
from runner.live.switchboard import Switchboard
from tests.cloud.vendors import KEYS, Ports
from tests.emulators import until
from tests.running import free_port


@dataclass
class Exchange:
    """port: where it listens. events: of all calls, in order. log: lines of errors."""

    port: int
    switchboard: Switchboard
    events: list[Event] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def socket(self, path: str) -> str:
        return f"ws://127.0.0.1:{self.port}{path}"

    def page(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@asynccontextmanager
async def exchange(
    ports: Ports,
    file: Path,
    *,
    values: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
    host: str = "127.0.0.1",
    public_url: str | None = None,
    limit: int | None = None,
) -> AsyncGenerator[Exchange]:
    """Serve the agent of `file` on the emulators of `ports`. values: of the environment, beside the vendors' keys.
    settings: as of `--set`. host: what the rules of access take it to be bound to."""
    environment = Environment()
    environment.values = {**KEYS, **(values or {})}
    told = dict(pair.split("=", 1) for pair in ports.arguments if "=" in pair)
    agents = Agents(reader({}, {**told, **(settings or {})}, lambda: environment.values))
    problems = [problem for problem in agents.open(file) if problem.is_error]
    assert not problems, problems

    def happened(_: Call, event: Event) -> None:
        it.events.append(event)

    switchboard = Switchboard("cloud", environment, happened, limit=limit)
    await switchboard.prepare([agent.definition for agent in agents])
    it = Exchange(free_port(), switchboard)
    sink = logger.add(lambda line: it.log.append(str(line)), level="ERROR", format="{message}")
    app = build_app(agents, switchboard, Access.for_host(host, public_url), News())
    server = uvicorn.Server(
        uvicorn.Config(app, port=it.port, log_config=None, lifespan="off", ws_per_message_deflate=False)
    )
    serving = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started)
        yield it
    finally:
        await switchboard.close("the test is over")
        server.should_exit = True
        await serving
        logger.remove(sink)
