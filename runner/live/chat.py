"""`runner chat AGENT`: the same agent and the same engine, typed. Lines in, lines out; `--json` for programs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any

from runner.environment import Environment
from runner.events import (
    AgentSaid,
    AgentVersion,
    CallEnded,
    CallerSaid,
    Event,
    LanguageChanged,
    SpeakerCorrected,
    StageEntered,
    Trouble,
)
from runner.live.call import Call
from runner.live.carriers.typed import TypedCarrier
from runner.live.handover import hand_over, plan
from runner.live.page_messages import as_message
from runner.live.reload import Agents, Saved
from runner.live.switchboard import Switchboard
from runner.live.typed_turn import typed_turn
from runner.live.watch import Watcher
from runner.problem import print_problems
from runner.selection import Mode
from runner.terminal import Terminal, wants_color

_ANSWER_SECS = 60.0
"""How long one answer may take before the chat goes on without it."""


async def chat(agents: Agents, environment: Environment, *, services: Mode, as_json: bool, pinned: bool = False) -> int:
    """Until the input or the call ends. Returns the exit code. `agents` holds one agent.

    pinned: the call keeps the version it begins with.
    """
    return await _Room(agents, environment, services, as_json=as_json, pinned=pinned).run()


class _Room:
    def __init__(
        self, agents: Agents, environment: Environment, services: Mode, *, as_json: bool, pinned: bool
    ) -> None:
        self._json, self._pinned = as_json, pinned
        self._agents = agents
        # With `cloud` the command line has seen to the model's key; the other two parts of a typed call need none.
        mode: Mode = "local" if services == "local" else "auto"
        self._switchboard = Switchboard(mode, environment, self._happened)
        self._terminal = Terminal()

    async def run(self) -> int:
        agent = next(iter(self._agents))
        await self._switchboard.prepare([agent.definition], spoken=False)
        carrier = TypedCarrier()
        call = await self._switchboard.place(agent, carrier, "typed", writer=carrier, pinned=self._pinned)
        stop = asyncio.Event()
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
        self._ready(agent.name, agent.version)
        watcher = Watcher(files=self._agents.files)
        helpers = [asyncio.create_task(self._watch(watcher, call)), asyncio.create_task(stop.wait())]
        talking = asyncio.create_task(self._talk(call, carrier))
        await asyncio.wait({talking, helpers[1], asyncio.create_task(call.over())}, return_when=asyncio.FIRST_COMPLETED)
        for task in (talking, *helpers):
            task.cancel()
        if stop.is_set():
            await call.cancel("the chat was stopped")
        await asyncio.wait({talking, *helpers})
        await self._switchboard.close("the chat was ended")
        await watcher.close()
        if talking.done() and not talking.cancelled() and (error := talking.exception()):
            raise error
        return 0

    async def _talk(self, call: Call, carrier: TypedCarrier) -> None:
        await call.begin()
        if call.opens:
            await carrier.quiet(_ANSWER_SECS)
        lines = await _input_lines()
        if not self._json and sys.stdin.isatty():
            self._terminal.line("Type what the caller says. Ctrl-D ends the call.", "\x1b[2m")
        while (line := await lines.get()) is not None:
            text = line.strip()
            if not text:
                continue
            carrier.asked()
            turn = typed_turn(text, call.conversation.agent)
            await call.hear_typed(turn.text, turn.speaker, turn.language)
            await carrier.quiet(_ANSWER_SECS)
        await call.end("the input ended")

    async def _watch(self, watcher: Watcher, call: Call) -> None:
        await self._follow(watcher, call)  # what was saved while the rest was loaded
        async for changed in watcher.changes():
            for agent in self._agents.deaf(changed):
                said = f"{agent.name}: not applied, {self._agents.why_off}. Start runner chat again to use it."
                self._write({"type": "not-applied", "version": agent.version, "message": said})
                self._say(f"[saved] {said}")
            await self._take(await self._agents.take(changed), call)
            if watcher.watch(self._agents.files):
                await self._follow(watcher, call)

    async def _follow(self, watcher: Watcher, call: Call) -> None:
        """Watch what the agent was read from; files that were read before they were watched are read once more."""
        while True:
            await self._take(await self._agents.look_again(), call)
            if not watcher.watch(self._agents.files):
                return

    async def _take(self, saves: Sequence[Saved], call: Call) -> None:
        for save in saves:
            for problem in save.agent.problems:
                self._write({"type": "problem", **problem.as_json()})
            if save.agent.problems and not self._json:
                keeps = "" if save.good else f" Version {call.version} stays in use; the call keeps it."
                print(print_problems(save.agent.problems, color=wants_color(sys.stdout)) + keeps)
            if not save.good:
                continue
            planned = plan(save.agent, save.changed, self._agents.mode(save.agent), [call])
            version, changes = save.agent.version, list(planned.changes)
            self._say(f"[saved] version {version}")
            for line in changes or ["nothing differs in what the agent does"]:
                self._say(f"        {line}")
            confirmed = await hand_over(save.agent, planned)
            for line in confirmed:
                self._say(f"        {line}")
            self._write({"type": "reload", "version": version, "changes": changes, "confirmed": confirmed})

    def _say(self, line: str) -> None:
        if not self._json:
            self._terminal.line(line, "\x1b[2m")

    def _ready(self, name: str, version: int) -> None:
        agent = next(iter(self._agents))
        if self._json:
            services = {
                choice.part: self._switchboard.describe(choice)
                for choice in self._switchboard.choices(agent.definition)
                if choice.part == "llm"
            }
            self._write({"type": "ready", "agent": name, "version": version, "services": services})
            return
        choices = [c for c in self._switchboard.choices(agent.definition) if c.part == "llm"]
        self._terminal.banner(f"{name}, version {version}", [(c, self._switchboard.describe(c)) for c in choices])

    def _happened(self, call: Call, event: Event) -> None:
        if not self._json:
            if not isinstance(event, CallerSaid) or event.speaker or event.language:
                self._terminal.event(call.number, event)
            return
        match event:
            case AgentSaid(text, stage, version, _):
                self._write({"type": "agent", "text": text, "stage": stage, "version": version})
            case StageEntered(left, stage, version):
                self._write({"type": "stage", "from": left, "to": stage, "version": version})
            case AgentVersion(version, stage, changes):
                self._write({"type": "version", "version": version, "stage": stage, "changes": list(changes)})
            case Trouble(text, version):
                self._write({"type": "problem", "message": text, "version": version})
            case CallEnded(reason, version):
                self._write({"type": "end", "reason": reason, "version": version})
            case CallerSaid() | SpeakerCorrected() | LanguageChanged():
                if message := as_message(event):
                    self._write(message)
            case _:
                pass

    def _write(self, item: dict[str, Any]) -> None:
        if self._json:
            print(json.dumps(item, ensure_ascii=False), flush=True)


async def _input_lines() -> asyncio.Queue[str | None]:
    """Lines of standard input as they come, None at its end. A thread reads, because not every input can be polled; it
    reads below `sys.stdin`, whose lock a waiting thread would hold when Python ends, which aborts it."""
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    input_ = sys.stdin.fileno()

    def hand_over(line: str | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed: the call is over
            loop.call_soon_threadsafe(lines.put_nowait, line)

    def read() -> None:
        rest = b""
        while piece := os.read(input_, 65536):
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                hand_over(line.decode(errors="replace"))
        if rest:
            hand_over(rest.decode(errors="replace"))
        hand_over(None)

    threading.Thread(target=read, daemon=True, name="standard input").start()
    return lines
