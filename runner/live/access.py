"""Who may ask this server something: which hosts and pages, and the token when it is open to other machines."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from runner.environment import TOKEN_VARIABLE
from runner.problem import Mendable

_OPEN_PATHS = ("/health",)
"""Answered without a token: a load balancer has none."""

_PROVEN_PATHS = ("/phone/", "/daily-dialin-webhook")
"""Asked by carriers, from outside: each request proves by itself where it comes from (`carriers/phone/proofs.py`,
`carriers/daily/webhook.py`)."""

_SHORTEST_TOKEN = 16


class TokenTooShort(Mendable):
    """The token that was given keeps nobody out."""


@dataclass(frozen=True, slots=True)
class Access:
    """Rules for one server.

    host:  the address it is bound to.
    token: needed with every request, None on this machine only.
    public_url: where telephone carriers reach this server, None: where their requests say.
    """

    host: str
    token: str | None
    public_url: str | None = None

    @classmethod
    def for_host(cls, host: str, public_url: str | None = None) -> Access:
        """A token is made exactly when other machines can reach `host`."""
        return cls(host, None if is_loopback(host) else secrets.token_urlsafe(16), public_url)

    @staticmethod
    def is_proven_elsewhere(path: str) -> bool:
        """Whether the route of `path` decides by itself who is welcome."""
        return path.startswith(_PROVEN_PATHS)

    def with_token(self, shared: str | None) -> Access:
        """The same rules with a token that several machines share; with this server's own when there is none.

        Raises:
            TokenTooShort: it could be guessed.
        """
        if not shared:
            return self
        if len(shared) < _SHORTEST_TOKEN:
            raise TokenTooShort(f"{TOKEN_VARIABLE} is shorter than {_SHORTEST_TOKEN} characters and could be guessed.")
        return replace(self, token=shared)

    def refuse(self, headers: Mapping[str, str], token: str | None, *, path: str) -> str | None:
        """Why a request is refused, None when it is welcome.

        A page of another site can reach 127.0.0.1 too: its requests carry its own Origin (cross-site request), or a Host
        that merely resolves to this machine (DNS rebinding). Both are refused.
        """
        host = headers.get("host", "")
        if self.token is None and not is_loopback(_name(host)):
            return "This server answers only to 127.0.0.1 and localhost."
        origin = headers.get("origin")
        if origin and urlsplit(origin).netloc != host:
            return "Requests from pages of other sites are refused."
        if self.token and path not in _OPEN_PATHS and not path.startswith("/static/"):
            given = token or headers.get("authorization", "").removeprefix("Bearer ")
            if not secrets.compare_digest(given.encode(), self.token.encode()):
                return "The token is missing or wrong. Use the link that runner printed."
        return None


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine and no other can use it to get here."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    return urlsplit(f"//{host}").hostname or ""
