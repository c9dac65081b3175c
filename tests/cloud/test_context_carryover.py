"""What the agent says helps the ear to understand the answer: by itself, from the greeting on."""

from __future__ import annotations

from collections.abc import Callable

from tests.caller import Caller
from tests.cloud.vendors import Vendors
from tests.emulators import until

Call = Callable[[str], Caller]

GREETING = "This is Northwind. What is your order number?"


def contexts(vendors: Vendors) -> list[str]:
    """What the open session was told of the agent's words after it began."""
    return [m.body["agent_context"] for m in vendors.ears.session.updates if "agent_context" in m.body]


async def test_greeting_is_known_before_the_caller_says_a_word(call: Call, vendors: Vendors) -> None:
    async with call("carryover") as caller:
        await caller.wait_for_stage("talk")
        assert vendors.ears.session.query["agent_context"] == GREETING


async def test_every_answer_of_the_agent_follows_as_one_message(call: Call, vendors: Vendors) -> None:
    async with call("carryover") as caller:
        await caller.wait_for_agent_words("What is your order number?")
        await caller.wait_for_silence()
        for answer in ("Which colour?", "Red it is. Thank you."):
            vendors.mind.reply(answer)
            told = len(contexts(vendors))
            await vendors.hear(caller, "Well.")
            await caller.wait_for_agent_words(answer)
            await until(lambda told=told: len(contexts(vendors)) > told)
            assert contexts(vendors)[told:] == [answer]
    assert vendors.ears.handshakes == 1


async def test_new_connection_carries_what_was_said_last(call: Call, vendors: Vendors) -> None:
    async with call("carryover") as caller:
        await caller.wait_for_silence()
        vendors.mind.reply("Which colour?")
        await vendors.hear(caller, "Well.")
        await caller.wait_for_agent_words("Which colour?")
        await until(lambda: "Which colour?" in contexts(vendors))
        vendors.ears.session.drop()
        await until(lambda: len(vendors.ears.sessions) == 2)
        assert vendors.ears.session.query["agent_context"] == "Which colour?"


async def test_stage_says_itself_what_the_ear_should_know(call: Call, vendors: Vendors) -> None:
    async with call("carryover") as caller:
        await caller.wait_for_stage("talk")
        await caller.wait_for_silence()
        vendors.mind.call_tool("go_to_spell")
        vendors.mind.reply("Your name, please?")
        await caller.send_text("Go on.")
        await caller.wait_for_agent_words("Your name, please?")
        assert "Please spell your last name, letter by letter." in contexts(vendors)
        vendors.mind.call_tool("go_to_talk")
        vendors.mind.reply("Thank you.")
        await caller.send_text("Done.")
        await caller.wait_for_agent_words("Thank you.")
        await until(lambda: contexts(vendors)[-1] == "Thank you.")
    assert vendors.ears.handshakes == 1
    assert contexts(vendors).count(GREETING) <= 1, "what opened the call does not come back with a stage"


async def test_nothing_is_carried_where_the_file_says_so(call: Call, vendors: Vendors) -> None:
    vendors.mind.reply("Which colour?")
    async with call("carries_nothing") as caller:
        await caller.wait_for_silence()
        await vendors.hear(caller, "Well.")
        await caller.wait_for_agent_words("Which colour?")
        await caller.wait_for_silence()
    assert "agent_context" not in vendors.ears.session.query
    assert contexts(vendors) == []


async def test_words_of_the_file_go_before_the_greeting(call: Call, vendors: Vendors) -> None:
    async with call("carries_its_own") as caller:
        await caller.wait_for_agent_words("Hello there.")
    assert vendors.ears.session.query["agent_context"] == "The caller gives an order number."
