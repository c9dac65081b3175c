"""What comes in: what this machine has. What goes out: the address of an OpenAI-compatible server and the name of a
model on it.

A model file that a person named comes first, then an Ollama that runs here, then the packaged SmolLM2.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from loguru import logger

from runner.local.weights import SMOLLM2
from runner.problem import Mendable

OLLAMA = "http://127.0.0.1:11434"

MODEL_FILE = "RUNNER_GGUF"
"""The environment variable that names a GGUF file."""

LARGEST_FOR_SPEECH = 10e9
"""Bytes. Of several models in Ollama the largest below this is taken: a larger one keeps a caller waiting."""

LOADING_TAKES = 120.0
"""Seconds after which a model that does not answer is given up. SmolLM2 takes 0.5 s; a large file from a slow disk a
minute."""


CHILD = Path(__file__).with_name("answering.py")


class ModelError(Mendable):
    """No model could be started. The message is for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class _Chosen:
    base_url: str
    model: str
    description: str


class LocalModel:
    """A language model on this machine. `start` before use, `close` after it; both may be called again."""

    def __init__(self, *, model_file: Path | None = None, ollama: str = OLLAMA) -> None:
        """model_file: a GGUF file; None for the one that `RUNNER_GGUF` names. ollama: where to look for Ollama."""
        named = os.environ.get(MODEL_FILE)
        self._model_file = model_file or (Path(named).expanduser() if named else None)
        self._ollama = ollama
        self._chosen: _Chosen | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._said: deque[str] = deque(maxlen=20)

    @property
    def base_url(self) -> str:
        """Address of the OpenAI-compatible server, with its `/v1`. Raises ModelError before `start`."""
        return self._started().base_url

    @property
    def model(self) -> str:
        """The model's name on that server. Raises ModelError before `start`."""
        return self._started().model

    @property
    def address(self) -> tuple[str, str]:
        """`base_url` and `model`. Raises ModelError before `start`."""
        return self.base_url, self.model

    def describe(self) -> str:
        """One plain line for the banner."""
        return self._chosen.description if self._chosen else "a model on this machine, not started yet"

    async def start(self) -> None:
        """Find a model, start it where it needs starting, and wait until it answers.

        Raises:
            ModelError: the named file is not there, or the model does not start.
            WeightsError: the packaged weights are missing or not the pinned ones.
        """
        if self._chosen:
            return
        if self._model_file:
            file = self._model_file
            if not file.is_file():
                raise ModelError(f"{MODEL_FILE} names {file}, which is not there.")
            self._chosen = await self._serve(
                file, "as-it-is", file.stem, f"the model file {file.name}, on this machine"
            )
        elif found := await _in_ollama(self._ollama):
            self._chosen = _Chosen(f"{self._ollama}/v1", found, f"{found} in Ollama, on this machine")
        else:
            file = await asyncio.to_thread(SMOLLM2.path)
            self._chosen = await self._serve(
                file,
                "brief",
                "smollm2-135m-instruct",
                "SmolLM2 on this machine, a very small model that gets most facts wrong. "
                f"For real answers set a key, start Ollama, or name a model file in {MODEL_FILE}",
            )

    async def close(self) -> None:
        """Stop what `start` started."""
        self._chosen = None
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 2)
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._reading:
            await self._reading

    async def _serve(self, file: Path, manner: str, name: str, description: str) -> _Chosen:
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", str(CHILD), str(file), manner),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in the terminal ends the calls first
        )
        assert process.stdout
        assert process.stderr
        self._reading = asyncio.create_task(self._read(process.stderr))
        try:
            line = await asyncio.wait_for(process.stdout.readline(), LOADING_TAKES)
        except (TimeoutError, asyncio.CancelledError) as stopped:
            await self.close()
            if isinstance(stopped, asyncio.CancelledError):
                raise
            raise ModelError(f"{file.name} did not start within {LOADING_TAKES:.0f} seconds.") from None
        if not line:
            await self.close()
            raise ModelError(f"{file.name} could not be started. It said: {' '.join(self._said) or 'nothing'}")
        return _Chosen(f"{line.decode().strip()}/v1", name, description)

    async def _read(self, errors: asyncio.StreamReader) -> None:
        while line := await errors.readline():
            text = line.decode(errors="replace").strip()
            self._said.append(text)
            logger.debug(f"Local model: {text}")

    def _started(self) -> _Chosen:
        if self._chosen is None:
            raise ModelError("The model on this machine is not started.")
        return self._chosen


async def _in_ollama(address: str) -> str | None:
    """The name of a model in Ollama that can hold a conversation, None when there is none or no Ollama runs here."""
    try:
        async with httpx.AsyncClient(timeout=1.0, trust_env=False) as client:
            answer = await client.get(f"{address}/api/tags")
            answer.raise_for_status()
            models: list[dict[str, Any]] = answer.json()["models"]
            chosen = _for_conversation(models)
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return None
    return chosen


def _for_conversation(models: list[dict[str, Any]]) -> str | None:
    """The largest model small enough to speak with, else the smallest. No embeddings, and none that runs elsewhere."""
    here = [model for model in models if not model.get("remote_host") and not _embeds(model)]
    small = [model for model in here if model["size"] <= LARGEST_FOR_SPEECH]
    if small:
        return str(max(small, key=lambda model: model["size"])["name"])
    return str(min(here, key=lambda model: model["size"])["name"]) if here else None


def _embeds(model: dict[str, Any]) -> bool:
    families = " ".join(model.get("details", {}).get("families") or ())
    return any(word in f"{model['name']} {families}".lower() for word in ("embed", "bert", "bge", "minilm"))
