"""`bot` with the arguments of a Daily session, as Pipecat Cloud's package has them; Daily's native client is a stand-in."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pipecatcloud.agent import DailySessionArguments

from runner.bot import bot
from tests.cloud.vendors import KEYS, Ports, Vendors
from tests.emulators import until
from tests.emulators.daily_client import install

AGENT = """\
name: support
prompt: You are brief.
greeting: Hello from the room.
stt:
  endpoint: ws://127.0.0.1:{ports.ears}/v3/ws
llm:
  endpoint: http://127.0.0.1:{ports.mind}/v1
tts:
  endpoint: ws://127.0.0.1:{ports.voice}/tts/websocket
daily:
  display_name: Maya
limits:
  wait_for_return: 0
"""


async def test_daily_session_greets_the_first_and_ends_with_the_last(
    tmp_path: Path, ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "support.yaml"
    file.write_text(AGENT.format(ports=ports))
    for name, value in {**KEYS, "RUNNER_AGENT": str(file)}.items():
        monkeypatch.setenv(name, value)
    building = install(monkeypatch)
    session = DailySessionArguments(session_id="one", room_url="https://example.daily.co/room", token="t", body={})
    running = asyncio.create_task(bot(session))
    await until(lambda: building.clients and building.client.inside, 30)
    assert building.client.name == "Maya"
    building.client.comes("jane")
    await until(lambda: "Hello from the room." in vendors.spoken, 20)
    await until(lambda: building.client.loudness > 300, 20)
    building.client.goes("jane")
    await asyncio.wait_for(running, 20)
