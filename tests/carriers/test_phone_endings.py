"""What happens on a telephone call beside talk: barge-in, keys, the last word, hang-ups of both sides, bad messages."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runner.definition import Audio
from runner.events import AgentSaid, CallEnded, CallerSaid, StageEntered, Trouble
from runner.live.carriers.phone import streams as phone_streams
from tests.carriers.exchange import exchange
from tests.carriers.phone_caller import CALLER, CARRIERS, PhoneCall, Telnyx, Twilio
from tests.carriers.rest_of_carriers import rest_of_carriers
from tests.cloud.vendors import Ports, Vendors, vendors_on
from tests.emulators import Reply, ToolCall, sound, until

pytestmark = [  # Pipecat 1.14 hangs up with them
    pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The 'auth' parameter is deprecated:DeprecationWarning"),
]

LINE = Path(__file__).parent / "agents" / "line.yaml"
STORY = "It is a long story, and it goes on and on, with many words that nobody will wait for until it ends."
KEYS = {
    "TWILIO_ACCOUNT_SID": "AC00000000000000000000000000000001",
    "TWILIO_AUTH_TOKEN": "twilio-dummy-token",
    "TELNYX_API_KEY": "telnyx-dummy-key",
    "PLIVO_AUTH_ID": "MAXXXXXXXXXXXXXXXXXX",
    "PLIVO_AUTH_TOKEN": "plivo-dummy-token",
}


@pytest.fixture
def ports() -> Ports:
    return Ports.free()


@pytest.fixture
def vendors(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendors]:
    monkeypatch.setattr(sound, "SECONDS_A_CHARACTER", 0.03)
    with vendors_on(ports) as vendors:
        yield vendors


def way(vendors: Vendors, stage: str) -> Reply:
    """The model takes the way to `stage`."""
    tools = vendors.mind.request.body["tools"]
    (name,) = [t["function"]["name"] for t in tools if stage in t["function"]["name"]]
    return Reply(calls=[ToolCall(name)])


@pytest.mark.parametrize("name", CARRIERS)
async def test_key_silences_the_agent_and_the_keys_are_a_turn(name: str, ports: Ports, vendors: Vendors) -> None:
    async with exchange(ports, LINE, settings={"greeting": STORY}) as it:
        async with PhoneCall(it.socket("/ws/line"), CARRIERS[name]()) as phone:
            await phone.wait_until(lambda: phone.heard_seconds > 0.3, "greeting")
            await phone.press("12")
            await phone.wait_until(lambda: phone.events(phone.carrier.clear), "clear")
            (clear,) = phone.events(phone.carrier.clear)
            vendors.mind.reply("Thank you.")
            await phone.press("*3#")
            await phone.wait_until(lambda: len(it.of(AgentSaid)) > 1, "answer")
        await until(lambda: it.of(CallEnded), 5)
    told = {"twilio": "streamSid", "plivo": "streamId", "exotel": "stream_sid"}.get(name)
    assert clear == {"event": phone.carrier.clear, **({told: phone.carrier.stream} if told else {})}
    (pressed,) = it.of(CallerSaid)
    assert pressed.text == "[pressed 12*3]"
    assert [said.interrupted for said in it.of(AgentSaid)] == [True, False]
    assert it.of(CallEnded)[0].reason == "the caller hung up"


async def test_voice_silences_the_agent_too_and_a_pause_ends_the_keys(ports: Ports, vendors: Vendors) -> None:
    async with (
        exchange(ports, LINE, settings={"greeting": STORY}) as it,
        PhoneCall(it.socket("/ws/line"), Twilio()) as phone,
    ):
        await phone.wait_until(lambda: phone.heard_seconds > 0.3, "greeting")
        vendors.mind.reply("All right.", "Thank you.")
        vendors.ears.script(["Stop that please."])
        await phone.say("Stop that please.")
        await phone.wait_until(lambda: len(it.of(AgentSaid)) > 1, "answer")
        assert phone.events("clear")
        began = time.monotonic()
        await phone.press("7")
        await phone.wait_until(lambda: len(it.of(CallerSaid)) > 1, "keys")
        assert time.monotonic() - began > 1.5
    assert [said.text for said in it.of(CallerSaid)] == ["Stop that please.", "[pressed 7]"]


@pytest.mark.parametrize("name", CARRIERS)
async def test_last_word_is_played_before_the_carrier_is_told_to_hang_up(
    name: str, ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a key to the stage that ends the call. Exotel has no interface to hang up; its stream closes."""
    carrier = CARRIERS[name]()
    async with rest_of_carriers(monkeypatch) as rest, exchange(ports, LINE, values=KEYS) as it:
        async with PhoneCall(it.socket("/ws/line"), carrier) as phone:
            await phone.wait_until(lambda: it.of(AgentSaid), "greeting")
            vendors.mind.reply(lambda _: way(vendors, "goodbye"))
            await phone.press("2#")
            await phone.wait_until(lambda: phone.close_code is not None, "end")
        await until(lambda: it.of(CallEnded), 5)
    assert [entered.stage for entered in it.of(StageEntered)] == ["menu", "goodbye"]
    assert it.of(CallEnded)[0].reason == "the agent ended it (stage goodbye)"
    assert not it.of(Trouble)
    mark = "checkpoint" if name == "plivo" else "mark"
    (marked,) = [at for at, message in phone.messages if message["event"] == mark]
    assert marked > phone.sound[-1][0]
    call = f"{carrier.call}"
    assert (
        rest.hung_up
        == {
            "twilio": [
                (
                    "POST",
                    f"api.twilio.com/2010-04-01/Accounts/{KEYS['TWILIO_ACCOUNT_SID']}/Calls/{call}.json",
                    f"{KEYS['TWILIO_ACCOUNT_SID']}:{KEYS['TWILIO_AUTH_TOKEN']}",
                    "Status=completed",
                )
            ],
            "telnyx": [("POST", f"api.telnyx.com/v2/calls/{call}/actions/hangup", KEYS["TELNYX_API_KEY"], "")],
            "plivo": [
                (
                    "DELETE",
                    f"api.plivo.com/v1/Account/{KEYS['PLIVO_AUTH_ID']}/Call/{call}/",
                    f"{KEYS['PLIVO_AUTH_ID']}:{KEYS['PLIVO_AUTH_TOKEN']}",
                    "",
                )
            ],
            "exotel": [],
        }[name]
    )


async def test_missing_credentials_are_told_once_and_a_hung_up_call_is_not_hung_up_again(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rest_of_carriers(monkeypatch) as rest, exchange(ports, LINE) as it:
        for number in (1, 2):
            async with PhoneCall(it.socket("/ws/line"), Telnyx()) as phone:
                await phone.wait_until(lambda number=number: len(it.of(AgentSaid)) >= number, "greeting")
                await phone.hang_up()
                await until(lambda number=number: len(it.of(CallEnded)) >= number, 5)
        (told,) = it.of(Trouble)
        assert told.text.startswith("Telnyx cannot be told to hang up, because TELNYX_API_KEY is not set.")
    assert not rest.hung_up


async def test_carrier_that_does_not_answer_holds_no_call(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phone_streams, "_HANG_UP_SECS", 0.5)
    async with rest_of_carriers(monkeypatch) as rest, exchange(ports, LINE, values=KEYS) as it:
        rest.silent = True
        async with PhoneCall(it.socket("/ws/line"), Twilio()) as phone:
            await phone.wait_until(lambda: it.of(AgentSaid), "greeting")
            (call,) = it.switchboard.calls
            await call._compiled.finish("all is said")
            await until(lambda: it.of(CallEnded), 10)
        assert it.of(CallEnded)[0].reason == "all is said"
        assert rest.hung_up
        assert any("Twilio was told to hang up and did not answer within 0.5 s." in line for line in it.log)


async def test_refused_hang_up_is_told_in_the_carriers_words(
    ports: Ports, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rest_of_carriers(monkeypatch) as rest, exchange(ports, LINE, values=KEYS) as it:
        rest.refuses = True
        async with PhoneCall(it.socket("/ws/line"), Twilio()) as phone:
            await phone.wait_until(lambda: it.of(AgentSaid), "greeting")
            (call,) = it.switchboard.calls
            await call.end("runner was stopped")
            await until(lambda: it.of(CallEnded), 10)
        assert any("Twilio did not hang up" in line and "Authenticate" in line for line in it.log), it.log
        assert not any(KEYS["TWILIO_AUTH_TOKEN"] in line for line in it.log)


async def test_messages_that_cannot_be_read_end_nothing_and_a_save_keeps_the_line(
    ports: Ports, vendors: Vendors
) -> None:
    async with exchange(ports, LINE) as it, PhoneCall(it.socket("/ws/line"), Telnyx()) as phone:
        await phone.wait_until(lambda: it.of(AgentSaid), "greeting")
        for bad in (
            *(b"\xff\xfe", "no JSON", "[]", "7", '{"event": "media"}', '{"event": "media", "media": 3}'),
            *('{"event": "media", "media": {"payload": "%%%"}}', '{"event": "dtmf", "dtmf": {"digit": "X"}}', "{}"),
            json.dumps({"event": "media", "media": {"track": "outbound", "payload": "AAAA"}}),
            json.dumps({"event": "error", "payload": {"title": "invalid_media", "detail": "The media is invalid."}}),
        ):
            await phone.send(bad)
        (call,) = it.switchboard.calls
        saved = replace(
            call.conversation.agent, prompt="Now you call {{ caller_number }}.", audio=Audio(), variables={}
        )
        assert "rate" not in str(call.notices(saved))
        await call.take_version(saved, 2)
        vendors.mind.reply("I still hear you.")
        await phone.press("1#")
        await phone.wait_until(lambda: len(it.of(AgentSaid)) > 1, "answer")
        assert f"Now you call {CALLER}." in json.dumps(vendors.mind.request.messages)
        assert "Telnyx: The media is invalid." in [trouble.text for trouble in it.of(Trouble)]
        assert not it.of(CallEnded)


async def test_sound_that_cannot_be_used_is_refused_in_plain_words(ports: Ports, vendors: Vendors) -> None:
    class Wideband(Telnyx):
        def opening(self) -> list[dict[str, object]]:
            connected, start = super().opening()
            start["start"]["media_format"] = {"encoding": "G722", "sample_rate": 8000, "channels": 1}
            return [connected, start]

    async with exchange(ports, LINE) as it, PhoneCall(it.socket("/ws/line"), Wideband()) as phone:
        await phone.wait_until(lambda: phone.close_code is not None, "end")
        assert phone.close_code == 1008
        assert "sends sound as G722 at 8000 Hz; let it send PCMU at 8000 Hz" in it.log[0]
        assert not it.events
