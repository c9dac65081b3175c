"""How much a caller must say before the agent stops, in both turn modes; and when the agent does not listen at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runner.compiler.turns.barge_in import count_words
from tests.caller import Caller
from tests.cloud.vendors import Vendors

Call = Callable[[str], Caller]

STORY = (
    "Well, let me tell you a long story about the river and the mill, and about the man who lived there for many years."
)
MODES = ("listeners", "vendor_listeners")


@pytest.fixture
def seconds_a_character() -> float:
    """As slow as a person, so that there is something to cut off."""
    return 0.06


def cancels(vendors: Vendors) -> int:
    return sum(bool(m.body.get("cancel")) for session in vendors.voice.sessions for m in session.received)


def said(vendors: Vendors) -> list[str]:
    """What the model was told that the caller said, by request."""
    return [str(request.messages[-1]["content"]) for request in vendors.mind.requests]


async def let_it_talk(caller: Caller, vendors: Vendors) -> None:
    """The agent tells a story at the speed of speech."""
    vendors.voice.real_time_factor = 0.9
    vendors.mind.reply(STORY, "All right.", "All right.")
    await caller.send_text("Tell me a story.")
    await caller.wait_for_agent_sound()


async def test_one_word_does_not_stop_the_agent_and_two_do(call: Call, vendors: Vendors) -> None:
    async with call("by_words") as caller:
        await let_it_talk(caller, vendors)
        await vendors.hear(caller, "Really?")
        await caller.wait_until(lambda: vendors.ears.session.finals == ["Really?"], "the end of the word")
        assert cancels(vendors) == 0
        await vendors.hear(caller, "Stop there please.")
        await caller.wait_until(lambda: cancels(vendors), "the cancel of the agent's voice")
        await caller.wait_until(lambda: len(vendors.mind.requests) == 2, "the answer to the cut")
    assert said(vendors) == ["Tell me a story.", "Stop there please."], "the single word is not answered either"


@pytest.mark.parametrize("agent", MODES)
async def test_what_only_shows_listening_is_overheard_while_the_agent_speaks(
    agent: str, call: Call, vendors: Vendors
) -> None:
    async with call(agent) as caller:
        await let_it_talk(caller, vendors)
        await vendors.hear(caller, "I see.")
        await caller.wait_until(lambda: vendors.ears.session.finals == ["I see."], "the end of the murmur")
        assert cancels(vendors) == 0
        await vendors.hear(caller, "Yeah, I want a refund.")
        await caller.wait_until(lambda: cancels(vendors), "the cancel of the agent's voice")
        await caller.wait_until(lambda: len(vendors.mind.requests) == 2, "the answer to the cut")
    assert said(vendors) == ["Tell me a story.", "Yeah, I want a refund."]


@pytest.mark.parametrize("agent", MODES)
async def test_the_same_words_are_an_answer_while_the_agent_is_silent(agent: str, call: Call, vendors: Vendors) -> None:
    vendors.mind.reply("Is that right?", "Good.")
    async with call(agent) as caller:
        await caller.send_text("Ask me.")
        await caller.wait_for_agent_words("Is that right?")
        await caller.wait_for_silence()
        await vendors.hear(caller, "Yeah.")
        await caller.wait_for_agent_words("Good.")
    assert said(vendors) == ["Ask me.", "Yeah."]


async def test_nothing_is_heard_while_the_agent_greets_and_all_is_afterwards(call: Call, vendors: Vendors) -> None:
    vendors.voice.real_time_factor = 0.9
    vendors.mind.reply("I see.")
    async with call("deaf_at_first") as caller:
        await caller.wait_for_agent_sound()
        await vendors.hear(caller, "I want a refund.")
        await caller.wait_for_agent_words("How can I help?")
        await caller.wait_for_silence()
        assert vendors.mind.requests == []
        await vendors.hear(caller, "I want to complain.")
        await caller.wait_for_agent_words("I see.")
    assert cancels(vendors) == 0
    assert said(vendors) == ["I want to complain."]


IGNORED = (("mhm",), ("yeah",), ("i", "see"), ("uh", "huh"))


@pytest.mark.parametrize(
    ("text", "unfinished", "counted"),
    [
        ("Mhm.", False, 0),
        ("YEAH, yeah... mhm!", False, 0),
        ("I see.", False, 0),
        ("Uh-huh.", False, 0),
        ("I", True, 0),
        ("I s", True, 0),
        ("I s", False, 2),
        ("ye", True, 0),
        ("ye", False, 1),
        ("I want", True, 2),
        ("Yeah, I want a refund.", False, 4),
        ("mhm I see the problem", False, 2),
        ("", True, 0),
        ("...", False, 0),
        ("don't", False, 1),
        ("Ja, ähm, 12.", False, 3),
    ],
)
def test_words_are_counted_without_those_that_only_show_listening(text: str, unfinished: bool, counted: int) -> None:
    assert count_words(text, IGNORED, unfinished=unfinished) == counted
