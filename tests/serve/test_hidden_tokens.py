"""What lets somebody in is printed once, as the link at the start, and stands in no line of the log at any level."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
import websockets

from runner.logs import without_tokens
from tests.caller import Caller
from tests.cloud.vendors import Ports, Vendors
from tests.serve.conftest import GREETING, serving

ELSEWHERE = "token-of-another-server-5d2a"
CALL = "key-of-a-call-made-by-chance"


async def test_token_that_was_made_is_printed_once(tmp_path: Path, ports: Ports, vendors: Vendors) -> None:
    """`trace` holds the lines of every other level."""
    with serving(tmp_path, ports, "--host", "0.0.0.0", "--log-level", "trace") as server:
        found = re.search(r"\?token=([\w-]+)", server.running.wait_for("Talk to it:"))
        assert found
        token = found[1]
        async with Caller(f"{server.line}?token={token}&call={CALL}") as caller:
            await caller.wait_for_agent_words(GREETING, seconds=30)
            async with httpx.AsyncClient(trust_env=False, base_url=server.http) as client:
                by_header = {"Authorization": f"Bearer {token}"}
                assert (await client.get("/api/agents", params={"token": token})).status_code == 200
                assert (await client.get(f"/api/calls/{CALL}", headers=by_header)).status_code == 204
                assert (await client.get("/api/agents", params={"token": ELSEWHERE})).status_code == 403
        ways = ("ws-client/shop?token={}", "ws/shop/{}", "ws/shop?token={}")
        for given in (token, ELSEWHERE):
            for way in ways:
                address = f"ws{server.http.removeprefix('http')}/{way.format(given)}"
                try:
                    async with websockets.connect(address, proxy=None) as socket:
                        await socket.send("{}")
                except (websockets.InvalidStatus, websockets.ConnectionClosed):
                    pass
        server.running.stop()
        output = server.running.output
    assert "WebSocket" in output, "requests are logged"
    assert output.count(token) == 1
    assert ELSEWHERE not in output
    assert CALL not in output


@pytest.mark.parametrize(
    ("line", "logged"),
    [
        ('"WebSocket /ws-client/shop?token=abc&pin=1" [accepted]', '"WebSocket /ws-client/shop?token=[hidden]&pin=1" [accepted]'),
        ("'query_string': b'token=abc&call=xyz'}", "'query_string': b'token=[hidden]&call=[hidden]'}"),
        ('"WebSocket /ws/shop/abc" 403', '"WebSocket /ws/shop/[hidden]" 403'),
        ("GET /api/calls/abc HTTP/1.1", "GET /api/calls/[hidden] HTTP/1.1"),
        ("< authorization: Bearer abc", "< authorization: Bearer [hidden]"),
        ("> GET /v3/ws?sample_rate=8000 HTTP/1.1", "> GET /v3/ws?sample_rate=8000 HTTP/1.1"),
        ("LLM: the token=abc of a text", "LLM: the token=abc of a text"),
        ("wss://streaming.assemblyai.com/v3/ws?keyterms=x", "wss://streaming.assemblyai.com/v3/ws?keyterms=x"),
    ],
)  # fmt: skip
def test_addresses_lose_what_lets_somebody_in(line: str, logged: str) -> None:
    assert without_tokens(line) == logged
