"""From a save to the moment the watcher reports it, and what watching costs at rest. Run it with plain Python.

The first figure is also given as a ratio to `CALM`, the time a content has to rest by design.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path

from runner.live.watch import CALM, Watcher

SAVES = 60
REST = 5.0


async def measure(folder: Path) -> None:
    file = folder / "support.yaml"
    file.write_text("0")
    others = [folder / f"prompt{n}.md" for n in range(10)]
    for other in others:
        other.write_text("You are Maya.\n" * 500)
    watcher = Watcher([file, *others])
    changes = aiter(watcher.changes())
    chance = random.Random(1)
    delays: list[float] = []
    reported = asyncio.ensure_future(anext(changes))
    for number in range(1, SAVES + 1):
        await asyncio.sleep(0.3 + chance.random() * 0.1)
        (folder / "new").write_text(str(number))
        start = time.perf_counter()
        (folder / "new").replace(file)
        await reported
        delays.append(time.perf_counter() - start)
        reported = asyncio.ensure_future(anext(changes))
    delays.sort()
    median = statistics.median(delays)
    print(f"save to report: median {median * 1000:.0f} ms ({median / CALM:.2f} x CALM), ", end="")
    print(f"95 % within {delays[int(SAVES * 0.95)] * 1000:.0f} ms, worst {delays[-1] * 1000:.0f} ms ({SAVES} saves)")

    used = time.process_time()
    await asyncio.sleep(REST)
    print(f"at rest: {(time.process_time() - used) / REST:.2%} of one processor for {1 + len(others)} files")
    await watcher.close()
    reported.cancel()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(measure(Path(name)))
