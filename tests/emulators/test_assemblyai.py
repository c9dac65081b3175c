"""AssemblyAI's emulator refuses what the vendor refuses, hears what the script says and records what the client did."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import pytest
from websockets.sync.client import connect

from tests.emulators import AssemblyAIEmulator, until, wait_until
from tests.emulators.assemblyai_rules import Configuration, RefusedError

RATE = 16000
KEY = {"Authorization": "a-key"}


def tone(milliseconds: int) -> bytes:
    time_axis = np.arange(RATE * milliseconds // 1000) / RATE
    return (8000 * np.sin(2 * np.pi * 200 * time_axis)).astype("<i2").tobytes()


def silence(milliseconds: int) -> bytes:
    return bytes(2 * RATE * milliseconds // 1000)


class Client:
    """A caller's side of one session: sends audio in 50 ms frames without waiting for the clock."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def speak(self, *parts: bytes) -> None:
        audio = b"".join(parts)
        for start in range(0, len(audio), 1600):
            await self.socket.send_bytes(audio[start : start + 1600])

    async def say(self, kind: str, **fields: Any) -> None:
        await self.socket.send_json({"type": kind, **fields})

    async def next(self) -> dict[str, Any]:
        return json.loads(await self.socket.receive_str(timeout=3))

    async def until_final(self) -> list[dict[str, Any]]:
        messages = [await self.next()]
        while not messages[-1].get("end_of_turn"):
            messages.append(await self.next())
        return messages

    async def until_closed(self) -> tuple[list[dict[str, Any]], int | None]:
        messages = [json.loads(message.data) async for message in self.socket if message.type is aiohttp.WSMsgType.TEXT]
        return messages, self.socket.close_code


@asynccontextmanager
async def session(
    emulator: AssemblyAIEmulator, query: dict[str, str] | None = None, headers: dict[str, str] = KEY
) -> AsyncGenerator[Client]:
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(emulator.url, params=query, headers=headers) as socket,
    ):
        yield Client(socket)


@asynccontextmanager
async def begun(emulator: AssemblyAIEmulator, **query: str) -> AsyncGenerator[Client]:
    async with session(emulator, query) as client:
        assert (await client.next())["type"] == "Begin"
        yield client


async def test_begin_repeats_the_configuration() -> None:
    async with AssemblyAIEmulator() as emulator, session(emulator, {"speech_model": "universal-3-5-pro"}) as client:
        begin = await client.next()
    assert begin["configuration"]["model"] == "universal-3-5-pro"
    assert begin["configuration"]["mode"] == "balanced"
    assert begin["expires_at"] > time.time()


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({}, "Missing Authorization header"),
        ({"Authorization": "Bearer a-key"}, "Invalid API key"),
        ({"Authorization": "another-key"}, "Invalid API key"),
    ],
)
async def test_bad_key_is_refused_after_the_upgrade(headers: dict[str, str], text: str) -> None:
    async with AssemblyAIEmulator(key="a-key") as emulator, session(emulator, headers=headers) as client:
        messages, code = await client.until_closed()
    assert messages == [{"type": "Error", "error_code": 1008, "error": f"Unauthorized Connection: {text}"}]
    assert code == 1008


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("speech_model", "universal-4"),
        ("sample_rate", "7000"),
        ("sample_rate", "fast"),
        ("encoding", "flac"),
        ("mode", "fastest"),
        ("vad_threshold", "9"),
        ("interruption_delay", "1001"),
        ("end_of_turn_confidence_threshold", "1.5"),
        ("continuous_partials", "True"),
        ("prompt", "x" * 1751),
        ("agent_context", "x" * 1751),
        ("keyterms_prompt", "Northwind"),
        ("keyterms_prompt", json.dumps(["term"] * 101)),
        ("keyterms_prompt", json.dumps([1])),
        ("language_codes", json.dumps(["en", "multi"])),
        ("language_codes", json.dumps(["pl"])),
        ("language_codes", json.dumps(["en"] * 11)),
        ("previous_context_n_turns", "101"),
        ("voice_focus", "bogus"),
        ("voice_focus_threshold", "-0.1"),
        ("domain", "law"),
        ("max_speakers", "11"),
    ],
)
async def test_bad_parameter_ends_the_session_with_3006(name: str, value: str) -> None:
    async with AssemblyAIEmulator() as emulator, session(emulator, {name: value}) as client:
        messages, code = await client.until_closed()
        assert emulator.session.close_code == 3006
    assert messages[0]["error"].startswith(f"User Input Validation Error: Invalid '{name}'")
    assert (messages[0]["error_code"], code) == (3006, 3006)


@pytest.mark.parametrize(("name", "value"), [("prompt", "A call about orders."), ("mode", "balanced")])
def test_older_family_refuses_prompt_and_mode(name: str, value: str) -> None:
    with pytest.raises(RefusedError, match=name):
        Configuration().connect({"speech_model": "universal-streaming-english", name: value})


def test_limits_are_inclusive() -> None:
    configuration = Configuration()
    query = {"keyterms_prompt": json.dumps(["x" * 200] * 100), "prompt": "x" * 1750, "agent_context": "x" * 1750}
    configuration.connect(query | {"language_codes": json.dumps(["en", "es"]), "min_turn_silence": "1"})
    assert len(configuration.values["keyterms_prompt"]) == 100
    assert configuration.values["min_turn_silence"] == 50, "clamped, not refused"


def test_what_has_no_effect_is_kept_for_the_test() -> None:
    configuration = Configuration()
    configuration.connect({"formatted_finals": "true", "keyterm_prompt": '["x"]', "format_turns": "true"})
    assert set(configuration.ignored) == {"formatted_finals", "keyterm_prompt", "format_turns"}
    assert not configuration.values


async def test_repeated_list_parameter_is_refused() -> None:
    async with AssemblyAIEmulator() as emulator, aiohttp.ClientSession() as http:
        address = f"{emulator.url}?keyterms_prompt=a&keyterms_prompt=b"
        async with http.ws_connect(address, headers=KEY) as socket:
            messages, _ = await Client(socket).until_closed()
    assert "Invalid JSON array" in messages[0]["error"]


async def test_good_update_is_not_acknowledged_and_has_effect() -> None:
    async with AssemblyAIEmulator() as emulator, begun(emulator, max_turn_silence="2000") as client:
        emulator.final_delay = 0
        emulator.script(["my number is"])
        await client.say("UpdateConfiguration", max_turn_silence=300, keyterms_prompt=["RMA"], mode="min_latency")
        await client.speak(tone(300), silence(500))
        messages = await client.until_final()
        configuration = emulator.session.configuration
    assert {message["type"] for message in messages} == {"SpeechStarted", "Turn"}
    assert configuration.values["keyterms_prompt"] == ["RMA"]
    assert configuration.ignored == {"mode": "min_latency"}


@pytest.mark.parametrize(
    "fields",
    [
        {"keyterms_prompt": ["x"] * 101},
        {"keyterms_prompt": '["x"]'},
        {"agent_context": "x" * 1751},
        {"min_turn_silence": "300"},
        {"vad_threshold": 9},
        {"prompt": None},
    ],
)
async def test_bad_update_ends_the_session_with_3006(fields: dict[str, Any]) -> None:
    async with AssemblyAIEmulator() as emulator, begun(emulator) as client:
        await client.say("UpdateConfiguration", **fields)
        messages, code = await client.until_closed()
    assert messages[0]["error_code"] == code == 3006


@pytest.mark.parametrize(("text", "said"), [("{", "Invalid JSON"), ('{"type": "Stop"}', "Invalid Message Type: Stop")])
async def test_nonsense_from_the_client_ends_the_session(text: str, said: str) -> None:
    async with AssemblyAIEmulator() as emulator, begun(emulator) as client:
        await client.socket.send_str(text)
        messages, code = await client.until_closed()
    assert said in messages[0]["error"]
    assert code == 3006


async def test_frame_above_one_second_is_refused_at_once() -> None:
    async with AssemblyAIEmulator() as emulator, begun(emulator) as client:
        await client.socket.send_bytes(silence(1200))
        messages, code = await client.until_closed()
    assert messages[0]["error"].endswith("1200.0 ms. Expected between 50 and 1000 ms")
    assert code == 3007


async def test_short_frames_are_refused_after_about_a_second_and_one_tail_is_not() -> None:
    async with AssemblyAIEmulator() as emulator, begun(emulator) as client:
        await client.socket.send_bytes(silence(20))
        await client.socket.send_bytes(silence(50))
        for _ in range(48):
            await client.socket.send_bytes(silence(20))
        await until(lambda: len(emulator.session.frames) == 50)
        assert emulator.session.is_open
        await client.socket.send_bytes(silence(20))
        _, code = await client.until_closed()
    assert code == 3007


async def test_partials_grow_after_speech_started_and_force_brings_the_final() -> None:
    async with AssemblyAIEmulator() as emulator, begun(emulator, interruption_delay="0") as client:
        emulator.script(["I want a refund for my order."])
        await client.speak(tone(1500))
        forced = time.monotonic()
        await client.say("ForceEndpoint")
        started, *partials, final = await client.until_final()
        waited = time.monotonic() - forced
    assert started["type"] == "SpeechStarted"
    lengths = [len(partial["words"]) for partial in partials]
    assert lengths == sorted(set(lengths))
    assert len(lengths) >= 3
    assert all(partial["turn_is_formatted"] and not partial["end_of_turn"] for partial in partials)
    assert final["transcript"] == final["utterance"] == "I want a refund for my order."
    assert [word["text"] for word in final["words"]] == final["transcript"].split()
    assert final["turn_is_formatted"]
    assert waited >= 0.25


@pytest.mark.parametrize(("text", "waits_ms"), [("That is all.", 200), ("my order number is", 900)])
async def test_vendors_turn_detection_waits_longer_for_an_unfinished_sentence(text: str, waits_ms: int) -> None:
    async with (
        AssemblyAIEmulator() as emulator,
        begun(emulator, min_turn_silence="200", max_turn_silence="900") as client,
    ):
        emulator.final_delay = 0
        emulator.script([text])
        await client.speak(tone(400), silence(waits_ms - 50))
        await client.say("KeepAlive")
        await until(lambda: emulator.session.of_type("KeepAlive"))
        assert not emulator.session.finals
        await client.speak(silence(50))
        assert (await client.until_final())[-1]["transcript"] == text


async def test_pause_that_ends_a_turn_splits_a_dictated_utterance() -> None:
    dictated = ["jane", "at example", "dot com."]
    async with AssemblyAIEmulator() as emulator:
        emulator.final_delay = 0
        for longest, finals in (("400", dictated), ("1000", [" ".join(dictated)])):
            emulator.script([dictated])
            async with begun(emulator, min_turn_silence="400", max_turn_silence=longest) as client:
                for _ in dictated:
                    await client.speak(tone(400), silence(600))
                await until(lambda wanted=finals: emulator.session.finals == wanted)


async def test_older_family_sends_each_final_twice_and_no_speech_started() -> None:
    query = {"speech_model": "universal-streaming-english", "format_turns": "true"}
    async with AssemblyAIEmulator() as emulator, begun(emulator, **query) as client:
        emulator.termination_delay = emulator.final_delay = 0
        emulator.script(["I want a refund."])
        await client.speak(tone(300))
        await client.say("ForceEndpoint")
        await client.say("Terminate")
        messages, code = await client.until_closed()
    finals = [(m["transcript"], m["turn_is_formatted"]) for m in messages if m.get("end_of_turn")]
    assert finals == [("i want a refund", False), ("I want a refund.", True), ("", True)]
    assert not [message for message in messages if message["type"] == "SpeechStarted"]
    assert code == 1000


async def test_unscripted_speech_is_heard_as_nothing() -> None:
    async with AssemblyAIEmulator() as emulator, begun(emulator) as client:
        emulator.termination_delay = 0
        await client.speak(tone(400), silence(1500))
        await client.say("Terminate")
        messages, _ = await client.until_closed()
        assert emulator.session.unscripted == 1
    assert [message["type"] for message in messages] == ["Termination"]


async def test_mulaw_is_heard_as_loudly_as_linear_audio() -> None:
    async with AssemblyAIEmulator() as emulator, begun(emulator, encoding="pcm_mulaw", sample_rate="8000") as client:
        emulator.final_delay = 0
        emulator.script(["Hello."])
        await client.socket.send_bytes(bytes([0xFF]) * 4000)
        await client.say("ForceEndpoint")
        for _ in range(8):
            await client.socket.send_bytes(bytes([0x90, 0x10]) * 200)
        await client.say("ForceEndpoint")
        assert (await client.until_final())[-1]["words"][0]["start"] == 500


async def test_labels_and_languages_come_with_finals_when_asked() -> None:
    async with (
        AssemblyAIEmulator() as emulator,
        begun(emulator, speaker_labels="true", language_detection="true") as client,
    ):
        emulator.termination_delay = emulator.final_delay = 0
        emulator.languages.extend([("es", 0.93)])
        emulator.revisions[0] = "B"
        emulator.script(["Quiero reservar una mesa.", "Yes."])
        for _ in range(2):
            await client.speak(tone(300))
            await client.say("ForceEndpoint")
        await client.say("Terminate")
        messages, _ = await client.until_closed()
    partials = [message for message in messages if message.get("end_of_turn") is False]
    assert not [message for message in partials if "speaker_label" in message or "language_code" in message]
    one, other = (message for message in messages if message.get("end_of_turn"))
    assert (one["speaker_label"], one["language_code"], one["language_confidence"]) == ("A", "es", 0.93)
    assert (other["speaker_label"], other["language_code"]) == ("UNKNOWN", "en"), "too short to tell"
    assert [message["type"] for message in messages[-2:]] == ["SpeakerRevision", "Termination"]
    revised = [(one["turn_order"], one["speaker_label"]) for one in messages[-2]["revisions"]]
    assert revised == [(0, "B"), (1, "UNKNOWN")]


async def test_audio_after_terminate_is_kept_apart() -> None:
    async with AssemblyAIEmulator() as emulator, begun(emulator) as client:
        emulator.termination_delay = 0.3
        await client.speak(tone(100))
        await client.say("Terminate")
        await client.speak(tone(150))
        messages, code = await client.until_closed()
        recorded = emulator.session
        assert (bytes(recorded.audio), bytes(recorded.audio_after_terminate)) == (tone(100), tone(150))
        assert [frame.after_terminate for frame in recorded.frames] == [False, False, True, True, True]
    assert messages[-1]["audio_duration_seconds"] == 0.1
    assert code == 1000


async def test_termination_can_stay_away() -> None:
    async with AssemblyAIEmulator() as emulator, begun(emulator) as client:
        emulator.termination_delay = None
        await client.say("Terminate")
        with pytest.raises(TimeoutError):
            await client.socket.receive(timeout=0.2)


async def test_ordered_faults_happen() -> None:
    async with AssemblyAIEmulator() as emulator:
        emulator.refuse_handshakes(401)
        with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
            async with session(emulator):
                pass
        emulator.refuse_sessions(1008, "Unauthorized Connection: Too many concurrent sessions")
        async with session(emulator) as client:
            assert (await client.until_closed())[1] == 1008
        emulator.refuse_updates()
        async with begun(emulator) as client:
            await client.say("UpdateConfiguration", prompt="fine")
            assert (await client.until_closed())[1] == 3006
        async with begun(emulator) as client:
            emulator.session.warn("Audio is quiet")
            emulator.session.say_text("not json")
            emulator.session.fail(3005)
            assert (await client.next())["type"] == "Warning"
            assert await client.socket.receive_str() == "not json"
            messages, code = await client.until_closed()
            assert messages[0]["error_code"] == code == 3005
        async with begun(emulator) as client:
            emulator.session.drop()
            assert (await client.until_closed())[1] == 1006
        assert emulator.handshakes == 5


async def test_begin_and_the_upgrade_can_be_slow() -> None:
    async with AssemblyAIEmulator() as emulator:
        emulator.connect_delay = emulator.begin_delay = 0.1
        asked = time.monotonic()
        async with session(emulator) as client:
            upgraded = time.monotonic()
            await client.next()
            assert upgraded - asked >= 0.1
            assert time.monotonic() - upgraded >= 0.09


def test_emulator_in_a_thread_serves_a_client_without_an_event_loop() -> None:
    with AssemblyAIEmulator().in_thread() as emulator:
        emulator.script(["Hello."])
        with connect(emulator.url, additional_headers=KEY) as socket:
            assert json.loads(socket.recv())["type"] == "Begin"
            for _ in range(6):
                socket.send(tone(50))
            socket.send(json.dumps({"type": "ForceEndpoint"}))
            assert json.loads(socket.recv())["type"] == "SpeechStarted"
            wait_until(lambda: emulator.session.finals == ["Hello."])
            emulator.session.fail(3005)
            wait_until(lambda: not emulator.session.is_open)
    with pytest.raises(OSError, match="refused"):
        connect(emulator.url, additional_headers=KEY)


async def test_order_of_messages_is_kept_when_a_final_is_slow() -> None:
    async with AssemblyAIEmulator() as emulator, begun(emulator, interruption_delay="0") as client:
        emulator.final_delay = 0.3
        emulator.script(["One.", "Two."])
        await client.speak(tone(300))
        await client.say("ForceEndpoint")
        await client.speak(tone(400))
        await client.say("ForceEndpoint")
        await asyncio.sleep(0)
        turns = await client.until_final() + await client.until_final()
    assert [turn["turn_order"] for turn in turns if turn["type"] == "Turn"] == sorted(
        turn["turn_order"] for turn in turns if turn["type"] == "Turn"
    )
