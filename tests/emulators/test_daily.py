"""Daily's emulator with Pipecat's own REST helper, and what it refuses."""

from __future__ import annotations

import time
from typing import Any

import aiohttp
import pytest
from pipecat.transports.daily.utils import DailyRESTHelper, DailyRoomParams, DailyRoomProperties

from tests.emulators import DailyEmulator

BEARER = {"Authorization": "Bearer a-key"}


async def test_pipecat_creates_finds_and_deletes_a_private_room() -> None:
    async with DailyEmulator(key="a-key") as emulator, aiohttp.ClientSession() as http:
        daily = DailyRESTHelper(daily_api_key="a-key", daily_api_url=emulator.url, aiohttp_session=http)
        expires = int(time.time()) + 3600
        properties = DailyRoomProperties(exp=expires, eject_at_room_exp=True)
        room = await daily.create_room(DailyRoomParams(privacy="private", properties=properties))
        assert emulator.rooms[room.name].privacy == "private"
        assert emulator.rooms[room.name].expires_at == expires
        assert (await daily.get_room_from_url(room.url)).id == room.id
        token = await daily.get_token(room.url, expiry_time=600)
        assert emulator.tokens[token]["room_name"] == room.name
        await daily.delete_room_by_url(room.url)
        assert not emulator.rooms
        await daily.delete_room_by_url(room.url)
    assert [request.method for request in emulator.requests] == ["POST", "GET", "POST", "DELETE", "DELETE"]


@pytest.mark.parametrize(
    "body",
    [
        {"properties": {"exp": 3600}},
        {"properties": {"exp": "tomorrow"}},
        {"privacy": "secret"},
        {"name": "a room"},
        {"room": "a"},
        {"properties": []},
        [],
    ],
)
async def test_bad_room_is_refused(body: Any) -> None:
    async with DailyEmulator() as emulator, aiohttp.ClientSession(headers=BEARER) as http:
        async with http.post(f"{emulator.url}/rooms", json=body) as answer:
            assert answer.status == 400
            assert (await answer.json())["error"] == "invalid-request-error"
        assert not emulator.created


async def test_room_cannot_be_made_twice() -> None:
    async with DailyEmulator() as emulator, aiohttp.ClientSession(headers=BEARER) as http:
        for status in (200, 400):
            async with http.post(f"{emulator.url}/rooms", json={"name": "desk"}) as answer:
                assert answer.status == status


async def test_expired_token_is_refused() -> None:
    async with (
        DailyEmulator() as emulator,
        aiohttp.ClientSession(headers=BEARER) as http,
        http.post(f"{emulator.url}/meeting-tokens", json={"properties": {"exp": 3600}}) as answer,
    ):
        assert answer.status == 400


@pytest.mark.parametrize("headers", [{}, {"Authorization": "a-key"}, {"Authorization": "Bearer wrong"}])
async def test_bad_key_is_refused(headers: dict[str, str]) -> None:
    async with (
        DailyEmulator(key="a-key") as emulator,
        aiohttp.ClientSession(headers=headers) as http,
        http.post(f"{emulator.url}/rooms", json={}) as answer,
    ):
        assert answer.status == 401


async def test_ordered_failure_happens_once() -> None:
    async with DailyEmulator() as emulator, aiohttp.ClientSession(headers=BEARER) as http:
        emulator.fail(503)
        for status in (503, 200):
            async with http.post(f"{emulator.url}/rooms", json={}) as answer:
                assert answer.status == status
