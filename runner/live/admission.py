"""The one gate that every call passes, whatever brings it: how many calls this process takes, and whether it takes any more.

Comes in: whoever wants to make a call. Goes out: an `Admission`, one place of the limit, or `NotAdmitted`.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

RETRY_AFTER_SECS = 10
"""What is sent as `Retry-After` (RFC 9110, 10.2.3): a call lasts minutes, so a place is seldom free sooner."""


class NotAdmitted(Exception):
    """No call is taken now. Its text is for people; `retry_after` says in how many seconds it is worth a try again."""

    def __init__(self, why: str, retry_after: int = RETRY_AFTER_SECS) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class Admission:
    """One place of the limit, taken before anything is made for a call: no peer connection, no room, no session.

    Used as a context manager it is given back when the block ends, unless `Switchboard.place` has made a call with it: then it
    is given back when that call is over. Giving back twice is once.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._has_call = False

    def __enter__(self) -> Admission:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        if not self._has_call:
            self.give_back()

    @property
    def is_used(self) -> bool:
        """Whether a call has it."""
        return self._has_call

    def use(self) -> None:
        """A call has it from now on and gives it back."""
        if self._has_call:
            raise ValueError("This admission has a call already: one admission is one call.")
        self._has_call = True

    def give_back(self) -> None:
        """Whoever comes next may have it."""
        self._gate.give_back(self)


class Gate:
    """Counts places. Nothing is awaited between counting and taking, so two who come at once never share the last place.

    limit:    how many calls at once, None for any number.
    draining: no new calls; those that have a place go on.
    refused:  how many were turned away since the start.
    """

    def __init__(self, limit: int | None = None) -> None:
        if limit is not None and limit < 1:
            raise ValueError("The limit is at least 1.")
        self.limit = limit
        self.draining = False
        self.refused = 0
        self._taken: set[Admission] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def taken(self) -> int:
        """How many places are taken: calls, and those that are just being made."""
        return len(self._taken)

    def admit(self) -> Admission:
        """Take a place.

        Raises:
            NotAdmitted: there is none, or no new calls are taken.
        """
        if why := self.why_not():
            self.refused += 1
            raise NotAdmitted(why)
        admission = Admission(self)
        self._taken.add(admission)
        self._empty.clear()
        return admission

    def why_not(self) -> str:
        """Why nobody is admitted now, "" when there is a place."""
        if self.draining:
            return "This server is being stopped and takes no new calls."
        if self.limit is not None and self.taken >= self.limit:
            return f"All lines are busy: {self.limit} {'call' if self.limit == 1 else 'calls'} at once."
        return ""

    def give_back(self, admission: Admission) -> None:
        self._taken.discard(admission)
        if not self._taken:
            self._empty.set()

    async def emptied(self) -> None:
        """Until nobody has a place."""
        await self._empty.wait()
