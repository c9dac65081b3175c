"""A call of somebody else's Twilio: the simulator `streamdouble`, which keeps the protocol and reports who does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamdouble import audio
from streamdouble.api import run_scenario
from streamdouble.scenario import Dtmf, Expect, Hangup, Say, Scenario, Wait, WaitFor
from streamdouble.session import SessionConfig

from runner.events import AgentSaid, CallEnded, CallerSaid
from tests.carriers.exchange import exchange
from tests.cloud.vendors import Ports, Vendors, vendors_on
from tests.emulators import sound, until
from tests.speech import write_wav

LINE = Path(__file__).parent / "agents" / "line.yaml"


@pytest.fixture
def ports() -> Ports:
    return Ports.free()


@pytest.fixture
def vendors(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendors]:
    monkeypatch.setattr(sound, "SECONDS_A_CHARACTER", 0.03)
    with vendors_on(ports) as vendors:
        yield vendors


async def test_simulated_twilio_finds_nothing_to_object_to(ports: Ports, vendors: Vendors, tmp_path: Path) -> None:
    """Greeting, a question, an answer that is interrupted, keys, hang-up."""
    wav = tmp_path / "question.wav"
    write_wav(wav, ["Where is my order?"], rate=8000)
    question = Say(wav, audio.wav_to_ulaw_frames(wav))
    talk = "We have looked for it everywhere, and it will take a while to tell you all that we found out about it."
    vendors.ears.script(["Where is my order?", "Where is my order?"])
    vendors.mind.reply(talk, "I see.", "Thank you.")
    steps = [
        *(WaitFor("audio", 40), WaitFor("quiet", 40)),
        *(question, WaitFor("audio", 40), Wait(1.0)),
        *(question, WaitFor("clear", 40), Expect("clear"), WaitFor("quiet", 40)),
        *(Dtmf("42#"), Wait(2.0), Hangup()),
    ]
    config = SessionConfig(custom_parameters={"from_number": "+14158675309"}, quiet_period_s=0.5)
    async with exchange(ports, LINE) as it:
        report = await run_scenario(it.socket("/ws/line"), Scenario("a whole call", steps), config=config)
        await until(lambda: it.of(CallEnded), 5)
    assert report.violations == []
    assert report.result.unknown_events == []
    assert report.result.failed_expectations == []
    assert report.exit_code == 0
    assert report.result.clears_received >= 1
    assert report.result.closed_by == "caller"
    assert [said.text for said in it.of(CallerSaid)] == ["Where is my order?", "Where is my order?", "[pressed 42]"]
    assert it.of(AgentSaid)[1].interrupted
    assert it.of(CallEnded)[0].reason == "the caller hung up"
