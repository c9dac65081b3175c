"""`runner` as a person starts it: a process of its own, its output line by line."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

PROJECT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def command(*arguments: str | Path, module: str = "runner.cli") -> list[str]:
    """The command line of `runner` in this environment."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without any vendor's key."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "default", **(extra or {})}


class Running:
    """A started `runner`. Use as a context manager; leaving it stops the process."""

    def __init__(
        self,
        *arguments: str | Path,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        stdin: int | None = None,
        module: str = "runner.cli",
    ) -> None:
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            command(*arguments, module=module),
            cwd=cwd,
            env=environment(env),
            stdin=stdin or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, words: str, *, seconds: float = 30, after: int = 0) -> str:
        """The first line from line number `after` on that holds `words`."""
        deadline = time.monotonic() + seconds
        seen = after
        while True:
            for line in self.lines[seen:]:
                seen += 1
                if words in line:
                    return line
            left = deadline - time.monotonic()
            ended = self.process.poll() is not None and not self._reader.is_alive()
            if left <= 0 or (ended and seen >= len(self.lines)):
                raise AssertionError(f"{words!r} did not come within {seconds} s. What came:\n{self.output}")
            time.sleep(0.02)

    def stop(self, how: int = signal.SIGINT, *, seconds: float = 5) -> tuple[int, float]:
        """Exit code, and how long it took to end, seconds."""
        begun = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        taken = time.monotonic() - begun
        self._reader.join(2)
        for stream in (self.process.stdout, self.process.stdin):
            if stream:
                stream.close()
        return code, taken

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))


def run(*arguments: str | Path, cwd: Path, input: str = "", env: Mapping[str, str] | None = None, seconds: float = 60):
    """Run `runner` to its end: the finished process with its output as text."""
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environment(env),
        input=input,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def agents_in(folder: Path, *names: str) -> Path:
    """Copies of example agents in a folder of their own, so that a test may edit them. Returns the first file."""
    target = folder / "agents"
    target.mkdir(exist_ok=True)
    for name in names:
        (target / f"{name}.yaml").write_text((PROJECT / "agents" / f"{name}.yaml").read_text(encoding="utf-8"))
    return target / f"{names[0]}.yaml"


def sentences(pieces: Sequence[str | float]) -> list[str]:
    """The spoken part of a script of pauses and sentences."""
    return [piece for piece in pieces if isinstance(piece, str)]
