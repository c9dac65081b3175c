"""A call with a client that speaks RTVI: it begins when the client says that it is ready, and ends when the client is gone.

RTVI is Pipecat's protocol between a call and its client: https://docs.pipecat.ai/client/rtvi-standard. The pipeline itself
answers `client-ready` with `bot-ready` (Pipecat 1.14, `PipelineWorker`).
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from pipecat.processors.frameworks.rtvi import RTVIProcessor
from pipecat.processors.frameworks.rtvi.models import ClientMessage

from runner.live.call import Call

CLIENT_READY_SECS = 3.0
"""How long the greeting waits for a client that never says it is ready."""

NOBODY_CAME_SECS = 20.0
"""A page that could not connect by WebRTC goes on by websocket; the call that waits for it is given up after this time."""


def begin_when_ready(call: Call, transport: Any, *, nobody_came: float = NOBODY_CAME_SECS) -> None:
    """Let the call begin with `client-ready`, or some seconds after a client connected that never says it.

    transport: a Pipecat transport with the event `on_client_connected`.
    nobody_came: seconds after which a call that nobody came to is given up.
    """
    call.await_caller(nobody_came)

    @call.worker.rtvi.event_handler("on_client_ready")
    async def ready(*_: object) -> None:
        await call.begin()

    @call.worker.rtvi.event_handler("on_client_message")
    async def asked(rtvi: RTVIProcessor, message: ClientMessage) -> None:
        # Otherwise the client waits for an answer until its patience ends.
        await rtvi.send_error_response(message, f'This agent takes no messages of the type "{message.type}".')

    waiting: set[asyncio.Task[None]] = set()

    async def begin_in_any_case() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(call.over(), CLIENT_READY_SECS)
        await call.begin()

    @transport.event_handler("on_client_connected")
    async def connected(*_: object) -> None:
        # Not awaited here: Pipecat 1.14 ends a transport only when its handlers have ended.
        task = asyncio.create_task(begin_in_any_case())
        waiting.add(task)
        task.add_done_callback(waiting.discard)


def end_when_gone(call: Call, transport: Any) -> None:
    """Let the call end as soon as its client is gone."""

    @transport.event_handler("on_client_disconnected")
    async def gone(*_: object) -> None:
        await call.cancel("the caller hung up")
