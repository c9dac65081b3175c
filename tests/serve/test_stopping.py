"""How `runner serve` stops: no new calls, the running ones go on until they end, in good time or when asked again."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import httpx
import pytest
import websockets

from tests.caller import Caller
from tests.cloud.vendors import Ports, Vendors
from tests.serve.conftest import GREETING, serving


async def test_running_call_goes_on_while_the_server_takes_no_more(
    tmp_path: Path, ports: Ports, vendors: Vendors
) -> None:
    with serving(tmp_path, ports, "--log-format", "json") as server:
        async with Caller(server.line) as caller:
            await caller.wait_for_agent_words(GREETING, seconds=30)
            server.running.process.send_signal(signal.SIGTERM)
            server.running.wait_for("[stopping] no new calls; 1 call may go on")
            async with httpx.AsyncClient(trust_env=False) as client:
                health = await client.get(f"{server.http}/health")
                offer = {"sdp": "v=0\r\nm=audio", "type": "offer"}
                answer = await client.post(f"{server.http}/api/offer", json=offer)
            assert (health.status_code, health.json()["status"], health.json()["calls"]) == (200, "draining", 1)
            with pytest.raises(websockets.InvalidStatus) as refused:
                await websockets.connect(server.line, proxy=None)
            assert refused.value.response.status_code == 503
            assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
            vendors.mind.reply("The parcel is on its way.")
            await vendors.hear(caller, "Where is my parcel?")
            await caller.wait_for_agent_words("The parcel is on its way.", seconds=30)
        assert server.running.process.wait(20) == 0
        lines = [json.loads(line) for line in server.running.lines if line.startswith("{")]
    events = [line["event"] for line in lines if line.get("call") == 1]
    assert events[0] == "call_started"
    assert events[-1] == "call_ended"
    assert {line["agent"] for line in lines if line.get("call") == 1} == {"shop"}
    assert all(line["time"].endswith("Z") for line in lines)
    for said in (GREETING, "parcel", "vault"):
        assert said not in server.running.output, "what is said and written stays out of the log"


@pytest.mark.parametrize("again", [True, False], ids=["asked again", "time is over"])
async def test_calls_end_politely_when_it_is_asked_again_or_the_time_is_over(
    tmp_path: Path, ports: Ports, vendors: Vendors, again: bool
) -> None:
    with serving(tmp_path, ports, "--drain-secs", 600 if again else 1) as server:
        async with Caller(server.line) as caller:
            await caller.wait_for_agent_words(GREETING, seconds=30)
            server.running.process.send_signal(signal.SIGTERM)
            server.running.wait_for("[stopping] no new calls")
            if again:
                server.running.process.send_signal(signal.SIGINT)
            assert server.running.process.wait(20) == 0
            await caller.wait_until(lambda: caller.told("end"), "the end", seconds=5)
        server.running.wait_for("[stopping] asked again" if again else "[stopping] 1 s are over")
        server.running.wait_for("call 1 call ended: runner was stopped")
        assert "Traceback" not in server.running.output
