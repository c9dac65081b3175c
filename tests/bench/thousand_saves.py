"""A thousand random saves, a third of them broken, while calls are on.

Run `python -m tests.bench.thousand_saves [saves] [calls] [seed]`.

No call may end, each goes through growing versions, the last good file answers in all of them, and the process is not larger than
it was when it had warmed up.
"""

# ruff: noqa: ASYNC240 (a line of /proc)
from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.many_calls import Calls, vendors
from tests.cloud.vendors import KEYS, Ports
from tests.emulators import until
from tests.live.test_saves_during_a_call import GOOD, Desk
from tests.running import Running, free_port

LAST = 9999


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the saves. good, bad: how many were made. versions: the last of each call. megabytes: of the process, when
    it had warmed up and at the end."""

    good: int
    bad: int
    versions: tuple[int, ...]
    megabytes: tuple[float, float]

    @property
    def growth(self) -> float:
        return self.megabytes[1] / self.megabytes[0] - 1


async def save_and_save(folder: Path, *, saves: int, calls: int, seed: int, warm_up: int) -> Outcome:
    """Raises AssertionError for a call that ends, versions that do not grow, or a last good file that does not answer."""
    desk = Desk(folder / "shop.yaml", random.Random(seed))
    desk.file.write_text(GOOD[1].format(n="0000", m=0))
    ports, port = Ports.free(), free_port()
    arguments = ["--no-browser", "--port", str(port), *ports.arguments]
    with Running(desk.file, *arguments, cwd=folder, env=KEYS) as running:
        async with vendors(ports, port) as held:
            await asyncio.to_thread(running.wait_for, "ready", seconds=60)
            await held.ring(calls, "shop")
            good = await _go_on(desk, held, running, 0, warm_up)
            before = await _megabytes(running)
            good += await _go_on(desk, held, running, warm_up, saves)
            await asyncio.to_thread(desk.good, LAST, GOOD[1])
            await _all_answer(held, running)
            after = await _megabytes(running)
            for talker in held.talkers:
                assert talker.versions == sorted(set(talker.versions)), talker.versions
            last = tuple(talker.versions[-1] for talker in held.talkers)
            assert len(set(last)) == 1, last
            return Outcome(good, saves - good, last, (before, after))


async def _go_on(desk: Desk, held: Calls, running: Running, start: int, end: int) -> int:
    """Saves number `start` + 1 to `end`. Returns how many were good."""
    good, chance = 0, desk.chance
    for number in range(start + 1, end + 1):
        is_good = chance.random() >= 1 / 3
        good += is_good
        await asyncio.to_thread(desk.good if is_good else desk.bad, number)
        if chance.random() < 0.1:
            await chance.choice(held.talkers).type(f"Remark {number}.")
        await asyncio.sleep(chance.choice([0, 0.02, 0.08, 0.2]))
        _lives(held, running, f"save {number}, by {desk.saved[-1]}")
    return good


def _lives(held: Calls, running: Running, what: str) -> None:
    assert running.process.poll() is None, running.output
    assert all(talker.closed is None for talker in held.talkers), f"{what} ended a call. {running.output[-2000:]}"
    assert "Sorry" not in running.output, running.output[-3000:]
    assert "Traceback" not in running.output, running.output[-3000:]


async def _all_answer(held: Calls, running: Running) -> None:
    """Until the model is asked as the last good file says, in every call."""
    for number, talker in enumerate(held.talkers):
        for attempt in range(100):
            text = f"Question {attempt} of caller {number}."
            await talker.type(text)
            await until(lambda text=text: _asked(held, text), 10)
            if f"You are number {LAST}." in _asked(held, text)[-1]:
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError(f"the last good file does not answer in call {number}. {running.output[-2000:]}")


def _asked(held: Calls, text: str) -> list[str]:
    """The system instruction of every request that ends with what the caller typed."""
    return [r.system for r in held.mind.requests[-50:] if any(text in str(m.get("content")) for m in r.messages)]


async def _megabytes(running: Running) -> float:
    """How much memory the process holds, the median of some looks at rest."""
    seen: list[float] = []
    for _ in range(7):
        await asyncio.sleep(0.3)
        status = Path(f"/proc/{running.process.pid}/status").read_text()
        seen.append(int(status.partition("VmRSS:")[2].split()[0]) / 1024)
    return median(seen)


def main() -> int:
    numbers = [int(argument) for argument in sys.argv[1:]]
    saves, calls, seed = (*numbers, *(1000, 10, random.randrange(10**6))[len(numbers) :])
    print(f"{saves} saves, {calls} calls, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        found = asyncio.run(
            save_and_save(Path(name), saves=saves, calls=calls, seed=seed, warm_up=min(100, saves // 3))
        )
    before, after = found.megabytes
    print(f"{found.good} good, {found.bad} broken; every call lives, in version {found.versions[0]}")
    print(f"memory {before:.1f} MB after the first saves, {after:.1f} MB at the end: {found.growth:+.1%} (bar 5 %)")
    return 0 if found.growth <= 0.05 else 1


if __name__ == "__main__":
    sys.exit(main())
