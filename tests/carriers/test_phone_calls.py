"""Calls of Twilio, Telnyx, Plivo and Exotel: what their streams carry both ways, and how they end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.events import AgentSaid, CallEnded, CallerSaid, CallStarted
from tests.carriers.exchange import exchange
from tests.carriers.phone_caller import CALLED, CALLER, CARRIERS, PhoneCall
from tests.cloud.vendors import Ports, Vendors, vendors_on
from tests.emulators import sound, until

LINE = Path(__file__).parent / "agents" / "line.yaml"
GREETING = "Hello, this is Maya."


@pytest.fixture
def ports() -> Ports:
    return Ports.free()


@pytest.fixture
def vendors(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendors]:
    monkeypatch.setattr(sound, "SECONDS_A_CHARACTER", 0.02)
    with vendors_on(ports) as vendors:
        yield vendors


@pytest.mark.parametrize("name", CARRIERS)
async def test_call_is_8_kilohertz_from_end_to_end(name: str, ports: Ports, vendors: Vendors) -> None:
    """Nothing in the agent file says so. Speech, keys and the hang-up are the carrier's own messages."""
    vendors.mind.reply("One moment please.", "And your name?")
    async with exchange(ports, LINE) as it, PhoneCall(it.socket("/ws/line"), CARRIERS[name]()) as phone:
        await phone.wait_until(lambda: it.of(AgentSaid), "greeting")
        vendors.ears.script(["I have a question."])
        await phone.say("I have a question.")
        await phone.wait_until(lambda: len(it.of(AgentSaid)) > 1, "answer")
        await phone.press("4711#")
        await phone.wait_until(lambda: len(it.of(AgentSaid)) > 2, "answer to the keys")
        heard, sent = vendors.ears.session.audio_seconds, phone.sent_seconds
        await phone.hang_up()
        await until(lambda: it.of(CallEnded), 5)

    assert vendors.ears.session.query["sample_rate"] == "8000"
    assert heard == pytest.approx(sent, abs=2), "neither stretched nor cut"
    assert {
        m.body["output_format"]["sample_rate"] for m in vendors.voice.session.received if "output_format" in m.body
    } == {8000}
    assert [said.text for said in it.of(CallerSaid)] == ["I have a question.", "[pressed 4711]"]
    assert [said.text for said in it.of(AgentSaid)] == [GREETING, "One moment please.", "And your name?"]
    spoken = vendors.voice.session
    made = sum(context.spoken_seconds for context in spoken.contexts.values())
    assert phone.heard_seconds == pytest.approx(made, rel=0.35)
    assert f"The caller's number is {CALLER}, they called {CALLED}." in json.dumps(vendors.mind.requests[0].messages)
    (started,), (ended,) = it.of(CallStarted), it.of(CallEnded)
    assert started.carrier == CARRIERS[name].name
    assert ended.reason == ("the caller hung up (callended)" if name == "exotel" else "the caller hung up")
