"""What `runner check` costs beside the two imports it cannot do without. Run it with plain Python.

The measure of the project: at most twice the time of `python -c "import yaml, jsonschema"` plus 0.2 s. The two commands run
by turns, so that whatever else the machine does meets both. Exit code 1 when the measure is missed.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 15
PROJECT = Path(__file__).resolve().parents[2]
IMPORTS = [sys.executable, "-c", "import yaml, jsonschema"]
CHECK = [sys.executable, "-m", "runner.cli", "check", "agents/"]


def seconds(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main() -> int:
    for command in (IMPORTS, CHECK):
        seconds(command)  # what is read from disk for the first time is read now
    pairs = [(seconds(IMPORTS), seconds(CHECK)) for _ in range(RUNS)]
    imports, check = (statistics.median(times) for times in zip(*pairs, strict=True))
    allowed = 2 * imports + 0.2
    print(
        f"import yaml, jsonschema: {imports * 1000:.0f} ms    runner check agents/: {check * 1000:.0f} ms (medians of {RUNS})"
    )
    print(
        f"ratio {check / imports:.2f}; {check / allowed:.0%} of what is allowed (2 x + 200 ms = {allowed * 1000:.0f} ms)"
    )
    return 0 if check <= allowed else 1


if __name__ == "__main__":
    sys.exit(main())
