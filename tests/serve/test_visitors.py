"""`POST /start` at `runner serve`, whole: the process, Daily's REST interface emulated, and Daily's own client, which finds no
network here."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx

from tests.cloud.vendors import Ports, Vendors
from tests.emulators import DailyEmulator, wait_until
from tests.serve.conftest import serving
from tests.webrtc import WebRTCCaller

DAILY_KEY = "dummy-daily-20b7c4"


async def test_visitor_without_a_room_brings_the_variables_with_the_offer(
    tmp_path: Path, ports: Ports, vendors: Vendors
) -> None:
    """What Pipecat's client does with the answer: `requestData` goes along with the WebRTC offer."""
    (tmp_path / "agents").mkdir()
    text = "name: sales\nvariables: {company: Northwind}\nprompt: x\ngreeting: This is {{ company }}.\n"
    (tmp_path / "agents" / "sales.yaml").write_text(text)
    with serving(tmp_path, ports) as server:
        body = {"agent": "sales", "variables": {"company": "Acme"}}
        asked = {"enableDefaultIceServers": True, "transport": "webrtc", "body": body}
        async with httpx.AsyncClient(trust_env=False) as client:
            request = (await client.post(f"{server.http}/start", json=asked)).json()["webrtcRequestParams"]
        async with WebRTCCaller(f"{server.http}{request['endpoint']}", data=request["requestData"]) as caller:
            await caller.wait_until(lambda: "This is Acme." in caller.agent_text, "the greeting")


def test_two_visitors_two_rooms_and_no_third(tmp_path: Path, ports: Ports, vendors: Vendors) -> None:
    with DailyEmulator(key=DAILY_KEY).in_thread() as daily:
        keys = {"DAILY_API_KEY": DAILY_KEY, "DAILY_API_URL": daily.url}
        with serving(tmp_path, ports, "--limit", 2, **keys) as server:
            url = f"{server.http}/start"
            one, other, third = (httpx.post(url, json={"createDailyRoom": True}, trust_env=False) for _ in range(3))
            assert [one.status_code, other.status_code, third.status_code] == [200, 200, 503]
            assert int(third.headers["Retry-After"]) > 0
            rooms = {one.json()["dailyRoom"], other.json()["dailyRoom"]}
            assert rooms == {room.url for room in daily.rooms.values()}
            assert len(rooms) == 2
            for answer in (one.json(), other.json()):
                assert daily.may_join(answer["dailyRoom"], answer["dailyToken"]) is None
                assert not daily.is_owner(answer["dailyToken"])
            assert httpx.get(f"{server.http}/health", trust_env=False).json()["calls"] == 2
            server.running.process.send_signal(signal.SIGTERM)
            server.running.wait_for("[stopping]")
            code, _ = server.running.stop(signal.SIGTERM, seconds=10)
            assert code == 0
            wait_until(lambda: not daily.rooms)
            said = server.running.output
        assert DAILY_KEY not in said
        assert not [token for token in daily.tokens if token in said]
