"""What AssemblyAI's refusals mean: whose fault one is, whether another try may help, and which setting it names.

Comes in: codes and texts of `Error` messages and of closed connections, and what a handshake ended with. Goes out:
`RefusedError`.

Sources: AssemblyAI's streaming documentation (codes 3005 to 3009), and reports of live calls up to 2026-09: 1008 is used for keys
and for the number of sessions alike, so the text decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pipecat.utils.errors import ErrorCategory, classify_http_status_code

_TOO_MANY = "concurrent sessions"
_MONEY = re.compile(r"balance|funds|billing|payment|credit|quota|usage limit|free tier", re.IGNORECASE)
_ACCOUNT = re.compile(r"account|not allowed|permission", re.IGNORECASE)
_NAMED = re.compile(r"'(\w+)'")

TOO_FAST = "Transmission Rate"
"""In the text of a session that got its sound faster than the vendor takes it."""

UNREADABLE = "unreadable"
"""Stands for a code where the vendor sent what is no message."""

WORDS_OF_CODE: Mapping[object, str] = {
    1000: "The session was ended by the server",
    1001: "The server is going away",
    1006: "The connection broke",
    1008: "Unauthorized Connection",
    1009: "A message was too large",
    1011: "The server has an internal error",
    3005: "Session Cancelled: An error occurred",
    3006: "User Input Validation Error",
    3007: "Input Duration Error",
    3008: "Session Expired: Maximum session duration exceeded",
    3009: "Too many concurrent sessions",
}
"""What a connection's close code means when no `Error` message came before it; the vendor's own words where it has some."""


class RefusedError(Exception):
    """A session that did not begin, or that ended by itself.

    words:    the vendor's own.
    category: what kind of refusal it is.
    again:    whether the same may be worth another try soon.
    names:    the vendor's parameters that it names.
    status:   of HTTP, where the handshake was refused.
    """

    def __init__(self, words: str, category: ErrorCategory, *, again: bool = False, status: int | None = None) -> None:
        super().__init__(words)
        self.words = words
        self.category = category
        self.again = again
        self.status = status
        self.names = frozenset(_NAMED.findall(words)) if category is ErrorCategory.INVALID_REQUEST else frozenset[str]()


def refusal(code: object, text: str, *, before_begin: bool = False) -> RefusedError:
    """What an `Error` message or a close code means.

    before_begin: the session had not begun. A session that ran with its parameters until now is not refused for them.
    """
    if _TOO_MANY in text or code == 3009:
        return RefusedError(text, ErrorCategory.RATE_LIMIT, again=True)
    if code == 1008:
        if _MONEY.search(text):
            return RefusedError(text, ErrorCategory.QUOTA)
        account = _ACCOUNT.search(text)
        return RefusedError(text, ErrorCategory.AUTHORIZATION if account else ErrorCategory.AUTHENTICATION)
    if code == 3006 and before_begin:
        return RefusedError(text, ErrorCategory.INVALID_REQUEST)
    if code in (1000, 1001, 1006, 1011, 3005, UNREADABLE):
        return RefusedError(text, ErrorCategory.SERVER, again=True)
    return RefusedError(text, ErrorCategory.UNKNOWN, again=True)


def closed(code: int | None, reason: str) -> str:
    """The words for a connection that was closed without an `Error` message."""
    words = WORDS_OF_CODE.get(code, "The connection was closed")
    return f"{words}{f' ({reason})' if reason and reason not in words else ''}, code {code or 1006}"


def no_connection(error: Exception) -> RefusedError:
    """What a connection ended with before it was one."""
    response = getattr(error, "response", None)
    status, body = getattr(response, "status_code", None), getattr(response, "body", None)
    if status is None:
        return RefusedError(_why_not_there(error), ErrorCategory.CONNECTIVITY, again=True)
    text = body.decode(errors="replace").strip()[:300] if isinstance(body, bytes | bytearray) else ""
    category = classify_http_status_code(status)
    again = status >= 500 or status in (408, 425, 429)
    words = f"{text or 'the connection is refused'} (HTTP {status})"
    return RefusedError(words, category, again=again, status=status)


def _why_not_there(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, OSError) and (error.errno or 0) < 0:  # getaddrinfo's numbers are below zero
        return f"the name of the server is not known ({error.strerror})"
    return str(error) or "no answer"
