"""Several services for one part of a call, of which one is at work: who takes over when it fails, and when the first comes back.

Comes in: the frames of the part, whatever they are. Goes out: what the service at work makes of them, and for each change a
`TookOverFrame`. A failure that somebody else takes over goes no further; the last one's is everybody's business again.

Pipecat 1.14's `ServiceSwitcher` is not used. It connects all its services when a call begins (AssemblyAI counts a session's time,
heard or not), lets a failed turn be, keeps the number of every frame that ever passed, and goes back to the first service only by
hand. Here a service is made when it is needed, with the settings of that moment; what was not answered, said or heard is handed
over (`models`, `voices`, `ears`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, cast
from weakref import WeakKeyDictionary

from loguru import logger
from pipecat.frames.frames import CancelFrame, EndFrame, ErrorFrame, Frame, StartFrame
from pipecat.pipeline.base_pipeline import BasePipeline
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor, FrameProcessorSetup
from pipecat.utils.errors import ErrorCategory

from runner.catalog import Provider
from runner.compiler.fallback.member import DOWN, UP, Member, is_permanent
from runner.compiler.services import generic
from runner.compiler.services.refused import RefusedChangeFrame

_SETTLES_SECS = 1.0
"""A service that is tried again works if so long after it was set up nothing was said against it."""


@dataclass
class TookOverFrame(ErrorFrame):
    """Another service goes on. who: which, for people. failure: why, None when the one before it in the list works again;
    `whose`: the one that failed."""

    who: str = ""
    failure: ErrorFrame | None = None
    whose: Provider | None = None


class Relay(BasePipeline):
    """members: in the order of the file; the first one begins. Frames pass without a queue of its own."""

    keeps_services = False
    """Whether a service that is left is kept. One that holds a connection is not: it is made anew."""

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__(enable_direct_mode=True)
        self.members = list(members)
        self.at_work = self.members[0]
        self.changed: list[Callable[[Member], Coroutine[Any, Any, None]]] = []
        self._whose: WeakKeyDictionary[FrameProcessor, Member] = WeakKeyDictionary()
        self._start: StartFrame | None = None
        self._started = False
        self._over = False
        self._switching = asyncio.Lock()
        self._settled = asyncio.Event()
        self._settled.set()
        self._switcher: asyncio.Task[Any] | None = None
        self._returning: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[Any]] = set()
        self._make(self.at_work)

    @property
    def service(self) -> Any:
        """The service at work."""
        return self.at_work.service

    @property
    def services(self) -> list[FrameProcessor]:
        """Those that exist, by the name that Pipecat's switchers have for it."""
        return self.processors

    def member_of(self, service: FrameProcessor | None) -> Member | None:
        """Which of the members' it is, also of one that was left; None when it is none of these."""
        return self._whose.get(service) if service is not None else None

    # Pipecat's side

    @property
    def processors(self) -> list[FrameProcessor]:
        return [member.service for member in self.members if member.service]

    def processors_with_metrics(self) -> list[FrameProcessor]:
        return [service for service in self.processors if service.can_generate_metrics()]

    async def setup(self, setup: FrameProcessorSetup) -> None:
        await super().setup(setup)
        self._setup_finished()
        await self._setup_processors(self.at_work.parts, setup)

    async def cleanup(self) -> None:
        self._over = True
        await super().cleanup()
        if self._returning:
            await self.cancel_task(self._returning)
        for task in list(self._leaving):
            await self.cancel_task(task)
        await self._cleanup_processors([one for member in self.members for one in member.parts])

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not self._settled.is_set() and asyncio.current_task() is not self._switcher:
            await self._settled.wait()  # what is handed over goes first
        if isinstance(frame, StartFrame):
            self._start = frame
        if isinstance(frame, EndFrame | CancelFrame):
            self._over = True
            for member in self.members:
                if member is not self.at_work:
                    await member.queue_frame(frame, direction)
        await (self.take(frame) if direction is DOWN else self.take_back(frame))

    # What a part does otherwise

    async def take(self, frame: Frame) -> None:
        """A frame on its way down."""
        await self.send(frame)

    async def take_back(self, frame: Frame) -> None:
        """A frame on its way up."""
        await self.send(frame, UP)

    async def made(self, frame: Frame) -> None:
        """What comes out of the service at work."""
        await self.push_frame(frame)

    def passes(self, frame: Frame) -> bool:
        """Whether it goes on although it comes from a service that is not at work any more."""
        return False

    def fails(self, error: ErrorFrame) -> bool:
        """Whether the service at work cannot go on after this error."""
        return True

    def is_over(self, member: Member) -> bool:
        """Whether there is no sense in another try in this call, when `member` has failed and nobody is left."""
        return all(one.for_good for one in self.members)

    async def hand_over(self, before: Member, *, failed: bool) -> None:
        """The service at work is another one now: give it what the one before left undone."""

    async def wakes(self, member: Member) -> bool:
        """Try a service that failed before. Returns whether it can be gone back to."""
        await self._wake(member)
        if service := member.service:
            await asyncio.sleep(_SETTLES_SECS)
            return member.service is service and service.is_usable and not member.rests
        return False

    # Going over

    @property
    def successor(self) -> Member | None:
        """Who would take over now."""
        return next((one for one in self.members if one is not self.at_work and not one.rests), None)

    async def fail(self, member: Member, error: ErrorFrame) -> None:
        """`member` cannot go on. If it is at work, the next one takes over; without a next one the error is told."""
        async with self._switching:
            if member is not self.at_work:
                return
            if self._over or (then := self.successor) is None:
                await self._fail_all(member, error)
                return
            member.failed(error)
            logger.warning(f"{member.who} fails: {error.error}. {then.who} takes over.")
            await self._go_over(then, error)
        self._watch_return()

    async def back(self) -> None:
        """A moment in which nothing is under way: go back to an earlier service that works again."""
        if self._earlier_ready is None:
            return
        async with self._switching:
            if then := self._earlier_ready:
                logger.info(f"{then.who} is at work again.")
                await self._go_over(then, None)

    @property
    def _earlier(self) -> Sequence[Member]:
        """Those before the one at work."""
        return self.members[: self.members.index(self.at_work)]

    @property
    def _earlier_ready(self) -> Member | None:
        return next((one for one in self._earlier if one.ready), None)

    def worked(self) -> None:
        """The service at work did what it is for."""
        self.at_work.rest = 0.0

    async def send(self, frame: Frame, direction: FrameDirection = DOWN) -> None:
        """To the service at work."""
        await self.at_work.queue_frame(frame, direction)

    async def _go_over(self, then: Member, error: ErrorFrame | None) -> None:
        """Frames that come meanwhile wait."""
        self._switcher = asyncio.current_task()
        self._settled.clear()
        try:
            await self._change_to(then, error)
        finally:
            self._settled.set()
            self._switcher = None

    async def _change_to(self, then: Member, error: ErrorFrame | None) -> None:
        before, self.at_work = self.at_work, then
        then.ready = False
        told = TookOverFrame(error=error.error if error else f"{then.who} works again", who=then.who, failure=error)
        told.whose, told.processor, told.category = before.provider, self, ErrorCategory.APPLICATION
        if then.service is None:
            await self._wake(then)
        elif not then.service.is_usable:
            await then.service.set_usable(True)
        for hear in self.changed:
            await hear(then)
        await self.hand_over(before, failed=error is not None)
        await self.push_frame(told, UP)
        if not self.keeps_services:
            self._leave(before)

    async def _fail_all(self, member: Member, error: ErrorFrame) -> None:
        """Nobody is left. If that is not the end, all but those that are refused for good begin anew with the next turn."""
        member.for_good = is_permanent(error)
        for one in self.members:
            one.rests_until = 0.0
            one.ready = one.service is not None and not one.for_good and one is not member and self.keeps_services
        if self.is_over(member):
            await self.set_usable(False)
        await self._call_event_handler("on_error", error)
        await self.push_frame(error, UP)

    def _make(self, member: Member) -> None:
        self._whose[member.make(self._came_up, self._came_down)] = member

    async def _wake(self, member: Member) -> None:
        """Make a service and start it. Its frames wait until it is set up."""
        self._make(member)
        for processor in member.parts:
            self._create_setup_task(processor, self.processor_setup)
        if self._start:
            await member.queue_frame(self._start, DOWN)

    def _leave(self, member: Member) -> None:
        service, parts = member.take_apart()

        async def go() -> None:
            async with self._switching:
                pass
            if service:
                await service.queue_frame(CancelFrame(reason="another service is at work"))
                await asyncio.sleep(0.2)
                await self._cleanup_processors(parts)
                await generic.close_client(service)
                await generic.close_session(service)

        if service:
            task = cast("asyncio.Task[Any]", self.create_task(go(), "leaves"))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    def _watch_return(self) -> None:
        if self._returning is None or self._returning.done():
            self._returning = self.create_task(self._return(), "returns")

    async def _return(self) -> None:
        """Try the earlier services again when they have rested, until the first one is at work."""
        while self.at_work is not self.members[0]:
            earlier = [one for one in self._earlier if not one.for_good]
            if not earlier:
                return
            due = next((one for one in earlier if not (one.ready or one.rests)), None)
            if due and await self.wakes(due):
                due.ready = True
            elif due and due is not self.at_work:
                due.give_rest()
                if not self.keeps_services:
                    self._leave(due)
            await asyncio.sleep(0.05)

    # What comes out of the services

    async def _came_down(self, member: Member, frame: Frame) -> None:
        if isinstance(frame, StartFrame):
            if not self._started:
                self._started = True
                await self.push_frame(frame)
        elif member is self.at_work:
            await self.made(frame)
        elif self.passes(frame):
            await self.push_frame(frame)

    async def _came_up(self, member: Member, frame: Frame) -> None:
        if isinstance(frame, ErrorFrame) and frame.processor is member.service:
            await self._erred(member, frame)
        elif member is self.at_work or self.passes(frame):
            await self.made_up(frame)

    async def made_up(self, frame: Frame) -> None:
        """What the service at work sends up."""
        await self.push_frame(frame, UP)

    async def _erred(self, member: Member, error: ErrorFrame) -> None:
        if member is not self.at_work:
            logger.debug(f"{member.who}, not at work: {error.error}")
            if member.service and not member.ready:
                member.give_rest()
        elif not isinstance(error, RefusedChangeFrame) and self.fails(error):
            await self.fail(member, error)
        else:
            await self.push_frame(error, UP)
