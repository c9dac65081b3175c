"""Several sessions of AssemblyAI heard in the order in which the caller spoke.

Comes in: what sessions say, each at its own time. Goes out: their messages one after another; those of a later session wait
while an earlier one, which was left in the middle of a turn, has still to say its last words.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from websockets.asyncio.client import ClientConnection

from runner.compiler.services.assemblyai.differences import Address
from runner.compiler.services.assemblyai.report import Report
from runner.compiler.services.assemblyai.session import Message, Session


class Owner(Protocol):
    """What the sessions need to know of the ear they belong to."""

    report: Report

    @property
    def speaking(self) -> bool: ...
    @property
    def reconnects(self) -> bool: ...
    @property
    def backoff(self) -> tuple[float, float]: ...
    @property
    def keep_secs(self) -> float: ...
    @property
    def longest_silence(self) -> float: ...
    def wanted(self) -> dict[str, str]: ...
    def typed(self, name: str) -> object: ...
    async def connect(self, address: Address) -> ClientConnection: ...
    async def take(self, session: Session, message: Message) -> None: ...
    async def went_over(self, old: Session | None, new: Session) -> None: ...
    def revised(self, session: Session, message: Message) -> None: ...


class Listening:
    """heard: takes each message, None when a session's connection is over. current: the session that hears the caller.
    revised: takes what a session says about who spoke, at once and also when it was left."""

    def __init__(
        self,
        heard: Callable[[Session, Message | None], Awaitable[None]],
        current: Callable[[], Session | None],
        revised: Callable[[Session, Message], None],
    ) -> None:
        self._heard = heard
        self._revised = revised
        self._current = current
        self._order: deque[Session] = deque()
        self._inbox: asyncio.Queue[tuple[Session, Message | None]] = asyncio.Queue()

    def said(self, session: Session, message: Message | None) -> None:
        if message and message.get("type") == "SpeakerRevision":
            self._revised(session, message)  # a session's last news, for which nobody may be listening any more
        else:
            self._inbox.put_nowait((session, message))

    def next(self, session: Session) -> None:
        """From now on the caller is heard by this one."""
        self._order.append(session)

    def nothing_due(self, session: Session) -> None:
        """It was left in a silence: nobody waits for it."""
        if session in self._order:
            self._order.remove(session)

    def words_are_due(self, session: Session) -> bool:
        """Whether a session before this one has still to say its last words."""
        return session in self._order and self._order[0] is not session

    async def run(self) -> None:
        while True:
            session, message = await self._inbox.get()
            if not self.words_are_due(session):
                await self._heard(session, message)
            elif message is None and session is self._current():
                await self._heard(session, None)  # another one is needed at once
            else:
                session.held.append(message)
            await self._next_in_order()

    async def _next_in_order(self) -> None:
        """Let go of sessions that have said their last words, and hear what was held back meanwhile."""
        while self._order:
            first = self._order[0]
            while first.held:
                await self._heard(first, first.held.pop(0))
            if first is self._current() or (first.turn_open and not first.over.is_set()):
                return
            if self._order and self._order[0] is first:
                self._order.popleft()
