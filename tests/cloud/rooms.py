"""Calls in Daily rooms for tests: the switchboard and the web application of `runner`, Daily's REST interface emulated, and a
stand-in for Daily's native client. Everything between is the real thing, Pipecat's transport too.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from runner.environment import Environment
from runner.events import CallEnded, Event
from runner.live.access import Access
from runner.live.call import Call
from runner.live.reload import Agents, LiveAgent, reader
from runner.live.server import News, build_app
from runner.live.switchboard import Switchboard
from runner.terminal import Terminal
from tests.cloud.vendors import KEYS, Ports
from tests.emulators import DailyEmulator
from tests.emulators.daily_client import DailyBuilding, install
from tests.running import PROJECT

DAILY_KEY = "dummy-daily-20b7c4"


class Rooms:
    """daily: the REST interface. building: the rooms from inside. events: of all calls. http: asks the web application."""

    def __init__(self, daily: DailyEmulator, building: DailyBuilding, agents: Agents, limit: int | None) -> None:
        self.daily, self.building, self.agents = daily, building, agents
        self.events: list[tuple[int, Event]] = []
        self.written = StringIO()
        self.terminal = Terminal(self.written)
        self.switchboard = Switchboard("cloud", Environment(), self._happened, limit=limit)
        app = build_app(agents, self.switchboard, Access("127.0.0.1", None), News())
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")

    def _happened(self, call: Call, event: Event) -> None:
        self.events.append((call.number, event))
        self.terminal.event(call.number, event)

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for _, event in self.events if isinstance(event, kind)]

    @property
    def reasons(self) -> list[str]:
        """Why the calls ended, in order."""
        return [event.reason for event in self.of(CallEnded)]

    @property
    def agent(self) -> LiveAgent:
        return next(iter(self.agents))


@asynccontextmanager
async def rooms(
    ports: Ports,
    monkeypatch: pytest.MonkeyPatch,
    *files: Path,
    limit: int | None = None,
    say: dict[str, str] | None = None,
    **env: str,
) -> AsyncGenerator[Rooms]:
    """Agents on the emulators of `ports` (agents/support.yaml without `files`). say: keys of the agent file, as with `--set`."""
    async with DailyEmulator(key=DAILY_KEY) as daily:
        for name, value in {**KEYS, "DAILY_API_KEY": DAILY_KEY, "DAILY_API_URL": daily.url, **env}.items():
            monkeypatch.setenv(name, value)
        settings = {**dict(pair.split("=", 1) for pair in ports.arguments if "=" in pair), **(say or {})}
        agents = Agents(reader({}, settings, lambda: {}))
        for file in files or [PROJECT / "agents" / "support.yaml"]:
            assert not agents.open(file)
        it = Rooms(daily, install(monkeypatch, daily), agents, limit)
        try:
            yield it
        finally:
            await it.switchboard.close("the test is over")
            await it.http.aclose()
