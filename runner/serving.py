"""`runner serve`: the same agents for many callers. Arguments in, exit code out; the work is done in `live/`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runner.options import add_log_level, add_overrides, add_public_url, add_reload, command_parser, port, usage

if TYPE_CHECKING:
    from runner.environment import Environment
    from runner.live.reload import Agents

LIMIT_VARIABLE = "RUNNER_LIMIT"

_EXAMPLES = """examples:
  runner serve agents/                             all agents of a folder, for callers of this machine
  runner serve agents/ --host 0.0.0.0 --limit 8    for other machines, who need the token
  runner serve agents/ --log-format json           for programs that collect logs

What differs from `runner agents/`: every key is needed and is tried out before the first caller comes; nothing is replaced by
parts on this machine; more calls than the limit get 503 with Retry-After; SIGTERM or Ctrl-C takes no new calls and lets the
running ones end (a second one ends them at once); what is said in calls is not printed; no browser is opened. The page is
there all the same, for those who have the token. A save reaches running calls as its file says (reload: live).

environment:
  RUNNER_TOKEN   the token that callers and the page need; several machines may share it. Without it one is made when
                 --host lets other machines in, and none is needed on 127.0.0.1.
  RUNNER_LIMIT   as --limit
"""


def serve(arguments: Sequence[str]) -> int:
    """Until it is stopped."""
    parser = command_parser("runner serve", "Take many calls, until SIGTERM or Ctrl-C.", _EXAMPLES)
    parser.add_argument("agent", metavar="AGENT|FOLDER", type=Path, help="an agent file, or a folder of them")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1: this machine only)")
    parser.add_argument("--port", type=port, default=7860, help="the port to listen on; 0: any free one (7860)")
    parser.add_argument(
        "--limit",
        type=_at_least_one,
        metavar="N",
        help="calls at once (12 on two or more cores, 6 on one, because one process keeps one core busy with 12; with "
        "--services local one a core)",
    )
    parser.add_argument(
        "--drain-secs",
        type=_seconds,
        metavar="SECS",
        help="how long running calls may go on after SIGTERM or Ctrl-C (600)",
    )
    parser.add_argument(
        "--services",
        choices=("cloud", "local"),
        default="cloud",
        help="cloud: every key is needed; local: everything on this machine, because you say so (cloud)",
    )
    parser.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="lines for people, or JSON for programs (text)"
    )
    add_public_url(parser)
    add_reload(parser)
    add_overrides(parser)
    add_log_level(parser)
    options = parser.parse_args(arguments)
    from runner.starting import files_in, take_calls

    files = files_in([options.agent])
    if not files:
        return usage(f"{options.agent} holds no agent files (*.yaml).")
    typed = os.environ.get(LIMIT_VARIABLE, "")
    if options.limit is None and typed:
        try:
            options.limit = _at_least_one(typed)
        except argparse.ArgumentTypeError as error:
            return usage(f"{LIMIT_VARIABLE}: {error}")

    async def work(agents: Agents, environment: Environment) -> int:
        return await _serve(options, agents, environment)

    return take_calls(work, files, options, command="runner serve", quotes=False)


async def _serve(options: argparse.Namespace, agents: Agents, environment: Environment) -> int:
    """Keys first: a wrong one is said before anything listens, and before Pipecat is loaded."""
    from runner.live.keys import check_keys, stop_at_wrong
    from runner.live.port import listen

    checks = await check_keys([agent.definition for agent in agents], environment, options.services)
    for check in checks:
        if check.verdict in ("unsure", "not checked"):
            print(check.said, file=sys.stderr)
    stop_at_wrong(checks)
    listener = listen(options.host, options.port)
    from runner.live.run import Options, run  # loads Pipecat
    from runner.live.serving import DRAIN_SECS, Serving, default_limit

    serving = Serving(
        limit=options.limit or default_limit(local=options.services == "local"),
        drain_secs=DRAIN_SECS if options.drain_secs is None else options.drain_secs,
        as_json=options.log_format == "json",
    )
    asked = Options(
        host=options.host,
        port=options.port,
        browser=False,
        services=options.services,
        reload=options.reload,
        public_url=options.public_url,
        folders=frozenset({options.agent.absolute()} if options.agent.is_dir() else ()),
        serving=serving,
    )
    return await run(asked, agents, environment, listener)


def _at_least_one(typed: str) -> int:
    if not typed.isdecimal() or not int(typed):
        raise argparse.ArgumentTypeError(f"a limit is a number from 1, not {typed!r}")
    return int(typed)


def _seconds(typed: str) -> float:
    try:
        found = float(typed.removesuffix("s"))
    except ValueError:
        found = -1.0
    if not 0 <= found < 1e6:
        raise argparse.ArgumentTypeError(f"a number of seconds, not {typed!r}")
    return found
