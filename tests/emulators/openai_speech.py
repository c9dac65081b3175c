"""OpenAI's speech (`POST /v1/audio/speech`) as Pipecat 1.14 and openai 3.52 meet it.

Comes in: one text. Goes out: its sound in pieces, 16 bits at 24 kHz without a head (`response_format: pcm`), or OpenAI's error
form.

Sources: OpenAI's API reference ("Create speech"), SDK 3.52. Not emulated: other formats of sound, and `stream_format: sse`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import web

from .openai_rules import RefusedError
from .serving import Emulator, Planned
from .sound import encoded, voiced

RATE = 24_000
MODELS = {"tts-1", "tts-1-hd", "gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15"}
VOICES = [
    "alloy",
    "ash",
    "ballad",
    "coral",
    "echo",
    "fable",
    "onyx",
    "nova",
    "sage",
    "shimmer",
    "verse",
    "marin",
    "cedar",
]
MOST_CHARACTERS = 4096
_KNOWN = {"model", "input", "voice", "instructions", "response_format", "speed", "stream_format"}


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to a text: an HTTP error, or after so many pieces of its sound nothing more or a broken connection."""

    kind: Literal["status", "hang", "cut"]
    after: int = 0
    status: int = 500
    message: str = ""
    code: str | None = None


class OpenAISpeechEmulator(Emulator):
    """`async with OpenAISpeechEmulator() as emu:`, then `OpenAITTSService(base_url=emu.url, ...)`.

    first_delay: seconds from a text to its first piece. piece_seconds: of sound in each piece.
    key:   the only accepted key; None: any.
    spoken: every text that was asked for, in order; `bodies`: the whole requests.
    """

    path = "/v1"
    scheme = "http"

    def __init__(self, *, key: str | None = None) -> None:
        super().__init__()
        self.key = key
        self.first_delay = 0.0
        self.piece_seconds = 0.1
        self.bodies: list[dict[str, Any]] = []
        self.asked_at: list[float] = []
        self._faults: Planned[Fault] = Planned()

    @property
    def spoken(self) -> list[str]:
        return [body["input"] for body in self.bodies]

    def fail(self, status: int = 500, message: str = "", code: str | None = None, times: int | None = 1) -> None:
        """Answers the next texts with an HTTP error; OpenAI's SDK asks twice more after 408, 409, 429 and those from 500."""
        self._faults.plan(Fault("status", status=status, message=message, code=code), times)

    def hang(self, after: int = 0, times: int | None = 1) -> None:
        """Sends nothing more after `after` pieces of the next text; 0: not even the head of an answer."""
        self._faults.plan(Fault("hang", after), times)

    def cut(self, after: int = 0, times: int | None = 1) -> None:
        """Breaks the connection after `after` pieces of the next text."""
        self._faults.plan(Fault("cut", after), times)

    def mend(self) -> None:
        """Nothing fails any more."""
        self._faults.clear()

    def routes(self) -> Iterable[web.RouteDef]:
        return [web.post(f"{self.path}/audio/speech", self._speak)]

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        try:
            self._authorize(request)
            body = _checked(await request.text())
            self.bodies.append(body)
            self.asked_at.append(time.monotonic())
            fault = self._faults.take()
            if fault and fault.kind == "status":
                raise RefusedError(fault.status, fault.message or "The server had an error.", code=fault.code)
        except RefusedError as refusal:
            return web.json_response(refusal.body, status=refusal.status)
        return await self._send(request, body, fault)

    def _authorize(self, request: web.Request) -> None:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not key:
            raise RefusedError(401, "You didn't provide an API key.", code="invalid_api_key")
        if self.key is not None and key != self.key:
            raise RefusedError(401, f"Incorrect API key provided: {key[:4]}***.", code="invalid_api_key")

    async def _send(self, request: web.Request, body: dict[str, Any], fault: Fault | None) -> web.StreamResponse:
        await self._break(request, fault, 0)
        await asyncio.sleep(self.first_delay)
        response = web.StreamResponse(headers={"Content-Type": "audio/pcm", "Transfer-Encoding": "chunked"})
        await response.prepare(request)
        samples = voiced(body["input"], RATE, body.get("speed", 1.0))
        size = round(self.piece_seconds * RATE)
        for number, start in enumerate(range(0, len(samples), size)):
            if number:
                await self._break(request, fault, number)
            await response.write(encoded(samples[start : start + size], "pcm_s16le"))
            await asyncio.sleep(0.01)
        await response.write_eof()
        return response

    async def _break(self, request: web.Request, fault: Fault | None, number: int) -> None:
        if fault is None or fault.after != number:
            return
        if fault.kind == "cut" and request.transport:
            request.transport.abort()
        await asyncio.Event().wait()


def _checked(text: str) -> dict[str, Any]:
    """The body of a request.

    Raises:
        RefusedError: for the first thing that is wrong with it.
    """
    try:
        body = json.loads(text)
    except json.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise RefusedError(400, "We could not parse the JSON body of your request.")
    for name in body:
        if name not in _KNOWN:
            raise RefusedError(400, f"Unrecognized request argument supplied: {name}")
    for name in ("model", "input", "voice"):
        if not isinstance(body.get(name), str) or not body[name]:
            raise RefusedError(400, f"Missing required parameter: '{name}'.", param=name)
    if len(body["input"]) > MOST_CHARACTERS:
        raise RefusedError(400, f"'input' is longer than {MOST_CHARACTERS} characters.", param="input")
    if body["model"] not in MODELS:
        text = f"The model `{body['model']}` does not exist or you do not have access to it."
        raise RefusedError(404, text, code="model_not_found")
    if body["voice"] not in VOICES:
        raise RefusedError(400, f"Invalid value: '{body['voice']}'. Supported values are: {VOICES}.", param="voice")
    if body.get("response_format") != "pcm":
        raise RefusedError(400, "This emulator speaks pcm alone.", param="response_format")
    if not isinstance(speed := body.get("speed", 1.0), int | float) or not 0.25 <= speed <= 4.0:
        raise RefusedError(400, "'speed' must be from 0.25 to 4.0.", param="speed")
    if "instructions" in body and body["model"].startswith("tts-1"):
        raise RefusedError(400, "'instructions' does not work with tts-1 or tts-1-hd.", param="instructions")
    return body
