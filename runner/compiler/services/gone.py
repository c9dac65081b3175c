"""A service that does not come back in this call: refused for good, or tried again until there was no sense in it.

Comes in: one of Pipecat's services, or its switcher over several. Goes out: `ServiceGone`, once for each time it goes. What a
call does then (say so, end) is not decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pipecat.frames.frames import ErrorFrame
from pipecat.processors.frame_processor import FrameProcessor

from runner.catalog import Part

_ERROR_FOLLOWS_SECS = 0.05
"""Pipecat 1.14 tells that a service is unusable just before the error that made it so."""


@dataclass(frozen=True, slots=True)
class ServiceGone:
    """part: which of the three. error: the last that was said about it; `troubles.sentence` makes plain words of it."""

    part: Part
    error: ErrorFrame | None

    @property
    def why(self) -> str:
        """The vendor's words, as they came."""
        return self.error.error if self.error else "it stopped working"


def tell_when_gone(part: Part, service: FrameProcessor, told: Callable[[ServiceGone], Awaitable[None]]) -> None:
    """`told` is called when `service` cannot do its work any more in this call (Pipecat 1.14: `is_usable`), and again if it comes
    back and goes another time.

    service: an ear, a model or a voice, also of another provider; or a `ServiceSwitcher`, which is gone when its last one is.
    """
    last: list[ErrorFrame] = []

    async def failed(_: FrameProcessor, error: ErrorFrame) -> None:
        last[:] = [error]

    async def changed(_: FrameProcessor, is_usable: bool) -> None:
        if is_usable:
            return
        await asyncio.sleep(_ERROR_FOLLOWS_SECS)
        if not service.is_usable:
            await told(ServiceGone(part, last[0] if last else None))

    members: list[FrameProcessor] = getattr(service, "services", None) or []
    for member in (service, *members):
        member.add_event_handler("on_error", failed)
    service.add_event_handler("on_usable_changed", changed)
