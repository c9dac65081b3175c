"""How calls end: after the last word was heard, when the caller is silent, when the time is up; and that each says why."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pipecat.frames.frames import ErrorFrame, Frame
from pipecat.processors.frameworks.rtvi.frames import RTVIServerMessageFrame
from pipecat.utils.errors import ErrorCategory

from runner.definition import Limits
from runner.events import CallEnded, CallerSaid
from runner.terminal import Terminal
from tests.caller import Caller
from tests.cloud.vendors import Vendors
from tests.emulators import AssemblyAIEmulator, CartesiaEmulator, OpenAIEmulator, until
from tests.emulators import sound as sound_of_emulators
from tests.faults.faulty_call import FaultyCall, faulty_call
from tests.running import Running
from tests.speech import speak

LONG = "I want to send back the blue shoes that I have bought on Monday."
GOODBYE = "Thank you for calling us, and have a very nice day."
SAID = f"say: {GOODBYE}"
MADE = "prompt: Say goodbye."
STAGES = """
stages:
  talk:
    prompt: Talk.
    next:
      - when: The caller is done
        to: bye
  bye:
    {bye}
    end: true
"""
BYE = "the agent ended it (stage bye)"


@pytest.fixture(autouse=True)
def quick_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three times as quick as a person."""
    monkeypatch.setattr(sound_of_emulators, "SECONDS_A_CHARACTER", 0.02)


def told_page(call: FaultyCall) -> list[str]:
    """The reasons for the end that the page gets, as they come."""
    reasons: list[str] = []

    @call.line.loudspeaker.event_handler("on_before_process_frame")
    async def passes(_: object, frame: Frame) -> None:
        if isinstance(frame, RTVIServerMessageFrame) and frame.data.get("type") == "end":
            reasons.append(frame.data["reason"])

    return reasons


def seconds_of_goodbye(call: FaultyCall) -> float:
    """How long the voice took for its last words."""
    return max(list(call.voice.session.contexts.values()), key=lambda context: context.opened_at).spoken_seconds


async def leave(call: FaultyCall) -> None:
    """The caller is done, and the model enters the last stage."""
    call.mind.call_tool("go_to_bye")
    call.mind.reply(GOODBYE)
    await call.ask("I am done.")


@pytest.mark.parametrize("bye", [SAID, MADE])
async def test_call_ends_after_its_last_word_was_heard(tmp_path: Path, bye: str) -> None:
    async with faulty_call(tmp_path, STAGES.format(bye=bye)) as call:
        page = told_page(call)
        await leave(call)
        await call.until_over()
        over = time.monotonic()
        assert (call.reason, page, call.said) == (BYE, [BYE], [GOODBYE])
        assert call.sound >= 0.8 * seconds_of_goodbye(call) > 0.5
        at, length = call.line.loudspeaker.voiced[-1]
        assert over >= at + length, "it was played out"


@pytest.mark.parametrize("bye", [SAID, MADE])
async def test_caller_who_speaks_during_the_goodbye_neither_cuts_nor_keeps_it(tmp_path: Path, bye: str) -> None:
    ears = AssemblyAIEmulator()
    ears.script(["Wait, I have another question.", "Are you still there?"])
    sound = speak("Wait, I have another question.")
    async with faulty_call(tmp_path, STAGES.format(bye=bye), ears=ears) as call:
        await leave(call)
        await until(lambda: call.sound > 0.1)
        speaking = asyncio.create_task(call.line.microphone.speak(sound))
        await call.until_over()
        speaking.cancel()
        assert (call.reason, call.said) == (BYE, [GOODBYE])
        assert call.sound >= 0.8 * seconds_of_goodbye(call)
        assert len(call.mind.requests) == (1 if bye == SAID else 2), "nobody answers into the goodbye"


@pytest.mark.parametrize("fault", ["the model says nothing", "the voice is out of order"])
async def test_call_whose_last_words_fail_ends_all_the_same(tmp_path: Path, fault: str) -> None:
    voice = CartesiaEmulator()
    async with faulty_call(
        tmp_path, STAGES.format(bye=SAID if "voice" in fault else MADE), voice=voice, lines=False
    ) as call:
        call.mind.call_tool("go_to_bye")
        if "voice" in fault:
            voice.fail(times=None)
        else:
            call.mind.reply("")
        await call.ask("I am done.")
        await call.until_over()
        assert call.reason == BYE


async def test_first_stage_may_be_the_last_one(tmp_path: Path) -> None:
    closed = "greeting: We are closed today. Goodbye.\nstages:\n  closed:\n    prompt: Say nothing.\n    end: true\n"
    async with faulty_call(tmp_path, closed, lines=False) as call:
        await call.until_over()
        assert (call.reason, call.said) == ("the agent ended it (stage closed)", ["We are closed today. Goodbye."])


async def test_browser_has_heard_all_when_its_connection_ends(
    call: Callable[[str], Caller], vendors: Vendors, running: Running
) -> None:
    begun = len(running.lines)
    vendors.mind.call_tool("go_to_bye")
    async with call("says_goodbye") as caller:
        await caller.send_text("I am done.")
        await caller.wait_for_agent_words(GOODBYE)
        await caller.wait_for_end()
        voice = [heard for heard in caller.sound if heard.is_voiced]
        played = voice[0].at + sum(heard.seconds for heard in caller.sound[: caller.sound.index(voice[-1]) + 1])
        assert caller.closed_at > played, "a loudspeaker has played it out"
        assert [data["reason"] for data in caller.told("end")] == [BYE]
        running.wait_for(f"call ended: {BYE}", after=begun)


IDLE = """
turns:
  idle:
    after: 1s
    say: Are you there?
    tries: 2
    goodbye: Then goodbye.
"""


async def test_idle_prompts_say_goodbye_and_never_speak_while_the_caller_waits(tmp_path: Path) -> None:
    mind = OpenAIEmulator()
    mind.first_delay = 1.6
    answer = "This answer was long in coming, and it also takes more than a second to be said."
    mind.reply(answer)
    async with faulty_call(tmp_path, f"greeting: Hello.\n{IDLE}", mind=mind, lines=False) as call:
        page = told_page(call)
        await call.until_said("Hello.")
        await call.ask("Think it over.")
        await call.until_said("to be said.")
        assert call.said == ["Hello.", answer], (
            "typed words, the model's thinking and the agent's own voice are no silence"
        )
        await call.until_over()
        assert " ".join(call.said[2:]) == "Are you there? Are you there? Then goodbye."
        assert call.reason == "the caller said nothing any more (turns.idle)"
        assert page == [call.reason]


async def test_silence_in_which_nobody_listens_does_not_count(tmp_path: Path) -> None:
    async with faulty_call(tmp_path, f"greeting: Hello.\n{IDLE}", lines=False) as call:
        await call.until_said("Hello.")
        call.call.nobody_listens = True
        await asyncio.sleep(1.6)
        assert call.said == ["Hello."]
        await call.call.go_on(1.6)
        back = time.monotonic()
        await call.until_said("Are you there?")
        assert time.monotonic() - back > 0.9, "it counts from the return"
        assert call.call.worker._idle_timeout_secs is None, "Pipecat's own end of a silent call, after 300 s, is off"


def limited(call: FaultyCall, **limits: object) -> None:
    """Other limits than the file may have: shorter ones."""
    agent = call.call.conversation.agent
    asyncio.get_running_loop().create_task(
        call.call.take_version(replace(agent, limits=Limits(**limits)), 2)  # type: ignore[arg-type]
    )


async def test_warning_waits_for_the_callers_turn_and_the_goodbye_is_heard(tmp_path: Path) -> None:
    ears = AssemblyAIEmulator()
    ears.script([LONG])
    sound = speak(LONG)
    async with faulty_call(tmp_path, lines=False, ears=ears) as call:
        call.mind.reply("I see.")
        spoken = len(sound) / 16_000
        limited(
            call, max_call=spoken + 2, warn_before=1.5 + spoken / 2, warning="Time is short.", goodbye="Time is up."
        )
        ended = await call.line.microphone.speak(sound)
        await call.until_said("Time is short.")
        assert call.line.loudspeaker.voiced[0][0] > ended, "nobody spoke into the caller's turn"
        assert [event.text for event in call.events if isinstance(event, CallerSaid)] == [LONG]
        await call.until_over()
        assert sorted(call.said[:-1]) == ["I see.", "Time is short."] or call.said[0] == "Time is short. I see."
        assert call.said[-1] == "Time is up."
        assert call.reason == "the call reached its longest time (limits.max_call)"


async def test_time_that_is_up_in_mid_sentence_says_goodbye_and_keeps_what_was_heard(tmp_path: Path) -> None:
    ears = AssemblyAIEmulator()
    ears.script([LONG])
    sound = speak(LONG)
    async with faulty_call(tmp_path, lines=False, ears=ears) as call:
        limited(call, max_call=1.2, goodbye="Time is up.")
        speaking = asyncio.create_task(call.line.microphone.speak(sound))
        await call.until_over()
        speaking.cancel()
        assert (call.said, call.mind.requests) == (["Time is up."], [])
        assert call.reason == "the call reached its longest time (limits.max_call)"


async def _has_no_more_money(call: FaultyCall) -> None:
    llm = call.call._compiled.llm
    await llm.push_error_frame(ErrorFrame("You exceeded your quota.", processor=llm, category=ErrorCategory.QUOTA))


async def _is_cancelled(call: FaultyCall) -> None:
    await call.call.cancel("the caller hung up")


async def _is_stopped(call: FaultyCall) -> None:
    await call.call.end("runner was stopped")


async def _waits_in_vain(call: FaultyCall) -> None:
    call.call.await_caller(0.1, "daily.wait_for_caller")


async def _takes_too_long(call: FaultyCall) -> None:
    limited(call, max_call=0.1)


WAYS = [
    (leave, STAGES.format(bye=SAID), True, BYE),
    (_takes_too_long, "", True, "the call reached its longest time (limits.max_call)"),
    (_is_stopped, "", True, "runner was stopped"),
    (_is_cancelled, "", True, "the caller hung up"),
    (_waits_in_vain, "", False, "nobody came within 0.1 s (daily.wait_for_caller)"),
    (_has_no_more_money, "", True, "the agent cannot think any more"),
]
"""What happens, the agent's file, whether the caller is there, and why the call ends. The other ways are shown where they belong:
carriers/ (a carrier's hang-up), live/test_coming_back (a browser that stays away), test_answering_machine, test_cli (Ctrl-C)."""


@pytest.mark.parametrize(("happens", "text", "begin", "reason"), WAYS)
async def test_every_end_says_why_to_the_page_and_in_the_terminal(
    tmp_path: Path, happens: Callable[..., object], text: str, begin: bool, reason: str
) -> None:
    async with faulty_call(tmp_path, text, begin=begin, lines=False) as call:
        page = told_page(call)
        await happens(call)  # type: ignore[misc]
        await call.until_over()
        assert call.reason
        assert call.reason.startswith(reason)
        polite = happens not in (_is_cancelled, _waits_in_vain)
        assert page == ([call.reason] if polite else []), "who is gone is told nothing"
        shown = io.StringIO()
        for event in call.of(CallEnded):
            Terminal(shown).event(1, event)
        assert shown.getvalue().strip().removesuffix(" (version 2)") == f"call ended: {call.reason}"
