"""`POST /start`: every visitor a room, a token and an agent of their own; never more than the limit; no room is left behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.events import AgentSaid
from tests.cloud.rooms import DAILY_KEY, rooms
from tests.cloud.vendors import Ports, Vendors
from tests.emulators import until
from tests.running import PROJECT

PIPECATS_CLIENT = {"createDailyRoom": True, "body": {}}


async def test_two_visitors_get_two_rooms_and_two_agents(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(ports, monkeypatch, say={"limits.wait_for_return": "0"}) as it:
        answers = [(await it.http.post("/start", json=PIPECATS_CLIENT)).json() for _ in range(2)]
        one, other = answers
        assert one.keys() == {"dailyRoom", "dailyToken", "sessionId"}
        assert one["dailyRoom"] != other["dailyRoom"]
        assert one["sessionId"] != other["sessionId"]
        for answer in answers:
            assert it.daily.may_join(answer["dailyRoom"], answer["dailyToken"]) is None
            assert not it.daily.is_owner(answer["dailyToken"])
        assert it.daily.may_join(one["dailyRoom"], other["dailyToken"]) == "the token is for another room"
        await until(lambda: len(it.building.clients) == 2 and all(client.inside for client in it.building.clients))
        agents = {client.url: client for client in it.building.clients}
        first, second = agents[one["dailyRoom"]], agents[other["dailyRoom"]]
        assert it.daily.is_owner(first.token)
        first.comes("jane")
        await until(lambda: first.loudness > 100, 8)
        assert second.loudness == 0, "nobody is in the other room yet"
        second.comes("john")
        await until(lambda: len(it.of(AgentSaid)) == 2, 8)
        first.goes("jane")
        await until(lambda: [room.url for room in it.daily.rooms.values()] == [other["dailyRoom"]])
        assert it.reasons == ["the last participant left"]
        assert second.inside, "the other call goes on"
    assert not it.daily.rooms, "no room is left when runner is stopped"
    assert "dailyToken" not in it.written.getvalue()
    assert not [token for token in it.daily.tokens if token in it.written.getvalue()]


async def test_visitor_beyond_the_limit_is_answered_503_and_gets_no_room(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(ports, monkeypatch, limit=1, say={"limits.wait_for_return": "0"}) as it:
        assert (await it.http.post("/start")).status_code == 200
        refused = await it.http.post("/start")
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert len(it.daily.created) == 1
        await until(lambda: it.building.client.inside)
        it.building.client.comes("jane")
        it.building.client.goes("jane")
        await until(lambda: not it.switchboard.calls and not it.switchboard.gate.taken)
        assert (await it.http.post("/start")).status_code == 200


async def test_room_of_a_visitor_who_never_comes_is_given_up(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(ports, monkeypatch) as it:
        written = it.agent.definition
        it.agent.definition = replace(written, daily=replace(written.daily, wait_for_caller=0.3))
        await it.http.post("/start")
        await until(lambda: bool(it.reasons))
        assert it.reasons == ["nobody came within 0.3 s (daily.wait_for_caller)"]
        await until(lambda: not it.daily.rooms and not it.switchboard.gate.taken)
        assert it.building.client.loudness == 0


@pytest.mark.parametrize("how", ["address", "body"])
async def test_visitor_names_the_agent(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    files = [PROJECT / "agents" / f"{name}.yaml" for name in ("support", "hello")]
    async with rooms(ports, monkeypatch, *files) as it:
        unnamed = await it.http.post("/start")
        assert (unnamed.status_code, unnamed.json()["detail"]) == (404, "Say which: support, hello.")
        named: dict[str, Any] = (
            {"json": {"body": {"agent": "hello"}}} if how == "body" else {"params": {"agent": "hello"}}
        )
        assert (await it.http.post("/start", **named)).status_code == 200
        await until(lambda: it.building.client.name == "hello")
        assert (await it.http.post("/start", params={"agent": "nobody"})).status_code == 404
        assert len(it.daily.created) == 1


async def test_visitor_chooses_little_of_the_room(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(ports, monkeypatch) as it:
        chosen = {
            "dailyRoomProperties": {"start_video_off": False},
            "dailyMeetingTokenProperties": {"user_name": "Jane", "start_audio_off": True},
        }
        token = (await it.http.post("/start", json={**PIPECATS_CLIENT, **chosen})).json()["dailyToken"]
        given = it.daily.tokens[token]
        assert (given["user_name"], given["start_audio_off"], given["start_video_off"]) == ("Jane", True, False)


async def test_visitors_variables_hold_for_the_call_and_through_a_save(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(ports, monkeypatch) as it:
        asked = {
            "createDailyRoom": True,
            "body": {"agent": "support", "variables": {"company": "Acme", "agent_name": "Zoe"}},
        }
        assert (await it.http.post("/start", json=asked)).status_code == 200
        await until(lambda: it.building.clients and it.building.client.inside)
        it.building.client.comes("jane")
        await until(lambda: it.of(AgentSaid), 8)
        assert vendors.spoken == ["Hi, this is Zoe from Acme. How can I help?"]
        (call,) = it.switchboard.calls
        saved = replace(it.agent.definition, prompt="{{ agent_name }} speaks for {{ company }} since {{ year }}.")
        saved = replace(saved, variables={**saved.variables, "year": "1990"})
        await call.take_version(saved, 2)
        assert call.conversation.now.prompt.startswith("Zoe speaks for Acme since 1990.")


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"dailyRoomProperties": {"exp": 9e12}}, 422, "dailyRoomProperties.exp: the agent's file decides that."),
    ({"dailyMeetingTokenProperties": {"is_owner": True}}, 422, "is_owner: the agent's file decides that."),
    ({"dailyMeetingTokenProperties": {"start_audio_off": "no"}}, 422, "start_audio_off is true or false."),
    ({"transport": "livekit"}, 422, "transport is daily or webrtc"),
    ({"createDailyRoom": "yes"}, 422, "createDailyRoom is true or false"),
    ({"body": "x"}, 422, "body is a JSON object."),
    ({"body": {"agent": 1}}, 400, 'says "agent": 1. It takes the name of an agent.'),
    (
        {"body": {"variabels": {}}},
        400,
        'holds "variabels". It may hold agent, variables, dialout',
    ),
    (
        {"body": {"stage": "refund", "agent": "support"}},
        400,
        'holds "stage". It may hold agent, variables, dialout_settings.',
    ),
    ({"body": {"variables": ["company"]}}, 400, "names with a text each"),
    ({"body": {"variables": {"company": None}}}, 400, "no text for these variables: company."),
    ({"body": {"variables": {"compani": "Acme"}}}, 400, 'support has no variable "compani". Did you mean "company"?'),
    ({"variables": {"company": "Acme"}}, 400, '"variables" belongs into "body".'),
    ({"transport": "webrtc", "body": {"variables": {"compani": "Acme"}}}, 400, 'support has no variable "compani".'),
    ({"body": {"dialout_settings": {"phone_number": "+15551230100"}}}, 403, "daily.dial_out"),
    ({"body": {"dialout_settings": {}}}, 422, "names no phone_number"),
]


async def test_what_a_visitor_may_not_ask_makes_no_room(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(ports, monkeypatch) as it:
        for asked, status, words in REFUSED:
            answer = await it.http.post("/start", json=asked)
            assert answer.status_code == status, asked
            assert words in answer.json()["detail"]
        for content in (b"{", b"[]", b"x" * 70_000):
            assert (await it.http.post("/start", content=content)).status_code in (400, 413)
        elsewhere = await it.http.post("/start", headers={"Origin": "https://elsewhere.example"})
        assert elsewhere.status_code == 403, "a page of another site"
        assert not it.daily.requests
        assert not it.switchboard.gate.taken


@pytest.mark.parametrize(
    "asked", [{"createDailyRoom": False, "enableDefaultIceServers": True}, {"transport": "webrtc"}]
)
async def test_client_that_wants_no_room_learns_where_offers_are_taken(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    """Pipecat's SmallWebRTC client goes on from there (`webrtcRequestParams` of its connection)."""
    async with rooms(ports, monkeypatch, limit=1) as it:
        answer = (await it.http.post("/start", json=asked)).json()
        assert answer == {"webrtcRequestParams": {"endpoint": "/api/offer?agent=support"}}
        offered = await it.http.post(answer["webrtcRequestParams"]["endpoint"], json={})
        assert offered.json()["detail"] == "A WebRTC offer needs sdp and type."
        with_body = {**asked, "body": {"variables": {"company": "Acme"}}}
        answer = (await it.http.post("/start", json=with_body)).json()
        assert answer["webrtcRequestParams"]["requestData"] == {"variables": {"company": "Acme"}}, (
            "it comes with the offer"
        )
        assert not it.switchboard.gate.taken
        assert not it.daily.requests


async def test_visitor_is_told_when_daily_makes_no_room(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    async with rooms(ports, monkeypatch) as it:
        it.daily.fail(402)
        refused = await it.http.post("/start")
        assert refused.status_code == 502
        assert refused.json()["detail"] == "Daily made no room: server-error (HTTP 402)."
        assert not it.switchboard.gate.taken, "the place is free again"
        assert DAILY_KEY not in refused.text
    async with rooms(ports, monkeypatch, DAILY_API_KEY="") as it:
        assert "DAILY_API_KEY" in (await it.http.post("/start")).json()["detail"]
