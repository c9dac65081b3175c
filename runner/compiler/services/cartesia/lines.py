"""One line spoken over HTTP (`/tts/bytes`), another way than the socket that speaks in a call.

Comes in: a line and a voice. Goes out: its whole sound.

Source: Cartesia's API reference; Pipecat 1.14's `CartesiaHttpTTSService` asks the same way.
"""

from __future__ import annotations

import asyncio
import json

from aiohttp import ClientError, ClientSession, ClientTimeout
from loguru import logger

from runner.compiler.services.cartesia.voice import CartesiaVoice


async def spoken(voice: CartesiaVoice, line: str, rate: int, limit: float) -> bytes | None:
    """The sound of `line` as `voice` would speak it. Mono, 16 bits, at `rate` Hz.

    voice: need not run. limit: seconds it may take.
    Returns None where the vendor refuses, or is out of reach.
    """
    headers = {"X-API-Key": voice._api_key, "Cartesia-Version": voice._cartesia_version}  # pyright: ignore[reportPrivateUsage]
    address = voice._url.replace("ws", "http", 1).removesuffix("/websocket") + "/bytes"  # pyright: ignore[reportPrivateUsage]
    message = json.loads(voice._build_msg(text=line))  # pyright: ignore[reportPrivateUsage]
    for name in ("context_id", "continue", "add_timestamps", "use_normalized_timestamps", "max_buffer_delay_ms"):
        message.pop(name, None)
    message["output_format"]["sample_rate"] = rate
    try:
        async with (
            ClientSession(headers=headers, timeout=ClientTimeout(total=limit)) as session,
            session.post(address, json=message) as answer,
        ):
            if answer.status == 200:
                return await answer.read()
            logger.debug(f"{voice}: no line was kept for trouble: HTTP {answer.status}")
    except (ClientError, TimeoutError, asyncio.IncompleteReadError) as error:
        logger.debug(f"{voice}: no line was kept for trouble: {error}")
    return None
