"""Pipecat's Daily transport, which can also be left before it has joined.

While a room is being joined and Daily does not answer, the native client's `release()` does not return. Pipecat 1.14 calls it in
a thread that Python waits for at its end, so Ctrl-C without a network would never end the process. Here it is called in a
thread that nobody waits for longer than a moment, and not at all before the room is joined.

An error before the room is joined is the end of the call, told once by whoever listens to `on_error`; Pipecat 1.14 would also
push it into the pipeline that is still being set up.
"""

from __future__ import annotations

import threading
from typing import Any

from pipecat.transports.daily.transport import DailyDialinSettings, DailyTransport

_RELEASE_SECS = 0.5


class RoomTransport(DailyTransport):
    """Takes what Pipecat's DailyTransport takes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_in = False
        release = self._client._cleanup

        def release_without_waiting() -> None:
            thread = threading.Thread(target=release, name="daily-release", daemon=True)
            thread.start()
            if self._is_in:
                thread.join(_RELEASE_SECS)

        self._client._cleanup = release_without_waiting

    @property
    def dial_in(self) -> DailyDialinSettings | None:
        """The telephone call that Daily holds for the room, None for none."""
        return self._params.dialin_settings

    async def _on_joined(self, data: Any) -> None:
        self._is_in = True
        await super()._on_joined(data)

    async def _on_error(self, error: Any) -> None:
        if self._is_in:
            await super()._on_error(error)
        else:
            await self._call_event_handler("on_error", error)
