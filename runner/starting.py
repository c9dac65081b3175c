"""What every command that takes calls does before Pipecat is loaded, which takes seconds: find the agents, read them, and
answer what a person can mend.

Comes in: the files and options of a command, and its work. Goes out: the exit code.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Collection, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.catalog import PARTS, Part
from runner.document.load import agent_files
from runner.environment import Environment
from runner.problem import Mendable, print_problems, without_quotes
from runner.terminal import wants_color

if TYPE_CHECKING:
    from runner.live.reload import Agents

    Work = Callable[[Agents, Environment], Coroutine[Any, Any, int]]

PIPECAT = ("1.14.0", "1.15")
"""The first version of Pipecat that this runner is made for, and the first that it is not."""


def files_in(paths: Sequence[Path]) -> list[Path]:
    """The agent files of these files and folders, absolute, each once."""
    return list(dict.fromkeys(file.absolute() for path in paths for file in agent_files(path)))


def take_calls(
    work: Work,
    files: Sequence[Path],
    options: argparse.Namespace,
    *,
    needed: Collection[Part] = PARTS,
    command: str = "runner",
    quotes: bool = True,
) -> int:
    """Read the agents and do `work` with them.

    options: `agent`, `var`, `set`, `services`, `log_level`, perhaps `log_format`.
    needed:  the parts of an agent that the call will have; a typed one neither hears nor speaks.
    command: how it was called, for advice. quotes: whether problems quote the files when there is an agent all the same.
    """
    from runner.live.reload import Agents, reader
    from runner.logs import set_up
    from runner.selection import why_not

    environment = Environment(files)
    tell_troubles(environment)
    agents = Agents(reader(options.var, options.set, lambda: environment.values))
    if not _open_all(agents, files, quotes=quotes):
        return 1
    definitions = [agent.definition for agent in agents]
    refusal = why_not(definitions, environment.keys, options.services, needed) or wrong_pipecat()
    if refusal:
        print(refusal, file=sys.stderr)
        return 1
    set_up(options.log_level, environment, as_json=getattr(options, "log_format", "text") == "json")
    import asyncio

    try:
        return asyncio.run(work(agents, environment))
    except Mendable as error:
        better = error.with_options
        print(f"{error}\n  {command} {options.agent} {better}" if better else error, file=sys.stderr)
        return 1


def tell_troubles(environment: Environment) -> None:
    for trouble in environment.troubles:
        print(trouble, file=sys.stderr)


def wrong_pipecat() -> str | None:
    """What to do when Pipecat is not there or is a version that this runner is not made for; None when it is right."""
    from importlib.metadata import PackageNotFoundError, version

    first, end = PIPECAT
    cure = f'  pip install "pipecat-ai>={first},<{end}"'
    try:
        found = version("pipecat-ai")
    except PackageNotFoundError:
        return (
            f"Pipecat is not installed (the package pipecat-ai). runner needs {first} or later, before {end}:\n{cure}"
        )
    if _numbers(first) <= _numbers(found) < _numbers(end):
        return None
    return f"Pipecat {found} is installed. runner needs {first} or later, before {end}:\n{cure}"


def _numbers(version: str) -> tuple[int, ...]:
    """`1.14.0rc1` -> (1, 14, 0): what comes before the release counts as the release."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def _open_all(agents: Agents, files: Sequence[Path], *, quotes: bool) -> bool:
    """Read the files, print their problems. False when there is nothing to run."""
    problems = [problem for file in files for problem in agents.open(file)]
    if problems and (quotes or not len(agents)):
        print(print_problems(problems, color=wants_color(sys.stderr)), file=sys.stderr)
    elif problems:
        print("\n".join(without_quotes(problems)), file=sys.stderr)
    names = [agent.name for agent in agents]
    twice = sorted({name for name in names if names.count(name) > 1})
    for name in twice:
        print(f'Two agents are called "{name}". Give one of them another name.', file=sys.stderr)
    return bool(names) and not twice
