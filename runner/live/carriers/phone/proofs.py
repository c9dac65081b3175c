"""Who may bring a call from outside: the signatures of telephone carriers, tickets for their sockets, and a token.

Comes in: a carrier's request, the secrets of the environment. Goes out: why it is refused, or nothing.

Sources. Twilio: "Validating requests" (HMAC-SHA1 of the address and the sorted form fields, base64). Plivo: "Signature
validation", V3 (HMAC-SHA256 of address, sorted fields and nonce). Telnyx: "Webhook signing" (Ed25519 of `timestamp|body`).
Telnyx and Exotel sign no sockets: Telnyx comes with the ticket that its signed webhook was answered with, Exotel with the token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from runner.catalog import PHONE_TOKEN, PLIVO_TOKEN, TELNYX_PUBLIC_KEY, TWILIO_TOKEN
from runner.live.access import Access, is_loopback

Fields = Sequence[tuple[str, str]]

_TELNYX_CLOCK_SECS = 300
"""How old a signed request may be (Telnyx's own SDKs)."""

_TICKET_SECS = 60
"""From the answer to the webhook to the socket; carriers need less than two."""

_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "cf-connecting-ip")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of a carrier. path and query as they came, still encoded. fields: of its form, in order."""

    method: Literal["GET", "POST"]
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""
    fields: Fields = ()
    is_socket: bool = False


class Tickets:
    """Each lets one socket in, to one agent, within a minute of the webhook that was answered with it."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._used: dict[str, float] = {}

    def issue(self, agent: str) -> str:
        """Letters, digits, `-`, `_` and `.` only."""
        rest = f"{secrets.token_urlsafe(9)}.{int(time.time()) + _TICKET_SECS}"
        return f"{rest}.{self._mac(agent, rest)}"

    def take(self, ticket: str, agent: str) -> bool:
        """Whether it is good; it is used up then."""
        rest, _, mac = ticket.rpartition(".")
        until = rest.rpartition(".")[2]
        if not _same(mac, self._mac(agent, rest)) or float(until) < time.time() or rest in self._used:
            return False
        self._used = {used: end for used, end in self._used.items() if end > time.time()}
        self._used[rest] = float(until)
        return True

    def _mac(self, agent: str, rest: str) -> str:
        return hmac.new(self._key, f"{agent}\n{rest}".encode(), hashlib.sha256).hexdigest()[:32]


class PhoneDoor:
    """Refuses who cannot prove where the call comes from.

    values: the environment as it is now.
    """

    def __init__(self, access: Access, values: Callable[[], Mapping[str, str]]) -> None:
        self._access = access
        self._values = values
        self._public_url = access.public_url
        self.tickets = Tickets()

    def refuse(self, asked: Asked, agent: str, given: str | None = None) -> str | None:
        """Why a request is refused, None when it is welcome. given: the ticket or token in its path.

        Whatever it brings has to be right, and it has to bring something, unless it comes from this very machine.
        """
        proven = unchecked = ""
        for check in (self._twilio, self._plivo, self._telnyx):
            verdict = check(asked)
            if verdict and verdict.wrong:
                return verdict.says
            if verdict:
                unchecked, proven = (verdict.says, proven) if verdict.unknown else (unchecked, verdict.says)
        for token in self._tokens(asked, given):
            if not (self._is_token(token) or (given == token and self.tickets.take(token, agent))):
                return f"The token is wrong or used up. {PHONE_TOKEN} sets the one that carriers bring."
            proven = "token"
        if proven:
            return None
        if unchecked:
            return unchecked
        return self._refuse_without_proof(asked)

    def address(self, headers: Mapping[str, str]) -> str:
        """Where this server is for carriers, such as `https://agent.example.com`, without a slash at its end."""
        if self._public_url:
            return self._public_url.rstrip("/")
        host = _first(headers.get("x-forwarded-host")) or headers.get("host", "")
        scheme = _first(headers.get("x-forwarded-proto")) or (
            "http" if is_loopback(urlsplit(f"//{host}").hostname or "") else "https"
        )
        return f"{scheme}://{host}"

    def _refuse_without_proof(self, asked: Asked) -> str | None:
        headers = asked.headers
        if PHONE_TOKEN in self._values():
            return f"The token is missing. {PHONE_TOKEN} sets it."
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        is_here = is_loopback(host) and not self._public_url and not any(name in headers for name in _FORWARDED)
        if not is_here or self._access.token:
            return (
                "A call from outside needs the carrier's signature or a token. Set "
                f"{TWILIO_TOKEN}, {TELNYX_PUBLIC_KEY}, {PLIVO_TOKEN} or {PHONE_TOKEN}."
            )
        return self._access.refuse(headers, None, path=asked.path)

    def _tokens(self, asked: Asked, given: str | None) -> Iterator[str]:
        if given:
            yield given
        if token := dict(parse_qsl(asked.query)).get("token"):
            yield token
        kind, _, rest = asked.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            yield rest.strip()
        elif kind.lower() == "basic":  # Exotel: wss://KEY:TOKEN@host/..., sent as Basic
            try:
                yield base64.b64decode(rest, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                yield ""

    def _is_token(self, token: str) -> bool:
        known = (self._values().get(PHONE_TOKEN), self._access.token)
        return any(_same(token, one) for one in known if one)

    def _twilio(self, asked: Asked) -> _Verdict | None:
        signature = asked.headers.get("x-twilio-signature")
        if signature is None:
            return None
        token = self._values().get(TWILIO_TOKEN)
        if not token:
            return _Verdict.unchecked("Twilio", TWILIO_TOKEN)
        fine = any(_same(signature, twilio_signature(token, url, asked.fields)) for url in self._addresses(asked))
        return _Verdict.of("Twilio", fine, TWILIO_TOKEN)

    def _plivo(self, asked: Asked) -> _Verdict | None:
        signatures = asked.headers.get("x-plivo-signature-v3") or asked.headers.get("x-plivo-signature-ma-v3")
        if signatures is None:
            return None
        token = self._values().get(PLIVO_TOKEN)
        if not token:
            return _Verdict.unchecked("Plivo", PLIVO_TOKEN)
        nonce = asked.headers.get("x-plivo-signature-v3-nonce", "")
        wanted = [plivo_signature(token, asked.method, url, nonce, asked.fields) for url in self._addresses(asked)]
        fine = any(_same(one.strip(), right) for one in signatures.split(",") for right in wanted)
        return _Verdict.of("Plivo", fine, PLIVO_TOKEN)

    def _telnyx(self, asked: Asked) -> _Verdict | None:
        signature = asked.headers.get("telnyx-signature-ed25519")
        if signature is None:
            return None
        key = self._values().get(TELNYX_PUBLIC_KEY)
        if not key:
            return _Verdict.unchecked("Telnyx", TELNYX_PUBLIC_KEY)
        stamp = asked.headers.get("telnyx-timestamp", "")
        return _Verdict.of("Telnyx", telnyx_signed(key, stamp, asked.body, signature), TELNYX_PUBLIC_KEY)

    def _addresses(self, asked: Asked) -> Iterator[str]:
        """Every way in which the carrier may have written the address it asked: its signature is over that text."""
        parts = urlsplit(self.address(asked.headers))
        schemes = {parts.scheme, "https", "http", *(("wss", "ws") if asked.is_socket else ())}
        query = f"?{asked.query}" if asked.query else ""
        path = f"{parts.path}{asked.path}"
        for scheme in schemes:
            port = 443 if scheme in ("https", "wss") else 80
            bare = parts.netloc.removesuffix(f":{port}")
            hosts = {parts.netloc, bare, bare if parts.port else f"{bare}:{port}"}
            for host in hosts:
                yield f"{scheme}://{host}{path}{query}"
                yield f"{scheme}://{host}{path.rstrip('/') if path.endswith('/') else path + '/'}{query}"


@dataclass(frozen=True, slots=True)
class _Verdict:
    says: str
    wrong: bool = False
    unknown: bool = False

    @classmethod
    def of(cls, carrier: str, fine: bool, name: str) -> _Verdict:
        if fine:
            return cls(carrier)
        why = f"{carrier}'s signature is wrong. Check {name}, and --public-url: it is the address that {carrier} calls."
        return cls(why, wrong=True)

    @classmethod
    def unchecked(cls, carrier: str, name: str) -> _Verdict:
        return cls(f"{carrier}'s signature cannot be checked. Set {name}.", unknown=True)


def twilio_signature(token: str, url: str, fields: Fields) -> str:
    """What Twilio writes into `X-Twilio-Signature`. token: of the account. fields: of the form that was posted."""
    text = url + "".join(name + value for name, value in sorted(set(fields)))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def plivo_signature(token: str, method: str, url: str, nonce: str, fields: Fields) -> str:
    """What Plivo writes into `X-Plivo-Signature-V3`. fields: of the form that was posted; sockets and GET have none."""
    bare, _, query = url.partition("?")
    asked = "&".join(f"{name}={value}" for name, value in sorted(parse_qsl(query, keep_blank_values=True)))
    text = bare
    if method == "POST" and fields:
        text += f"?{asked}{'.' if asked else ''}" + "".join(name + value for name, value in sorted(fields))
    elif asked:
        text += f"?{asked}"
    digest = hmac.new(token.encode(), f"{text}.{nonce}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def telnyx_signed(public_key: str, timestamp: str, body: bytes, signature: str) -> bool:
    """Whether Telnyx signed this body within the last minutes. public_key: base64, as Telnyx's portal shows it."""
    try:
        if abs(time.time() - int(timestamp)) > _TELNYX_CLOCK_SECS:
            return False
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key))
        key.verify(base64.b64decode(signature), timestamp.encode() + b"|" + body)
    except (ValueError, InvalidSignature):
        return False
    return True


def _first(several: str | None) -> str:
    """Each proxy on the way adds its own value."""
    return (several or "").partition(",")[0].strip()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
