"""The log: quiet unless asked, on standard error, without keys. The transcript is not a log; it goes to standard output."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from runner.environment import Environment

if TYPE_CHECKING:
    from loguru import Record

LEVEL_VARIABLE = "RUNNER_LOG"


def set_up(level: str | None, environment: Environment) -> None:
    """One sink for loguru and for the standard library's logging. Without a level `RUNNER_LOG` counts, then `error`.

    Must run before Pipecat is imported: it announces itself when it is.
    """
    chosen = (level or os.environ.get(LEVEL_VARIABLE) or "error").upper()
    logger.remove()

    def mask(record: Record) -> None:
        record["message"] = environment.masked(record["message"])

    logger.configure(patcher=mask)
    logger.add(
        sys.stderr,
        level=chosen,
        format="<dim>{time:HH:mm:ss.SSS}</dim> <level>{level: <7}</level> {name}: {message}",
        diagnose=False,
        backtrace=False,
    )
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.getLevelNamesMapping().get(chosen, logging.NOTSET))


def state_folder() -> Path:
    """Where logs of faults go (XDG state folder)."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "runner"


class _ToLoguru(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        logger.opt(exception=record.exc_info).log(record.levelname, record.getMessage())
