"""Cartesia's emulator refuses what the vendor refuses, speaks contexts side by side and records what was asked."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import pytest

from tests.emulators import CartesiaEmulator, until

HEADERS = {"X-API-Key": "a-key", "Cartesia-Version": "2026-03-01"}
REQUEST: dict[str, Any] = {
    "transcript": "Hi there.",
    "continue": True,
    "context_id": "turn-1",
    "model_id": "sonic-3.6",
    "voice": {"mode": "id", "id": "maya"},
    "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24000},
    "add_timestamps": True,
    "use_normalized_timestamps": False,
    "max_buffer_delay_ms": 0,
    "language": "en",
}
END = {"transcript": "", "continue": False}


class Client:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def ask(self, **change: Any) -> None:
        await self.socket.send_json(REQUEST | change)

    async def next(self) -> dict[str, Any]:
        return json.loads(await self.socket.receive_str(timeout=3))

    async def until(self, kind: str) -> list[dict[str, Any]]:
        messages = [await self.next()]
        while messages[-1]["type"] != kind:
            messages.append(await self.next())
        return messages


@asynccontextmanager
async def session(emulator: CartesiaEmulator) -> AsyncGenerator[Client]:
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(emulator.url, headers=HEADERS) as socket,
    ):
        yield Client(socket)


def sound(messages: list[dict[str, Any]]) -> bytes:
    return b"".join(base64.b64decode(message["data"]) for message in messages if message["type"] == "chunk")


async def test_text_becomes_sound_of_its_length_with_word_times() -> None:
    async with CartesiaEmulator() as emulator, session(emulator) as client:
        await client.ask()
        await client.ask(**END)
        messages = await client.until("done")
    samples = np.frombuffer(sound(messages), dtype="<i2")
    assert len(samples) == round(len("Hi there.") * 0.06 * 24000)
    assert np.sqrt(np.mean(samples.astype(float) ** 2)) > 1000
    times = [message["word_timestamps"] for message in messages if message["type"] == "timestamps"]
    words = [word for time_ in times for word in time_["words"]]
    starts = [start for time_ in times for start in time_["start"]]
    assert (words, starts) == (["Hi", "there."], [0.0, 0.18])
    assert messages[-2] == {
        "type": "flush_done",
        "context_id": "turn-1",
        "done": False,
        "status_code": 206,
        "flush_id": 1,
        "flush_done": True,
    }
    assert messages[-1] == {"type": "done", "context_id": "turn-1", "done": True, "status_code": 200}


@pytest.mark.parametrize(("encoding", "width"), [("pcm_s16le", 2), ("pcm_f32le", 4), ("pcm_mulaw", 1)])
async def test_sound_comes_in_the_asked_format(encoding: str, width: int) -> None:
    form = {"container": "raw", "encoding": encoding, "sample_rate": 8000}
    async with CartesiaEmulator() as emulator, session(emulator) as client:
        await client.ask(output_format=form, **{"continue": False})
        messages = await client.until("done")
    assert len(sound(messages)) == round(len("Hi there.") * 0.06 * 8000) * width


async def test_words_of_a_second_text_go_on_where_the_first_ended() -> None:
    async with CartesiaEmulator() as emulator, session(emulator) as client:
        await client.ask()
        await client.ask(transcript=" Bye.", **{"continue": False})
        messages = await client.until("done")
    last = [message["word_timestamps"] for message in messages if message["type"] == "timestamps"][-1]
    assert (last["words"], last["start"]) == (["Bye."], [0.6])
    assert emulator.contexts[0].text == "Hi there. Bye."
    assert emulator.spoken == ["Hi there.", " Bye."]


async def test_without_a_buffer_time_tokens_are_spoken_by_the_sentence() -> None:
    tokens = ["Hi", " there", ".", " How", " are", " you", "?"]
    async with CartesiaEmulator() as emulator, session(emulator) as client:
        for token in tokens:
            await client.socket.send_json(
                {name: value for name, value in REQUEST.items() if name != "max_buffer_delay_ms"}
                | {"transcript": token}
            )
        await client.ask(**END, max_buffer_delay_ms=3000)
        messages = await client.until("done")
        assert [message["type"] for message in messages].count("flush_done") == 2
        await client.ask(context_id="turn-2", transcript="Hi", max_buffer_delay_ms=100)
        await client.until("flush_done")


async def test_contexts_run_side_by_side() -> None:
    async with CartesiaEmulator() as emulator, session(emulator) as client:
        emulator.real_time_factor = 0.3
        for name in ("a", "b"):
            await client.ask(context_id=name, **{"continue": False})
        messages = await client.until("done") + await client.until("done")
    chunks = [message["context_id"] for message in messages if message["type"] == "chunk"]
    assert chunks != sorted(chunks), "the chunks of both alternate"
    assert {message["context_id"] for message in messages if message["type"] == "done"} == {"a", "b"}


async def test_cancel_stops_a_context_without_a_word_and_the_socket_lives() -> None:
    async with CartesiaEmulator() as emulator, session(emulator) as client:
        emulator.real_time_factor = 1
        await client.ask(transcript="This sentence is so long that nobody wants to hear all of it.")
        await client.until("chunk")
        await client.socket.send_json({"context_id": "turn-1", "cancel": True})
        await until(lambda: emulator.contexts[0].cancelled_at)
        emulator.real_time_factor = 0
        await client.ask(context_id="turn-2", **{"continue": False})
        messages = await client.until("done")
    assert messages[-1]["context_id"] == "turn-2"
    assert not [m for m in messages if m["context_id"] == "turn-1" and m["type"] != "timestamps"]
    assert emulator.contexts[0].audio_bytes < 48000


@pytest.mark.parametrize(
    "change",
    [
        {"transcrpt": "x"},
        {"model_id": ""},
        {"voice": {"mode": "id", "id": None}},
        {"voice": {"mode": "embedding", "id": "x"}},
        {"language": "english"},
        {"output_format": {"container": "wav", "encoding": "pcm_s16le", "sample_rate": 24000}},
        {"output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24001}},
        {"generation_config": {"speed": 1.6}},
        {"generation_config": {"volume": 0.4}},
        {"generation_config": {"pitch": 1}},
        {"max_buffer_delay_ms": 5001},
        {"context_id": "turn 1"},
        {"continue": "yes"},
    ],
)
async def test_bad_request_is_answered_with_an_error(change: dict[str, Any]) -> None:
    async with CartesiaEmulator() as emulator, session(emulator) as client:
        await client.ask(**change)
        error = await client.next()
        assert (error["type"], error["status_code"], error["done"]) == ("error", 400, True)
        assert error["context_id"] == change.get("context_id", "turn-1")
        assert not emulator.contexts


@pytest.mark.parametrize(
    "change", [{"voice": {"mode": "id", "id": "joe"}}, {"model_id": "sonic-2"}, {"language": "de"}]
)
async def test_voice_model_and_language_are_locked_in_a_context(change: dict[str, Any]) -> None:
    async with CartesiaEmulator() as emulator, session(emulator) as client:
        await client.ask()
        await client.until("flush_done")
        await client.ask(generation_config={"speed": 1.2})
        await client.until("flush_done")
        await client.ask(**change)
        assert next(iter(change)).removesuffix("_id") in (await client.next())["message"]


async def test_voices_and_the_number_of_contexts_can_be_limited() -> None:
    async with CartesiaEmulator(voices=["maya"]) as emulator, session(emulator) as client:
        await client.ask(voice={"mode": "id", "id": "joe"})
        assert (await client.next())["error_code"] == "voice_not_found"
        emulator.most_contexts = 1
        await client.ask()
        await client.until("flush_done")
        await client.ask(context_id="turn-2")
        assert (await client.next())["status_code"] == 429


async def test_ended_context_takes_no_more_text() -> None:
    async with CartesiaEmulator() as emulator, session(emulator) as client:
        await client.ask(**{"continue": False})
        await client.until("done")
        await client.ask()
        assert (await client.next())["error_code"] == "context_closed"


@pytest.mark.parametrize(
    "headers", [{}, {"X-API-Key": "a-key"}, {"Cartesia-Version": "2026-03-01"}, HEADERS | {"X-API-Key": "wrong"}]
)
async def test_handshake_needs_key_and_version(headers: dict[str, str]) -> None:
    async with CartesiaEmulator(key="a-key") as emulator, aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
            await http.ws_connect(emulator.url, headers=headers)


async def test_ordered_faults_happen() -> None:
    async with CartesiaEmulator() as emulator:
        async with session(emulator) as client:
            emulator.fail("out of breath", with_context=False)
            await client.ask()
            error = await client.next()
            assert error["message"] == "out of breath"
            assert "context_id" not in error
            emulator.session.error("Too late", "x", context_id="turn-1", code="late", status=408)
            assert (await client.next())["context_id"] == "turn-1"
            emulator.session.close(1000, "idle")
            assert (await client.socket.receive(timeout=3)).type is aiohttp.WSMsgType.CLOSE
        emulator.refuse_handshakes(503)
        with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
            async with session(emulator):
                pass


async def test_first_delay_and_real_time_factor_are_kept() -> None:
    async with CartesiaEmulator() as emulator, session(emulator) as client:
        emulator.first_delay, emulator.real_time_factor = 0.1, 0.5
        asked = time.monotonic()
        await client.ask(**{"continue": False})
        await client.until("chunk")
        assert time.monotonic() - asked >= 0.1
        await client.until("done")
        assert time.monotonic() - asked >= 0.1 + 0.5 * 0.5


async def test_messages_are_recorded_with_their_time() -> None:
    async with CartesiaEmulator() as emulator, session(emulator) as client:
        before = time.monotonic()
        await client.ask()
        await asyncio.sleep(0)
        await client.until("flush_done")
        recorded = emulator.session.received[0]
        assert recorded.body == REQUEST
        assert before <= recorded.at <= time.monotonic()
        assert emulator.session.headers["cartesia-version"] == "2026-03-01"
