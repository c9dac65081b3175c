"""What happens when a session of AssemblyAI breaks, or is silent although the caller speaks: nothing that was said is lost, and
where no session is to be had people are told.

Comes in: sessions that ended, and what the caller's voice does. Goes out: another session that hears what the one before did not
finish; or that there is none (`Report.no_session`), within ten seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any

from loguru import logger
from pipecat.utils.errors import ErrorCategory

from runner.compiler.services.assemblyai.differences import Address, fixed, live, names_of
from runner.compiler.services.assemblyai.listening import Listening, Owner
from runner.compiler.services.assemblyai.outage import TELL_SECS, Outage
from runner.compiler.services.assemblyai.refusals import TOO_FAST, RefusedError, closed, refusal
from runner.compiler.services.assemblyai.sending import PIECE_SECS
from runner.compiler.services.assemblyai.session import BEGIN_SECS, Session, open_session
from runner.compiler.services.assemblyai.silence import Silence

VERDICT_SECS = 1.5
"""How long a session that is asked to say goodbye may take for it. The vendor: 0.55 to 1.2 s."""

STUCK = 3
"""So many sessions in a row that hear the caller and say nothing: the vendor does not hear."""

_LOOK_SECS = 0.1

_OWED_SECS = 0.4
"""With less voice than this no words are waited for: a cough."""

_BLAME_SECS = 3.0
"""A session that ends so soon after a live update was ended by it."""

_FAREWELLS: set[asyncio.Task[None]] = set()
"""Sessions that are being closed; a call that is over does not wait for them."""


class Recovery:
    """The session that hears the caller, the sound that waits for one, and how there is a session again.

    current: the session that hears the caller, None while there is none.
    """

    def __init__(self, owner: Owner, listening: Listening) -> None:
        self.current: Session | None = None
        self._owner = owner
        self._listening = listening
        self._coming: Session | None = None
        self._waiting: bytearray = bytearray()
        self._piece_bytes: int = 0
        self._opening: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._accepted: dict[str, str] | None = None
        self._refused_opening: dict[str, str] | None = None
        self._refused_live: dict[str, str] = {}
        self._outage = Outage()
        self._silence = Silence()
        self._too_fast = False
        self._over_on_return: float | None = None
        self._open = False
        self._looked_at = time.monotonic()

    def _go_over(self, new: Session, *, due: bool = False) -> None:
        """From here on the caller is heard by `new`. due: it owes the words for what the caller has said already."""
        raise NotImplementedError

    def _pass_on(self) -> None:
        """Give the sound that waits to the session that hears the caller."""
        raise NotImplementedError

    # Sound that no session has finished

    def _forget_old(self) -> None:
        """Sound that waits is kept as long as the ear says."""
        most = round(self._owner.keep_secs * self._piece_bytes / 2 / PIECE_SECS) * 2
        if len(self._waiting) > max(most, self._piece_bytes):
            del self._waiting[: len(self._waiting) - max(most, self._piece_bytes)]

    def voice_began(self) -> None:
        """The local voice detection hears the caller."""
        self._silence.voice_began()

    def voice_ended(self) -> None:
        """The local voice detection hears the caller no more; nobody asks for the end of the turn."""
        self._voice_is_over(self._owner.longest_silence)

    def _voice_is_over(self, wait: float) -> None:
        """wait: as `Silence` has it. What nobody hears now is owed by the session that hears it later."""
        if not self.current:
            self._over_on_return = wait
        owed = self.current.memory.loud_secs if self.current else 0.0
        self._silence.voice_ended(wait, due=owed >= _OWED_SECS)

    # When a session breaks

    async def _lost(self, session: Session) -> None:
        """The session ended by itself: another one hears what was not finished, and what is said meanwhile."""
        self._keep_unheard(session)
        self.current = None
        blamed = self._blamed(session)
        why = refusal(*session.error) if session.error else None
        last = not self._owner.reconnects or not (why is None or why.again)
        if blamed and session.error:
            await self._owner.report.refused_change(blamed, session.error[1])
        elif why or last:
            await self._owner.report.no_session(why or refusal(1006, closed(session.socket.close_code, "")), last=last)
            self._outage.told = True
        else:
            code, reason = session.socket.close_code, session.socket.close_reason or ""
            logger.warning(f"AssemblyAI: {closed(code, reason)}. Another session is opened.")
        if last and not blamed:
            return
        self._too_fast |= why is not None and TOO_FAST in why.words
        if self._coming and not self._coming.over.is_set():
            self._go_over(self._coming)
            self._pass_on()
        else:
            self._restore()

    def _keep_unheard(self, session: Session) -> None:
        self._waiting[:0] = session.unheard(speaking=self._owner.speaking)
        self._forget_old()
        if session.forced and not self._owner.speaking:
            self._over_on_return = 0.0

    def _is_stable(self, session: Session) -> None:
        if session is self.current and session.is_open:
            self._outage.ends()

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

    def _without_refused(self, wanted: Address, had: Address) -> dict[str, str]:
        """What is wanted, with what it was before in place of every value that an open session was ended for."""
        found = dict(wanted)
        for name, value in self._refused_live.items():
            if found.get(name) == value:
                del found[name]
                if name in had:
                    found[name] = had[name]
        return found

    async def _open_once(self, wanted: dict[str, str], within: float = BEGIN_SECS) -> Session:
        return await open_session(
            lambda: self._owner.connect(wanted),
            wanted,
            int(wanted["sample_rate"]),
            self._listening.said,
            within=within,
            keep_secs=self._owner.keep_secs,
            gentle=self._too_fast,
        )

    async def _open_again(self) -> None:
        """A session when there is none: at once, and again after a while, until there is no sense in it any more."""
        outage = self._outage
        outage.begins()
        self._after("late", TELL_SECS, lambda: self._spawn(self._tell_of_outage()))
        try:
            while True:
                if pause := outage.pause(*self._owner.backoff):
                    await asyncio.sleep(pause)
                outage.tries += 1
                wanted = self._openable()
                try:
                    session = await self._open_once(wanted, outage.try_secs)
                except RefusedError as refused:
                    if not refused.again and self._accepted and fixed(wanted) != fixed(self._accepted):
                        self._refused_opening = fixed(self._owner.wanted())
                        names = names_of(fixed(wanted), fixed(self._accepted))
                        await self._owner.report.refused_change(names, refused.words)
                        outage.tries = 0
                        continue
                    again = refused.again and self._owner.reconnects
                    last = not again or outage.is_over_after(outage.pause(*self._owner.backoff))
                    if last or not outage.told:
                        outage.told = True
                        await self._owner.report.no_session(refused, last=last)
                    else:
                        logger.warning(f"AssemblyAI, try {outage.tries}: {refused.words}")
                    if last:
                        return
                    continue
                self._go_over(session, due=self._silence.is_due)
                self._pass_on()
                return
        finally:
            if asyncio.current_task() is self._opening:
                self._opening = None

    async def _tell_of_outage(self) -> None:
        if self._outage.goes_on and not self.current and not self._outage.told:
            self._outage.told = True
            why = RefusedError("no session has begun yet", ErrorCategory.CONNECTIVITY, again=True)
            await self._owner.report.no_session(why, last=False)

    # When a session says nothing

    def _look(self) -> None:
        """Every tenth of a second: whether words are missing."""
        now = time.monotonic()
        self._silence.excuse(now - self._looked_at - _LOOK_SECS)
        self._looked_at = now
        self._after("look", _LOOK_SECS, self._look)
        session = self.current
        if not session or not session.is_open or self._opening:
            return
        if self._silence.is_worth_a_note:
            logger.warning("AssemblyAI has sent no words yet for what the caller said")
        if self._silence.is_doubtful:
            self._opening = asyncio.create_task(self._leave_if_stuck(session))

    async def _leave_if_stuck(self, session: Session) -> None:
        """Ask a silent session for its goodbye, and open another one meanwhile. If it answers, it has heard everything and there
        were no words; if not, the other one hears it all again, and nothing that this one may still say counts.

        The second in a row is told of before it has answered: an ear that can take over need not wait."""
        self.current = None
        if self._coming:
            farewell(self._coming)
            self._coming = None
        self._outage.begins()
        finished = session.finished_turns
        silent = RefusedError("it sent nothing although the caller spoke", ErrorCategory.SERVER, again=True)
        is_told = self._silence.stuck == 1
        opening = asyncio.create_task(self._open_once(self._openable(), self._outage.try_secs))
        try:
            session.expect_words()
            session.finish()
            if is_told:
                await self._owner.report.no_session(silent, last=False)
            for _ in range(round(VERDICT_SECS / _LOOK_SECS)):  # a machine that stands still counts as one look
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECS):
                        await session.over.wait()
                if session.over.is_set():
                    break
            if session.terminated and session.finished_turns == finished:
                self._silence.was_a_false_alarm()
            elif not session.terminated:
                self._keep_unheard(session)
                self._silence.stuck += 1
                last = self._silence.stuck >= STUCK or not self._owner.reconnects
                if last or not is_told:
                    await self._owner.report.no_session(silent, last=last)
                self._outage.told = True
                if last:
                    return
            new = await opening
            self._go_over(new, due=not session.terminated)
            self._pass_on()
        except RefusedError as refused:
            logger.warning(f"AssemblyAI: {refused.words}")
            self._opening = None
            self._restore()
        finally:
            if asyncio.current_task() is self._opening:
                self._opening = None
            self._spawn(session.close())
            opening.add_done_callback(self._close_if_unused)
            opening.cancel()

    def _close_if_unused(self, opening: asyncio.Task[Session]) -> None:
        if not opening.cancelled() and not opening.exception() and opening.result() is not self.current:
            farewell(opening.result())

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


def farewell(session: Session) -> asyncio.Task[None]:
    task = asyncio.create_task(session.leave())
    _FAREWELLS.add(task)
    task.add_done_callback(_FAREWELLS.discard)
    return task
