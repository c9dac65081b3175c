"""Options that several commands share, and how a command that is used wrongly answers."""

from __future__ import annotations

import argparse
import sys


def command_parser(name: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """A parser that keeps the epilog as written and takes no shortened names."""
    return argparse.ArgumentParser(
        prog=name,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """`--var NAME=VALUE` and `--set PATH=VALUE`, each any number of times: `options.var` and `options.set`."""
    parser.add_argument(
        "--var", action=Pairs, default={}, metavar="NAME=VALUE", help="give a variable of the agent another value"
    )
    parser.add_argument(
        "--set", action=Pairs, default={}, metavar="PATH=VALUE", help="give any key another value, llm.model=gpt-4o"
    )


def port(typed: str) -> int:
    """An argument that is a port."""
    if not typed.isdecimal() or int(typed) > 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, not {typed!r}")
    return int(typed)


def add_reload(parser: argparse.ArgumentParser) -> None:
    """`--reload`: `options.reload`, None for what the files say."""
    parser.add_argument(
        "--reload",
        choices=("live", "next-call", "off"),
        help="what a save does: change running calls too, only later ones, or nothing (as the file says: live)",
    )


def add_public_url(parser: argparse.ArgumentParser) -> None:
    """`--public-url`: `options.public_url`, None for what requests say."""
    parser.add_argument(
        "--public-url",
        metavar="URL",
        type=_public_url,
        help="where telephone carriers reach this server, such as https://agent.example.com (a tunnel)",
    )


def _public_url(typed: str) -> str:
    if not typed.startswith(("https://", "http://")) or len(typed.split("/")[2]) < 1:
        raise argparse.ArgumentTypeError(f"an address begins with https://, not {typed!r}")
    return typed.rstrip("/")


def add_log_level(parser: argparse.ArgumentParser) -> None:
    """`--log-level`: `options.log_level`, None for what RUNNER_LOG says."""
    parser.add_argument(
        "--log-level",
        choices=("trace", "debug", "info", "warning", "error"),
        default=None,
        help="also log what happens inside; debug and trace hold prompts and what callers say (RUNNER_LOG, error)",
    )


class Pairs(argparse.Action):
    """NAME=VALUE, several times, into a dictionary."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        name, equals, value = str(values).partition("=")
        if not equals or not name:
            parser.error(f"{option_string} takes NAME=VALUE, not {values!r}")
        setattr(namespace, self.dest, {**getattr(namespace, self.dest), name: value})


def usage(sentence: str) -> int:
    """Say on standard error what is wrong with the command line; the exit code for it."""
    print(sentence, file=sys.stderr)
    return 2
