"""A carrier's stream over websocket: who calls, told by its first messages, and the sound after them.

Comes in: a socket that was just accepted. Goes out: a `PhoneStream`, and Pipecat's serializer for it. Sources: the carriers'
documentation of their websocket messages; Pipecat 1.14's serializers and `parse_telephony_websocket`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from fastapi import WebSocket
from loguru import logger
from pipecat.frames.frames import CancelFrame, EndFrame, Frame
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.runner.types import CallData
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.serializers.exotel import ExotelFrameSerializer
from pipecat.serializers.plivo import PlivoFrameSerializer
from pipecat.serializers.telnyx import TelnyxFrameSerializer
from pipecat.serializers.twilio import TwilioFrameSerializer

from runner.catalog import PLIVO_TOKEN, TWILIO_TOKEN

if TYPE_CHECKING:
    from loguru import Record

RATE = 8000

CARRIERS = {"twilio": "Twilio", "telnyx": "Telnyx", "plivo": "Plivo", "exotel": "Exotel"}

_OPENING_SECS = 5.0
"""Carriers send their first messages at once; who says nothing for so long is none."""

_OPENING_CHARACTERS = 65_536

_LAST_WORD_SECS = 1.5
"""How long a carrier may take to say that it has played the last word. Sound is sent as fast as it is played, so that only
what is on the way is missing."""

_HANG_UP_SECS = 3.0
"""A carrier's REST interface that does not answer must not hold a call that is over (aiohttp waits five minutes)."""

_LAST_WORD = "last word"


class NoPhone(Exception):
    """Who connected is no carrier that is known, or sends sound that cannot be used. The text says why, for people."""


@dataclass(frozen=True, slots=True)
class PhoneStream:
    """One call as its carrier describes it.

    carrier: `twilio`, `telnyx`, `plivo` or `exotel`. caller, called: their numbers, "" where the carrier does not tell them.
    rate:    of the sound, Hz. encoding: what Telnyx sends (PCMU, PCMA). account: of Twilio.
    """

    carrier: str
    stream_id: str
    call_id: str
    caller: str = ""
    called: str = ""
    rate: int = RATE
    encoding: str = "PCMU"
    account: str = ""

    @property
    def name(self) -> str:
        return CARRIERS[self.carrier]


async def opening(socket: WebSocket) -> PhoneStream:
    """Read who calls from the first one or two messages.

    Raises:
        NoPhone: nothing came in time, what came is no carrier's, or its sound is of a kind that cannot be used.
    """
    first = _FirstMessages(socket)
    try:
        async with asyncio.timeout(_OPENING_SECS):
            detect = cast("Callable[[object], Awaitable[tuple[str, CallData]]]", parse_telephony_websocket)
            carrier, said = await detect(first)
    except TimeoutError:
        raise NoPhone(f"said nothing that a carrier says within {_OPENING_SECS:.0f} s") from None
    except NoPhone:
        raise
    except Exception as error:  # Pipecat 1.14 stumbles over anything that is not shaped as it expects
        logger.debug(f"Pipecat could not tell the carrier: {error}")
        raise NoPhone("hung up before it said who it is" if first.closed else "sent what no carrier sends") from None
    if carrier not in CARRIERS or not said.stream_id or not said.call_id:
        raise NoPhone("is neither Twilio nor Telnyx, Plivo or Exotel")
    start = first.start
    facts = _custom(first.message.get("extra_headers")) | _custom(start.get("customParameters"))
    stream = PhoneStream(
        carrier,
        str(said.stream_id),
        str(said.call_id),
        caller=str(said.from_number or facts.get("from_number", "")),
        called=str(said.to_number or facts.get("to_number", "")),
        account=str(start.get("accountSid", "")),
    )
    return _with_format(stream, start)


class _FirstMessages:
    """What Pipecat's detection reads: it always asks for two messages, but after one that starts a stream the next is sound
    already. Keeps the message that started the stream."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self.message: dict[str, Any] = {}
        self.closed = False

    @property
    def start(self) -> dict[str, Any]:
        return _group(self.message.get("start"))

    async def iter_text(self) -> AsyncIterator[str]:
        for _ in range(2):
            received = await self._socket.receive()
            if received["type"] == "websocket.disconnect":
                self.closed = True
                return
            text = received.get("text") or bytes(received.get("bytes") or b"").decode(errors="replace")
            if len(text) > _OPENING_CHARACTERS:
                raise NoPhone("sent too much at once")
            with suppress(ValueError):
                self.message = _group(json.loads(text))
            yield text
            if "start" in self.message:
                return


def _with_format(stream: PhoneStream, start: Mapping[str, Any]) -> PhoneStream:
    """The stream with the sound that the carrier announces, where Pipecat's serializer can read it."""
    told = _group(start.get("media_format") or start.get("mediaFormat"))
    encoding, rate = str(told.get("encoding", "")), _number(told.get("sample_rate") or told.get("sampleRate"))
    rate = rate or RATE
    match stream.carrier:
        case "telnyx":
            encoding, usable = encoding or "PCMU", (("PCMU", "PCMA"), (RATE,))
        case "exotel":
            usable = (
                ("base64", "raw", "slin", "raw/slin", "audio/l16", "l16", "linear16", "pcm", ""),
                (RATE, 16000, 24000),
            )
        case _:
            usable = ("audio/x-mulaw", ""), (RATE,)
    if (encoding not in usable[0] and encoding.lower() not in usable[0]) or rate not in usable[1]:
        raise NoPhone(
            f"sends sound as {encoding or 'something'} at {rate} Hz; let it send {usable[0][0]} at {usable[1][0]} Hz"
        )
    return replace(stream, rate=rate, encoding=encoding if stream.carrier == "telnyx" else stream.encoding)


def serializer_for(stream: PhoneStream, values: Mapping[str, str]) -> tuple[FrameSerializer, str]:
    """Pipecat's serializer, with the hang-up at the carrier where `values` (the environment) has what it takes.

    Returns it and, when the carrier cannot be told to hang up, a sentence that says so; "" otherwise.
    """
    sid, call = stream.stream_id, stream.call_id
    match stream.carrier:
        case "twilio":
            account = values.get("TWILIO_ACCOUNT_SID") or stream.account
            pair = (values.get("TWILIO_API_KEY"), values.get("TWILIO_API_SECRET"))
            pair = pair if all(pair) else (None, None)
            token = None if pair[0] else values.get(TWILIO_TOKEN)
            region = (values.get("TWILIO_REGION"), values.get("TWILIO_EDGE"))
            region = region if all(region) else (None, None)
            able = bool(account and (token or pair[0]))
            made: FrameSerializer = TwilioFrameSerializer(
                *(sid, call, account, token, *region),
                params=TwilioFrameSerializer.InputParams(auto_hang_up=able),
                api_key_sid=pair[0],
                api_key_secret=pair[1],
            )
            return made, "" if able else _cannot_hang_up(stream, TWILIO_TOKEN)
        case "telnyx":
            key = values.get("TELNYX_API_KEY")
            params = TelnyxFrameSerializer.InputParams(auto_hang_up=bool(key))
            made = TelnyxFrameSerializer(sid, stream.encoding, "PCMU", call, key, params)
            return made, "" if key else _cannot_hang_up(stream, "TELNYX_API_KEY")
        case "plivo":
            auth_id, token = values.get("PLIVO_AUTH_ID"), values.get(PLIVO_TOKEN)
            able = bool(auth_id and token)
            made = PlivoFrameSerializer(sid, call, auth_id, token, PlivoFrameSerializer.InputParams(auto_hang_up=able))
            return made, "" if able else _cannot_hang_up(stream, f"PLIVO_AUTH_ID and {PLIVO_TOKEN}")
        case _:
            params = ExotelFrameSerializer.InputParams(exotel_sample_rate=stream.rate)
            return ExotelFrameSerializer(sid, call, params), ""


def _cannot_hang_up(stream: PhoneStream, names: str) -> str:
    return (
        f"{stream.name} cannot be told to hang up, because {names} is not set. When the agent ends a call its stream is closed, "
        f"which ends the call only where nothing comes after the stream (as in the answer of /phone/...)."
    )


@dataclass(slots=True)
class Happenings:
    """What a carrier tells beside sound. stopped: it ended the stream, with its reason. trouble: something is wrong."""

    stopped: Callable[[str], None]
    trouble: Callable[[str], None]


class PhoneSerializer(FrameSerializer):
    """Pipecat's serializer of a carrier with what it leaves out (1.14): the carrier's own `stop` and errors; a message that
    cannot be read ends nothing (there it ended the call as if the caller had hung up); the agent's own side is not heard when
    a stream carries both; the last word is played before the call is hung up; a hang-up that is never answered ends."""

    def __init__(self, inner: FrameSerializer, stream: PhoneStream, socket: WebSocket) -> None:
        super().__init__()
        self._inner = inner
        self._stream = stream
        self._socket = socket
        self.happenings: Happenings | None = None

    async def setup(self, setup: FrameProcessorSetup) -> None:
        await self._inner.setup(setup)

    async def serialize(self, frame: Frame) -> str | bytes | None:
        if not isinstance(frame, EndFrame | CancelFrame):
            return await self._inner.serialize(frame)
        if isinstance(frame, EndFrame):
            await self._let_it_be_heard()
        with self._failures_told():
            try:
                return await asyncio.wait_for(self._inner.serialize(frame), _HANG_UP_SECS)
            except TimeoutError:
                logger.error(f"{self._stream.name} was told to hang up and did not answer within {_HANG_UP_SECS:g} s.")
                return None

    async def deserialize(self, data: str | bytes) -> Frame | None:
        try:
            message = _group(json.loads(data))
            media = _group(message.get("media"))
            if media.get("track") in ("outbound", "outbound_track"):
                return None
            self._notice(message)
            return await self._inner.deserialize(data)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            logger.debug(f"{self._stream.name} sent a message that cannot be read: {error}")
            return None

    @contextmanager
    def _failures_told(self) -> Generator[None]:
        """Pipecat 1.14 only logs what a carrier answers to a hang-up, and its lines are not shown unless asked for."""
        failed: list[str] = []
        call = self._stream.call_id

        def is_mine(record: Record) -> bool:
            text = record["message"]
            return str(record["name"]).startswith("pipecat.serializers") and (
                call in text or "Failed to hang up" in text
            )

        sink = logger.add(
            lambda line: failed.append(str(line).strip()), level="ERROR", format="{message}", filter=is_mine
        )
        try:
            yield
        finally:
            logger.remove(sink)
            for text in failed:
                logger.error(f"{self._stream.name} did not hang up: {text}")

    def _notice(self, message: dict[str, Any]) -> None:
        if self.happenings is None:
            return
        if message.get("event") == "stop":
            self.happenings.stopped(str(_group(message.get("stop")).get("reason") or ""))
        elif message.get("event") == "error":
            told = _group(message.get("payload"))
            says = told.get("detail") or told.get("title") or json.dumps(message)[:200]
            self.happenings.trouble(f"{self._stream.name}: {says}")

    async def _let_it_be_heard(self) -> None:
        """Wait until the carrier has played what was sent. The transport no longer reads when this is asked (1.14)."""
        sid = self._stream.stream_id
        mark = {
            "twilio": {"event": "mark", "streamSid": sid, "mark": {"name": _LAST_WORD}},
            "telnyx": {"event": "mark", "mark": {"name": _LAST_WORD}},
            "plivo": {"event": "checkpoint", "streamId": sid, "name": _LAST_WORD},
            "exotel": {"event": "mark", "stream_sid": sid, "mark": {"name": _LAST_WORD}},
        }[self._stream.carrier]
        with suppress(TimeoutError, RuntimeError):  # RuntimeError: the socket is closed, or still being read
            async with asyncio.timeout(_LAST_WORD_SECS):
                await self._socket.send_text(json.dumps(mark))
                while (received := await self._socket.receive())["type"] != "websocket.disconnect":
                    text = str(received.get("text") or "")
                    if _LAST_WORD in text and '"media"' not in text:
                        return


def _group(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _custom(value: object) -> dict[str, Any]:
    """Values that were handed on through the carrier: a group, or as text `{"a": "b"}` or `a=b;c=d`."""
    if isinstance(value, str):
        with suppress(ValueError):
            return _group(json.loads(value))
        return {
            name.strip(): text.strip() for name, equals, text in (p.partition("=") for p in value.split(";")) if equals
        }
    return _group(value)


def _number(value: object) -> int:
    return int(str(value)) if str(value).isdecimal() else 0
