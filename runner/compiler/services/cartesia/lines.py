"""Lines that can be heard when the voice cannot speak any more.

Comes in: a line and the voice's settings. Goes out: its sound, asked for once a process over HTTP (`/tts/bytes`, another way than
the socket that speaks), kept for every later call that wants the same line in the same voice.

Source: Cartesia's API reference; Pipecat 1.14's `CartesiaHttpTTSService` asks the same way.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict

from aiohttp import ClientError, ClientSession, ClientTimeout
from loguru import logger

from runner.compiler.services.cartesia.steady import CartesiaSteady

_KEPT: OrderedDict[str, bytes] = OrderedDict()
_MOST = 32
"""Lines that are kept at most: some seconds of sound each, 48 KB a second."""

_SECS = ClientTimeout(total=10)


def sound_of(voice: CartesiaSteady, line: str) -> bytes | None:
    """The sound of `line` as `voice` would speak it now, None when it was not kept. Mono, 16 bits, at the voice's rate."""
    return _KEPT.get(_asks_for(voice, line))


async def keep(voice: CartesiaSteady, *lines: str) -> None:
    """See to it that the lines are here. A vendor that refuses, or is out of reach, is no error: a line is then not kept."""
    wanted = {line: request for line in lines if (request := _asks_for(voice, line)) not in _KEPT}
    if not wanted:
        return
    headers = {"X-API-Key": voice._api_key, "Cartesia-Version": voice._cartesia_version}  # pyright: ignore[reportPrivateUsage]
    address = voice._url.replace("ws", "http", 1).removesuffix("/websocket") + "/bytes"  # pyright: ignore[reportPrivateUsage]
    try:
        async with ClientSession(headers=headers, timeout=_SECS) as session:
            for request in wanted.values():
                async with session.post(address, data=request, headers={"Content-Type": "application/json"}) as answer:
                    if answer.status != 200:
                        logger.debug(f"{voice}: no line was kept for trouble: HTTP {answer.status}")
                        return
                    _KEPT[request] = await answer.read()
                    while len(_KEPT) > _MOST:
                        _KEPT.popitem(last=False)
    except (ClientError, TimeoutError, asyncio.IncompleteReadError) as error:
        logger.debug(f"{voice}: no line was kept for trouble: {error}")


def _asks_for(voice: CartesiaSteady, line: str) -> str:
    message = json.loads(voice._build_msg(text=line))  # pyright: ignore[reportPrivateUsage]
    for name in ("context_id", "continue", "add_timestamps", "use_normalized_timestamps", "max_buffer_delay_ms"):
        message.pop(name, None)
    return json.dumps(message)
