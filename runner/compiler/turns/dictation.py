"""What is heard of a dictation becomes a yes or a no: does it sound complete? Then nobody has to wait for a long silence.

Comes in: the kind of dictation and the words so far, as a recogniser writes them (`jane@northwind.com`) or as they are spoken
(`jane at northwind dot com`). Goes out: True only for what has a plain end. Names, addresses of streets and numbers of any
length have none, so they are never complete here.

Knows English and German words; written forms of any language.
"""

from __future__ import annotations

import re

from runner.definition import ListenFor

_ENDINGS = (
    *("com", "org", "net", "edu", "gov", "info", "biz", "dev", "app"),
    *(
        "de",
        "at",
        "ch",
        "fr",
        "it",
        "es",
        "nl",
        "be",
        "se",
        "no",
        "dk",
        "fi",
        "pl",
        "pt",
        "ie",
        "eu",
        "us",
        "ca",
        "io",
        "ai",
    ),
    *("co.uk", "org.uk", "ac.uk", "com.au", "com.br", "co.nz", "co.in", "co.za", "co.jp"),
)
"""Last parts of a domain that callers' addresses end in. Not here: what is often the beginning of another (`co`, `in`)."""

_CLOSING = re.compile(
    r"[\s,.!?]+(?:thanks|thank you|please|that['’]?s (?:it|all)|and that['’]?s (?:it|all)|that is (?:it|all)|"
    r"danke|bitte|das ist alles|das war['’]?s)[\s,.!?]*$"
)
_LETTERS = re.compile(r"(?<![^\W_])[a-z](?:[\s,.-]+[a-z](?![^\W_]))+")

_MONTHS = (
    "january|february|march|april|may|june|july|august|september|october|november|december|"
    "jan|feb|mar|apr|jun|jul|aug|sept|sep|oct|nov|dec|"
    "januar|februar|märz|mai|juni|juli|oktober|dezember"
)
_DAY_WORDS = (
    "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|thirteenth|fourteenth|fifteenth|"
    "sixteenth|seventeenth|eighteenth|nineteenth|twentieth|thirtieth|"
    "(?:twenty|thirty)[\\s-]+(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)"
)
_DAY = rf"(?:(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th|\.)?|{_DAY_WORDS})"
_UNIT = "one|two|three|four|five|six|seven|eight|nine"
_EINHEIT = "eins|zwei|drei|vier|fünf|sechs|sieben|acht|neun"
_TEEN = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_YEAR = (
    rf"(?:(?:1[89]|20)\d\d|(?:eighteen|nineteen|twenty)[\s-]+(?:{_TEEN}|oh[\s-]+(?:{_UNIT})|(?:{_TENS})[\s-]+(?:{_UNIT}))|"
    rf"two thousand(?: and)? (?:{_UNIT}|{_TEEN}|twenty[\s-]+(?:{_UNIT})))"
)
_DATES = re.compile(
    rf"(?:^|[\s,])(?:(?:{_DAY}\s+(?:of\s+)?(?:{_MONTHS})|(?:{_MONTHS})\s+(?:the\s+)?{_DAY}),?\s+(?:in\s+)?{_YEAR}"
    r"|(?:0?[1-9]|[12]\d|3[01])[./-](?:0?[1-9]|[12]\d|3[01])[./-](?:1[89]|20)\d\d"
    r"|(?:1[89]|20)\d\d-\d\d-\d\d)$"
)

_DIGITS = {
    **{word: str(value) for value, word in enumerate(("zero", *_UNIT.split("|")))},
    **{word: str(value) for value, word in enumerate(("null", *_EINHEIT.split("|")))},
    **{"oh": "0", "o": "0", "zwo": "2"},
}
_NORTH_AMERICA = re.compile(r"\+?1?[2-9]\d\d[2-9]\d{6}")
"""Ten digits of the North American Numbering Plan, with or without its 1: area code and exchange begin with 2 to 9."""


def sounds_complete(kind: ListenFor, text: str) -> bool:
    """Whether `text` is a whole email address, phone number or date, with nothing that must follow.

    An email address ends in a known top-level domain; a date names day, month and year; a phone number has the ten digits
    of North America, the only numbers whose length tells. Every other kind is never complete.
    """
    said = _CLOSING.sub("", text.casefold().strip()).rstrip(" .,!?")
    match kind:
        case "email":
            return _is_address(said)
        case "phone":
            return bool(_NORTH_AMERICA.fullmatch(_digits(said)))
        case "date":
            return bool(_DATES.search(said))
        case _:
            return False


def _is_address(said: str) -> bool:
    written = re.sub(r"\s*(?:\.|\b(?:dot|punkt|point)\b)\s*", ".", _joined(said))
    written = re.sub(r"\s*(?:@|(?<!\.)\b(?:at|ät|et|klammeraffe)\b)\s*", "@", written)
    name, at, domain = written.rpartition("@")
    return bool(at and name.strip()) and any(re.search(rf"[^\s.@]\.{re.escape(end)}$", domain) for end in _ENDINGS)


def _joined(said: str) -> str:
    """Letters said one by one as one word: `d o t` is not joined with what stands before, `c o m` is `com`."""
    return _LETTERS.sub(lambda found: re.sub(r"[\s,.-]+", "", found.group()), said)


def _digits(said: str) -> str:
    """The digits of a spoken or written number, `+` kept in front; empty when something else than digits was said last."""
    found: list[str] = []
    times = 1
    for word in re.findall(r"[^\W_]+|\+", said):
        if word == "+" or word == "plus":
            found.append("+")
        elif word in ("double", "triple"):
            times = 2 if word == "double" else 3
            continue
        elif word.isdecimal():
            found.append(word * times if len(word) == 1 else word)
        elif word in _DIGITS:
            found.append(_DIGITS[word] * times)
        else:
            found.clear()  # "my number is", "no wait": what counts comes after it
        times = 1
    return "".join(found)
