"""The commands that look at files and start nothing: `runner explain`, `runner diff`, `runner new`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from runner.definition import AgentDefinition
from runner.document.load import load
from runner.effective import own_language
from runner.environment import Environment
from runner.options import add_overrides, command_parser, usage
from runner.problem import Problem, print_problems
from runner.terminal import wants_color


def explain(arguments: Sequence[str]) -> int:
    """`runner explain AGENT`"""
    from runner.explaining.coming_from import COMING_FROM

    parser = command_parser(
        "runner explain",
        "Say what every setting of an agent really is, where it comes from, and what goes on the wire. Nothing is "
        "connected, no key is needed and none is shown.",
        "example:\n  runner explain agents/support.yaml\n  runner explain agents/support.yaml --stage email\n"
        "  runner explain agents/hotel.yaml --language es     while the caller speaks Spanish\n"
        "  runner explain agents/support.yaml --hosts\n  runner explain --from deepgram",
    )
    parser.add_argument("agent", metavar="AGENT", type=Path, nargs="?", help="an agent file")
    parser.add_argument("--stage", metavar="S", help="in this stage (the first one)")
    parser.add_argument(
        "--language",
        metavar="CODE",
        help="while the caller speaks this language of the file, such as es (the agent's own)",
    )
    parser.add_argument("--hosts", action="store_true", help="only the hosts that the agent talks to")
    parser.add_argument(
        "--from",
        dest="come_from",
        choices=(*COMING_FROM, "tutorial", "guide"),
        help="what the settings of another provider of speech to text are called here; or what two articles promise: the "
        "tutorial of Pipecat and AssemblyAI's guide, row by row",
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    add_overrides(parser)
    options = parser.parse_args(arguments)
    if options.come_from:
        return _explain_where_from(options.come_from, as_json=options.json)
    if options.agent is None:
        return usage("Name an agent file: runner explain agents/support.yaml")
    agent = _read(options.agent, options)
    if agent is None:
        return 1
    stage = options.stage if options.stage is not None else agent.first_stage
    if stage is not None and stage not in agent.stages:
        known = f"There are: {', '.join(agent.stages)}." if agent.stages else "This agent has no stages."
        return usage(f'"{stage}" is not a stage of {agent.name}. {known}')
    languages = dict.fromkeys((own_language(agent), *agent.languages))
    if options.language is not None and options.language not in languages:
        return usage(f'"{options.language}" is not a language of {agent.name}. There are: {", ".join(languages)}.')
    return _explain_agent(agent, stage, options)


def _explain_where_from(name: str, *, as_json: bool) -> int:
    from dataclasses import asdict

    from runner.explaining.articles import Article, article_text, articles
    from runner.explaining.coming_from import COMING_FROM, table_text

    found = COMING_FROM.get(name) or articles()[name]
    text = article_text(found) if isinstance(found, Article) else table_text(found)
    print(json.dumps(asdict(found), ensure_ascii=False) if as_json else text)
    return 0


def _explain_agent(agent: AgentDefinition, stage: str | None, options: argparse.Namespace) -> int:
    import asyncio

    from runner.logs import set_up

    environment = Environment([agent.file])
    set_up(None, environment)
    from runner.explaining.hiding import secrets, without
    from runner.explaining.report import report  # loads Pipecat
    from runner.explaining.show import hosts_text, settings_text, wire_text

    hidden = secrets(agent, options.set.values(), environment.values)
    made = asyncio.run(report(agent, stage, options.set, hidden, language=options.language))
    whole = made.as_json()
    if options.hosts:
        whole = {"hosts": whole["hosts"]}
        text = hosts_text(made.hosts)
    else:
        told = settings_text(agent, stage, made.settings, language=options.language)
        text = f"{told}\n\n{wire_text(agent, stage, made.wire)}"
    shown = json.dumps(whole, ensure_ascii=False) if options.json else text
    print(environment.masked(without(hidden, shown)))
    return 0


def diff(arguments: Sequence[str]) -> int:
    """`runner diff OLD NEW`"""
    parser = command_parser(
        "runner diff",
        "Say in plain sentences what differs between two versions of an agent, and when running calls notice.",
        "example:\n  runner diff old/support.yaml agents/support.yaml\n"
        "  git show HEAD:agents/support.yaml > /tmp/old.yaml && runner diff /tmp/old.yaml agents/support.yaml",
    )
    parser.add_argument("old", metavar="OLD", type=Path, help="an agent file as it was")
    parser.add_argument("new", metavar="NEW", type=Path, help="the agent file as it is")
    parser.add_argument("--json", action="store_true", help="for programs")
    add_overrides(parser)
    options = parser.parse_args(arguments)
    old, new = _read(options.old, options), _read(options.new, options)
    if old is None or new is None:
        return 1
    from runner.diff import differences
    from runner.explaining.hiding import without_secrets

    values, given = Environment([options.old, options.new]).values, tuple(options.set.values())
    found = differences(without_secrets(old, given, values), without_secrets(new, given, values))
    if options.json:
        print(json.dumps({"changes": [difference.as_json() for difference in found]}, ensure_ascii=False))
        return 0
    for difference in found:
        print(difference)
    if not found:
        print("Nothing differs that a caller or a model would notice.")
    return 0


def new(arguments: Sequence[str]) -> int:
    """`runner new PATH`"""
    parser = command_parser(
        "runner new",
        "Write a first agent. Asks three questions; each can be answered by an option instead.",
        'example:\n  runner new agents/orders.yaml\n  runner new agents/orders.yaml --what "Takes orders for pizza." '
        '--name "Luigi\'s" --stages',
    )
    parser.add_argument("path", metavar="PATH", type=Path, help="the file to write; nothing is ever overwritten")
    parser.add_argument("--what", metavar="TEXT", help="what the agent is for, in a sentence")
    parser.add_argument("--name", metavar="NAME", help="its own name, or the company's")
    parser.add_argument(
        "--stages",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="a conversation in steps, each with instructions of its own; or one conversation",
    )
    options = parser.parse_args(arguments)
    from runner.new import CannotWriteError, ask, file_for, write

    try:
        file = file_for(options.path)
    except CannotWriteError as error:
        return usage(str(error))

    def answer(question: str) -> str:
        print(question, end="", flush=True)
        line = sys.stdin.readline()
        if not line:
            print()
            raise EOFError
        return line

    answers = ask(answer, options.what, options.name, options.stages)
    try:
        write(file.absolute(), answers)
    except CannotWriteError as error:
        print(error, file=sys.stderr)
        if error.problems:
            print(print_problems(error.problems, color=wants_color(sys.stderr)), file=sys.stderr)
        return 1
    print(f"{file} is written. Talk to it, change it while you talk:\n  runner {file}")
    return 0


def _read(path: Path, options: argparse.Namespace) -> AgentDefinition | None:
    """One agent; None after its problems were told."""
    if path.is_dir():
        print(f"{path} is a folder. Name one agent file.", file=sys.stderr)
        return None
    environment = Environment([path])
    for trouble in environment.troubles:
        print(trouble, file=sys.stderr)
    loaded = load(path, variables=options.var, settings=options.set, env=environment.values)
    told: tuple[Problem, ...] = loaded.problems if loaded.definition is None else ()
    if told:
        print(print_problems(told, color=wants_color(sys.stderr)), file=sys.stderr)
    return loaded.definition
