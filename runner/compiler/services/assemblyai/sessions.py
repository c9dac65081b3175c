"""Which of AssemblyAI's sessions hears the caller: opening another one and going over to it.

Comes in: what the ear wants to run with, and the caller's sound. Goes out: the sessions' messages in the order in which the
caller spoke, and what was refused. Pipecat 1.14 closes the session before it opens the next; here the next one has begun before
the caller's sound goes over to it, at a moment in which nothing is said if there is one.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from pipecat.utils.errors import ErrorCategory

from runner.compiler.services.assemblyai.differences import Address, difference, fixed, names_of
from runner.compiler.services.assemblyai.listening import Listening, Owner
from runner.compiler.services.assemblyai.outage import STABLE_SECS
from runner.compiler.services.assemblyai.recovery import Recovery, farewell
from runner.compiler.services.assemblyai.refusals import RefusedError
from runner.compiler.services.assemblyai.sending import PIECE_SECS
from runner.compiler.services.assemblyai.session import Message, Session
from runner.compiler.services.assemblyai.sound import Sound

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

_TRY_AGAIN_SECS = (0.2, 0.6)


class Sessions(Recovery):
    """The session that hears the caller, the one that will, and those that still have words to say."""

    def __init__(self, owner: Owner) -> None:
        super().__init__(owner, Listening(self._heard, lambda: self.current, owner.revised))
        self.sound = Sound()
        self.leaving: list[asyncio.Task[None]] = []
        self._coming_since, self._patience = 0.0, CHANGE_PATIENCE
        self._renewing = False
        self._heard_at = 0.0

    # The call's side

    def start(self) -> None:
        """Open the first session. What the caller says before it has begun is kept."""
        self._open = True
        self._spawn(self._listening.run())
        self._look()
        self._restore()

    def hear(self, sound: bytes, rate: int) -> None:
        """The caller's sound, 16 bits mono. Never waits."""
        self._piece_bytes = round(rate * PIECE_SECS) * 2
        self._heard_at = time.monotonic()
        self._waiting += sound
        self._pass_on()
        self._forget_old()

    def changed(self) -> None:
        """What the ear wants may differ from what it has."""
        if self._open:
            if self.current:
                self.current.memory.keep_secs = self._owner.keep_secs
            self._after("live", LIVE_SECS, self._tell_current)
            self._after("open", OPEN_SECS, self._open_if_needed)

    def force_end(self) -> None:
        """The caller's turn is over: ask for its words now."""
        if self.current:
            self.current.force_end()
        self._voice_is_over(0.0)

    def revive(self) -> None:
        """Try again after the service was given up."""
        if self._open and not self.current and not self._opening:
            if time.monotonic() - self._heard_at > self._owner.keep_secs:
                self._waiting.clear()
            self._outage.ends()
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
        self.leaving.extend(farewell(session) for session in (self.current, self._coming) if session)
        self.current = self._coming = None

    def words_are_due(self, session: Session) -> bool:
        """Whether a session before this one has still to say its last words."""
        return self._listening.words_are_due(session)

    # Changes

    def difference(self, has: Address) -> tuple[dict[str, Any], bool]:
        """What has to be said to a session that runs with `has`, and whether it takes another session beside that."""
        return difference(self._without_refused(self._owner.wanted(), has), has, self._owner.typed)

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
            farewell(self._coming)
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
                        await self._owner.report.refused_change(names, refusal.words)
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
                farewell(session)
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
                if wait is None or not refusal.again or refusal.category is ErrorCategory.RATE_LIMIT:
                    raise
                await asyncio.sleep(wait)
        raise AssertionError("the last try returns or raises")

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

    def _go_over(self, new: Session, *, due: bool = False) -> None:
        """From here on the caller is heard by `new`; the old one says its last words and is closed.

        due: it has to say the words for what the caller has said already.
        """
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
            farewell(old)
        self._listening.next(new)
        self._spawn(self._owner.went_over(old, new))
        self._outage.has_session()
        self._silence.begins_anew(due=due)
        wait, self._over_on_return = self._over_on_return, None
        if wait is not None and not self._owner.speaking:
            self._pass_on()
            if wait:
                self._voice_is_over(wait)
            else:
                self.force_end()
        self._renew_later(new)
        self._after("open", OPEN_SECS, self._open_if_needed)
        for name in ("late", "stable"):
            self._cancel(name)
        self._after("stable", STABLE_SECS, lambda: self._is_stable(new))
        if new.over.is_set():  # it ended while nobody had it for the current one
            self._listening.said(new, None)

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
            if message.get("type") in ("Turn", "SpeechStarted"):
                finished = not session.turn_open
                self._silence.words_came(finished=finished, speaking=self._owner.speaking)
                if finished:
                    self._outage.ends()
            await self._owner.take(session, message)
        elif session is self.current:
            await self._lost(session)
        elif session is self._coming:
            self._coming = None
            self._after("open", OPEN_SECS, self._open_if_needed)
