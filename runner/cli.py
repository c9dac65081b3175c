"""The command line: arguments in, exit code out. Heavy rooms are imported only by the commands that need them.

Exit codes: 0 fine, 1 problems that a person can mend, 2 wrong usage, 3 a fault in runner itself, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import json
import os
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from runner import __version__
from runner.options import add_log_level, add_overrides, add_public_url, add_reload, command_parser, port, usage

if TYPE_CHECKING:
    from runner.definition import AgentDefinition
    from runner.environment import Environment
    from runner.live.keys import KeyCheck
    from runner.live.reload import Agents

_COMMANDS = ("check", "chat", "serve", "explain", "diff", "new")

_RUN_EXAMPLE = """examples:
  runner agents/support.yaml                 talk to it in the browser, edit it while you talk
  runner agents/                             all agents of a folder, one page
  runner agents/support.yaml --var agent_name=Zoe
  runner agents/support.yaml --transport local   by this machine's microphone and loudspeaker
  runner agents/support.yaml --daily         a call in a Daily room, the link is printed

other commands:
  runner serve agents/                       the same agents for many callers: keys needed, a limit, a quiet log
  runner check agents/                       what is wrong with the files, without starting anything
  runner chat agents/support.yaml            the same agent in the terminal, typed
  runner explain agents/support.yaml         what every setting is, where it comes from, what goes on the wire
  runner diff OLD NEW                        what differs between two versions, in plain words
  runner new agents/first.yaml               a first agent, by three questions
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Never lets an exception through: a fault of ours becomes exit code 3 and a log file.

    As the program itself (without argv) it does not come back once Pipecat was loaded (`_leave`).
    """
    code = _answer(list(sys.argv[1:] if argv is None else argv))
    if argv is None and "pipecat" in sys.modules:
        _leave(code)
    return code


def _leave(code: int) -> None:
    """End the process now: Python would wait for threads of native clients, and Daily's stays in a room that it cannot reach."""
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _answer(arguments: list[str]) -> int:
    try:
        command = arguments[0] if arguments and arguments[0] in _COMMANDS else "run"
        if command == "check":
            return _check(arguments[1:])
        if command == "chat":
            return _chat(arguments[1:])
        if command == "serve":
            from runner.serving import serve

            return serve(arguments[1:])
        if command != "run":
            from runner import inspecting

            return getattr(inspecting, command)(arguments[1:])
        return _run(arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _close_output()
        return 0
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 2
    except Exception:
        return _our_fault([Path(argument) for argument in arguments if not argument.startswith("-")])


def _check(arguments: Sequence[str]) -> int:
    parser = command_parser(
        "runner check",
        "Say what is wrong with agent files. Nothing is started.",
        "example:\n  runner check agents/\n  runner check agents/support.yaml --format json\n"
        "  runner check agents/support.yaml --fix     mend what is safe, and show the difference\n"
        "  runner check --keys agents/                try the keys out, as `runner serve` does when it starts",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", type=Path, help="agent files or folders of them")
    parser.add_argument(
        "--format",
        choices=("text", "json", "github"),
        default="text",
        help="for people, for programs, or as annotations of a GitHub workflow",
    )
    parser.add_argument("--keys", action="store_true", help="also ask the vendors whether they accept the keys")
    parser.add_argument("--fix", action="store_true", help="mend older names, missing quotes, tabs and the like")
    add_overrides(parser)
    options = parser.parse_args(arguments)

    from runner.document.load import agents_of, load
    from runner.environment import Environment
    from runner.problem import Problem, each_once, print_problems
    from runner.starting import files_in, tell_troubles

    files = files_in(options.paths)
    if not files:
        return usage(f"{_listed(options.paths)}: no agent files (*.yaml).")
    files = list(dict.fromkeys(agent for file in files for agent in agents_of(file) or [file]))
    environment = Environment(files)
    tell_troubles(environment)
    if options.fix and not _fix(files, environment, sys.stdout if options.format == "text" else sys.stderr):
        return 1
    read = [load(file, variables=options.var, settings=options.set, env=environment.values) for file in files]
    problems: list[Problem] = each_once([problem for loaded in read for problem in loaded.problems])
    failed = any(problem.is_error for problem in problems)
    keys = _keys([loaded.definition for loaded in read if loaded.definition], environment) if options.keys else ()
    if options.format == "github":
        from runner.document.github import as_annotations

        if problems:
            print(as_annotations(problems))
    elif options.format == "json":
        said: dict[str, object] = {"checked": len(files), "problems": [p.as_json() for p in problems]}
        if options.keys:
            said["keys"] = [key.as_json() for key in keys]
        print(json.dumps(said, ensure_ascii=False))
    elif problems:
        from runner.terminal import wants_color

        print(print_problems(problems, color=wants_color(sys.stdout)))
    else:
        print(f"{len(files)} {'agent' if len(files) == 1 else 'agents'}, no problems.")
    if options.format != "json":
        for key in keys:
            print(key.said if options.format == "text" else f"::{'error' if key.stops else 'notice'}::{key.said}")
    sys.stdout.flush()
    return 1 if failed or any(key.stops for key in keys) else 0


def _keys(agents: Sequence[AgentDefinition], environment: Environment) -> Sequence[KeyCheck]:
    """What the vendors say to the keys of these agents."""
    import asyncio

    from runner.live.keys import check_keys

    return asyncio.run(check_keys(agents, environment))


def _fix(files: Sequence[Path], environment: Environment, stream: TextIO) -> bool:
    """Mend the files, show each difference. False when one could not be written."""
    from runner.document.fix import fixed
    from runner.document.load import Loaded, load

    for file in files:

        def read(text: str, file: Path = file) -> Loaded:
            return load(file, env=environment.values, text=text)

        done = fixed(file, read)
        if done is None or not done.count:
            continue
        try:
            done.write()
        except OSError as error:
            print(f"{file} cannot be written: {error.strerror}.", file=sys.stderr)
            return False
        print(done.diff(), file=stream)
        print(f"{file}: {done.count} {'mistake' if done.count == 1 else 'mistakes'} mended.\n", file=stream)
    return True


def _chat(arguments: Sequence[str]) -> int:
    parser = command_parser(
        "runner chat",
        "The same agent and the same engine, typed in the terminal.",
        "example:\n  runner chat agents/support.yaml\n"
        "  printf 'I want a refund\\n' | runner chat agents/support.yaml --json --services local",
    )
    parser.add_argument("agent", metavar="AGENT", type=Path, help="an agent file")
    parser.add_argument("--json", action="store_true", help="one JSON record a line on standard output")
    parser.add_argument("--pin", action="store_true", help="the call keeps the version of the file that it begins with")
    add_reload(parser)
    _add_services(parser)
    add_overrides(parser)
    add_log_level(parser)
    options = parser.parse_args(arguments)
    from runner.starting import files_in, take_calls

    files = files_in([options.agent])
    if len(files) != 1:
        return usage(f"{options.agent} holds {len(files)} agents. Name one of the files.")

    async def work(agents: Agents, environment: Environment) -> int:
        from runner.live.chat import chat

        agents.reload = options.reload
        return await chat(agents, environment, services=options.services, as_json=options.json, pinned=options.pin)

    return take_calls(work, files, options, needed=("llm",))


def _run(arguments: Sequence[str]) -> int:
    parser = command_parser(
        "runner",
        "Turn a YAML file into a voice agent that talks, and keeps talking while you edit the file.",
        _RUN_EXAMPLE,
    )
    parser.add_argument(
        "agent", metavar="AGENT|FOLDER", type=Path, nargs="?", help="an agent file, or a folder of them"
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1: this machine only)")
    parser.add_argument("--port", type=port, default=7860, help="the port of the page; 0: any free one (7860)")
    parser.add_argument("--no-browser", action="store_true", help="do not open the page")
    add_reload(parser)
    parser.add_argument(
        "--transport",
        choices=("page", "local"),
        default="page",
        help="local: talk by this machine's microphone and loudspeaker (page)",
    )
    parser.add_argument("--daily", action="store_true", help="create a Daily room, print its link, take the call there")
    parser.add_argument("--room", metavar="URL", help="join this Daily room")
    parser.add_argument("--token", metavar="T", help="the Daily meeting token for --room")
    parser.add_argument(
        "--call",
        metavar="NUMBER",
        type=_telephone,
        help="call this telephone (+15551230100) or sip: address from a Daily room",
    )
    add_public_url(parser)
    parser.add_argument("--url", dest="old_url", metavar="URL", help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"runner {__version__}")
    _add_services(parser)
    add_overrides(parser)
    add_log_level(parser)
    options = parser.parse_args(arguments)
    if options.agent is None:
        parser.print_help()
        return 2
    if options.old_url:
        print("--url is called --room here; going on with it.", file=sys.stderr)
        options.room = options.room or options.old_url
    if (options.daily, bool(options.room), bool(options.call)).count(True) > 1:
        return usage("--daily makes a new room, --room joins an old one, --call rings a telephone. Give one of them.")
    in_a_room = bool(options.daily or options.room or options.call)
    if in_a_room and options.transport == "local":
        return usage("--transport local is a call at this machine, a Daily room another one. Give one of them.")
    from runner.starting import files_in, take_calls

    files = files_in([options.agent])
    if not files:
        return usage(f"{options.agent} holds no agent files (*.yaml).")
    if in_a_room and len(files) != 1:
        return usage("A Daily room takes one agent. Name the file.")
    if options.transport == "local" and len(files) != 1:
        return usage("The microphone of this machine takes one agent. Name the file.")

    async def work(agents: Agents, environment: Environment) -> int:
        from runner.live.port import listen

        listener = listen(options.host, options.port)
        from runner.live.run import Options, run  # loads Pipecat

        return await run(
            Options(
                host=options.host,
                port=options.port,
                browser=not options.no_browser,
                services=options.services,
                reload=options.reload,
                folders=frozenset({options.agent.absolute()} if options.agent.is_dir() else ()),
                transport=options.transport,
                daily=options.daily,
                room=options.room,
                token=options.token,
                public_url=options.public_url,
                call=options.call,
            ),
            agents,
            environment,
            listener,
        )

    return take_calls(work, files, options)


def _telephone(typed: str) -> str:
    """A telephone number as E.164 writes it, without the blanks and dashes that people write; a SIP address as it is."""
    number = "".join(sign for sign in typed if sign not in " -()./")
    if number.startswith("+") and number[1:].isdecimal() and 7 <= len(number) - 1 <= 15:
        return number
    if typed.startswith("sip:") and "@" in typed:
        return typed
    raise argparse.ArgumentTypeError(f"neither a number with its country, such as +15551230100, nor sip:...: {typed!r}")


def _add_services(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--services",
        choices=("auto", "cloud", "local"),
        default="auto",
        help="auto: the cloud where its key is there, this machine where it is not; cloud: only the cloud; "
        "local: only this machine (auto)",
    )


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))


def _close_output() -> None:
    """Nobody reads standard output any more: what is still to be written at exit goes nowhere (Python's `signal` page)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _our_fault(agents: Sequence[Path]) -> int:
    """Write the traceback to a file, apologise, exit 3. agents: beside them may be a `.env` whose keys stay out of it."""
    from runner.environment import Environment
    from runner.logs import state_folder

    text = Environment(agents).masked(traceback.format_exc())
    file = state_folder() / f"fault-{time.strftime('%Y%m%d-%H%M%S')}.log"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"runner {__version__}, Python {sys.version}\n{text}", encoding="utf-8")
        where = f"The details are in {file}."
    except OSError:
        where = text
    print(f"Sorry: this is a fault in runner, not in your file. {where}", file=sys.stderr)
    return 3


if __name__ == "__main__":
    sys.exit(main())
