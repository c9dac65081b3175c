"""What Pipecat's own clients (`@pipecat-ai/client-js` 1.13, RTVI 2.1) expect of a call, over websocket and WebRTC alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pipecat.processors.frameworks.rtvi.models import PROTOCOL_VERSION

from tests.caller import Caller
from tests.cloud.vendors import KEYS, Vendors
from tests.running import Running
from tests.webrtc import WebRTCCaller


class Client:
    """One of the two, with the same words."""

    def __init__(self, caller: Caller | WebRTCCaller) -> None:
        self.caller = caller

    def of(self, kind: str) -> list[dict[str, Any]]:
        found = self.caller.of(kind)
        return [(one.get("data") or {}) if isinstance(one, dict) else one.data for one in found]

    async def until(self, kind: str, number: int = 1) -> dict[str, Any]:
        await self.caller.wait_until(lambda: len(self.of(kind)) >= number, f"{number} {kind}")
        return self.of(kind)[number - 1]

    async def tell(self, kind: str, data: dict[str, Any]) -> None:
        await (self.caller.tell if isinstance(self.caller, WebRTCCaller) else self.caller._tell)(kind, data)


@asynccontextmanager
async def client_of(way: str, port: int) -> AsyncGenerator[Client]:
    caller: Caller | WebRTCCaller
    if way == "websocket":
        caller = Caller(f"ws://127.0.0.1:{port}/ws-client/support")
    else:
        caller = WebRTCCaller(f"http://127.0.0.1:{port}/api/offer?agent=support")
    async with caller:
        yield Client(caller)


@pytest.mark.parametrize("way", ["websocket", "webrtc"])
async def test_client_is_told_what_its_protocol_says(way: str, house: tuple[Running, int], vendors: Vendors) -> None:
    async with client_of(way, house[1]) as client:
        ready = await client.until("bot-ready")
        assert ready["version"] == PROTOCOL_VERSION
        assert ready["version"].startswith("2."), "client-js 1.13 warns below 2"
        output = await client.until("bot-output")
        assert {"text", "will_be_spoken", "spoken_status", "segment_id"} <= set(output)
        await client.until("bot-started-speaking")
        await client.until("bot-stopped-speaking")
        stage = next(data for data in client.of("server-message") if data["type"] == "stage")
        assert stage["to"] == "identify"

        await client.tell("client-message", {"t": "unheard-of", "d": {}})
        refused = await client.until("error-response")
        assert "unheard-of" in refused["error"], "a client's request does not wait for an answer that never comes"

        await client.tell(
            "send-text", {"content": "Hello", "options": {"run_immediately": True, "audio_response": True}}
        )
        await client.until("bot-llm-started")
        await client.until("bot-started-speaking", 2)

        since = len(house[0].lines)
        await client.tell("disconnect-bot", {})
        await asyncio.to_thread(house[0].wait_for, "call ended", after=since)


async def test_key_that_a_vendor_repeats_reaches_no_client(house: tuple[Running, int], vendors: Vendors) -> None:
    key = KEYS["OPENAI_API_KEY"]
    vendors.mind.fail(400, None, message=f"No answer for {key} today.")
    async with client_of("websocket", house[1]) as client:
        await client.until("bot-ready")
        await client.tell(
            "send-text", {"content": "Hello", "options": {"run_immediately": True, "audio_response": True}}
        )
        error = await client.until("error")
        assert "No answer for [OPENAI_API_KEY] today." in error["error"]
        assert key not in repr(client.caller.messages)
