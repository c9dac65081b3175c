"""The voices that are not Cartesia's, at their wire: what they send, and what they refuse."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from .deepgram_speech import DeepgramSpeechEmulator
from .openai_speech import OpenAISpeechEmulator
from .sound import seconds_of

GOOD = {"model": "gpt-4o-mini-tts", "input": "Good morning.", "voice": "alloy", "response_format": "pcm"}


async def asked(emulator: OpenAISpeechEmulator, body: dict[str, Any], key: str = "k") -> tuple[int, bytes]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{emulator.url}/audio/speech", json=body) as answer,
    ):
        return answer.status, await answer.read()


async def test_openai_speaks_16_bits_at_24_khz() -> None:
    async with OpenAISpeechEmulator(key="k") as emulator:
        status, pcm = await asked(emulator, GOOD)
        assert status == 200
        assert len(pcm) / 2 / 24_000 == pytest.approx(seconds_of("Good morning."), abs=0.001)
        assert emulator.spoken == ["Good morning."]


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"voice": "katie"}, 400, "Invalid value: 'katie'"),
        ({"model": "tts-9"}, 404, "The model `tts-9` does not exist"),
        ({"input": ""}, 400, "Missing required parameter: 'input'"),
        ({"input": "a" * 4097}, 400, "longer than 4096"),
        ({"speed": 5}, 400, "'speed' must be"),
        ({"voise": "alloy"}, 400, "Unrecognized request argument supplied: voise"),
        ({"model": "tts-1", "instructions": "Whisper."}, 400, "does not work with tts-1"),
    ],
)
async def test_openai_refuses(change: dict[str, Any], status: int, words: str) -> None:
    async with OpenAISpeechEmulator() as emulator:
        found, body = await asked(emulator, GOOD | change)
        assert found == status
        assert words in json.loads(body)["error"]["message"]


@pytest.mark.parametrize("key", ["", "another"])
async def test_openai_refuses_a_wrong_key(key: str) -> None:
    async with OpenAISpeechEmulator(key="k") as emulator:
        assert (await asked(emulator, GOOD, key))[0] == 401


def address(emulator: DeepgramSpeechEmulator, query: str = "model=aura&encoding=linear16&sample_rate=16000") -> str:
    return f"{emulator.url}/v1/speak?{query}"


async def test_deepgram_speaks_what_was_flushed_and_says_when_it_is_out() -> None:
    async with (
        DeepgramSpeechEmulator(key="k") as emulator,
        aiohttp.ClientSession(headers={"Authorization": "Token k"}) as session,
        session.ws_connect(address(emulator)) as socket,
    ):
        assert (await socket.receive_json())["type"] == "Metadata"
        for message in ({"type": "Speak", "text": "Good morning."}, {"type": "Flush"}):
            await socket.send_json(message)
        pcm = b""
        while (message := await socket.receive()).type is aiohttp.WSMsgType.BINARY:
            pcm += message.data
        assert message.json() == {"type": "Flushed", "sequence_id": 1}
        assert len(pcm) / 2 / 16_000 == pytest.approx(seconds_of("Good morning."), abs=0.001)
        await socket.send_json({"type": "Speek"})
        assert (await socket.receive_json())["type"] == "Warning"


@pytest.mark.parametrize(
    ("key", "query", "status"),
    [
        ("another", "model=aura&encoding=linear16&sample_rate=16000", 401),
        ("k", "model=nobody&encoding=linear16&sample_rate=16000", 400),
        ("k", "model=aura&encoding=linear16&sample_rate=11025", 400),
        ("k", "model=aura&encoding=linear16&sample_rate=16000&speaker=1", 400),
    ],
)
async def test_deepgram_refuses(key: str, query: str, status: int) -> None:
    async with (
        DeepgramSpeechEmulator(key="k", voices=["aura"]) as emulator,
        aiohttp.ClientSession(headers={"Authorization": f"Token {key}"}) as session,
    ):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(address(emulator, query))
        assert refused.value.status == status
