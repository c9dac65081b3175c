"""The full mutation run: `python -m tests.bench.mutants [COUNT] [SEED]` prints what became of 10,000 mutants."""

from __future__ import annotations

import sys
import time

from tests.document.mutants import judged, mutants


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    began = time.perf_counter()
    print(f"seed {seed}: {judged(mutants(seed, count))}")
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
