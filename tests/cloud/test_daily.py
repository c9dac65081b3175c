"""Calls in a Daily room: what Daily's REST interface is asked for, and how coming and going makes the call.

The room itself is Daily's native client, which cannot be emulated; a stand-in with microphone and loudspeaker takes its place.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from pipecat.transports.base_transport import BaseTransport
from pipecat.transports.daily.transport import DailyParams, DailyTransportClient

from runner.document.load import load
from runner.environment import Environment
from runner.events import AgentSaid, CallEnded, Event
from runner.live.call import Call
from runner.live.carriers import daily_room
from runner.live.carriers.daily_room import DailyKeyMissing, DailyRefused, create_room, join
from runner.live.carriers.daily_transport import RoomTransport
from runner.live.reload import LiveAgent
from runner.live.switchboard import Switchboard
from runner.terminal import Terminal
from tests.cloud.vendors import KEYS, Ports, Vendors
from tests.emulators import DailyEmulator, until
from tests.emulators.pipecat_call import Loudspeaker, Microphone
from tests.running import PROJECT, free_port, run

DAILY_KEY = "dummy-daily-20b7c4"
GREETING = "Hi, this is Maya from Northwind. How can I help?"


async def test_room_is_private_expires_and_has_two_tokens() -> None:
    async with DailyEmulator(key=DAILY_KEY) as daily:
        before = int(time.time())
        address, agent, caller = await create_room(DAILY_KEY, api_url=daily.url)
        after = time.time()
    (room,) = daily.created
    assert address == room.url
    assert room.privacy == "private"
    exp = room.properties["exp"]
    assert exp == int(exp)
    assert before + 7200 <= exp <= after + 7200, "absolute Unix seconds"
    assert room.properties["eject_at_room_exp"] is True
    assert room.properties["enable_prejoin_ui"] is False
    assert set(daily.tokens) == {agent, caller}
    assert [daily.tokens[token]["is_owner"] for token in (agent, caller)] == [True, False]
    for properties in daily.tokens.values():
        assert properties["room_name"] == room.name
        assert before + 7200 <= properties["exp"] <= after + 7200
    assert [(r.method, r.path) for r in daily.requests] == [
        ("POST", "/v1/rooms"),
        ("POST", "/v1/meeting-tokens"),
        ("POST", "/v1/meeting-tokens"),
    ]
    assert DAILY_KEY not in json.dumps([request.body for request in daily.requests])


async def test_refusals_of_daily_are_told_in_its_words() -> None:
    async with DailyEmulator(key="another") as daily:
        with pytest.raises(DailyRefused, match=r"(?s)401.*authentication-error.*Check DAILY_API_KEY\.$") as refused:
            await create_room(DAILY_KEY, api_url=daily.url)
    assert DAILY_KEY not in str(refused.value)
    with pytest.raises(DailyRefused, match="Daily cannot be reached"):
        await create_room(DAILY_KEY, api_url=f"http://127.0.0.1:{free_port()}/v1")


def test_command_line_ends_plainly_with_a_wrong_key(tmp_path: Path) -> None:
    command = (PROJECT / "agents" / "hello.yaml", "--daily", "--no-browser", "--port", free_port())
    command = (*command, *Ports.free().arguments)
    with DailyEmulator(key="another").in_thread() as daily:
        refused = run(*command, cwd=tmp_path, env={**KEYS, "DAILY_API_KEY": DAILY_KEY, "DAILY_API_URL": daily.url})
    assert refused.returncode == 1
    assert "Daily made no room" in refused.stderr
    assert "fault in runner" not in refused.stderr
    assert DAILY_KEY not in refused.stdout + refused.stderr


class StandIn(BaseTransport):
    """A room without Daily: the events that `join` listens to are called by the test."""

    def __init__(self, room: str, token: str | None, name: str, params: DailyParams) -> None:
        super().__init__()
        self.room, self.token, self.agent_name, self.params = room, token, name, params
        self.microphone, self.loudspeaker = Microphone(), Loudspeaker()
        for event in ("joined", "first_participant_joined", "participant_joined", "participant_left"):
            self._register_event_handler(f"on_{event}")

    def input(self) -> Microphone:
        return self.microphone

    def output(self) -> Loudspeaker:
        return self.loudspeaker

    async def joins(self, who: str, *, first: bool = False) -> None:
        if first:
            await self._call_event_handler("on_first_participant_joined", {"id": who})
        await self._call_event_handler("on_participant_joined", {"id": who})

    async def leaves(self, who: str) -> None:
        await self._call_event_handler("on_participant_left", {"id": who}, "leftCall")


class Joined:
    """The agent in a room: the stand-in, the events of the call, the terminal's lines, whether it is over."""

    def __init__(self) -> None:
        self.transport: StandIn | None = None
        self.events: list[Event] = []
        self.terminal = StringIO()
        self.over = asyncio.Event()

    def happened(self, _: Call, event: Event) -> None:
        self.events.append(event)

    def make_transport(self, *arguments: Any) -> StandIn:
        self.transport = StandIn(*arguments)
        return self.transport

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def joined(
    ports: Ports, monkeypatch: pytest.MonkeyPatch, *, room: str | None = None, token: str | None = None, **env: str
) -> AsyncGenerator[Joined]:
    """agents/support.yaml in a Daily room, on the emulators of `ports`."""
    for name, value in {**KEYS, **env}.items():
        monkeypatch.setenv(name, value)
    settings = dict(pair.split("=", 1) for pair in ports.arguments if "=" in pair)
    file = PROJECT / "agents" / "support.yaml"
    definition = load(file, settings=settings).definition
    assert definition
    agent = LiveAgent(file, definition, 1, (), frozenset({file}))
    it = Joined()
    monkeypatch.setattr(daily_room, "RoomTransport", it.make_transport)
    environment = Environment()
    switchboard = Switchboard("cloud", environment, it.happened)
    left = await join(
        agent,
        switchboard,
        environment.values,
        room=room,
        token=token,
        terminal=Terminal(it.terminal),
        when_over=it.over.set,
    )
    try:
        yield it
    finally:
        await switchboard.close("the test is over")
        await left


async def test_link_for_the_caller_is_printed_and_the_agent_has_the_other_token(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        DailyEmulator(key=DAILY_KEY) as daily,
        joined(ports, monkeypatch, DAILY_API_KEY=DAILY_KEY, DAILY_API_URL=daily.url) as it,
    ):
        assert it.transport
        (room,) = daily.created
        tokens = {properties["is_owner"]: token for token, properties in daily.tokens.items()}
        assert it.terminal.getvalue().strip() == f"Daily room:  {room.url}?t={tokens[False]}"
        assert (it.transport.room, it.transport.token) == (room.url, tokens[True])
        assert it.transport.agent_name == "support"
        assert it.transport.params.transcription_enabled is False, "AssemblyAI hears, not Daily"
    assert vendors.ears.sessions


async def test_first_one_is_greeted_once_and_the_last_one_ends_the_call(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "https://emulated.daily.co/mine"
    async with joined(ports, monkeypatch, room=address, token="given") as it:
        assert it.transport
        assert (it.transport.room, it.transport.token) == (address, "given")
        await until(lambda: vendors.ears.sessions)
        await asyncio.sleep(0.3)
        assert vendors.spoken == [], "nobody is there to hear a greeting"
        await it.transport.joins("jane", first=True)
        await it.transport.joins("john")
        await until(lambda: it.of(AgentSaid), 8)
        assert it.transport.loudspeaker.loudness > 100
        await it.transport.leaves("jane")
        await asyncio.sleep(0.3)
        assert not it.over.is_set(), "john is still there"
        await it.transport.leaves("john")
        await until(it.over.is_set)
        (ended,) = it.of(CallEnded)
        assert ended.reason == "the last participant left"
    assert vendors.spoken == [GREETING]


async def test_without_a_key_no_room_is_made(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAILY_API_KEY", raising=False)
    with pytest.raises(DailyKeyMissing):
        async with joined(ports, monkeypatch):
            pass


async def test_person_is_told_when_daily_does_not_let_the_agent_in(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily_room, "_PATIENCE_SECS", 0.2)
    async with joined(ports, monkeypatch, room="https://emulated.daily.co/mine") as it:
        await until(lambda: "[problem] The agent is not in the Daily room" in it.terminal.getvalue())


async def test_room_that_is_still_being_joined_can_be_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Daily's client does not come back from `release()` meanwhile."""
    never = threading.Event()
    released: list[bool] = []

    def release(_: DailyTransportClient) -> None:
        released.append(True)
        never.wait()

    monkeypatch.setattr(DailyTransportClient, "_cleanup", release)
    transport = RoomTransport("https://emulated.daily.co/mine", None, "support", DailyParams())
    async with asyncio.timeout(3):
        await asyncio.to_thread(transport._client._cleanup)
    assert released
    never.set()
