"""While there is no session that hears: how long already, and when to try again.

Comes in: that a session was lost, that a try is made, that words came. Goes out: how long to wait, and when there is no sense in
it any more. Pure but for the clock.
"""

from __future__ import annotations

import time

from pipecat.utils.network import exponential_backoff_time

LOST_SECS = 8.0
"""How long a session is tried for. A caller who speaks meanwhile is not heard, and has to be told within ten seconds."""

TRY_SECS = 3.0
"""How long one try may take, from the connection to `Begin`. The vendor: about 1.2 s."""

STABLE_SECS = 3.0
"""A session that has lasted so long ends the outage, as words do."""

TELL_SECS = 2.0
"""After so long without a session people are told, if nothing was told yet."""

_LEAST_TRIES = 2
"""With waits as long as the file may say."""


class Outage:
    """One outage may have several sessions in it that break as soon as they are there.

    tries: how many were made.
    told:  whether people know.
    """

    def __init__(self) -> None:
        self._began: float | None = None
        self.tries = 0
        self.told = False

    @property
    def goes_on(self) -> bool:
        return self._began is not None

    def begins(self) -> None:
        """There is no session. Within an outage this changes nothing."""
        if self._began is None:
            self._began = time.monotonic()

    def ends(self) -> None:
        self._began, self.tries, self.told = None, 0, False

    def pause(self, least: float, most: float) -> float:
        """Seconds to wait before the next try; the first is made at once."""
        return exponential_backoff_time(self.tries, least, most, multiplier=least) if self.tries else 0.0  # pyright: ignore[reportArgumentType]

    def is_over_after(self, pause: float) -> bool:
        """Whether another try, after waiting `pause` seconds, would come too late."""
        return self.tries >= _LEAST_TRIES and self._secs + pause >= LOST_SECS

    @property
    def try_secs(self) -> float:
        """How long the try that is made now may take."""
        return max(1.0, min(TRY_SECS, LOST_SECS - self._secs))

    @property
    def _secs(self) -> float:
        return time.monotonic() - self._began if self._began is not None else 0.0
