"""Calls in a Daily room: what Daily's REST interface is asked for, and how coming and going makes the call."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from pipecat.runner.types import DailyRunnerArguments
from pipecat.transports.daily.transport import DailyParams, DailyTransportClient

from runner.definition import Daily
from runner.events import AgentSaid, Trouble
from runner.live.carriers.daily import rest as daily_rest
from runner.live.carriers.daily import room as daily_room
from runner.live.carriers.daily.command import Asked, join
from runner.live.carriers.daily.rest import DailyKeyMissing, DailyRefused, DailyRest
from runner.live.carriers.daily.room import RoomCall
from runner.live.carriers.daily.transport import RoomTransport
from tests.cloud.rooms import DAILY_KEY, Rooms, rooms
from tests.cloud.vendors import KEYS, Ports, Vendors, vendors_on
from tests.emulators import DailyEmulator, until, wait_until
from tests.running import PROJECT, Running, free_port, run

GREETING = "Hi, this is Maya from Northwind. How can I help?"


# the room


async def test_room_is_private_and_expires_with_its_two_tokens() -> None:
    async with DailyEmulator(key=DAILY_KEY) as daily:
        before = int(time.time())
        made = await DailyRest(DAILY_KEY, daily.url).make(Daily())
        after = time.time()
    (room,) = daily.created
    assert made.url == room.url
    assert room.privacy == "private"
    exp = room.properties["exp"]
    assert exp == int(exp) == made.expires_at
    assert before + 7200 <= exp <= after + 7200, "absolute Unix seconds"
    assert room.properties["eject_at_room_exp"] is True
    assert room.properties["enable_prejoin_ui"] is False
    assert made.agent_token
    assert made.caller_token
    assert [daily.tokens[token]["is_owner"] for token in (made.agent_token, made.caller_token)] == [True, False]
    for properties in daily.tokens.values():
        assert properties["room_name"] == room.name
        assert properties["exp"] == exp, "the tokens end when the room does"
    assert [(r.method, r.path) for r in daily.requests] == [
        ("POST", "/v1/rooms"),
        ("POST", "/v1/meeting-tokens"),
        ("POST", "/v1/meeting-tokens"),
    ]
    assert DAILY_KEY not in json.dumps([request.body for request in daily.requests])


async def test_refusals_of_daily_are_told_in_its_words() -> None:
    async with DailyEmulator(key="another") as daily:
        with pytest.raises(DailyRefused) as refused:
            await DailyRest(DAILY_KEY, daily.url).make(Daily())
        assert len(daily.requests) == 1, "a wrong key is not tried again"
    assert str(refused.value) == "Daily made no room: authentication-error (HTTP 401). Check DAILY_API_KEY."


async def test_daily_that_cannot_be_reached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daily_rest, "_PAUSES_SECS", (0.01, 0.01))
    with pytest.raises(DailyRefused, match=r"Daily cannot be reached: .* Check the network and DAILY_API_URL\.$"):
        await DailyRest(DAILY_KEY, f"http://127.0.0.1:{free_port()}/v1").make(Daily())


async def test_passing_fault_of_daily_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daily_rest, "_PAUSES_SECS", (0.01, 0.01))
    async with DailyEmulator(key=DAILY_KEY) as daily:
        daily.fail(503, times=2)
        await DailyRest(DAILY_KEY, daily.url).make(Daily())
        assert len(daily.created) == 1
        daily.fail(500, times=3)
        with pytest.raises(DailyRefused, match=r"server-error \(HTTP 500\)"):
            await DailyRest(DAILY_KEY, daily.url).make(Daily())


async def test_room_whose_tokens_are_refused_is_deleted() -> None:
    async with DailyEmulator(key=DAILY_KEY) as daily:
        daily.fail(403, tokens_only=True)
        with pytest.raises(DailyRefused):
            await DailyRest(DAILY_KEY, daily.url).make(Daily())
        assert daily.created
        assert not daily.rooms


def test_command_line_ends_plainly_with_a_wrong_key(tmp_path: Path) -> None:
    command = (PROJECT / "agents" / "hello.yaml", "--daily", "--no-browser", "--port", free_port())
    command = (*command, *Ports.free().arguments)
    with DailyEmulator(key="another").in_thread() as daily:
        refused = run(*command, cwd=tmp_path, env={**KEYS, "DAILY_API_KEY": DAILY_KEY, "DAILY_API_URL": daily.url})
    assert refused.returncode == 1
    assert "Daily made no room" in refused.stderr
    assert "fault in runner" not in refused.stderr
    assert DAILY_KEY not in refused.stdout + refused.stderr


def test_room_that_lets_nobody_in_ends_the_command(tmp_path: Path) -> None:
    """Daily's own client refuses this address before it asks anybody."""
    command = (PROJECT / "agents" / "hello.yaml", "--room", "no address", "--no-browser", "--port", free_port())
    with Running(*command, *Ports.free().arguments, cwd=tmp_path, env=KEYS) as running:
        running.wait_for("call ended: Daily did not let the agent in: Failed to parse url")
        assert running.process.wait(10) == 1
        assert "Traceback" not in running.output
        assert running.output.count("Daily did not let the agent in") == 1


@pytest.mark.alone
@pytest.mark.parametrize("moment", ["the room is made", "the room is joined"])
def test_ctrl_c_while_the_room_is_made_or_joined_ends_within_a_second(tmp_path: Path, moment: str) -> None:
    """Daily's own client finds no network here and keeps trying."""
    ports = Ports.free()
    command = (PROJECT / "agents" / "hello.yaml", "--daily", "--no-browser", "--port", free_port(), *ports.arguments)
    with DailyEmulator(key=DAILY_KEY).in_thread() as daily, vendors_on(ports):
        daily.slow = 20.0 if moment == "the room is made" else 0.0
        keys = {**KEYS, "DAILY_API_KEY": DAILY_KEY, "DAILY_API_URL": daily.url}
        with Running(*command, cwd=tmp_path, env=keys) as running:
            if daily.slow:
                wait_until(lambda: bool(daily.requests), 60)
            else:
                running.wait_for("ready")
            code, taken = running.stop()
        assert code == 0, running.output
        assert taken < 1
        assert not daily.rooms
        assert "Traceback" not in running.output


# the call


async def started(it: Rooms, asked: Asked | None = None) -> tuple[RoomCall, asyncio.Event]:
    over = asyncio.Event()
    return await join(asked or Asked(), it.agent, it.switchboard, it.terminal, over.set), over


async def test_link_for_the_caller_is_printed_and_the_agent_has_the_other_token(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(ports, monkeypatch) as it:
        await started(it)
        (room,) = it.daily.created
        tokens = {properties["is_owner"]: token for token, properties in it.daily.tokens.items()}
        assert it.written.getvalue().strip() == f"Daily room:  {room.url}?t={tokens[False]}"
        await until(lambda: it.building.client.inside)
        agent = it.building.client
        assert (agent.url, agent.token, agent.name) == (room.url, tokens[True], "support")
        assert agent.settings["inputs"]["camera"]["isEnabled"] is False
        await until(lambda: vendors.ears.sessions)
    assert not agent.transcribing, "AssemblyAI hears, not Daily"
    assert agent.released
    assert not it.daily.rooms, "the room is deleted when runner is stopped"


async def test_agent_has_its_display_name_in_the_room(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(ports, monkeypatch, say={"daily.display_name": "Maya from Northwind"}) as it:
        await started(it)
        await until(lambda: it.building.client.inside)
        assert it.building.client.name == "Maya from Northwind"


async def test_first_one_is_greeted_once_and_the_last_one_ends_the_call(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(ports, monkeypatch, say={"limits.wait_for_return": "0.4"}) as it:
        call, over = await started(it)
        await until(lambda: vendors.ears.sessions and it.building.client.inside)
        await asyncio.sleep(0.3)
        assert vendors.spoken == [], "nobody is there to hear a greeting"
        agent = it.building.client
        agent.comes("jane")
        agent.comes("john")
        await until(lambda: it.of(AgentSaid), 8)
        assert agent.heard_from == ["jane", "john"]
        assert agent.loudness > 100
        agent.goes("jane")
        await asyncio.sleep(0.6)
        assert not over.is_set(), "john is still there"
        agent.goes("john")
        await asyncio.sleep(0.1)
        agent.comes("john")
        await asyncio.sleep(0.6)
        assert not over.is_set(), "john is back, as after a page was loaded again"
        agent.goes("john")
        await until(over.is_set)
        assert it.reasons == ["the last participant left and nobody came back within 0.4 s (limits.wait_for_return)"]
        await until(lambda: not it.daily.rooms)
        assert not call.failure
    assert vendors.spoken == [GREETING]


async def test_given_room_is_joined_with_its_token_and_stays(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(ports, monkeypatch, say={"limits.wait_for_return": "0"}) as it:
        given = await DailyRest(DAILY_KEY, it.daily.url).make(Daily())
        _, over = await started(it, Asked(room=given.url, token=given.agent_token))
        await until(lambda: it.building.client.inside)
        it.building.client.comes("jane")
        it.building.client.goes("jane")
        await until(over.is_set)
        assert it.written.getvalue().strip().startswith(f"Daily room:  {given.url}\n")
        assert str(given.agent_token) not in it.written.getvalue()
        assert it.daily.rooms, "whoever made it deletes it"


async def test_without_a_key_no_room_is_made(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    async with rooms(ports, monkeypatch, DAILY_API_KEY="") as it:
        with pytest.raises(DailyKeyMissing, match="DAILY_API_KEY"):
            await started(it)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("another room's token", "the token is for another room"),
        ("no token", "the room is private"),
        ("deleted", "the room does not exist"),
    ],
)
async def test_room_that_lets_the_agent_not_in_ends_the_call_with_dailys_words(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch, fault: str, words: str
) -> None:
    async with rooms(ports, monkeypatch) as it:
        rest = DailyRest(DAILY_KEY, it.daily.url)
        one, other = await rest.make(Daily()), await rest.make(Daily())
        if fault == "deleted":
            await rest.delete(one)
        token = {"another room's token": other.agent_token, "no token": None, "deleted": one.agent_token}[fault]
        call, over = await started(it, Asked(room=one.url, token=token))
        await until(over.is_set)
        assert it.reasons == [f"Daily did not let the agent in: {words}"]
        assert call.failure == it.reasons[0]
        assert not it.of(Trouble), "said once"
        assert not vendors.spoken


async def test_daily_that_never_answers_is_told_and_given_up(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily_room, "_PATIENCE_SECS", 0.2)
    monkeypatch.setattr(daily_room, "_GIVE_UP_SECS", 0.6)
    async with rooms(ports, monkeypatch) as it:
        it.building.unreachable = True
        call, over = await started(it)
        await until(lambda: "[problem] The agent is not in the Daily room" in it.written.getvalue())
        await until(over.is_set)
        assert call.failure.startswith("Daily did not answer within")
        await until(lambda: not it.daily.rooms)


@pytest.mark.parametrize(
    ("expired", "reason"), [(False, "Daily ended the room"), (True, "the Daily room expired (daily.expires_in)")]
)
async def test_room_that_ends_underneath_the_agent_ends_the_call(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch, expired: bool, reason: str
) -> None:
    async with rooms(ports, monkeypatch) as it:
        call, over = await started(it)
        await until(lambda: it.building.client.inside)
        it.building.client.comes("jane")
        await until(lambda: it.of(AgentSaid), 8)
        if expired:
            call.room = replace(call.room, expires_at=int(time.time()))
        it.building.client.put_out()
        await until(over.is_set)
        assert it.reasons == [reason]


async def test_room_that_can_be_called_by_sip_says_its_address(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(ports, monkeypatch, say={"daily.sip": "true"}) as it:
        await started(it)
        (room,) = it.daily.created
        assert f"By SIP:      sip:{room.properties['sip_uri']['endpoint']}" in it.written.getvalue()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Pipecat 1.14 imports the old websockets
async def test_session_of_somebody_elses_server_is_the_same_call(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pipecat's own runner and Pipecat Cloud make the room themselves and call `bot` with it."""
    from runner.live.carriers.hosted import answer

    async with rooms(ports, monkeypatch, say={"limits.wait_for_return": "0"}) as it:
        rest = DailyRest(DAILY_KEY, it.daily.url)
        one, other = await rest.make(Daily()), await rest.make(Daily())
        session = asyncio.create_task(
            answer(DailyRunnerArguments(room_url=one.url, token=one.agent_token), None, it.agent, it.switchboard)
        )
        await until(lambda: it.building.clients and it.building.client.inside)
        it.building.client.comes("jane")
        await until(lambda: it.of(AgentSaid), 8)
        it.building.client.goes("jane")
        await asyncio.wait_for(session, 8)
        wrong = DailyRunnerArguments(room_url=one.url, token=other.agent_token)
        await asyncio.wait_for(answer(wrong, None, it.agent, it.switchboard), 8)
        assert it.reasons == [
            "the last participant left",
            "Daily did not let the agent in: the token is for another room",
        ]


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
