"""The limit of calls: who is turned away and how, and that two who come at once never share the last place."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest
import websockets

from runner.live.admission import Gate, NotAdmitted
from tests.caller import Caller
from tests.cloud.vendors import Ports, Vendors
from tests.serve.conftest import GREETING, Server, serving
from tests.webrtc import WebRTCCaller


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, ports: Ports, vendors: Vendors) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("limit"), ports, "--limit", 2) as server:
        yield server


def calls(server: Server) -> int:
    return httpx.get(f"{server.http}/health", trust_env=False).json()["calls"]


async def all_over(server: Server) -> None:
    for _ in range(300):
        if not await asyncio.to_thread(calls, server):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("calls are left")


async def test_call_beyond_the_limit_gets_503_and_when_to_try_again(server: Server, vendors: Vendors) -> None:
    async with Caller(server.line) as first, Caller(server.line):
        await first.wait_for_agent_words(GREETING, seconds=30)
        sessions = len(vendors.ears.sessions)
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(server.line, proxy=None)
        assert refused.value.response.status_code == 503
        assert int(refused.value.response.headers["Retry-After"]) > 0
        async with httpx.AsyncClient(trust_env=False) as client:
            for path in ("/api/offer", "/start"):
                answer = await client.post(f"{server.http}{path}", json={"sdp": "v=0\r\nm=audio", "type": "offer"})
                assert answer.status_code == 503, path
                assert int(answer.headers["Retry-After"]) > 0
                assert answer.json() == {"detail": "All lines are busy: 2 calls at once."}
            health = (await client.get(f"{server.http}/health")).json()
        assert (health["status"], health["calls"], health["limit"]) == ("ok", 2, 2)
        await asyncio.sleep(0.3)
        assert len(vendors.ears.sessions) == sessions, "nothing was made for those who were turned away"
    await all_over(server)
    async with Caller(server.line) as next_one:
        await next_one.wait_for_agent_words(GREETING, seconds=30)
    await all_over(server)


async def test_two_who_come_at_once_never_share_the_last_place(server: Server, vendors: Vendors) -> None:
    async def offer() -> bool:
        try:
            await callers.pop().__aenter__()
        except ConnectionRefusedError as refused:
            statuses.append(refused.args[0])
            return False
        return True

    statuses: list[int] = []
    callers = [WebRTCCaller(f"{server.http}/api/offer?agent=shop") for _ in range(4)]
    kept = list(callers)
    taken = await asyncio.gather(*(offer() for _ in kept))
    try:
        assert sum(taken) == 2
        assert statuses == [503, 503]
        assert await asyncio.to_thread(calls, server) == 2
    finally:
        for caller in kept:
            await caller.__aexit__(None, None, None)
    await all_over(server)


async def test_request_that_makes_no_call_gives_its_place_back(server: Server, vendors: Vendors) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(3):
            answer = await client.post(
                f"{server.http}/api/offer?agent=nobody", json={"sdp": "v=0\r\nm=audio", "type": "offer"}
            )
            assert answer.status_code == 404
            answer = await client.post(f"{server.http}/api/offer", json={"sdp": "nonsense", "type": "offer"})
            assert answer.status_code == 422
            answer = await client.post(f"{server.http}/start", json={})
            assert answer.status_code == 503
            assert "DAILY_API_KEY" in answer.text
    await all_over(server)


async def test_caller_who_hangs_up_at_once_gives_the_place_back(server: Server, vendors: Vendors) -> None:
    for _ in range(3):
        async with Caller(server.line), Caller(server.line):
            pass
        await all_over(server)


def test_places_are_counted() -> None:
    gate = Gate(2)
    with gate.admit() as one:
        one.use()
        with gate.admit(), pytest.raises(NotAdmitted, match="All lines are busy: 2 calls at once"):
            gate.admit()
        assert gate.taken == 1, "nothing was made with the second"
        with pytest.raises(ValueError, match="one admission is one call"):
            one.use()
    assert gate.taken == 1, "the call gives it back"
    one.give_back()
    one.give_back()
    assert (gate.taken, gate.refused) == (0, 1)


def test_no_limit_is_no_limit_and_draining_is_a_limit_of_none() -> None:
    gate = Gate()
    assert len({gate.admit() for _ in range(500)}) == 500
    gate.draining = True
    with pytest.raises(NotAdmitted, match="takes no new calls"):
        gate.admit()
    with pytest.raises(ValueError, match="at least 1"):
        Gate(0)
