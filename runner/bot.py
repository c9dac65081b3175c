"""`bot(runner_args)`: what Pipecat's development runner, `pipecat eval` and Pipecat Cloud call once for each session.

Comes in: the arguments of a session (Pipecat 1.14, `pipecat.runner.types`), and the environment:

- `RUNNER_AGENT`: an agent file, or a folder of them. Without it the folder `agents` beside the working folder's `bot.py`.
- `RUNNER_SERVICES`: `cloud` (keys are required, nothing is replaced), `auto` or `local`. Without it `cloud`.

The session's body may say which agent of the folder, and set variables of its file:
`{"agent": "support", "variables": {"company": "Acme"}}` (`live/session_body.py`). Goes out: the call, until it is over.

A file of its own for those hosts, called `bot.py`, is one line: `from runner.bot import bot`. Without any file,
`python -m runner.bot` starts Pipecat's development runner with it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from loguru import logger

from runner.document.load import Loaded, agent_files, load
from runner.environment import Environment
from runner.events import AgentSaid, CallEnded, CallerSaid, CallStarted, Event, Trouble
from runner.live.admission import NotAdmitted
from runner.live.call import Call
from runner.live.carriers import hosted
from runner.live.reload import LiveAgent
from runner.live.session_body import Wish, read_wish
from runner.live.switchboard import Switchboard
from runner.problem import Mendable, print_problems
from runner.selection import Mode, why_not

if TYPE_CHECKING:
    from pipecat.runner.types import RunnerArguments

AGENT_VARIABLE = "RUNNER_AGENT"
SERVICES_VARIABLE = "RUNNER_SERVICES"

_OF_THE_HOSTS = ("dialin_settings", "dialout_settings", "daily_api_key", "daily_api_url")
"""What Pipecat's hosts put into a body themselves (Pipecat 1.14, `pipecat.runner.run`)."""

_NO_CALL = "This agent takes no calls now."
"""What a client is told; the host's log says why."""

_switchboards: dict[tuple[Path, Mode], Switchboard] = {}
"""One for each place agents come from, because it holds what runs on this machine beyond one session."""


async def bot(runner_args: RunnerArguments) -> None:
    """Answer one session with the agent it asks for, and return when its call is over.

    A file with a mistake, a missing key or an agent that there is not is said in words on standard error, and the session ends.
    """
    try:
        stream = await hosted.look(runner_args)
        root, mode = _root(Environment()), _mode(Environment())
        environment = Environment([root])
        agent = await asyncio.to_thread(_agent, root, _asked_for(runner_args), environment)
        if refusal := why_not([agent.definition], environment.keys, mode):
            raise Mendable(refusal)
        switchboard = _switchboards.get((root, mode))
        if switchboard is None:
            switchboard = _switchboards[root, mode] = Switchboard(mode, environment, _log)
        await hosted.answer(runner_args, stream, agent, switchboard)
    except (Mendable, NotAdmitted, hosted.NotCarried) as why:
        print(why, file=sys.stderr, flush=True)
        await hosted.turn_away(runner_args, _NO_CALL)


def _asked_for(session: RunnerArguments) -> Wish:
    """The wish of a session's body, or of what a telephone's provider sent along. What else a host has put there is said, and the
    call goes on without it.

    Raises:
        BadBody: the body asks in a way that means nothing.
    """
    told = cast("list[object]", [session.body, session.call_data.body if session.call_data else None])
    bodies = [cast("Mapping[str, object]", one) for one in told if isinstance(one, Mapping)]
    wish = read_wish(
        next((one for one in bodies if "agent" in one), bodies[0] if bodies else {}), besides=_OF_THE_HOSTS
    )
    if wish.unknown and session.call_data is None:
        print(f"{wish.unknown} The call goes on without it.", file=sys.stderr, flush=True)
    return wish


def _root(environment: Environment) -> Path:
    return Path(environment.values.get(AGENT_VARIABLE, "agents")).expanduser().absolute()


def _mode(environment: Environment) -> Mode:
    asked = environment.values.get(SERVICES_VARIABLE, "cloud")
    if asked not in get_args(Mode):
        raise Mendable(f"{SERVICES_VARIABLE}={asked} is not a way to choose services. There are: cloud, auto, local.")
    return cast("Mode", asked)


def _agent(root: Path, wish: Wish, environment: Environment) -> LiveAgent:
    """The agent of that name among the files of `root`; a name is compared with what is there and never becomes a path.

    Raises:
        Mendable: there is none, or its file has a mistake.
    """
    files = agent_files(root)
    if not root.exists() or not files:
        raise Mendable(f"{AGENT_VARIABLE}: {root} is no agent file and no folder of them.")
    file = _file_of(files, wish.name, environment)
    loaded = load(file, variables=wish.variables, env=environment.values)
    if loaded.problems:
        print(print_problems(loaded.problems, color=False), file=sys.stderr, flush=True)
    if loaded.definition is None:
        raise Mendable(
            f"{file.name}: this session has no agent. Mend the file first; runner check {file} says what is wrong."
        )
    return LiveAgent(file, loaded.definition, 1, loaded.problems, frozenset({file, *loaded.sources}))


def _file_of(files: list[Path], name: str | None, environment: Environment) -> Path:
    if name is None and len(files) == 1:
        return files[0]
    names = ", ".join(file.stem for file in files)
    if name is None:
        say = f'Say which with {AGENT_VARIABLE}=FILE, or in the session\'s body: {{"agent": "{files[0].stem}"}}.'
        raise Mendable(f"There are {len(files)} agents: {names}. {say}")

    def read(file: Path) -> Loaded:
        return load(file, env=environment.values)

    for file in files:
        if file.stem == name:
            return file
    for file in files:
        if (made := read(file).definition) and made.name == name:
            return file
    raise Mendable(f"The session asks for an agent {name!r} that there is not. There are: {names}.")


def _log(call: Call, event: Event) -> None:
    """Into the host's log: what happened, and what was said only where the host asks for details."""
    who = f"[call {call.number}, {call.agent_name}]"
    match event:
        case CallStarted(carrier, _):
            logger.info(f"{who} begins ({carrier})")
        case CallEnded(reason, _):
            logger.info(f"{who} ended: {reason}")
        case Trouble(text, _):
            logger.warning(f"{who} {Environment().masked(text)}")
        case CallerSaid(text=text):
            logger.debug(f"{who} caller: {text}")
        case AgentSaid(text=text):
            logger.debug(f"{who} agent: {text}")
        case _:
            logger.debug(f"{who} {event}")


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()
