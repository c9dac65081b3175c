"""The log: quiet unless asked, on standard error, without keys. The transcript is not a log; it goes to standard output."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from runner.environment import Environment
from runner.terminal import wants_color

if TYPE_CHECKING:
    from loguru import Record

LEVEL_VARIABLE = "RUNNER_LOG"
LEVELS = ("trace", "debug", "info", "warning", "error")
QUIET = "error"


def set_up(level: str | None, environment: Environment, *, as_json: bool = False) -> None:
    """One sink for loguru and for the standard library's logging. Without a level `RUNNER_LOG` counts, then `error`.

    With neither, Pipecat's own lines stay out: what it reports is told in plain words in the transcript (`[problem]`).
    Lines of a call say whose they are (`of_call`). Must run before Pipecat is imported: it announces itself when it is.
    At no level does a line hold a key, or what lets somebody in: a token or a call's key in an address.
    as_json: each line is JSON, for programs that collect logs.
    """
    asked = level or os.environ.get(LEVEL_VARIABLE)
    named = asked or QUIET
    if named.lower() not in LEVELS:
        print(f"{LEVEL_VARIABLE}={named} is not a level. There are: {', '.join(LEVELS)}.", file=sys.stderr)
        named = QUIET
    chosen = named.upper()
    logger.remove()
    logger.configure(extra={"call": ""})

    def write(line: str) -> None:
        sys.stderr.write(environment.masked(without_tokens(line)))
        sys.stderr.flush()

    logger.add(
        write,
        level=chosen,
        filter=None if asked else {"": True, "pipecat": False},
        format=_json_format if as_json else _FORMAT,
        colorize=not as_json and wants_color(sys.stderr),
        diagnose=False,
        backtrace=False,
    )
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.getLevelNamesMapping().get(chosen, logging.NOTSET))


_TOKENS = re.compile(
    r"""(?x)
    (?P<before> (?<=[?&'"]) (?:token|call|back)=           # of the page and of RTVI clients
    | /ws/ [^/\s'"?\\]+ /                                  # of telephone carriers
    | /api/calls/
    | \b [Bb]earer \s )
    [^&/\s'"?\\]+"""
)


def without_tokens(text: str) -> str:
    """A log line without the tokens and keys in its addresses, also those that nobody here knows: of another server, mistyped."""
    return _TOKENS.sub(r"\g<before>[hidden]", text)


_FORMAT = "<dim>{time:HH:mm:ss.SSS}</dim> <level>{level: <7}</level> {name}:{extra[call]} {message}"


def _json_format(record: Record) -> str:
    """One JSON line, as a format that loguru fills in."""
    error = record["exception"]
    line = {
        "time": record["time"].isoformat(timespec="milliseconds"),
        "level": record["level"].name.lower(),
        "from": record["name"],
        "call": str(record["extra"]["call"]).strip(" []"),
        "text": record["message"],
        "error": "".join(traceback.format_exception(error.value)) if error and error.value else "",
    }
    record["extra"]["json"] = json.dumps({name: value for name, value in line.items() if value}, ensure_ascii=False)
    return "{extra[json]}\n"


class CallTag:
    """What a log line says about the call it belongs to. It reads the version when the line is written, so that lines of a
    task that began before a save say the version of now."""

    def __init__(self, number: int, agent: Callable[[], str], version: Callable[[], int]) -> None:
        self._number, self._agent, self._version = number, agent, version

    def __format__(self, _: str) -> str:
        return str(self)

    def __str__(self) -> str:
        return f" [call {self._number}, {self._agent()} version {self._version()}]"


def of_call(tag: CallTag) -> AbstractContextManager[object]:
    """Lines logged inside, also by tasks that begin inside, belong to this call."""
    return logger.contextualize(call=tag)


def state_folder() -> Path:
    """Where logs of faults go (XDG state folder)."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "runner"


class _ToLoguru(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        named = logger.patch(lambda entry: entry.update(name=record.name))
        named.opt(exception=record.exc_info).log(record.levelname, record.getMessage())
