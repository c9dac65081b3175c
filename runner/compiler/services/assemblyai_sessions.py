"""Which of AssemblyAI's sessions hears the caller: opening another one, going over to it, and what to do when one breaks.

Comes in: what the ear wants to run with, and the caller's sound. Goes out: the sessions' messages in the order in which the
caller spoke, and what was refused. Pipecat 1.14 closes the session before it opens the next; here the next one has begun before
the caller's sound goes over to it, at a moment in which nothing is said if there is one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from pipecat.utils.errors import ErrorCategory
from pipecat.utils.network import QuickFailureTracker, exponential_backoff_time

from runner.compiler.services.assemblyai_differences import Address, difference, fixed, live, names_of
from runner.compiler.services.assemblyai_listening import Listening, Owner
from runner.compiler.services.assemblyai_session import PIECE_SECS, Message, RefusedError, Session, open_session
from runner.compiler.services.assemblyai_sound import Sound

LIVE_SECS = 0.02
"""Changes that come within this time go as one message."""

OPEN_SECS = 0.05
"""A new session is opened this long after the first change that needs one."""

QUIET_SECS = 0.1
"""How long it has to be quiet before the caller's sound may go over to another session."""

CHANGE_PATIENCE, RENEWAL_PATIENCE = 8.0, 240.0
"""How long going over waits for a silence, seconds; then it is done while the caller speaks."""

BETWEEN_WORDS_SECS = 1.0
"""How much longer it then waits for a quiet moment between two words."""

GAP_SECS = 60.0
"""How much of the caller's sound is kept while there is no session."""

TRIES = 3
_TRY_AGAIN_SECS = (0.2, 0.6)
_BLAME_SECS = 3.0
"""A session that ends so soon after a live update was ended by it."""

_FAREWELLS: set[asyncio.Task[None]] = set()
"""Sessions that are being closed; a call that is over does not wait for them."""


class Sessions:
    """The session that hears the caller, the one that will, and those that still have words to say."""

    def __init__(self, owner: Owner) -> None:
        self.sound = Sound()
        self.current: Session | None = None
        self._owner = owner
        self._coming: Session | None = None
        self._coming_since, self._patience = 0.0, CHANGE_PATIENCE
        self._listening = Listening(self._heard, lambda: self.current)
        self._waiting = bytearray()
        self._piece_bytes = 0
        self._opening: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._accepted: dict[str, str] | None = None
        self._refused_opening: dict[str, str] | None = None
        self._refused_live: dict[str, str] = {}
        self._tracker = QuickFailureTracker()
        self._force_on_return = False
        self._renewing = False
        self._open = False

    # The call's side

    def start(self) -> None:
        """Open the first session. What the caller says before it has begun is kept."""
        self._open = True
        self._spawn(self._listening.run())
        self._restore()

    def hear(self, sound: bytes, rate: int) -> None:
        """The caller's sound, 16 bits mono. Never waits."""
        self._piece_bytes = round(rate * PIECE_SECS) * 2
        self._waiting += sound
        self._pass_on()
        keep = round(GAP_SECS * rate) * 2
        if len(self._waiting) > keep:
            del self._waiting[:-keep]

    def changed(self) -> None:
        """What the ear wants may differ from what it has."""
        if self._open:
            self._after("live", LIVE_SECS, self._tell_current)
            self._after("open", OPEN_SECS, self._open_if_needed)

    def force_end(self) -> None:
        """The caller's turn is over: ask for its words now."""
        if self.current:
            self.current.expect_words()
            self.current.say({"type": "ForceEndpoint"})
        else:
            self._force_on_return = True

    def revive(self) -> None:
        """Try again after the service was given up."""
        if self._open and not self.current and not self._opening:
            self._restore()

    def stop(self) -> None:
        """Leave all sessions. Nothing that they still say is heard."""
        self._open = False
        for timer in self._timers.values():
            timer.cancel()
        for task in (*self._tasks, self._opening):
            if task:
                task.cancel()
        if self.current and self._waiting and self._piece_bytes:
            self.current.hear(bytes(self._waiting.ljust(self._piece_bytes, b"\0")), loud=False)
        self._waiting.clear()
        for session in (self.current, self._coming):
            if session:
                _farewell(session)
        self.current = self._coming = None

    def words_are_due(self, session: Session) -> bool:
        """Whether a session before this one has still to say its last words."""
        return self._listening.words_are_due(session)

    # Changes

    def difference(self, has: Address) -> tuple[dict[str, Any], bool]:
        """What has to be said to a session that runs with `has`, and whether it takes another session beside that."""
        return difference(self._without_refused(self._owner.wanted(), has), has, self._owner.typed)

    def _without_refused(self, wanted: Address, had: Address) -> dict[str, str]:
        """What is wanted, with what it was before in place of every value that an open session was ended for."""
        found = dict(wanted)
        for name, value in self._refused_live.items():
            if found.get(name) == value:
                del found[name]
                if name in had:
                    found[name] = had[name]
        return found

    def _tell_current(self) -> None:
        if self.current:
            self._tell(self.current)

    def _tell(self, session: Session) -> None:
        fields, _ = self.difference(session.has)
        if fields:
            wanted = self._owner.wanted()
            session.tell(fields, {name: wanted.get(name, "") for name in fields})

    def _open_if_needed(self) -> None:
        if not self._open or self._opening or not self.current:
            return
        _, reopens = self.difference(self.current.has)
        unneeded = not reopens and not self._renewing
        if self._coming and (unneeded or self.difference(self._coming.has)[1]):
            _farewell(self._coming)
            self._coming = None
        if not reopens:
            self._refused_opening = None
        elif not self._coming and fixed(self._owner.wanted()) != self._refused_opening:
            self._opening = asyncio.create_task(self._open_next(CHANGE_PATIENCE))

    async def _open_next(self, patience: float) -> None:
        """Open a session with what is wanted, until what it opened with is still wanted when it has begun."""
        try:
            while self.current:
                wanted = self._owner.wanted()
                try:
                    session = await self._begin(wanted)
                except RefusedError as refusal:
                    if self.current and fixed(self._owner.wanted()) == fixed(wanted):
                        self._refused_opening = fixed(wanted)
                        names = names_of(fixed(wanted), fixed(self.current.has))
                        await self._owner.refused_change(names, refusal.words)
                        if self._renewing:
                            self._renewing = False
                            self._after("renew", min(30.0, (self.current.expires_at - time.time()) / 4), self._renew)
                        return
                    if self.current and not self.difference(self.current.has)[1]:
                        return
                    continue
                if self.current and not self.difference(session.has)[1]:
                    self._coming, self._coming_since, self._patience = session, time.monotonic(), patience
                    self._watch()
                    return
                _farewell(session)
                if self.current and not self.difference(self.current.has)[1]:
                    return
        finally:
            self._opening = None

    async def _begin(self, wanted: dict[str, str]) -> Session:
        """A session that has begun. A connection that fails is tried three times; a refusal is final."""
        for wait in (*_TRY_AGAIN_SECS, None):
            try:
                return await self._open_once(wanted)
            except RefusedError as refusal:
                if wait is None or not refusal.again:
                    raise
                await asyncio.sleep(wait)
        raise AssertionError("the last try returns or raises")

    async def _open_once(self, wanted: dict[str, str]) -> Session:
        return await open_session(
            lambda: self._owner.connect(wanted), wanted, int(wanted["sample_rate"]), self._listening.said
        )

    # Going over

    def _pass_on(self) -> None:
        if self._coming and self._may_go_over():
            self._go_over(self._coming)
        while self._piece_bytes and self.current and self.current.is_open and len(self._waiting) >= self._piece_bytes:
            piece = bytes(self._waiting[: self._piece_bytes])
            del self._waiting[: self._piece_bytes]
            self.current.hear(piece, loud=self.sound.hear(piece))
            if self._coming and self._may_go_over():
                self._go_over(self._coming)

    @property
    def _calm(self) -> bool:
        if not self.current:
            return True
        if self._owner.speaking or self.current.turn_open:
            return False
        return self.sound.quiet_secs >= QUIET_SECS or not self.sound.flows

    def _may_go_over(self) -> bool:
        if self._calm:
            return True
        waited = time.monotonic() - self._coming_since - self._patience
        return waited > 0 and (self.sound.quiet_secs > 0 or waited > BETWEEN_WORDS_SECS)

    def _watch(self) -> None:
        """While no sound comes, the clock says when to go over."""
        if self._open and self._coming:
            if self._may_go_over():
                self._go_over(self._coming)
            else:
                self._after("watch", 0.1, self._watch)

    def _go_over(self, new: Session) -> None:
        """From here on the caller is heard by `new`; the old one says its last words and is closed."""
        old, self.current = self.current, new
        if self._coming is new:
            self._coming = None
        self._renewing = False
        self._accepted = new.has
        self._tell(new)
        if old:
            if self._owner.speaking or old.turn_open:
                old.expect_words()
            else:
                self._listening.nothing_due(old)
            _farewell(old)
        self._listening.next(new)
        self._spawn(self._owner.went_over(old, new))
        if self._force_on_return:
            self._force_on_return = False
            self._pass_on()
            self.force_end()
        self._renew_later(new)
        self._after("open", OPEN_SECS, self._open_if_needed)

    def _renew_later(self, session: Session) -> None:
        lasts = session.expires_at - session.began_at
        if lasts <= 0:
            return
        begin = max(min(lasts - 300, 0.9 * lasts), 0.5 * lasts)
        self._cancel("renew")
        self._after("renew", max(0.0, session.began_at + begin - time.time()), self._renew)

    def _renew(self) -> None:
        """Open the same session anew before the vendor ends it."""
        if not self._open or not self.current or self._coming or self._opening:
            self._after("renew", 1.0, self._renew)
            return
        left = self.current.expires_at - time.time()
        patience = max(0.0, min(RENEWAL_PATIENCE, 0.8 * left - BETWEEN_WORDS_SECS))
        self._renewing = True
        self._opening = asyncio.create_task(self._open_next(patience))

    # What the sessions say

    async def _heard(self, session: Session, message: Message | None) -> None:
        if message is not None:
            await self._owner.take(session, message)
        elif session is self.current:
            await self._lost(session)
        elif session is self._coming:
            self._coming = None
            self._after("open", OPEN_SECS, self._open_if_needed)

    # When a session breaks

    async def _lost(self, session: Session) -> None:
        """The session ended by itself: another one hears what was not finished, and what is said meanwhile."""
        unfinished = session.turn_open or self._owner.speaking
        self._waiting[:0] = session.unanswered if unfinished else session.unsent
        self.current = None
        if blamed := self._blamed(session):
            _, words = session.error or (0, "")
            await self._owner.refused_change(blamed, words)
        elif session.error and not await self._owner.broke(session.error):
            self._waiting.clear()
            return
        elif self._tracker.record(time.time() - session.began_at).should_give_up:
            words = "the connection breaks as soon as it is there"
            await self._owner.cannot_open(RefusedError(words, ErrorCategory.CONNECTIVITY), TRIES, last=True)
            self._waiting.clear()
            return
        if self._coming and not self._coming.over.is_set():
            self._go_over(self._coming)
            self._pass_on()
        elif session.error or self._owner.reconnects:
            self._restore()
        else:
            await self._owner.broke(None)
            self._waiting.clear()

    def _blamed(self, session: Session) -> set[str]:
        """The fields of the live update that ended the session. They stand as they stood before, and are not said again."""
        fields, before, at = session.told
        code, text = session.error or (0, "")
        if code != 3006 or not fields or time.monotonic() - at > _BLAME_SECS or "inactivity" in text:
            return set()
        named = {name for name in fields if f"'{name}'" in text} or set(fields)
        for name in named:
            self._refused_live[name] = session.has.get(name, "")
        for name in fields:
            then = before.get(name)
            session.has.pop(name, None)
            if then is not None:
                session.has[name] = then
        self._accepted = session.has
        return named

    def _restore(self) -> None:
        if self._opening:
            self._opening.cancel()
        self._opening = asyncio.create_task(self._open_again())

    def _openable(self) -> dict[str, str]:
        """What is wanted, without what was refused."""
        wanted, had = self._owner.wanted(), self._accepted or {}
        if fixed(wanted) == self._refused_opening:
            wanted = {**live(wanted), **fixed(had)}
        return self._without_refused(wanted, had)

    async def _open_again(self) -> None:
        """A session when there is none: at once, and again after a while."""
        try:
            for attempt in range(1, TRIES + 2):
                wanted = self._openable()
                try:
                    session = await self._open_once(wanted)
                except RefusedError as refusal:
                    if not refusal.again and self._accepted and fixed(wanted) != fixed(self._accepted):
                        self._refused_opening = fixed(self._owner.wanted())
                        names = names_of(fixed(wanted), fixed(self._accepted))
                        await self._owner.refused_change(names, refusal.words)
                        continue
                    last = attempt > TRIES or not refusal.again
                    await self._owner.cannot_open(refusal, attempt, last=last)
                    if last:
                        self._waiting.clear()
                        return
                    least, most = self._owner.backoff
                    await asyncio.sleep(exponential_backoff_time(attempt, min_wait=least, max_wait=most))  # pyright: ignore[reportArgumentType]
                    continue
                self._go_over(session)
                self._pass_on()
                return
        finally:
            if asyncio.current_task() is self._opening:
                self._opening = None

    # Tasks and timers

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _after(self, name: str, seconds: float, act: Callable[[], None]) -> None:
        """Once, `seconds` after the first of several askings."""
        if name in self._timers or not self._open:
            return

        def due() -> None:
            del self._timers[name]
            if self._open:
                act()

        self._timers[name] = asyncio.get_running_loop().call_later(seconds, due)

    def _cancel(self, name: str) -> None:
        if timer := self._timers.pop(name, None):
            timer.cancel()


def _farewell(session: Session) -> None:
    task = asyncio.create_task(session.leave())
    _FAREWELLS.add(task)
    task.add_done_callback(_FAREWELLS.discard)
