"""Who may bring a telephone call: signatures, tickets, the token; and what a webhook is answered."""

from __future__ import annotations

import asyncio
import base64
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import pytest
import websockets
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runner.live.carriers.phone import streams as phone_streams
from runner.live.carriers.phone.proofs import Tickets, plivo_signature, telnyx_signed, twilio_signature
from tests.carriers.exchange import Exchange, exchange
from tests.cloud.vendors import Ports

LINE = Path(__file__).parent / "agents" / "line.yaml"
HERE = "https://agent.example.com"
TELNYX_KEY = Ed25519PrivateKey.generate()
SECRETS = {
    "TWILIO_AUTH_TOKEN": "12345678901234567890123456789012",
    "PLIVO_AUTH_TOKEN": "MDk4NzY1NDMyMTA5ODc2NTQzMjEw",
    "TELNYX_PUBLIC_KEY": base64.b64encode(TELNYX_KEY.public_key().public_bytes_raw()).decode(),
}
TWILIO_FORM = {
    "CallSid": "CA1234567890ABCDE1234567890ABCDE12",
    "AccountSid": "AC00000000000000000000000000000001",
    "From": "+14158675309",
    "To": "+18005551212",
    "Digits": "1",
    "CallerName": "",
}
PLIVO_FORM = {
    "CallUUID": "7d9d1a2e-7f0e-4a10-8d7b-2a3b4c5d6e7f",
    "From": "14158675309",
    "To": "18005551212",
    "Event": "StartApp",
}
NONCE = "05429567804466091622"


def test_signatures_are_those_of_twilio_and_plivo() -> None:
    """Recorded from the vendors' own packages: twilio 9.13.0 (RequestValidator) and plivo 4.63.0 (signature_v3)."""
    token = SECRETS["TWILIO_AUTH_TOKEN"]
    form = tuple(TWILIO_FORM.items())
    assert twilio_signature(token, f"{HERE}/phone/support", form) == "POhspSnmX7ahPCEKlK7iuLL0B1U="
    assert twilio_signature(token, f"{HERE}:443/phone/support", form) == "C215vx/9h8uSWgZFY6FFq/GiEfQ="
    assert twilio_signature(token, "wss://agent.example.com/ws/support/ticket", ()) == "jlQEJYAcjEXwdzpGbwUE/uOi+E0="
    asked = f"{HERE}/phone/support?CallSid=CA1&From=%2B14158675309"
    assert twilio_signature(token, asked, ()) == "R2uXuF8ockNitdjdNNAvdg8Mtas="
    several = (("B", "2"), ("B", "1"), ("B", "2"), ("A", "x"))
    assert twilio_signature(token, f"{HERE}/phone/support", several) == "uYurAWX5mFyJt3wnsmneZbx927A="

    token, form = SECRETS["PLIVO_AUTH_TOKEN"], tuple(PLIVO_FORM.items())
    for method, url, fields, wanted in (
        ("POST", f"{HERE}/phone/support", form, "zyloYwkhBJAoSh+3VypG1J4z9MowUk9Exvh9pPHpdz0="),
        ("POST", f"{HERE}/phone/support?b=2&a=1", form, "ViHo1XXbmqWJ4F3uf39owOZnAcmiBE3hpMyma4lzYIU="),
        ("GET", "wss://agent.example.com/ws/support/ticket", (), "rccziA3FwnMT+bX7r6oPqHqNxSQm97RltXaBKf7xaiA="),
        ("GET", f"{HERE}/phone/support?b=2&a=1", (), "DlHgVNWZJ+ISiFcEFSAX9ByM2yI3vWOrEBvq5rVG2/o="),
    ):
        assert plivo_signature(token, method, url, NONCE, fields) == wanted


def test_telnyx_signature_is_of_this_body_and_of_now() -> None:
    key, now = SECRETS["TELNYX_PUBLIC_KEY"], str(int(time.time()))
    signature = base64.b64encode(TELNYX_KEY.sign(now.encode() + b"|From=1")).decode()
    assert telnyx_signed(key, now, b"From=1", signature)
    assert not telnyx_signed(key, now, b"From=2", signature)
    old = str(int(time.time()) - 301)
    assert not telnyx_signed(key, old, b"From=1", base64.b64encode(TELNYX_KEY.sign(old.encode() + b"|From=1")).decode())
    for broken in ("", "no base64 ü", "AAAA"):
        assert not telnyx_signed(key, now, b"From=1", broken)
        assert not telnyx_signed(broken, now, b"From=1", signature)
        assert not telnyx_signed(key, broken, b"From=1", signature)


def test_ticket_is_for_one_agent_one_socket_and_one_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    tickets = Tickets()
    first, second, third = (tickets.issue("line") for _ in range(3))
    assert len({first, second, third}) == 3
    assert not tickets.take(first, "another")
    assert tickets.take(first, "line")
    assert not tickets.take(first, "line"), "used up"
    assert not Tickets().take(second, "line"), "of another process"
    for broken in ("", ".", "a.b.c", second[:-1], second + "0", "ü" + second):
        assert not tickets.take(broken, "line")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 50)
    assert tickets.take(second, "line")
    monkeypatch.setattr(time, "time", lambda: now + 62)
    assert not tickets.take(third, "line"), "too late"


def signed(carrier: str, path: str, form: Mapping[str, str]) -> dict[str, str]:
    """The headers with which a carrier posts `form` to this server's public address."""
    if carrier == "twilio":
        return {"X-Twilio-Signature": twilio_signature(SECRETS["TWILIO_AUTH_TOKEN"], HERE + path, tuple(form.items()))}
    if carrier == "plivo":
        signature = plivo_signature(SECRETS["PLIVO_AUTH_TOKEN"], "POST", HERE + path, NONCE, tuple(form.items()))
        return {"X-Plivo-Signature-V3": signature, "X-Plivo-Signature-V3-Nonce": NONCE}
    now = str(int(time.time()))
    signature = base64.b64encode(TELNYX_KEY.sign(f"{now}|{urlencode(form)}".encode())).decode()
    return {"Telnyx-Signature-Ed25519": signature, "Telnyx-Timestamp": now}


FORMS = {
    "twilio": TWILIO_FORM,
    "plivo": PLIVO_FORM,
    "telnyx": {"CallSid": "v3:abc", "AccountSid": "d2d5", "From": "+14158675309", "To": "+18005551212"},
}


@asynccontextmanager
async def serving(
    *, limit: int | None = None, public_url: str | None = HERE, host: str = "127.0.0.1", **values: str
) -> AsyncGenerator[Exchange]:
    async with exchange(
        Ports.free(), LINE, values={**SECRETS, **values}, public_url=public_url, limit=limit, host=host
    ) as it:
        yield it


async def posted(it: Exchange, path: str, form: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, str]:
    typed = {"Content-Type": "application/x-www-form-urlencoded", "Host": "agent.example.com"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(it.page(path), data=urlencode(form).encode(), headers={**typed, **headers}) as answer,
    ):
        return answer.status, await answer.text()


async def knock(it: Exchange, path: str, headers: Mapping[str, str] | None = None) -> int:
    """101 when the socket is accepted, otherwise the status of the refusal."""
    try:
        async with websockets.connect(
            it.socket(path), proxy=None, additional_headers=dict(headers or {}), compression=None
        ):
            return 101
    except websockets.InvalidStatus as refused:
        return refused.response.status_code


async def test_webhook_is_answered_with_a_ticket_that_lets_one_socket_in() -> None:
    async with serving() as it:
        for carrier, form in FORMS.items():
            status, text = await posted(it, "/phone/line", form, signed(carrier, "/phone/line", form))
            assert status == 200, (carrier, text)
            document = ElementTree.fromstring(text)
            (stream,) = document.iter("Stream")
            assert [verb.tag for verb in document] == (["Stream"] if carrier == "plivo" else ["Connect"]) + ["Hangup"]
            address = (stream.text if carrier == "plivo" else stream.get("url")) or ""
            assert address.startswith("wss://agent.example.com/ws/line/")
            path = address.removeprefix("wss://agent.example.com")
            if carrier == "twilio":
                told = {p.get("name"): p.get("value") for p in stream.iter("Parameter")}
                assert told == {"from_number": "+14158675309", "to_number": "+18005551212"}
                assert stream.get("statusCallback") == f"{HERE}/phone/line/status"
            elif carrier == "telnyx":
                assert (stream.get("bidirectionalMode"), stream.get("bidirectionalCodec")) == ("rtp", "PCMU")
            else:
                assert stream.get("contentType") == "audio/x-mulaw;rate=8000"
                assert (stream.get("bidirectional"), stream.get("keepCallAlive")) == ("true", "true")
                assert stream.get("extraHeaders") == "from_number=14158675309;to_number=18005551212"
            assert await knock(it, path.replace("/line/", "/another/")) == 403
            assert await knock(it, path + "x") == 403
            assert await knock(it, path) == 101
            assert await knock(it, path) == 403, "used up"
        assert (await posted(it, "/phone/none", TWILIO_FORM, signed("twilio", "/phone/none", TWILIO_FORM)))[0] == 404
        odd = {"Caller": "1"}
        assert (await posted(it, "/phone/line", odd, signed("telnyx", "/phone/line", odd)))[0] == 200
        assert not it.switchboard.calls


async def test_wrong_signature_or_token_is_refused_and_makes_no_call() -> None:
    async with serving(RUNNER_PHONE_TOKEN="right-token-of-the-phone") as it:
        for carrier, form in FORMS.items():
            right = signed(carrier, "/phone/line", form)
            assert (await posted(it, "/phone/line", form, {}))[0] == 403, "nothing proves it"
            assert (await posted(it, "/phone/line", {**form, "From": "+1"}, right))[0] == 403, "another form"
            assert (await posted(it, "/phone/line/status", form, {}))[0] == 403
            name = next(iter(right))
            assert (await posted(it, "/phone/line", form, {**right, name: "AAAA"}))[0] == 403, carrier
        for path in ("/ws/line", "/ws/line/wrong", "/ws/line?token=wrong", "/ws/line/a.b.c"):
            assert await knock(it, path) == 403, path
        basic = "Basic " + base64.b64encode(b"exotel:wrong").decode()
        for header in ({"Authorization": "Bearer wrong"}, {"Authorization": basic}, {"X-Twilio-Signature": "AAAA"}):
            assert await knock(it, "/ws/line", header) == 403, header
            assert await knock(it, "/ws/line/right-token-of-the-phone", header) == 403, (
                "what is brought has to be right"
            )
        assert not it.switchboard.calls
        assert not it.events
        assert any("Twilio's signature is wrong. Check TWILIO_AUTH_TOKEN, and --public-url" in line for line in it.log)
        assert not any(secret in line for line in it.log for secret in (*SECRETS.values(), "right-token-of-the-phone"))


async def test_token_may_come_in_every_way_a_carrier_has() -> None:
    token = "right-token-of-the-phone"
    async with serving(RUNNER_PHONE_TOKEN=token, public_url=None) as it:
        basic = "Basic " + base64.b64encode(f"exotel:{token}".encode()).decode()
        assert await knock(it, f"/ws/line/{token}") == 101
        assert await knock(it, f"/ws/line?token={token}") == 101
        assert await knock(it, "/ws/line", {"Authorization": basic}) == 101
        assert await knock(it, "/ws/line", {"Authorization": f"Bearer {token}"}) == 101
        assert await knock(it, "/ws/line") == 403


async def test_sockets_of_twilio_and_plivo_are_let_in_by_their_signature() -> None:
    """Both sign the handshake; here the address was written by hand into the carrier's own settings."""
    address = "wss://agent.example.com/ws/line"
    async with serving() as it:
        for url in (address, f"{address}/", address.replace(".com", ".com:443")):
            signature = twilio_signature(SECRETS["TWILIO_AUTH_TOKEN"], url, ())
            assert await knock(it, "/ws/line", {"X-Twilio-Signature": signature}) == 101, url
        signature = plivo_signature(SECRETS["PLIVO_AUTH_TOKEN"], "GET", address, NONCE, ())
        headers = {"X-Plivo-Signature-V3": f"AAAA,{signature}", "X-Plivo-Signature-V3-Nonce": NONCE}
        assert await knock(it, "/ws/line", headers) == 101
        assert await knock(it, "/ws/line", {**headers, "X-Plivo-Signature-V3-Nonce": "1"}) == 403


async def test_without_secrets_only_this_machine_may_call() -> None:
    async with exchange(Ports.free(), LINE) as it:
        assert await knock(it, "/ws/line") == 101
        assert await knock(it, "/ws/line", {"Origin": "https://evil.example"}) == 403
        assert await knock(it, "/ws/line", {"X-Forwarded-For": "203.0.113.9"}) == 403, "through a tunnel"
        assert await knock(it, "/ws/line", {"X-Twilio-Signature": "AAAA"}) == 403, "cannot be checked"
        assert (await posted(it, "/phone/line", TWILIO_FORM, {}))[0] == 403, "asked by another name"
        assert any("Set TWILIO_AUTH_TOKEN" in line for line in it.log)
    async with exchange(Ports.free(), LINE, host="0.0.0.0") as it:
        assert await knock(it, "/ws/line") == 403


@pytest.mark.parametrize(
    "said",
    [
        pytest.param([], id="nothing"),
        pytest.param(["hello", "hello"], id="words"),
        pytest.param(["[1, 2]", '"start"'], id="lists"),
        pytest.param([b"\xff\xfe\x00", b"\x80"], id="bytes"),
        pytest.param(['{"event":"start","start":7}', '{"event":"media"}'], id="half"),
        pytest.param(['{"event":"start","start":{"streamSid":null,"callSid":null}}'], id="empty ids"),
        pytest.param(["x" * 200_000], id="too much"),
        pytest.param(['{"event":"connected"}'], id="no start"),
    ],
)
async def test_who_is_no_carrier_is_dropped_in_time(said: list[str | bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phone_streams, "_OPENING_SECS", 0.5)
    async with exchange(Ports.free(), LINE) as it:
        async with asyncio.timeout(10), websockets.connect(it.socket("/ws/line"), proxy=None) as socket:
            for message in said:
                await socket.send(message)
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd
        assert closed.value.rcvd.code == 1008
        assert not it.switchboard.calls
        assert not it.switchboard.gate.taken
        assert [line for line in it.log if "was dropped" in line], it.log
        assert not [line for line in it.log if "Traceback" in line]


async def test_caller_hears_the_busy_tone_when_all_lines_are_taken() -> None:
    async with serving(limit=1, RUNNER_PHONE_TOKEN="right-token-of-the-phone") as it:
        with it.switchboard.admit():
            for carrier, form in FORMS.items():
                status, text = await posted(it, "/phone/line", form, signed(carrier, "/phone/line", form))
                (verb,) = ElementTree.fromstring(text)
                assert (status, verb.tag) == (200, "Hangup" if carrier == "plivo" else "Reject")
                assert verb.get("reason") == "busy"
            assert await knock(it, "/ws/line/right-token-of-the-phone") == 503
        assert await knock(it, "/ws/line/right-token-of-the-phone") == 101


async def test_carrier_tells_why_a_stream_failed() -> None:
    async with serving() as it:
        form = {**TWILIO_FORM, "StreamEvent": "stream-error", "StreamError": "Stream connection error 31920"}
        status, _ = await posted(it, "/phone/line/status", form, signed("twilio", "/phone/line/status", form))
        assert status == 204
        fine = {**TWILIO_FORM, "StreamEvent": "stream-started"}
        assert (await posted(it, "/phone/line/status", fine, signed("twilio", "/phone/line/status", fine)))[0] == 204
        (line,) = it.log
        assert "stream-error Stream connection error 31920" in line
