"""Which way out the caller has probably just asked for, by the words alone.

Comes in: what the caller said and the ways out of the stage. Goes out: the likeliest way, or None when nothing points to one.
No model is asked and nothing is decided by this: it only says which answer is worth getting ready (`turns.look_ahead`). A wrong
guess costs one request that is cancelled, a missed one the time that looking ahead would have saved.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from runner.definition import Transition
from runner.local.wording import comparable, first_person, polarity, without_refusal

LIKELY = 0.5
"""The part of a sentence's words that has to be heard. Chosen on `tune` of tests/local/sayings.yaml."""

_SMALL_WORDS = frozenset(
    re.findall(
        r"\S+",
        """
        a about am an and any are as at be been but by can could did do does for from get give go got had has have
        hello hi i i'd i'll i'm i've if in is it it's its just like make me my need of oh on or our please so some
        something that the their them then there these they this those to um want was we were what will with would
        you your
        """,
    )
)
"""Words that say little about what is wanted. English; in other languages all words count, which asks for more of them."""

_ENDING = re.compile(r"(?<=\w{3})(?:ing|ed|es|s|e)$")


def likely(said: str, ways: Sequence[Transition]) -> Transition | None:
    """The way with a `when` whose words are most like `said`, the first of equals.

    >>> way = Transition(to="refund", when="The caller wants a refund")
    >>> likely("Could I have a refund?", [way]) is way, likely("Where are you?", [way])
    (True, None)
    """
    named = [way for way in ways if way.when]
    best = max(named, key=lambda way: alike(said, way), default=None)
    return best if best and alike(said, best) >= LIKELY else None


def alike(said: str, way: Transition) -> float:
    """How much of one of the way's sentences is in `said`, 0 to 1: of its best example, or of its `when`."""
    if without_refusal(said) is not None:
        return 0.0
    return max(_alike(said, sentence) for sentence in (first_person(way.when), *way.examples))


def _alike(said: str, sentence: str) -> float:
    heard, meant = _stems(said), _stems(sentence)
    answers = polarity(said), polarity(sentence)
    if answers[0] * answers[1] < 0:
        return 0.0
    if answers[0] and answers[0] == answers[1]:
        return 1.0
    return len(heard & meant) / len(meant) if meant else 0.0


@lru_cache(maxsize=1024)
def _stems(sentence: str) -> frozenset[str]:
    """The stems of the words that carry a sentence; all its words when none does."""
    words = comparable(sentence).split()
    return frozenset(_ENDING.sub("", word) for word in words if word not in _SMALL_WORDS) or frozenset(words)
