"""Telephones and Daily: calls that come in by its webhook, calls that the agent makes, keys that are pressed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from runner.events import AgentSaid
from runner.live.carriers.daily.command import Asked, join
from runner.live.carriers.daily.webhook import unproven
from tests.cloud.rooms import Rooms, rooms
from tests.cloud.vendors import Ports, Vendors
from tests.emulators import until
from tests.running import PROJECT, run

SECRET = base64.b64encode(b"a secret of thirty-two bytes, 12").decode()
CALL = {"From": "+15550001111", "To": "+15551230100", "callId": "8f2d-call", "callDomain": "b71c-domain"}
WEBHOOK = "/daily-dialin-webhook"


def signed(body: bytes, secret: str = SECRET, *, at: str | None = None) -> dict[str, str]:
    """The headers of Daily's webhook."""
    moment = at or str(int(time.time()))
    digest = hmac.new(base64.b64decode(secret), f"{moment}.".encode() + body, hashlib.sha256).digest()
    return {"X-Pinless-Timestamp": moment, "X-Pinless-Signature": base64.b64encode(digest).decode()}


async def rings(it: Rooms, headers: Mapping[str, str] | None = None, **fields: str) -> Any:
    """Daily's webhook, through a tunnel: its Host is not this machine."""
    body = json.dumps({**CALL, **fields}).encode()
    it.daily.held[CALL["callId"]] = CALL["callDomain"]
    host = {"Host": "voice.example.com", "Content-Type": "application/json"}
    return await it.http.post(WEBHOOK, content=body, headers={**host, **(signed(body) if headers is None else headers)})


# calls that come in


async def test_telephone_is_sent_to_its_room_when_the_room_is_ready_and_greeted(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(ports, monkeypatch, PINLESS_HMAC_SECRET=SECRET) as it:
        answer = await rings(it)
        assert answer.status_code == 200
        (room,) = it.daily.created
        assert answer.json()["dailyRoom"] == room.url
        assert room.privacy == "private"
        assert room.properties["sip"] == {
            "display_name": "+15550001111",
            "video": False,
            "sip_mode": "dial-in",
            "num_endpoints": 1,
        }
        await until(lambda: it.building.client.inside)
        assert it.daily.connected == {}, "not before the room is ready"
        agent, address = it.building.client, f"sip:{room.properties['sip_uri']['endpoint']}"
        agent.event("dialin_ready", address)
        await until(lambda: it.daily.connected == {"8f2d-call": address})
        agent.comes("+15550001111")
        await until(lambda: it.of(AgentSaid), 8)
        (call,) = it.switchboard.calls
        assert call.conversation.agent.variables["caller_number"] == "+15550001111"
        vendors.mind.reply("Thank you.")
        for key in "47#":
            agent.event("dtmf_event", {"tone": key, "sessionId": "s"})
        await until(lambda: vendors.mind.requests)
        assert vendors.mind.requests[0].body["messages"][-1] == {"role": "user", "content": "[pressed 47]"}
        agent.goes("+15550001111")
        await until(lambda: bool(it.reasons))
        assert it.reasons == ["the caller hung up"]
        await until(lambda: not it.daily.rooms)
    assert SECRET not in it.written.getvalue()


async def test_wrong_signature_gets_403_and_no_call(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps(CALL).encode()
    wrong: dict[str, dict[str, str]] = {
        "no signature": {},
        "another secret": signed(body, base64.b64encode(b"another").decode()),
        "another body": signed(body + b" "),
        "old": signed(body, at=str(int(time.time()) - 400)),
        "not a number": {**signed(body), "X-Pinless-Timestamp": "now"},
        "not even text": {**signed(body), "X-Pinless-Timestamp": "nan"},
    }
    async with rooms(ports, monkeypatch, PINLESS_HMAC_SECRET=SECRET) as it:
        for what, headers in wrong.items():
            assert (await rings(it, headers)).status_code == 403, what
        assert not it.daily.requests
        assert not it.switchboard.calls


async def test_unsigned_webhook_without_a_secret_is_for_this_machine_only(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(ports, monkeypatch) as it:
        refused = await rings(it, {})
        assert refused.status_code == 403
        assert "PINLESS_HMAC_SECRET" in refused.json()["detail"]
        body = json.dumps(CALL).encode()
        assert (await rings(it, signed(body))).status_code == 403, "signed, and nobody can say whether rightly"
        assert (await it.http.post(WEBHOOK, json=CALL)).status_code == 200


def test_time_of_a_signature_may_be_in_milliseconds() -> None:
    for moment in ("1790000000", "1790000000123"):
        headers = {name.lower(): value for name, value in signed(b"{}", at=moment).items()}
        assert unproven(headers, b"{}", SECRET, now=1_790_000_010) is None
        assert unproven(headers, b"{}", SECRET, now=1_790_000_400) == "Its signature is from another time."
        assert unproven(headers, b"{}", "no base64!", now=1_790_000_010)


async def test_test_request_of_daily_is_answered(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(ports, monkeypatch) as it:
        answer = await it.http.post(WEBHOOK, json={"Test": "test"})
        assert (answer.status_code, answer.json()) == (200, {"status": "OK"})
        missing = await it.http.post(WEBHOOK, json={"From": "+1555"})
        assert missing.status_code == 400
        assert "Missing: To, callId, callDomain" in missing.json()["detail"]
        assert not it.daily.requests


async def test_number_decides_which_agent_answers(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for name, number in (("support", "+15551230100"), ("hello", "+15551230200")):
        text = (PROJECT / "agents" / f"{name}.yaml").read_text(encoding="utf-8")
        (tmp_path / f"{name}.yaml").write_text(f"{text}\ndaily:\n  dial_in: [{number}]\n", encoding="utf-8")
    files = [tmp_path / "support.yaml", tmp_path / "hello.yaml"]
    async with rooms(ports, monkeypatch, *files, PINLESS_HMAC_SECRET=SECRET) as it:
        assert (await rings(it, To="+15551230200")).status_code == 200
        await until(lambda: it.building.client.name == "hello")
        unknown = await rings(it, To="+15559999999")
        assert unknown.status_code == 404
        assert "No agent takes calls to +15559999999" in unknown.json()["detail"]


async def test_call_beyond_the_limit_is_answered_503(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(ports, monkeypatch, limit=1, PINLESS_HMAC_SECRET=SECRET) as it:
        assert (await rings(it)).status_code == 200
        refused = await rings(it)
        assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
        assert len(it.daily.created) == 1


async def test_call_that_daily_cannot_connect_ends_with_its_words(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(ports, monkeypatch, PINLESS_HMAC_SECRET=SECRET) as it:
        await rings(it)
        await until(lambda: it.building.client.inside)
        it.daily.held.clear()  # the caller has hung up meanwhile
        it.building.client.event("dialin_ready", f"sip:{it.daily.created[0].properties['sip_uri']['endpoint']}")
        await until(lambda: bool(it.reasons))
        assert it.reasons[0].startswith("Daily could not connect the caller: ")
        assert "no such call is held" in it.reasons[0]
        await until(lambda: not it.daily.rooms)


# calls that the agent makes


async def called(it: Rooms, number: str = "+15550002222") -> Any:
    taken = await join(Asked(call=number), it.agent, it.switchboard, it.terminal, lambda: None)
    await until(lambda: it.building.client.dialled)
    return taken


async def test_agent_calls_a_telephone_and_greets_whoever_picks_up(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(ports, monkeypatch, say={"daily.caller_id": "0cb313e1-211f"}) as it:
        taken = await called(it)
        agent = it.building.client
        assert agent.dialled == [{"phoneNumber": "+15550002222", "callerId": "0cb313e1-211f"}]
        assert it.daily.created[0].properties["enable_dialout"] is True
        assert it.daily.is_owner(agent.token), "Daily lets owners call only"
        agent.event("dialout_connected", {"sessionId": "out"})
        agent.comes("+15550002222")
        await until(lambda: agent.heard_from)
        assert agent.loudness == 0, "it rings, nobody has picked up"
        agent.event("dialout_answered", {"sessionId": "out"})
        await until(lambda: it.of(AgentSaid), 8)
        agent.goes("+15550002222")
        agent.event("dialout_stopped", {"sessionId": "out"})
        await until(lambda: bool(it.reasons))
        assert it.reasons == ["the caller hung up"]
        assert not taken.failure


@pytest.mark.parametrize(
    ("event", "data", "reason"),
    [
        ("dialout_error", {"errorMsg": "User busy."}, "Daily could not call +15550002222: User busy"),
        ("dialout_error", {}, "Daily could not call +15550002222: it does not say why"),
        ("dialout_stopped", {"sessionId": "out"}, "+15550002222 did not answer"),
    ],
)
async def test_call_that_nobody_takes_ends_with_the_reason(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch, event: str, data: dict[str, str], reason: str
) -> None:
    async with rooms(ports, monkeypatch) as it:
        taken = await called(it)
        it.building.client.event(event, data)
        await until(lambda: bool(it.reasons))
        assert it.reasons == [reason]
        assert taken.failure == reason, "the command ends with exit code 1"
        await until(lambda: not it.daily.rooms)
        assert it.building.client.loudness == 0


async def test_call_that_rings_and_rings_is_given_up(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(ports, monkeypatch) as it:
        written = it.agent.definition
        it.agent.definition = replace(written, daily=replace(written.daily, wait_for_caller=0.5))
        taken = await called(it)
        await until(lambda: bool(it.reasons))
        assert it.reasons == ["+15550002222 did not answer within 0.5 s (daily.wait_for_caller)"]
        assert taken.failure


async def test_call_that_the_person_stops_is_no_failure(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(ports, monkeypatch) as it:
        taken = await called(it)
        await it.switchboard.close("runner was stopped")
        assert not taken.failure
        await until(lambda: not it.daily.rooms)


async def test_start_calls_only_whom_the_file_allows(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    text = (PROJECT / "agents" / "hello.yaml").read_text(encoding="utf-8")
    (tmp_path / "hello.yaml").write_text(f"{text}\ndaily:\n  dial_out: [+49, +15551230100]\n", encoding="utf-8")
    async with rooms(ports, monkeypatch, tmp_path / "hello.yaml") as it:
        for number in ("+15551230101", "+1555", "49 30 1234567", "sip:a@b.example", "+49 30 12;ext=5"):
            asked = {"body": {"dialout_settings": {"phone_number": number}}}
            assert (await it.http.post("/start", json=asked)).status_code == 403, number
        assert not it.daily.created
        answer = await it.http.post("/start", json={"body": {"dialout_settings": [{"phoneNumber": "+49 30 1234567"}]}})
        assert answer.status_code == 200
        await until(lambda: it.building.client.dialled)
        assert it.building.client.dialled == [{"phoneNumber": "+49301234567"}]


@pytest.mark.parametrize("number", ["5551230100", "+1", "+1555123010x", "sip:", "tel:+15551230100"])
def test_what_is_no_number_is_wrong_usage(tmp_path: Any, number: str) -> None:
    done = run(PROJECT / "agents" / "hello.yaml", "--call", number, cwd=tmp_path)
    assert done.returncode == 2
    assert "neither a number with its country" in done.stderr
