"""How much later a turn is answered when the first model dies, and `fallback` names another one.

Run: python -m tests.bench.fallback [--turns 10]

Each turn is a call of its own: a caller asks, the first model dies 300 ms later in one of several ways, the second one answers
as it would have by itself (its first word after 400 ms). Time runs from the question to the first sound that is heard. Beside it,
the same turn with the second model alone. Allowed: 1.5 s more.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from loguru import logger

from tests.cloud.vendors import KEYS
from tests.emulators import OpenAIEmulator, until
from tests.faults.faulty_call import faulty_call

ALLOWED_SECS = 1.5
DIES_AFTER_SECS = 0.3
FIRST_WORD_SECS = 0.4
ANSWER = "Good morning to you. How are you today?"

Fault = Callable[[OpenAIEmulator], None]
FAULTS: dict[str, Fault | None] = {
    "second model alone": None,
    "first answers 500": lambda mind: mind.fail(500, None),
    "first refuses the key": lambda mind: mind.fail(401, None),
    "first breaks the connection": lambda mind: mind.cut(0, None),
    "first breaks off in a sentence": lambda mind: mind.cut(3, None),
    "first hangs": lambda mind: mind.stall(0, None),
}


async def turn(fault: Fault | None, folder: Path) -> float:
    """Seconds from the question to the first sound."""
    async with OpenAIEmulator(key=KEYS["OPENAI_API_KEY"]) as second:
        second.first_delay = FIRST_WORD_SECS
        second.reply(ANSWER)
        mind = OpenAIEmulator(key=KEYS["OPENAI_API_KEY"])
        mind.first_delay = DIES_AFTER_SECS
        mind.reply(*[ANSWER] * 5)
        if fault:
            fault(mind)
        text = f"llm:\n  fallback:\n    - endpoint: {second.url}\n" if fault else ""
        endpoints = {} if fault else {"llm": second.url}
        async with faulty_call(folder, text, mind=mind, lines=False, endpoints=endpoints) as call:
            await asyncio.sleep(0.3)
            asked = time.monotonic()
            await call.ask()
            await until(lambda: call.line.loudspeaker.voiced, 20)
            return call.line.loudspeaker.voiced[0][0] - asked


async def measure(turns: int) -> int:
    alone = 0.0
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        await turn(None, Path(folder))  # what the first call of a process loads is nobody's time
        for name, fault in FAULTS.items():
            times = [await turn(fault, Path(folder)) for _ in range(turns)]
            median = statistics.median(times)
            alone = alone or median
            worst = max(worst, max(times) - alone)
            print(
                f"{name:<32} median {median:5.2f} s  slowest {max(times):5.2f} s  later {median - alone:5.2f} s"
                f"  ratio {median / alone:4.2f}"
            )
    print(f"latest of all: {worst:.2f} s later than the second model alone, allowed {ALLOWED_SECS} s")
    return 0 if worst <= ALLOWED_SECS else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=10, help="of each kind")
    logger.remove()
    return asyncio.run(measure(parser.parse_args().turns))


if __name__ == "__main__":
    sys.exit(main())
