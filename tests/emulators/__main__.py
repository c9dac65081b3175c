"""`python -m tests.emulators`: all vendors in one process of their own.

Comes in: end of standard input, which stops them. Goes out: one JSON line with the address of each, by name.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack

from . import AssemblyAIEmulator, CartesiaEmulator, DailyEmulator, Emulator, OpenAIEmulator

VENDORS: dict[str, type[Emulator]] = {
    "assemblyai": AssemblyAIEmulator,
    "openai": OpenAIEmulator,
    "cartesia": CartesiaEmulator,
    "daily": DailyEmulator,
}


def main() -> None:
    with ExitStack() as stack:
        addresses = {name: stack.enter_context(vendor().in_thread()).url for name, vendor in VENDORS.items()}
        print(json.dumps(addresses), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
