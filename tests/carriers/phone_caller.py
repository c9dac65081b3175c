"""A telephone call as each carrier streams it: its first messages, mu-law (Exotel: linear) sound every 20 ms, keys, the end.

Comes in: what the caller says, as samples of 8 kHz. Goes out: what the agent's side sent, each piece with its time.

The messages are the ones of the carriers' documentation (Twilio "Media Streams - WebSocket messages", Telnyx "Media streaming
over WebSockets", Plivo "Audio streaming", Exotel "Stream and Voicebot applet"). G.711 is streamdouble's, not Pipecat's.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from types import TracebackType
from typing import Any, Self

import numpy as np
import websockets
from streamdouble import g711
from websockets.asyncio.client import ClientConnection

from tests.caller import VOICED, _loudness
from tests.speech import Samples, speak

RATE = 8000
FRAME = RATE // 50
CALLER, CALLED = "+14158675309", "+18005551212"


@dataclass(slots=True)
class Carrier:
    """How one carrier writes. The methods give messages to send; `understand` reads what comes back."""

    stream: str = "MZ0123456789abcdef0123456789abcdef"
    call: str = "CA0123456789abcdef0123456789abcdef"
    number: int = 0

    name = ""
    clear = "clear"

    def opening(self) -> list[dict[str, Any]]:
        raise NotImplementedError

    def media(self, payload: bytes) -> dict[str, Any]:
        raise NotImplementedError

    def key(self, digit: str) -> dict[str, Any]:
        raise NotImplementedError

    def stop(self) -> dict[str, Any] | None:
        raise NotImplementedError

    def encode(self, samples: Samples) -> bytes:
        return g711.encode(samples)

    def decode(self, payload: bytes) -> Samples:
        return g711.decode(payload)

    def sound_of(self, message: dict[str, Any]) -> bytes | None:
        """The sound of a message for the caller, None for any other message."""
        return base64.b64decode(message["media"]["payload"]) if message["event"] == "media" else None

    def echo(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """What the carrier answers when everything before a mark was played."""
        return message if message["event"] == "mark" else None

    def next(self) -> str:
        self.number += 1
        return str(self.number)


class Twilio(Carrier):
    name = "Twilio"
    account = "AC00000000000000000000000000000001"

    def opening(self) -> list[dict[str, Any]]:
        start = {
            "streamSid": self.stream,
            "accountSid": self.account,
            "callSid": self.call,
            "tracks": ["inbound"],
            "customParameters": {"from_number": CALLER, "to_number": CALLED},
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        }
        return [
            {"event": "connected", "protocol": "Call", "version": "1.0.0"},
            {"event": "start", "sequenceNumber": self.next(), "start": start, "streamSid": self.stream},
        ]

    def media(self, payload: bytes) -> dict[str, Any]:
        sound = {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": base64.b64encode(payload).decode()}
        return {"event": "media", "sequenceNumber": self.next(), "media": sound, "streamSid": self.stream}

    def key(self, digit: str) -> dict[str, Any]:
        pressed = {"track": "inbound_track", "digit": digit}
        return {"event": "dtmf", "streamSid": self.stream, "sequenceNumber": self.next(), "dtmf": pressed}

    def stop(self) -> dict[str, Any]:
        told = {"accountSid": self.account, "callSid": self.call}
        return {"event": "stop", "sequenceNumber": self.next(), "streamSid": self.stream, "stop": told}


class Telnyx(Carrier):
    name = "Telnyx"

    def opening(self) -> list[dict[str, Any]]:
        start = {
            "user_id": "3e6f995f-85f7-4705-9741-53b116d28237",
            "call_control_id": self.call,
            "call_session_id": "ff55a038-6f5d-11ef-9692-02420aeffb1f",
            "from": CALLER,
            "to": CALLED,
            "tags": [],
            "client_state": "aGF2ZSBhIG5pY2UgZGF5ID1d",
            "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
        }
        return [
            {"event": "connected", "version": "1.0.0"},
            {"event": "start", "sequence_number": self.next(), "start": start, "stream_id": self.stream},
        ]

    def media(self, payload: bytes) -> dict[str, Any]:
        sound = {"track": "inbound", "chunk": "2", "timestamp": "5", "payload": base64.b64encode(payload).decode()}
        return {"event": "media", "sequence_number": self.next(), "media": sound, "stream_id": self.stream}

    def key(self, digit: str) -> dict[str, Any]:
        told = {"event": "dtmf", "stream_id": self.stream, "occurred_at": "2026-02-04T15:11:46.219Z"}
        return {**told, "sequence_number": self.next(), "dtmf": {"digit": digit}}

    def stop(self) -> dict[str, Any]:
        told = {"user_id": "3e6f995f-85f7-4705-9741-53b116d28237", "call_control_id": self.call}
        return {"event": "stop", "sequence_number": self.next(), "stop": told, "stream_id": self.stream}


class Plivo(Carrier):
    name = "Plivo"
    clear = "clearAudio"

    def opening(self) -> list[dict[str, Any]]:
        start = {
            "callId": self.call,
            "streamId": self.stream,
            "accountId": "MAXXXXXXXXXXXXXXXXXX",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000},
        }
        extra = f"from_number={CALLER};to_number={CALLED}"
        return [{"sequenceNumber": 0, "event": "start", "start": start, "extra_headers": extra}]

    def media(self, payload: bytes) -> dict[str, Any]:
        sound = {"track": "inbound", "timestamp": "1", "chunk": 1, "payload": base64.b64encode(payload).decode()}
        return {"sequenceNumber": int(self.next()), "streamId": self.stream, "event": "media", "media": sound}

    def key(self, digit: str) -> dict[str, Any]:
        pressed = {"track": "inbound", "digit": digit, "timestamp": "1"}
        return {"event": "dtmf", "sequenceNumber": int(self.next()), "streamId": self.stream, "dtmf": pressed}

    def stop(self) -> None:
        """Plivo just closes the socket."""

    def sound_of(self, message: dict[str, Any]) -> bytes | None:
        if message["event"] != "playAudio":
            return None
        assert message["media"]["contentType"] == "audio/x-mulaw"
        assert message["media"]["sampleRate"] == RATE
        return base64.b64decode(message["media"]["payload"])

    def echo(self, message: dict[str, Any]) -> dict[str, Any] | None:
        if message["event"] != "checkpoint":
            return None
        return {"event": "playedStream", "streamId": self.stream, "name": message["name"]}


class Exotel(Carrier):
    name = "Exotel"

    def opening(self) -> list[dict[str, Any]]:
        start = {
            "stream_sid": self.stream,
            "call_sid": self.call,
            "account_sid": "Exotel1",
            "from": CALLER,
            "to": CALLED,
            "custom_parameters": {},
            "media_format": {"encoding": "base64", "sample_rate": "8000", "bit_rate": "128kbps"},
        }
        return [
            {"event": "connected"},
            {"event": "start", "sequence_number": self.next(), "stream_sid": self.stream, "start": start},
        ]

    def media(self, payload: bytes) -> dict[str, Any]:
        sound = {"chunk": "2", "timestamp": "10", "payload": base64.b64encode(payload).decode()}
        return {"event": "media", "sequence_number": self.next(), "stream_sid": self.stream, "media": sound}

    def key(self, digit: str) -> dict[str, Any]:
        pressed = {"duration": "100", "digit": digit}
        return {"event": "dtmf", "sequence_number": self.next(), "stream_sid": self.stream, "dtmf": pressed}

    def stop(self) -> dict[str, Any]:
        told = {"call_sid": self.call, "account_sid": "Exotel1", "reason": "callended"}
        return {"event": "stop", "sequence_number": self.next(), "stream_sid": self.stream, "stop": told}

    def encode(self, samples: Samples) -> bytes:
        return samples.astype("<i2").tobytes()

    def decode(self, payload: bytes) -> Samples:
        assert len(payload) >= 3200, "Exotel plays no smaller pieces"
        assert len(payload) % 320 == 0
        return np.frombuffer(payload, "<i2")


CARRIERS: dict[str, type[Carrier]] = {"twilio": Twilio, "telnyx": Telnyx, "plivo": Plivo, "exotel": Exotel}


@dataclass(slots=True)
class _Sentence:
    left: Samples
    done: asyncio.Future[None]


@dataclass
class PhoneCall:
    """`async with PhoneCall("ws://127.0.0.1:7860/ws/line", Twilio()) as phone:` is one call.

    messages: what came that is no sound. sound: pieces of the agent's sound with the time of each. close_code: None while the
    line is open. tunnel: the port of this machine on which the address is really reached.
    """

    address: str
    carrier: Carrier
    headers: dict[str, str] = field(default_factory=dict)
    tunnel: int = 0

    messages: list[tuple[float, dict[str, Any]]] = field(default_factory=list, init=False)
    sound: list[tuple[float, Samples]] = field(default_factory=list, init=False)
    close_code: int | None = field(default=None, init=False)
    sent_seconds: float = field(default=0.0, init=False)

    async def __aenter__(self) -> Self:
        self._waiting: asyncio.Queue[_Sentence] = asyncio.Queue()
        self._socket: ClientConnection = await websockets.connect(
            self.address,
            compression=None,
            proxy=None,
            max_size=None,
            additional_headers=self.headers,
            **({"host": "127.0.0.1", "port": self.tunnel} if self.tunnel else {}),
        )
        for message in self.carrier.opening():
            await self.send(message)
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._talk())]
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        for task in self._tasks[1:]:
            task.cancel()
        await self._socket.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def say(self, text: str) -> None:
        """Speak; returns when the last sound has left."""
        sentence = _Sentence(await asyncio.to_thread(_spoken, text), asyncio.get_running_loop().create_future())
        self._waiting.put_nowait(sentence)
        await sentence.done

    async def press(self, keys: str) -> None:
        for key in keys:
            await self.send(self.carrier.key(key))

    async def hang_up(self) -> None:
        """As the carrier tells it when the caller hangs up: its stop message, and the end of the socket."""
        message = self.carrier.stop()
        if message:
            await self.send(message)
        else:
            await self._socket.close()

    async def send(self, message: dict[str, Any] | str | bytes) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            await self._socket.send(json.dumps(message) if isinstance(message, dict) else message)

    def events(self, name: str) -> list[dict[str, Any]]:
        return [message for _, message in self.messages if message["event"] == name]

    @property
    def heard_seconds(self) -> float:
        """How long the agent's voice was, silence left out."""
        whole = np.concatenate([samples for _, samples in self.sound]) if self.sound else np.zeros(0, np.int16)
        frames = whole[: len(whole) // FRAME * FRAME].reshape(-1, FRAME)
        return sum(_loudness(frame) > VOICED for frame in frames) / 50

    async def wait_until(self, condition: Callable[[], object], what: str, *, seconds: float = 40) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (
                f"no {what} within {seconds} s; came: {[m['event'] for _, m in self.messages]}, "
                f"{self.heard_seconds:.1f} s of voice, close code {self.close_code}"
            )
            await asyncio.sleep(0.02)

    async def _listen(self) -> None:
        try:
            async for text in self._socket:
                message = json.loads(text)
                sound = self.carrier.sound_of(message)
                if sound is not None:
                    self.sound.append((time.monotonic(), self.carrier.decode(sound)))
                    continue
                self.messages.append((time.monotonic(), message))
                if answer := self.carrier.echo(message):
                    await self.send(answer)
        except websockets.ConnectionClosedError:
            pass
        finally:
            self.close_code = self._socket.close_code

    async def _talk(self) -> None:
        sentence: _Sentence | None = None
        at = time.monotonic()
        while True:
            if sentence is None and not self._waiting.empty():
                sentence = self._waiting.get_nowait()
            samples = np.zeros(FRAME, np.int16)
            if sentence:
                piece, sentence.left = sentence.left[:FRAME], sentence.left[FRAME:]
                samples[: len(piece)] = piece
                if not len(sentence.left):
                    sentence.done.set_result(None)
                    sentence = None
            await self.send(self.carrier.media(self.carrier.encode(samples)))
            self.sent_seconds += FRAME / RATE
            at += FRAME / RATE
            await asyncio.sleep(max(0.0, at - time.monotonic()))


@cache
def _spoken(text: str) -> Samples:
    return speak(text, rate=RATE)
