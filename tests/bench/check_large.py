"""How long checking takes beside bare YAML and JSON Schema: `python -m tests.bench.check_large` prints ratios.

The same file is read in the same process in turns, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from runner.document.check import schema
from runner.document.load import load

ROOT = Path(__file__).parents[2]


def large(stages: int = 58, fault: bool = False) -> str:
    """An agent of about 1,000 lines: stages with settings, ways out and examples. fault: with a mistake in every stage."""
    lines = [
        "name: large",
        "prompt: |",
        "  You are {{ agent_name }} of {{ company }}. Be brief.",
        "variables:",
        "  company: Northwind",
        "  agent_name: Maya",
        "stt:",
        "  keyterms: [Northwind, RMA]",
        "stages:",
    ]
    for n in range(stages):
        lines += [
            f"  stage{n}:",
            f"    {'promt' if fault else 'prompt'}: Find out what caller number {n} wants.",
            "    stt:",
            f"      min_turn_silence: {300 + n}",
            f"      keyterms: [order {n}, refund {n}]",
            "    llm:",
            "      temperature: 0.3",
            "    next:",
            f"      - when: The caller is done with part {n}",
            "        examples:",
            f"          - I am done with part {n}",
            f"          - That was part {n}",
            f"        to: stage{(n + 1) % stages}",
            f"      - when: The caller wants to stop part {n}",
            "        to: stage0",
            "      - after_tries: 3",
            f"        to: stage{(n + 2) % stages}",
        ]
    return "\n".join(lines) + "\n"


def best(work: Callable[[], Any], times: int = 5) -> float:
    """The shortest of several runs, seconds."""
    found: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found)


def ratio(text: str) -> tuple[float, float]:
    """Seconds of a bare safe_load and jsonschema of a file, and of the whole check."""
    bare = jsonschema.Draft202012Validator(schema())
    file = Path("/nowhere/large.yaml")
    load(file, text=text, env={})

    def without() -> None:
        list(bare.iter_errors(yaml.safe_load(text)))

    return best(without), best(lambda: load(file, text=text, env={}))


def folder_seconds(agents: int = 200) -> tuple[float, int]:
    """`runner check` on a folder as a process of its own: seconds, and the most memory it took, in bytes (Linux)."""
    text = (ROOT / "agents" / "support.yaml").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for n in range(agents):
            (folder / f"agent{n}.yaml").write_text(text.replace("name: support", f"name: support{n}"), encoding="utf-8")
        code = (
            "import sys; from runner.cli import main; "
            f"code = main(['check', {name!r}]); "
            "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM'))); sys.exit(code)"
        )
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
        return time.perf_counter() - began, int(done.stdout.split()[-1]) * 1024


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    for title, text in (("right", large()), ("a mistake in every stage", large(fault=True))):
        bare, whole = ratio(text)
        lines = text.count("\n")
        print(
            f"{lines} lines, {title}: bare {bare * 1000:.0f} ms, check {whole * 1000:.0f} ms, {whole / bare:.2f} times"
        )
    seconds, memory = folder_seconds()
    print(f"200 agents in a folder: {seconds:.2f} s, at most {memory / 2**20:.0f} MB")


if __name__ == "__main__":
    main()
