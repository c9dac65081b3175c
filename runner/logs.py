"""The log: quiet unless asked, on standard error, without keys. The transcript is not a log; it goes to standard output."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from loguru import logger

from runner.environment import Environment
from runner.terminal import wants_color

LEVEL_VARIABLE = "RUNNER_LOG"
LEVELS = ("trace", "debug", "info", "warning", "error")
QUIET = "error"


def set_up(level: str | None, environment: Environment) -> None:
    """One sink for loguru and for the standard library's logging. Without a level `RUNNER_LOG` counts, then `error`.

    With neither, Pipecat's own lines stay out: what it reports is told in plain words in the transcript (`[problem]`).
    Must run before Pipecat is imported: it announces itself when it is.
    """
    asked = level or os.environ.get(LEVEL_VARIABLE)
    named = asked or QUIET
    if named.lower() not in LEVELS:
        print(f"{LEVEL_VARIABLE}={named} is not a level. There are: {', '.join(LEVELS)}.", file=sys.stderr)
        named = QUIET
    chosen = named.upper()
    logger.remove()

    def write(line: str) -> None:
        sys.stderr.write(environment.masked(line))
        sys.stderr.flush()

    logger.add(
        write,
        level=chosen,
        filter=None if asked else {"": True, "pipecat": False},
        format="<dim>{time:HH:mm:ss.SSS}</dim> <level>{level: <7}</level> {name}: {message}",
        colorize=wants_color(sys.stderr),
        diagnose=False,
        backtrace=False,
    )
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.getLevelNamesMapping().get(chosen, logging.NOTSET))


def state_folder() -> Path:
    """Where logs of faults go (XDG state folder)."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "runner"


class _ToLoguru(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        named = logger.patch(lambda entry: entry.update(name=record.name))
        named.opt(exception=record.exc_info).log(record.levelname, record.getMessage())
