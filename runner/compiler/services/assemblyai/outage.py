"""While there is no session that hears: how long already, and when to try again.

Comes in: that a session was lost, that a try is made, that words came. Goes out: how long to wait, and when there is no sense in
it any more. Pure but for the clock.
"""

from __future__ import annotations

import time

from pipecat.utils.network import exponential_backoff_time

LOST_SECS = 8.0
"""How long there may be no session. A caller who speaks meanwhile is not heard, and has to be told within ten seconds."""

TRY_SECS = 3.0
"""How long one try may take, from the connection to `Begin`. The vendor: about 1.2 s."""

STABLE_SECS = 3.0
"""A session that has lasted so long ends the outage, as words do."""

TELL_SECS = 2.0
"""After so long without a session people are told, if nothing was told yet."""

_LONGEST_PAUSE_SECS = 2.0
"""Unless the file wants longer ones."""

_LEAST_TRIES = 2
"""With waits as long as the file may say."""


class Outage:
    """One outage may have several sessions in it that break as soon as they are there.

    tries: how many were made.
    told:  whether people know.
    """

    def __init__(self) -> None:
        self._since: float | None = None
        self._lost_secs = 0.0
        self.tries = 0
        self.told = False

    @property
    def goes_on(self) -> bool:
        """There is no session now."""
        return self._since is not None

    def begins(self) -> None:
        """There is no session."""
        if self._since is None:
            self._since = time.monotonic()

    def has_session(self) -> None:
        """There is one again. Nobody knows yet whether it lasts."""
        self._lost_secs, self._since = self._secs, None

    def ends(self) -> None:
        """A session has lasted, or words came."""
        self._since, self._lost_secs, self.tries, self.told = None, 0.0, 0, False

    def pause(self, least: float, most: float) -> float:
        """Seconds to wait before the next try; the first is made at once. least, most: as the file says."""
        if not self.tries:
            return 0.0
        most = min(most, max(least, _LONGEST_PAUSE_SECS))
        return exponential_backoff_time(self.tries, least, most, multiplier=least)  # pyright: ignore[reportArgumentType]

    def is_over_after(self, pause: float) -> bool:
        """Whether another try, after waiting `pause` seconds, would come too late."""
        return self.tries >= _LEAST_TRIES and self._secs + pause >= LOST_SECS

    @property
    def try_secs(self) -> float:
        """How long the try that is made now may take."""
        return max(1.0, min(TRY_SECS, LOST_SECS - self._secs))

    @property
    def _secs(self) -> float:
        return self._lost_secs + (time.monotonic() - self._since if self._since is not None else 0.0)
