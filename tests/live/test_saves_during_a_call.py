"""Two hundred saves, good and bad, at random moments and in every way editors save, while a call is on.

The call has to live, every save that is left alone for a moment has to be taken or explained, and the last good version has to
answer at the end. A run is repeated by setting SAVES_SEED to the seed it printed.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runner.document.load import load
from tests.caller import Caller
from tests.cloud.vendors import KEYS, Ports, Vendors, vendors_on
from tests.emulators import OpenAIEmulator, wait_until
from tests.emulators.openai import Request
from tests.live.typed_call import TypedCall
from tests.running import Running, free_port

TAKEN_WITHIN = 10.0
"""Seconds a save that is left alone may take; on a machine with nothing else to do it is a few tenths."""

GOOD = [
    "prompt: You are number {n}.\ngreeting: Hello.\nname: shop\n",
    """prompt: You are number {n}.
greeting: Hello.
name: shop
stages:
  one:
    prompt: First.
    next:
      - when: The caller goes on
        to: two
  two:
    prompt: Second.
    next:
      - when: The caller goes back
        to: back
""",
    """name: shop
prompt: You are number {n}.
greeting: Hello.
stages:
  start:
    prompt: First.
    next:
      - when: The caller goes on
        to: middle
  middle:
    say: Go on.
    prompt: Second.
    next:
      - otherwise: start
""",
    "prompt:\n  file: prompt{m}.md\ngreeting: Hello.\nname: shop\n",
    """prompt: You are number {n}.
greeting: Hello.
name: shop
stt:
  keyterms: [number {n}]
turns:
  idle:
    after: 60s
    say: Are you there?
llm:
  temperature: 0.{m}
tts:
  speed: 1.1
""",
]
BAD: list[str | bytes] = [
    "promt: You are number {n}.\n",
    "prompt: You are number {n}.\nllm:\n\tmodel: gpt-4o\n",
    'prompt: "You are number {n}.\n',
    "prompt: You are number {n}.\nstages:\n  one:\n    prompt: x\n    next:\n      - otherwise: nowhere\n",
    "prompt: You are {{{{ nobody }}}}, number {n}.\n",
    "prompt:\n  file: nowhere{n}.md\n",
    "prompt: You are number {n}.\nname: shop\nname: shop\n",
    "# Nothing but number {n}.\n",
    bytes(range(256)) * 8,
]


@dataclass
class Desk:
    """Somebody who saves: an agent file, and a hand that is as unsteady as `chance`."""

    file: Path
    chance: random.Random
    saved: list[str] = field(default_factory=list)

    def good(self, number: int, text: str | None = None) -> None:
        """Save a good text; a prompt file that it needs is there before."""
        shape = text or self.chance.choice(GOOD)
        (self.file.parent / f"prompt{number % 10}.md").write_text(f"You are number {number:04}.")
        self._save(shape.format(n=f"{number:04}", m=number % 10).encode())

    def bad(self, number: int) -> None:
        """Save a text with something wrong, another one each time: the same text once more is no news."""
        shape = self.chance.choice(BAD)
        self._save(
            shape + str(number).encode() if isinstance(shape, bytes) else shape.format(n=f"{number:04}").encode()
        )

    def _save(self, content: bytes) -> None:
        way = self.chance.choice(WAYS)
        self.saved.append(way.__name__)
        way(self.file, content, self.chance)


def rename(file: Path, content: bytes, _: random.Random) -> None:
    draft = file.with_name("draft~")
    draft.write_bytes(content)
    draft.replace(file)


def write_over(file: Path, content: bytes, chance: random.Random) -> None:
    with file.open("wb") as stream:
        time.sleep(chance.random() * 0.02)
        stream.write(content)


def delete_and_create(file: Path, content: bytes, chance: random.Random) -> None:
    file.unlink()
    time.sleep(chance.random() * 0.05)
    file.write_bytes(content)


def swap_link(file: Path, content: bytes, _: random.Random) -> None:
    target = file.with_name(f"content{time.monotonic_ns()}.txt")
    target.write_bytes(content)
    link = file.with_name("link~")
    link.symlink_to(target.name)
    link.replace(file)


def write_in_pieces(file: Path, content: bytes, chance: random.Random) -> None:
    step = max(1, len(content) // chance.randint(2, 5))
    with file.open("wb", buffering=0) as stream:
        for start in range(0, len(content), step):
            stream.write(content[start : start + step])
            time.sleep(chance.random() * 0.03)


def keep_the_time(file: Path, content: bytes, _: random.Random) -> None:
    status = file.stat()
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


WAYS = [rename, write_over, delete_and_create, swap_link, write_in_pieces, keep_the_time]


@dataclass(frozen=True)
class Held:
    """A call that is on.

    say:    the caller types this.
    verdicts: one True for each save that was taken, one False for each that was explained, in order.
    lives:  raises when the call or the process is over.
    output: all that was printed.
    """

    model: OpenAIEmulator
    say: Callable[[str], None]
    verdicts: Callable[[], list[bool]]
    lives: Callable[[], None]
    output: Callable[[], str]

    def ask(self, text: str) -> Request:
        """The request by which the model was asked about `text`."""
        before = len(self.model.requests)
        self.say(text)
        wait_until(lambda: any(_asks(request, text) for request in self.model.requests[before:]), TAKEN_WITHIN)
        return next(request for request in self.model.requests[before:] if _asks(request, text))


def _asks(request: Request, text: str) -> bool:
    return any(m["role"] == "user" and text in m["content"] for m in request.messages)


def go_through(desk: Desk, call: Held, saves: int) -> None:
    """Save and save; whenever the hand rests for a moment, what was saved last has to have its effect."""
    chance, last_good = desk.chance, 0
    for number in range(1, saves + 1):
        before = len(call.verdicts())
        is_good = chance.random() < 0.6
        (desk.good if is_good else desk.bad)(number)
        if is_good:
            last_good = number
        if chance.random() < 0.1:
            what = f"{'good' if is_good else 'bad'} save {number}, by {desk.saved[-1]}"
            _wait_for_verdict(call, before, is_good, what)
            if is_good:
                _wait_for_answer(call, number, what)
        else:
            if chance.random() < 0.15:
                call.say(f"Remark {number}.")
            time.sleep(chance.choice([0, 0.02, 0.08, 0.2]))
        call.lives()
    before = len(call.verdicts())
    desk.good(9999, GOOD[1])
    _wait_for_verdict(call, before, True, "the last save")
    _wait_for_answer(call, 9999, "the last save")
    assert last_good
    assert set(desk.saved) == {way.__name__ for way in WAYS}
    call.lives()


def _wait_for_verdict(call: Held, before: int, is_good: bool, what: str) -> None:
    """Until the newest verdict, later than number `before`, is the right one about `what`."""
    deadline = time.monotonic() + TAKEN_WITHIN
    while not (len(verdicts := call.verdicts()) > before and verdicts[-1] is is_good):
        assert time.monotonic() < deadline, f"{what} had no effect. {call.output()}"
        time.sleep(0.01)


def _wait_for_answer(call: Held, number: int, what: str) -> None:
    """Until the model is asked as number `number`. The newest verdict may have been about the save before."""
    deadline, asked = time.monotonic() + TAKEN_WITHIN, 0
    while f"You are number {number:04}." not in call.ask(f"Question {number}-{asked}.").system:
        assert time.monotonic() < deadline, f"{what} does not answer. {call.output()}"
        asked += 1


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    seed = int(os.environ.get("SAVES_SEED") or random.randrange(10**6))
    print(f"SAVES_SEED={seed}")
    desk = Desk(tmp_path / "shop.yaml", random.Random(seed))
    desk.file.write_text(GOOD[1].format(n="0000", m=0))
    return desk


@pytest.fixture
def vendors() -> Iterator[tuple[Ports, Vendors]]:
    ports = Ports.free()
    with vendors_on(ports) as running:
        yield ports, running


def test_good_is_good_and_bad_is_bad(desk: Desk) -> None:
    for text in GOOD:
        desk.good(1, text)
        assert load(desk.file).problems == ()
    for text in BAD:
        desk.file.write_bytes(text if isinstance(text, bytes) else text.format(n="1").encode())
        assert load(desk.file).definition is None


@pytest.mark.slow
def test_typed_call_lives_through_saves_of_every_kind(desk: Desk) -> None:
    with OpenAIEmulator().in_thread() as model, TypedCall(desk.file, model) as call:

        def lives() -> None:
            assert call.process.poll() is None, call.output
            assert not call.of("end"), call.output
            assert "Traceback" not in call.output, call.output

        def verdicts() -> list[bool]:
            told = [record["type"] for record in call.records if record["type"] in ("reload", "problem")]
            return [kind == "reload" for kind in told]

        go_through(desk, Held(model, call.type, verdicts, lives, lambda: call.output), 80)
        assert call.hang_up() == 0


@pytest.mark.slow
async def test_spoken_call_lives_through_200_saves_of_every_kind(desk: Desk, vendors: tuple[Ports, Vendors]) -> None:
    ports, their = vendors
    port = free_port()
    arguments = ["--no-browser", "--port", str(port), *ports.arguments]
    with Running(desk.file, *arguments, cwd=desk.file.parent, env=KEYS) as running:
        running.wait_for("ready")
        loop = asyncio.get_running_loop()
        async with Caller(f"ws://127.0.0.1:{port}/ws-client/shop") as caller:
            await caller.wait_for_agent_words("Hello.")

            def say(text: str) -> None:
                asyncio.run_coroutine_threadsafe(caller.send_text(text), loop).result(5)

            def lives() -> None:
                assert running.process.poll() is None, running.output
                assert caller.close_code is None, running.output
                assert "Sorry" not in running.output, running.output

            def verdicts() -> list[bool]:
                told = [line for line in list(running.lines) if line.startswith("[saved]") or " stays in use" in line]
                return [line.startswith("[saved]") for line in told]

            await asyncio.to_thread(
                go_through, desk, Held(their.mind, say, verdicts, lives, lambda: running.output), 200
            )
            last = verdicts().count(True) + 1
            await caller.wait_until(lambda: caller.told("version")[-1]["version"] == last, f"version {last}")
        running.wait_for("call ended: the caller hung up")
        assert "Traceback" not in running.output
