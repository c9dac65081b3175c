"""Whether the vendor owes words: the caller has spoken, and nothing came back.

Comes in: when the caller's voice begins and ends, and when words came. Goes out: whether it is time to say so, and whether it is
time to doubt that the session still hears. Pure but for the clock.

Only voice makes it wait: a voice detection also hears coughs and music, of which a vendor makes no words and says nothing. So a
doubt that turns out wrong makes the next one come later.
"""

from __future__ import annotations

import time
from collections import deque

NOTE_SECS = 1.4
"""After so long without a word people are told why it is silent."""

FIRST_DOUBT_SECS = 1.6
"""After the end of the caller's voice. The vendor's last words come after 0.3 to 0.6 s."""

SECOND_DOUBT_SECS = 1.0
"""The same in a session that hears again what the one before was silent about: it hears all of it at once."""

IN_SPEECH_SECS = 6.0
"""While the caller speaks, words of the sentence that is being said come about every 3 s."""

FALSE_ALARMS_COUNT_FOR = 120.0
_LONGEST_SECS = 32.0
_STANDS_STILL_SECS = 0.2


class Silence:
    """patience, seconds, doubles with every false alarm of the last two minutes.

    stuck: how many sessions in a row were silent until they were left.
    """

    def __init__(self) -> None:
        self.stuck = 0
        self._false_alarms: deque[float] = deque()
        self._due_since: float | None = None
        self._wait = 0.0
        self._speaks_since: float | None = None
        self._noted = False

    @property
    def is_due(self) -> bool:
        """Words are owed for what the caller has said."""
        return self._due_since is not None

    def voice_began(self) -> None:
        if self._speaks_since is None:
            self._speaks_since = time.monotonic()

    def voice_ended(self, wait: float, *, due: bool) -> None:
        """due: there was voice enough for words.

        wait: how much longer than the vendor's usual time its end of a turn may take, seconds; 0 when the end was asked for.
        """
        self._speaks_since = None
        now = time.monotonic()
        if self._due_since is None:
            if due:
                self._due_since, self._wait = now, wait
        elif now + wait < self._due_since + self._wait:
            self._due_since, self._wait = now, wait

    def words_came(self, *, finished: bool, speaking: bool) -> None:
        self.stuck = 0
        self._noted = False
        now = time.monotonic()
        self._due_since = None if finished or speaking or self._due_since is None else now
        if self._speaks_since is not None:
            self._speaks_since = now

    def excuse(self, late: float) -> None:
        """This machine stood still for so many seconds: the vendor is not to blame for them."""
        if late > _STANDS_STILL_SECS:
            self._due_since = None if self._due_since is None else self._due_since + late
            self._speaks_since = None if self._speaks_since is None else self._speaks_since + late

    def begins_anew(self, *, due: bool) -> None:
        """Another session hears the caller now. due: it has heard again what the one before owed words for."""
        now = time.monotonic()
        self._due_since, self._wait = (now, 0.0) if due else (None, 0.0)
        if self._speaks_since is not None:
            self._speaks_since = now

    def was_a_false_alarm(self) -> None:
        self._false_alarms.append(time.monotonic())
        self._due_since, self._noted = None, False

    @property
    def is_worth_a_note(self) -> bool:
        """True once for each silence."""
        if self._noted or self._late_by is None or self._late_by < NOTE_SECS:
            return False
        self._noted = True
        return True

    @property
    def is_doubtful(self) -> bool:
        """Whether it is time to find out if the session still hears."""
        late = self._late_by
        if late is not None and late >= self._patience:
            return True
        if self._speaks_since is None:
            return False
        return time.monotonic() - self._speaks_since >= max(IN_SPEECH_SECS, self._patience)

    @property
    def _late_by(self) -> float | None:
        return None if self._due_since is None else time.monotonic() - self._due_since - self._wait

    @property
    def _patience(self) -> float:
        oldest = time.monotonic() - FALSE_ALARMS_COUNT_FOR
        while self._false_alarms and self._false_alarms[0] < oldest:
            self._false_alarms.popleft()
        first = SECOND_DOUBT_SECS if self.stuck else FIRST_DOUBT_SECS
        return min(first * 2 ** len(self._false_alarms), _LONGEST_SECS)
