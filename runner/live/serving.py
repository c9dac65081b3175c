"""What `runner serve` adds to running: how many calls, and how it stops without cutting one off.

Comes in: signals and the gate. Goes out: the moment at which everything may be closed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass

from runner.live.admission import Gate
from runner.wording import counted

DRAIN_SECS = 600.0
"""How long running calls may go on after SIGTERM, seconds: longer than nearly every call."""

_PROCESS_TAKES = 12
"""Calls in the cloud that one process carries: about 6 % of a core each, and one process uses one core (measured with Pipecat
1.14 on 2 cores; beyond it every answer comes late)."""

_LOCAL_CALL_CORES = 1
"""Hearing, thinking and speaking on this machine keep about one core busy while somebody speaks."""


@dataclass(frozen=True, slots=True)
class Serving:
    """How a server works. limit: calls at once. drain_secs: for running calls after the first signal. as_json: its lines."""

    limit: int
    drain_secs: float = DRAIN_SECS
    as_json: bool = False


def default_limit(*, local: bool) -> int:
    """How many calls this machine takes at once, for one process. local: everything runs here, without the cloud."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        cores = os.cpu_count() or 1
    if local:
        return max(1, cores // _LOCAL_CALL_CORES)
    return _PROCESS_TAKES if cores > 1 else _PROCESS_TAKES // 2


async def drain(gate: Gate, at_once: asyncio.Event, seconds: float, tell: Callable[[str], None]) -> None:
    """Take no new calls, and return when the last one is over, when `at_once` is set, or after `seconds`."""
    gate.draining = True
    if gate.taken:
        running = counted(gate.taken)
        tell(f"[stopping] no new calls; {running} may go on for {seconds:.0f} s. Once more ends them now.")
    over = asyncio.create_task(gate.emptied())
    hurry = asyncio.create_task(at_once.wait())
    await asyncio.wait({over, hurry}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in (over, hurry):
        task.cancel()
    if gate.taken:
        why = "asked again" if at_once.is_set() else f"{seconds:.0f} s are over"
        tell(f"[stopping] {why}: ending {counted(gate.taken)}")
