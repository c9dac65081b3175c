"""A client that is gone and comes back to the same call: over websocket and WebRTC, with its stage and all that was said."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import websockets

from tests.caller import Caller
from tests.cloud.vendors import Ports, Vendors, house_on
from tests.emulators.openai import Reply, ToolCall
from tests.emulators.sound import seconds_of
from tests.running import Running
from tests.webrtc import WebRTCCaller

GREETING = "Hello, this is Northwind and I can help you with your order today."

AGENT = f"""\
name: shop
prompt: You are brief.
greeting: {GREETING}
limits:
  wait_for_return: 4s
turns:
  idle:
    after: 2s
    say: Still there?
stages:
  first:
    prompt: Find out what the caller wants.
    next:
      - when: The caller wants a refund
        examples: [I want a refund]
        to: refund
  refund:
    say: A refund it is.
    prompt: Ask for the number.
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, ports: Ports) -> Iterator[tuple[Running, int]]:
    with house_on(ports, tmp_path_factory.mktemp("back"), AGENT) as house:
        yield house


def key() -> str:
    return secrets.token_urlsafe(24)


class Places:
    """Where calls of the house are asked for."""

    def __init__(self, port: int) -> None:
        self.port = port

    def socket(self, **query: str) -> str:
        return f"ws://127.0.0.1:{self.port}/ws-client/shop?" + "&".join(f"{n}={v}" for n, v in query.items())

    def offer(self, **query: str) -> str:
        return f"http://127.0.0.1:{self.port}/api/offer?" + "&".join(f"{n}={v}" for n, v in query.items())


@pytest.fixture
def places(house: tuple[Running, int]) -> Places:
    return Places(house[1])


async def test_call_over_websocket_goes_on_in_its_stage_with_its_history(
    house: tuple[Running, int], places: Places, vendors: Vendors
) -> None:
    mine, since = key(), len(house[0].lines)
    async with Caller(places.socket(call=mine)) as caller:
        await caller.wait_for_agent_words("today")
        vendors.mind.reply(Reply("", (ToolCall("go_to_refund"),)))
        await caller.send_text("I want a refund")
        await caller.wait_for_agent_words("A refund it is.")
        caller.drop()
    await asyncio.sleep(1)
    async with Caller(places.socket(back=mine)) as again:
        await again.wait_until(lambda: again.told("back"), "what was said before")
        (back,) = again.told("back")
        assert back["stage"] == "refund"
        lines = [(line["who"], line["text"]) for line in back["lines"]]
        assert lines == [
            ("agent", GREETING),
            ("caller", "I want a refund"),
            ("stage", "refund"),
            ("agent", "A refund it is."),
        ]
        await again.send_text("It is 45123")
        await again.wait_for_agent_words("You said: It is 45123")
        said = [message.get("content") for message in vendors.mind.request.body["messages"][1:]]
        assert said[:2] == [GREETING, "I want a refund"]
        assert len(vendors.ears.sessions) == 1, "the ear's session went on"
    ended = [line for line in house[0].lines[since:] if "call ended" in line]
    assert len(ended) <= 1


async def test_voice_waits_and_goes_on_before_where_it_stopped(places: Places, vendors: Vendors) -> None:
    mine = key()
    async with Caller(places.socket(call=mine)) as caller:
        await caller.wait_for_agent_sound()
        await asyncio.sleep(1.2)
        heard = sum(one.seconds for one in caller.sound)
        caller.drop()
        whole = vendors.voice.sessions[0].contexts
    await asyncio.sleep(2)
    (context,) = whole.values()
    seconds = seconds_of(context.text)
    assert 0.5 < heard < seconds - 0.5, "it was cut off in the middle"
    async with Caller(places.socket(back=mine)) as again:
        await again.wait_for_agent_words("today")
        await again.wait_until(lambda: heard + sum(one.seconds for one in again.sound) > seconds - 0.5, "the rest")
        await again.wait_for_silence()
        rest = sum(one.seconds for one in again.sound)
        assert seconds - 0.5 < heard + rest < seconds + 3.5, "nothing is lost, and about two seconds are repeated"


@pytest.mark.slow
async def test_voice_goes_on_for_a_caller_who_was_gone_longer_than_pipecat_waits_for_a_write(
    tmp_path: Path, ports: Ports, vendors: Vendors
) -> None:
    with house_on(ports, tmp_path, AGENT.replace("wait_for_return: 4s", "wait_for_return: 30s")) as (running, port):
        places, mine = Places(port), key()
        async with Caller(places.socket(call=mine)) as caller:
            await caller.wait_for_agent_sound()
            caller.drop()
        await asyncio.sleep(11)
        async with Caller(places.socket(back=mine)) as again:
            await again.wait_for_agent_sound()
            before = len(again.sound)
            await again.send_text("Me again")
            await again.wait_for_agent_words("You said: Me again")
            await again.wait_until(lambda: len(again.sound) > before, "the answer's sound")
        assert "[problem]" not in running.output


async def test_caller_who_does_not_come_back_in_time_ends_the_call(
    house: tuple[Running, int], places: Places, vendors: Vendors
) -> None:
    mine, since = key(), len(house[0].lines)
    async with Caller(places.socket(call=mine)) as caller:
        await caller.wait_for_agent_words("today")
        caller.drop()
    await asyncio.to_thread(
        house[0].wait_for, "the caller did not come back within 4 s (limits.wait_for_return)", after=since
    )
    for query in ({"back": mine}, {"call": mine}):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(places.socket(**query), proxy=None)
        assert refused.value.response.status_code == 410
    with pytest.raises(ConnectionRefusedError, match="410"):
        await WebRTCCaller(places.offer(back=mine)).__aenter__()


async def test_who_hangs_up_or_cannot_come_back_ends_the_call_at_once(
    house: tuple[Running, int], places: Places, vendors: Vendors
) -> None:
    async with Caller(places.socket(call=key())) as caller:
        since = len(house[0].lines)
        await caller.wait_for_agent_sound()
        await caller.hang_up()
        await asyncio.to_thread(house[0].wait_for, "call ended: the caller hung up", after=since, seconds=3)
    async with Caller(places.socket()) as caller:
        since = len(house[0].lines)
        await caller.wait_for_agent_sound()
        caller.drop()
        await asyncio.to_thread(house[0].wait_for, "call ended: the caller hung up", after=since, seconds=3)
    mine = key()
    async with Caller(places.socket(call=mine)) as caller:
        since = len(house[0].lines)
        await caller.wait_for_agent_sound()
        async with httpx.AsyncClient(trust_env=False) as client:
            address = f"http://127.0.0.1:{places.port}/api/calls/"
            assert (await client.delete(address + key())).status_code == 410
            assert (await client.delete(address + mine)).status_code == 204
        await asyncio.to_thread(house[0].wait_for, "call ended: the caller hung up", after=since, seconds=3)


async def test_nobody_takes_a_call_whose_key_he_does_not_know(places: Places, vendors: Vendors) -> None:
    async with Caller(places.socket(call=key())) as caller:
        await caller.wait_for_agent_sound()
        for back, status in ((key(), 410), ("short", 422), ("", 422), ("%2e" * 30, 422)):
            with pytest.raises(websockets.InvalidStatus) as refused:
                await websockets.connect(places.socket(back=back), proxy=None)
            assert refused.value.response.status_code == status
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(places.socket(call="1234"), proxy=None)
        assert refused.value.response.status_code == 422
        assert caller.close_code is None


async def test_client_that_is_still_there_makes_room_for_the_one_that_comes_back(
    places: Places, vendors: Vendors
) -> None:
    mine = key()
    async with Caller(places.socket(call=mine)) as caller:
        await caller.wait_for_agent_words("today")
        async with Caller(places.socket(back=mine)) as again:
            await caller.wait_for_end()
            assert caller.close_code == 4001
            await again.send_text("Me again")
            await again.wait_for_agent_words("You said: Me again")
            assert again.close_code is None


async def test_call_over_webrtc_goes_on(house: tuple[Running, int], places: Places, vendors: Vendors) -> None:
    mine, since = key(), len(house[0].lines)
    async with WebRTCCaller(places.offer(call=mine)) as caller:
        await caller.wait_until(lambda: len(caller.voiced) > 30, "the agent's voice")
    await asyncio.sleep(1.5)
    async with WebRTCCaller(places.offer(back=mine)) as again:
        await again.wait_until(lambda: again.told("back"), "what was said before")
        await again.wait_until(lambda: again.voiced, "the rest of the greeting")
        await again.wait_until(lambda: "bot-stopped-speaking" in [m["type"] for m in again.messages], "its end")
        vendors.mind.reply(Reply("", (ToolCall("go_to_refund"),)))
        await again.send_text("I want a refund")
        await again.wait_until(lambda: "A refund it is." in again.agent_text, "the stage's line")
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(places.socket(back=mine), proxy=None)
        assert refused.value.response.status_code == 409
        assert len(vendors.ears.sessions) == 1, "the ear's session went on"
    assert "call ended" not in "\n".join(house[0].lines[since:])


async def test_network_that_is_lost_for_a_moment_loses_no_word(places: Places, vendors: Vendors) -> None:
    """Pipecat's own client makes a new peer connection for the same page then, and does not say that it is ready."""
    mine = key()
    async with WebRTCCaller(places.offer(call=mine)) as caller:
        await caller.wait_until(lambda: len(caller.voiced) > 30, "the agent's voice")
        async with WebRTCCaller(places.offer(call=mine), ready=False, again=caller.answer["pc_id"]) as again:
            await again.wait_until(lambda: again.told("back"), "what was said before")
            await again.wait_until(lambda: again.voiced, "the rest of the greeting")
            await again.send_text("Are you there?")
            await again.wait_until(lambda: "You said: Are you there?" in again.agent_text, "the answer")


async def test_silent_caller_is_not_spoken_to_while_gone(places: Places, vendors: Vendors) -> None:
    mine = key()
    async with Caller(places.socket(call=mine)) as caller:
        await caller.wait_for_agent_words("today")
        await caller.wait_for_silence()
        caller.drop()
    await asyncio.sleep(3)
    spoken = len(vendors.spoken)
    async with Caller(places.socket(back=mine)) as again:
        await again.wait_until(lambda: again.told("back"), "what was said before")
        assert len(vendors.spoken) == spoken
        await again.wait_for_agent_words("Still there?", seconds=10)
