"""A stage that hears otherwise: told on the open session, and taken back when the stage is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.caller import Caller
from tests.cloud.vendors import Vendors
from tests.emulators import until
from tests.running import Running
from tests.speech import silence, speak

Call = Callable[[str], Caller]


def told(vendors: Vendors) -> list[dict[str, Any]]:
    """What the stages told the ear, beside what Pipecat tells it of the agent's own words."""
    updates = [{k: v for k, v in m.body.items() if k != "type"} for m in vendors.ears.session.updates]
    return [update for update in updates if update.keys() != {"agent_context"}]


async def go(caller: Caller, vendors: Vendors, stage: str) -> None:
    """The caller types something, and the model enters `stage` and says its name."""
    vendors.mind.call_tool(f"go_to_{stage}")
    vendors.mind.reply(f"This is {stage}.")
    count = len(caller.stages)
    await caller.send_text("Go on.")
    await caller.wait_until(lambda: len(caller.stages) > count, f"stage {stage}")
    await caller.wait_for_agent_words(f"This is {stage}.")


@pytest.mark.parametrize(
    ("stage", "delta", "undone"),
    [
        (
            "part",
            {
                "keyterms_prompt": ["Northwind", "XK seven"],
                "min_turn_silence": 700,
                "max_turn_silence": 700,
                "vad_threshold": 0.5,
            },
            {
                "keyterms_prompt": ["Northwind"],
                "min_turn_silence": 100,
                "max_turn_silence": 100,
                "vad_threshold": 0.3,
            },
        ),
        (
            "email",
            {"min_turn_silence": 3000, "max_turn_silence": 3000},
            {"min_turn_silence": 100, "max_turn_silence": 100},
        ),
        ("only", {"keyterms_prompt": ["Nordwind"]}, {"keyterms_prompt": ["Northwind"]}),
    ],
)
async def test_delta_is_one_message_on_the_same_session_and_is_undone(
    stage: str, delta: dict[str, Any], undone: dict[str, Any], call: Call, vendors: Vendors
) -> None:
    async with call("dictation") as caller:
        await caller.wait_for_stage("talk")
        assert told(vendors) == []
        await go(caller, vendors, stage)
        assert told(vendors) == [delta]
        await go(caller, vendors, "talk")
        assert told(vendors) == [delta, undone]
        assert vendors.ears.handshakes == 1
        assert vendors.ears.session.is_open
    assert vendors.ears.session.configuration.ignored.keys() <= {"formatted_finals", "format_turns"}


async def test_stage_delta_of_assemblyais_own_turn_detection(call: Call, vendors: Vendors) -> None:
    async with call("vendor_turns") as caller:
        await caller.wait_for_stage("talk")
        await until(lambda: vendors.ears.sessions)
        assert vendors.ears.session.query["min_turn_silence"] == "100"
        assert vendors.ears.session.query["max_turn_silence"] == "1000"
        await go(caller, vendors, "email")
        await go(caller, vendors, "talk")
    assert told(vendors) == [
        {"min_turn_silence": 2000, "max_turn_silence": 3000},
        {"min_turn_silence": 100, "max_turn_silence": 1000},
    ]
    assert vendors.ears.handshakes == 1


ADDRESS = ("jane", "at northwind", "dot com.")


async def dictate(caller: Caller, vendors: Vendors) -> tuple[float, float]:
    """An email address with 0.6 s between its pieces. Returns when its sound began and ended."""
    vendors.ears.script([ADDRESS])
    pieces = [speak(piece) for piece in ("Jane.", "At Northwind.", "Dot com.")]
    pause = silence(0.6)
    said = await caller.say_samples(np.concatenate([pieces[0], pause, pieces[1], pause, pieces[2]]))
    return said.began, said.ended


@pytest.mark.parametrize("agent", ["dictation", "vendor_turns"])
async def test_email_with_pauses_is_one_turn_where_the_stage_listens_for_one(
    agent: str, call: Call, vendors: Vendors
) -> None:
    async with call(agent) as caller:
        await caller.wait_for_stage("talk")
        await go(caller, vendors, "email")
        await caller.wait_for_silence()
        vendors.mind.reply("I have written it down.")
        began, ended = await dictate(caller, vendors)
        await caller.wait_for_agent_words("I have written it down.")
    forced = [m.at for m in vendors.ears.session.of_type("ForceEndpoint")]
    assert not [at for at in forced if began <= at <= ended], "a pause inside the address is no end"
    assert vendors.ears.session.finals == [" ".join(ADDRESS)]
    assert vendors.mind.request.messages[-1] == {"role": "user", "content": " ".join(ADDRESS)}
    assert len(forced) == 1, "asked for the end once, because it sounds complete"


async def test_same_pauses_cut_the_address_where_nobody_listens_for_one(call: Call, vendors: Vendors) -> None:
    """What the test above would see if `listen_for` did nothing."""
    async with call("dictation") as caller:
        await caller.wait_for_stage("talk")
        began, ended = await dictate(caller, vendors)
        await until(lambda: vendors.mind.requests)
    assert [m for m in vendors.ears.session.of_type("ForceEndpoint") if began <= m.at <= ended]
    assert vendors.ears.session.finals != [" ".join(ADDRESS)]


async def test_pipecat_ends_turns_with_a_force_endpoint(call: Call, vendors: Vendors) -> None:
    vendors.mind.reply("I see.")
    async with call("dictation") as caller:
        await caller.wait_for_stage("talk")
        said = await vendors.hear(caller, "I want my money back.")
        await caller.wait_for_agent_words("I see.")
    (forced,) = vendors.ears.session.of_type("ForceEndpoint")
    assert forced.at > said.ended
    assert vendors.mind.requests[0].messages[-1] == {"role": "user", "content": "I want my money back."}


async def test_assemblyai_ends_turns_by_itself(call: Call, vendors: Vendors) -> None:
    vendors.mind.reply("I see.")
    async with call("vendor_turns") as caller:
        await caller.wait_for_stage("talk")
        await vendors.hear(caller, "I want my money back.")
        await caller.wait_for_agent_words("I see.")
        ended = next(m.at for m in vendors.ears.session.sent if m.body.get("end_of_turn"))
    assert vendors.ears.session.of_type("ForceEndpoint") == []
    (request,) = vendors.mind.requests
    assert request.at > ended
    assert request.messages[-1] == {"role": "user", "content": "I want my money back."}


async def test_stage_that_needs_another_session_gets_one_and_gives_it_back(call: Call, vendors: Vendors) -> None:
    async with call("refused") as caller:
        await caller.wait_for_stage("talk")
        await go(caller, vendors, "medical")
        await until(lambda: len(vendors.ears.sessions) == 2 and vendors.ears.sessions[0].terminated_at)
        assert vendors.ears.session.query["domain"] == "medical-v1"
        await go(caller, vendors, "talk")
        await until(lambda: len(vendors.ears.sessions) == 3 and vendors.ears.sessions[1].terminated_at)
        assert "domain" not in vendors.ears.session.query
        assert vendors.ears.session.query["agent_context"] == "This is medical.", "what the agent said goes along"
        assert not [session for session in vendors.ears.sessions if session.audio_after_terminate]


async def test_refused_stage_is_told_on_the_terminal_and_on_the_page_and_the_call_goes_on(
    call: Call, vendors: Vendors, running: Running
) -> None:
    since = len(running.lines)
    async with call("refused") as caller:
        await caller.wait_for_stage("talk")
        await until(lambda: vendors.ears.sessions)
        vendors.ears.refuse_sessions(3006, "User Input Validation Error: Invalid 'domain': not for this account")
        await go(caller, vendors, "medical")
        said = (
            "AssemblyAI refuses the change of domain: User Input Validation Error: Invalid 'domain': not for this account. "
            "Check agents/refused.yaml:16: stages.medical.stt.domain. The call goes on with what it had before."
        )
        await caller.wait_until(lambda: caller.told("problem"), "the problem")
        assert [problem["message"] for problem in caller.told("problem")] == [said]
        await until(lambda: f"[problem] {said}" in running.lines[since:])
        vendors.mind.reply("I hear you.")
        await vendors.hear(caller, "I am still here.")
        await caller.wait_for_agent_words("I hear you.")
        assert vendors.ears.sessions[0].finals == ["I am still here."]
