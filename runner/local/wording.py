"""What comes in: a sentence. What goes out: what sentence vectors are blind to: numbers, yes and no, questions.

To MiniLM "that is right" and "that is wrong" are near each other, and "98213" is near nothing. English only, as the
ears are.
"""

from __future__ import annotations

import re
from typing import Literal

NUMBER = "12345"
"""What stands for every number before sentences are compared."""

_NUMBER_WORDS = (
    "zero|oh|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|"
    "eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|double|triple"
)
_SPOKEN_NUMBER = re.compile(rf"(?:\b(?:{_NUMBER_WORDS}|\d+)\b[\s,.-]*){{2,}}|\d[\d\s,.-]*\d", re.I)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_OPENING = r"^(?:(?:oh|um|uh|well|okay|ok|and|actually)[, ]+)?"
_YES = re.compile(_OPENING + r"(?:yes|yeah|yep|yup|sure|correct|right|exactly|absolutely|definitely|of course)\b", re.I)
_AFFIRMED = re.compile(
    r"\b(?:that|this|it|you)(?: is|'s|'re| are)? (?:right|correct|fine|perfect)\b|\bsounds good\b", re.I
)
_NO = re.compile(_OPENING + r"(?:no|nope|nah|nothing|not)\b", re.I)
_DENIED = re.compile(
    r"\b(?:not|isn't|wasn't|aren't) (?:\w+ ){0,2}?(?:right|correct|quite|good|it)\b"
    r"|\b(?:wrong|incorrect|mistaken|nothing else|rather not)\b",
    re.I,
)
_QUESTION = re.compile(r"^(?:so |and |but |um |sorry )*(?:what|where|when|who|why|which|how)\b", re.I)
_NOT_WANTED = re.compile(
    r"\b(?:don't|do not|didn't|did not|never|no longer)\s+(?=want|need|ask|have to|wish|like)", re.I
)
_ROLE = re.compile(r"^(?:if |when )?the (?:caller|customer|user|guest|patient)(?: would like| (\w+))", re.I)
_VERBS = {"has": "have", "is": "am", "was": "was", "does": "do", "goes": "go"}


def sentences(said: str) -> list[str]:
    """The sentences of `said`, and first all of it together when there are several."""
    parts = [part for part in _SENTENCE_END.split(said.strip()) if part]
    return [said, *parts] if len(parts) > 1 else parts


def comparable(text: str) -> str:
    """`text` in small letters, without marks, every number replaced by the same one.

    >>> comparable("It's 4-5-1, two three.")
    "it's 12345"
    """
    text = _SPOKEN_NUMBER.sub(f" {NUMBER} ", text.replace("’", "'"))
    return " ".join(re.sub(r"[^\w'@ ]", " ", text.lower()).split())


def has_number(text: str) -> bool:
    """Whether a number of at least two digits or number words is said."""
    return _SPOKEN_NUMBER.search(text) is not None


def polarity(text: str) -> Literal[-1, 0, 1]:
    """1 for a yes, -1 for a no, 0 for neither."""
    text = text.strip().replace("’", "'")
    if _NO.search(text) or _DENIED.search(text) or _NOT_WANTED.search(text):
        return -1
    return 1 if _YES.search(text) or _AFFIRMED.search(text) else 0


def is_open_question(text: str) -> bool:
    """Whether `text` asks what, where, when, who, why, which or how."""
    return _QUESTION.search(text.strip()) is not None


def without_refusal(text: str) -> str | None:
    """What a refusal refuses ("I don't want a refund" -> "I want a refund"), None when `text` refuses nothing."""
    plain, count = _NOT_WANTED.subn("", text.replace("’", "'"))
    return plain if count else None


def first_person(when: str) -> str:
    """A condition as the caller would say it.

    >>> first_person("The caller wants a refund")
    'I want a refund'
    """
    return _ROLE.sub(lambda found: f"I {_first_person_verb(found[1])}" if found[1] else "I would like", when)


def _first_person_verb(verb: str) -> str:
    verb = verb.lower()
    if verb in _VERBS:
        return _VERBS[verb]
    return verb[:-1] if verb.endswith("s") and not verb.endswith("ss") else verb
