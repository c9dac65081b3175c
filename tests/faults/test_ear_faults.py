"""The ear's vendor fails, whole calls go on: what the caller heard, whether the call lived, what people were told.

A table: when, what happens, whether the call still hears, and a part of the message. In each row the caller says two sentences.
Where the call still hears, both are written down once and answered; else it says goodbye and ends, within ten seconds of the
first. The rows of one moment are played at the same time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runner.compiler.turns import taking as turn_taking
from runner.definition import OnTrouble
from tests.cloud.vendors import KEYS
from tests.emulators import AssemblyAIEmulator, OpenAIEmulator, sound, until
from tests.emulators.assemblyai import AssemblyAISession
from tests.emulators.hearing import Timeline
from tests.emulators.loudness import Loudness
from tests.faults.faulty_call import faulty_call
from tests.faults.two_sentences import FIRST, SECOND, counted, load_voice, say_first, say_second, written

FILE = "turns: {{smart_turn: false, speech_timeout: 0.4}}\nllm: {{timeout: 5s}}\nstt: {{min_turn_silence: 400{}}}\n"
"""The voice of the tests breathes between words; the emulated ear shall not take that for an end."""

TOO_MANY = "Unauthorized Connection: Too many concurrent sessions"
CANCELLED = "Session Cancelled: An error occurred"
KEY = "Unauthorized Connection: Invalid API key"
LATE = "no session has begun yet"
"""People are told so where a machine is busy."""

pytestmark = pytest.mark.alone

Breaks = Callable[[AssemblyAIEmulator], object]


@dataclass(frozen=True)
class Row:
    """what: the fault. breaks: makes it. hears: whether the call does, after it. told: a part of what people are told, "" when
    nothing needs telling. stt: what the agent file says more."""

    what: str
    breaks: Breaks
    hears: bool
    told: str = ""
    endpoint: str = ""
    stt: str = ""


@dataclass
class Outcome:
    """heard: what the agent said. written: what it understood. silence: from the caller's first word's end to the first sound."""

    row: Row
    heard: list[str] = field(default_factory=list[str])
    written: list[str] = field(default_factory=list[str])
    told: list[str] = field(default_factory=list[str])
    reason: str | None = None
    silence: float = 0.0

    @property
    def wrong(self) -> list[str]:
        """What is not as the row says."""
        row, found = self.row, list[str]()
        if row.hears:
            if self.reason:
                found.append(f"ended: {self.reason}")
            if " ".join(self.written) != f"{FIRST} {SECOND}":
                found.append(f"understood {self.written}")
            if self.heard[-1:] != ["You said two things."]:
                found.append(f"heard {self.heard}")
        else:
            if not (self.reason or "").startswith("the agent cannot hear any more: "):
                found.append(f"ended: {self.reason}")
            if not self.heard or self.heard[-1] != OnTrouble().goodbye:
                found.append(f"heard {self.heard}")
        if self.silence > 10:
            found.append(f"silent for {self.silence:.1f} s")
        if row.told and not [line for line in self.told if row.told in line]:
            found.append(f"told {self.told}")
        if not row.told and self.told:
            found.append(f"told {self.told}, and nothing had to be")
        return found

    def __str__(self) -> str:
        lived = "lived" if self.reason is None else "ended"
        return (
            f"{self.row.what}: {lived}, {self.silence:.1f} s, heard {self.heard}, told {self.told} {self.wrong or ''}"
        )


async def played(row: Row, folder: Path, moment: str, building: asyncio.Lock) -> Outcome:
    """One call. moment: `before`, `during` or `after` the caller's first sentence. building: of one call at a time."""
    ears = AssemblyAIEmulator(key=KEYS["ASSEMBLYAI_API_KEY"])
    timeline = ears.timeline = Timeline([], [])
    ears.final_delay = 0.3
    mind = OpenAIEmulator(key=KEYS["OPENAI_API_KEY"], answer=counted)
    endpoints = {"stt": row.endpoint} if row.endpoint else None
    outcome = Outcome(row)
    if moment == "before":
        await _broken(row, ears)
    async with AsyncExitStack() as stack:
        async with building:
            made = faulty_call(folder, FILE.format(row.stt), ears=ears, mind=mind, lines=False, endpoints=endpoints)
            call = await stack.enter_async_context(made)
        if moment != "before":
            await until(lambda: ears.sessions and ears.session.sent, 20)
        speaking = asyncio.create_task(say_first(call, timeline))
        if moment == "during":
            await asyncio.sleep(0.7)
            await _broken(row, ears)
        ended = await speaking
        if moment == "after":
            await _broken(row, ears)
        await until(lambda: call.said or call.reason, 25)
        voiced = call.line.loudspeaker.voiced
        outcome.silence = max(0.0, voiced[0][0] - ended) if voiced else time.monotonic() - ended
        if row.hears and not call.reason:
            await say_second(call, timeline)
            await until(lambda: "two things" in " ".join(call.said) or call.reason, 25)
        else:
            await until(lambda: call.reason, 25)
        outcome.heard, outcome.reason = list(call.said), call.reason
        outcome.told = [line for line in call.problems if LATE not in line]
        outcome.written = written(call)
    return outcome


async def _broken(row: Row, ears: AssemblyAIEmulator) -> None:
    made = row.breaks(ears)
    if isinstance(made, Awaitable):
        await made


async def table(rows: list[Row], moment: str, folder: Path) -> None:
    """Play all rows; what is not as it should be is shown with its row."""
    load_voice()
    building = asyncio.Lock()
    outcomes = await asyncio.gather(*(played(row, folder, moment, building) for row in rows))
    print("\n".join(map(str, outcomes)))
    assert not [str(outcome) for outcome in outcomes if outcome.wrong]


@pytest.fixture(autouse=True)
def many_calls_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "SECONDS_A_CHARACTER", 0.01)
    monkeypatch.setattr(turn_taking, "SteadyVAD", Loudness)


# What breaks


def session(act: Callable[[AssemblyAISession], object]) -> Breaks:
    """Something that happens to the session that hears the caller."""
    return lambda ears: act(ears.session)


def tampered(tamper: Callable[[dict[str, Any]], list[dict[str, Any] | str]]) -> Breaks:
    """What the session says from now on is changed on its way."""
    return lambda ears: setattr(ears.session, "tamper", lambda _, body: tamper(body))


def hanging(ears: AssemblyAIEmulator) -> None:
    ears.session.hangs = True


def always_silent(ears: AssemblyAIEmulator) -> None:
    """Sessions begin, and then nothing comes."""
    ears.tamper = lambda _, body: [body] if body["type"] == "Begin" else []
    ears.termination_delay = None
    for each in ears.sessions:
        each.hangs = True


def set_to(**values: object) -> Breaks:
    def act(ears: AssemblyAIEmulator) -> None:
        for name, value in values.items():
            setattr(ears, name, value)

    return act


def is_final(body: dict[str, Any]) -> bool:
    return bool(body.get("end_of_turn"))


def final_first() -> Breaks:
    """Words that are growing come after the end of their turn."""
    held: list[dict[str, Any] | str] = []

    def turned_round(body: dict[str, Any]) -> list[dict[str, Any] | str]:
        if body["type"] == "Turn" and not is_final(body):
            held.append(body)
            return []
        return [body, *held] if is_final(body) else [body]

    return tampered(turned_round)


BEFORE = [
    Row("wrong key", set_to(key="another"), False, f"does not accept the key: {KEY}. Check ASSEMBLYAI_API_KEY"),
    Row(
        "nothing on the account",
        lambda ears: ears.refuse_sessions(1008, "Unauthorized Connection: Insufficient account balance", None),
        False,
        "has nothing left on the account of ASSEMBLYAI_API_KEY: Unauthorized Connection: Insufficient",
    ),
    Row("too many sessions, once", lambda ears: ears.refuse_sessions(1008, TOO_MANY), True, TOO_MANY),
    Row("too many sessions (3009)", lambda ears: ears.refuse_sessions(3009, TOO_MANY, None), False, TOO_MANY),
    Row(
        "a setting that the vendor refuses",
        lambda ears: ears.refuse_sessions(3006, "User Input Validation Error: Invalid 'keyterms_prompt': no", None),
        False,
        "Invalid 'keyterms_prompt': no. Check stt.keyterms, which the agent file does not set.",
    ),
    Row("HTTP 401", lambda ears: ears.refuse_handshakes(401, None), False, "Check ASSEMBLYAI_API_KEY"),
    Row("HTTP 403", lambda ears: ears.refuse_handshakes(403, None), False, "does not allow this"),
    Row("HTTP 404", lambda ears: ears.refuse_handshakes(404, None), False, "Check stt.endpoint, which the agent"),
    Row("HTTP 429, once", lambda ears: ears.refuse_handshakes(429), True, "(HTTP 429)"),
    Row("HTTP 500, always", lambda ears: ears.refuse_handshakes(500, None), False, "a fault of its own"),
    Row("internal error (1011), once", lambda ears: ears.refuse_sessions(1011, "Internal"), True, "Internal. Another"),
    Row("no answer to the connection", set_to(connect_delay=60.0), False, "no answer to the connection"),
    Row("no Begin", set_to(begin_delay=60.0), False, "did not begin"),
    Row("sessions that say nothing", always_silent, False, "it sent nothing although the caller spoke"),
    Row("nobody listens", lambda _: None, False, "Connect call failed", endpoint="ws://127.0.0.1:9/v3/ws"),
    Row("no such name", lambda _: None, False, "Check the network", endpoint="ws://nobody.invalid:80/v3/ws"),
]

DURING = [
    Row("the connection drops", session(AssemblyAISession.drop), True),
    Row("closed, 1000", session(lambda s: s.close(1000)), True),
    Row("closed, 1011", session(lambda s: s.close(1011)), True, "The server has an internal error, code 1011."),
    Row("closed, 3008", session(lambda s: s.close(3008)), True, "Session Expired"),
    Row("Error 3005", session(lambda s: s.fail(3005, CANCELLED)), True, f"a fault of its own: {CANCELLED}. Another"),
    Row(
        "Error 3006", session(lambda s: s.fail(3006, "User Input Validation Error: Invalid JSON")), True, "Invalid JSON"
    ),
    Row("Error 3007", session(lambda s: s.fail(3007, "Audio Transmission Rate Exceeded")), True, "Rate Exceeded"),
    Row("Error 3009", session(lambda s: s.fail(3009, TOO_MANY)), True, TOO_MANY),
    Row("Error 1008", session(lambda s: s.fail(1008, KEY)), False, "does not accept the key"),
    Row("it falls silent", hanging, True, "it sent nothing although the caller spoke. Another connection"),
    Row("it falls silent for good", always_silent, False, "it sent nothing although the caller spoke"),
    Row("no message", session(lambda s: s.say_text("%%%")), True, "It sent what nobody can read: %%%"),
    Row("half a message", session(lambda s: s.say_text('{"type": "Turn", "tr')), True, "nobody can read"),
    Row("a message with nothing in it", session(lambda s: s.say({"type": "Turn"})), True, "nobody can read"),
    Row("a message of 2 MB", session(lambda s: s.say_text(f'"{"x" * 2_000_000}"')), True),
    Row("unknown messages", session(lambda s: (s.say({"type": "New"}), s.say({"type": "Heartbeat"}))), True),
    Row("a warning", session(lambda s: s.warn("Slow down")), True),
    Row(
        "reconnect_on_error is off",
        session(AssemblyAISession.drop),
        False,
        "stt.reconnect_on_error is off",
        stt=", reconnect_on_error: false",
    ),
]

AFTER = [
    Row("the connection drops", session(AssemblyAISession.drop), True),
    Row("Error 3005", session(lambda s: s.fail(3005, CANCELLED)), True, CANCELLED),
    Row("it falls silent", hanging, True, "it sent nothing although the caller spoke"),
    Row(
        "the last words are cut", tampered(lambda b: ['{"type": "Tu'] if is_final(b) else [b]), True, "nobody can read"
    ),
    Row("the last words come twice", tampered(lambda b: [b, b]), True),
    Row("the last words come first", final_first(), True),
    Row("the last words are late", set_to(final_delay=1.6), True),
    Row("the last words are very late", set_to(final_delay=3.0), True),
    Row(
        "the connection drops and 503 twice",
        lambda ears: (ears.refuse_handshakes(503, 2), ears.session.drop()),
        True,
        "(HTTP 503)",
    ),
]


async def test_vendor_that_cannot_be_had_when_the_call_begins(tmp_path: Path) -> None:
    await table(BEFORE, "before", tmp_path)


async def test_vendor_that_fails_while_the_caller_speaks(tmp_path: Path) -> None:
    await table(DURING, "during", tmp_path)


async def test_vendor_that_fails_before_it_has_said_the_last_words(tmp_path: Path) -> None:
    await table(AFTER, "after", tmp_path)
