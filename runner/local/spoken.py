"""What comes in: a sentence as it is written. What goes out: the same sentence as it is said.

Only what the voice would get wrong: e-mail and web addresses, long numbers (read digit by digit, as people read order
numbers), phone numbers, codes such as RMA-4451, and marks that only make sense on paper. Amounts, dates and times the
voice reads itself.
"""

from __future__ import annotations

import re

_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DIGITS = dict(zip("0123456789", _NAMES, strict=True))

_EMAIL = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_WEB = re.compile(
    r"\b(?:https?://)?(?:www\.)?((?:[a-z\d-]+\.)+(?:com|org|net|io|dev|co|uk|de|eu|ai|app|info|edu|gov))\b(/[\w./-]*)?",
    re.I,
)
_PHONE = re.compile(
    r"(?<![\w.,$€£])\+?\d{1,3}[\s.-]?\(?\d{3}\)?[\s.-]\d{3}[\s.-]?\d{4}\b|(?<![\w.,$€£])\(?\d{3}\)?[\s.-]\d{3}[\s.-]\d{4}\b"
)
_CODE = re.compile(r"\b([A-Z]{2,5})-?(\d{2,})\b")
_LONG_NUMBER = re.compile(r"(?<![\w.,$€£-])(\d{5,}|0\d+)(?![\d,]*[.,]\d|\w|%)")
_NAMED_NUMBER = re.compile(
    r"\b((?:number|code|pin|account|reference|order|ticket|ending in|ends in|extension)(?: is| #|:)?\s+#?)"
    r"(\d{3,4})\b(?![.,]\d)",
    re.I,
)
_MARKDOWN_LINK = re.compile(r"\[([^\]]+)\]\([^)\s]+\)")
_MARKS = re.compile(r"(?<!\w)[*`_~]{1,3}(?=\S)|(?<=\S)[*`_~]{1,3}(?!\w)|^\s*(?:#{1,6}|[-*•])\s+", re.M)
_SYMBOLS = {".": "dot", "-": "dash", "_": "underscore", "+": "plus", "@": "at", "/": "slash"}


def spoken(text: str) -> str:
    """`text` with everything written out that has to be said in another way than it is written.

    >>> spoken("Write to maya.lopez@northwind.com about order 98213.")
    'Write to maya dot lopez at northwind dot com about order nine eight two one three.'
    """
    text = _MARKDOWN_LINK.sub(r"\1", text)
    text = _EMAIL.sub(lambda found: _address(found[0]), text)
    text = _WEB.sub(
        lambda found: _address(found[1] + (found[2] or "").rstrip("/.")) + ("." if found[0].endswith(".") else ""), text
    )
    text = _MARKS.sub("", text)
    text = _PHONE.sub(lambda found: _phone(found[0]), text)
    text = _CODE.sub(lambda found: f"{' '.join(found[1])} {_digits(found[2])}", text)
    text = _NAMED_NUMBER.sub(lambda found: found[1] + _digits(found[2]), text)
    return _LONG_NUMBER.sub(lambda found: _digits(found[1]), text)


def _digits(number: str) -> str:
    return " ".join(_DIGITS[digit] for digit in number)


def _phone(number: str) -> str:
    groups: list[str] = re.findall(r"\d+", number)
    words = ", ".join(_digits(group) for group in groups)
    return f"plus {words}" if number.startswith("+") else words


def _address(address: str) -> str:
    said = re.sub(r"[.@_+/-]", lambda found: f" {_SYMBOLS[found[0]]} ", address)
    said = re.sub(r"\d{2,}", lambda found: _digits(found[0]), said)
    return " ".join(said.split())
