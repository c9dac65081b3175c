"""One of several services for one part of a call: how it is made and taken apart, and when it is tried again after it failed.

Comes in: how to build it. Goes out: the service between two doors, through which its frames pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pipecat.frames.frames import ErrorFrame, Frame
from pipecat.pipeline.pipeline import PipelineSink, PipelineSource
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from runner.catalog import Provider

REST_SECS = 60.0
"""After so long a service that failed is tried again; each time that it fails then, after twice as long."""

LONGEST_REST_SECS = 600.0

STEPS_IN_SECS = 20.0
"""A service that failed so long ago may be tried before it has rested, where the call would be over without it."""

DOWN, UP = FrameDirection.DOWNSTREAM, FrameDirection.UPSTREAM

Came = Callable[["Member", Frame], Coroutine[Any, Any, None]]
"""Told a frame that came out of a service."""


@dataclass(slots=True, eq=False)
class Member:
    """One of the services.

    number:  its place among the part's fallbacks, None for the first service.
    who:     its name for people.
    build:   makes it as the call wants it at this moment.
    service: None as long as nobody needs it.
    rests_until: it is not tried before (`time.monotonic()`); `rest`: seconds of its last rest; `for_good`: never again.
    ready:   it failed before, and can be gone back to.
    """

    number: int | None
    who: str
    provider: Provider
    build: Callable[[], FrameProcessor]
    service: FrameProcessor | None = None
    source: PipelineSource | None = field(default=None, repr=False)
    sink: PipelineSink | None = field(default=None, repr=False)
    rests_until: float = 0.0
    rest: float = 0.0
    for_good: bool = False
    ready: bool = False

    def make(self, came_up: Came, came_down: Came) -> FrameProcessor:
        """Build the service. What comes out of it goes to `came_up` and `came_down`."""
        service = self.service = self.build()
        source = self.source = PipelineSource(partial(_handed, came_up, self))
        sink = self.sink = PipelineSink(partial(_handed, came_down, self))
        source.link(service)
        service.link(sink)
        return service

    @property
    def parts(self) -> list[FrameProcessor]:
        """What has to be set up and cleaned up."""
        return [one for one in (self.source, self.service, self.sink) if one]

    def take_apart(self) -> tuple[FrameProcessor | None, list[FrameProcessor]]:
        """Nothing goes to the service any more. Returns it and its parts."""
        service, parts = self.service, self.parts
        self.service = self.source = self.sink = None
        return service, parts

    async def queue_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Hand a frame to the service, if there is one."""
        if door := self.source if direction is DOWN else self.sink:
            await door.queue_frame(frame, direction)

    def failed(self, error: ErrorFrame) -> None:
        """It could not go on: it rests, or is never tried again."""
        self.give_rest()
        self.for_good = is_permanent(error)

    def give_rest(self) -> None:
        self.ready = False
        self.rest = min(2 * self.rest, LONGEST_REST_SECS) if self.rest else REST_SECS
        self.rests_until = time.monotonic() + self.rest

    @property
    def rests(self) -> bool:
        return self.for_good or self.rests_until > time.monotonic()

    @property
    def may_step_in(self) -> bool:
        return not self.for_good and time.monotonic() - (self.rests_until - self.rest) >= STEPS_IN_SECS


def is_permanent(error: ErrorFrame) -> bool:
    """Whether the vendor would say the same to the next try: a wrong key, a used-up account."""
    return error.category is not None and error.category.is_permanent


async def _handed(came: Came, member: Member, frame: Frame, _: FrameDirection) -> None:
    await came(member, frame)
