"""`runner AGENT`: read the agents, open the page, take calls, apply every save, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import webbrowser
from collections.abc import Awaitable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import uvicorn
from loguru import logger

from runner import __version__
from runner.definition import AgentDefinition, ReloadMode
from runner.environment import TOKEN_VARIABLE, Environment
from runner.events import Event
from runner.live.access import Access
from runner.live.call import Call
from runner.live.call_log import CallLog
from runner.live.handover import hand_over, plan
from runner.live.new_keys import NewKeys
from runner.live.reload import Agents, LiveAgent, Saved
from runner.live.server import News, build_app, describe
from runner.live.serving import Serving, drain
from runner.live.switchboard import Switchboard
from runner.live.watch import Watcher
from runner.problem import short_path
from runner.selection import Mode, why_not
from runner.terminal import Terminal
from runner.wording import counted

if TYPE_CHECKING:
    from runner.live.carriers.daily.room import RoomCall

Done = TypeVar("Done")

_GOODBYE_SECS = 0.9
"""Ctrl-C: the calls and the server have this long together."""

_SERVER_GOODBYE_SECS = 5.0
"""The same for `runner serve`, which nobody waits for at a keyboard: rooms are deleted and sessions closed."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for."""

    host: str = "127.0.0.1"
    port: int = 7860
    browser: bool = True
    services: Mode = "auto"
    reload: ReloadMode | None = None
    transport: Literal["page", "local"] = "page"
    daily: bool = False
    room: str | None = None
    token: str | None = None
    folders: frozenset[Path] = frozenset()
    """Where agents are added while runner runs."""
    serving: Serving | None = None
    """For many callers; None for one who makes an agent."""
    public_url: str | None = None
    call: str | None = None


async def run(options: Options, agents: Agents, environment: Environment, listener: socket.socket) -> int:
    """Until the person stops it. Returns the exit code. listener: where the page is asked for; closed at the end.

    Raises:
        DailyKeyMissing: a Daily room was asked for without a key.
    """
    with contextlib.closing(listener):
        return await _House(options, agents, environment).run(listener)


class _House:
    """Everything that lives while `runner` runs, and how news travels between the rooms."""

    def __init__(self, options: Options, agents: Agents, environment: Environment) -> None:
        self._options = options
        self._agents = agents
        self._agents.reload = options.reload
        self._environment = environment
        serving = options.serving
        self._terminal = CallLog(as_json=serving.as_json) if serving else Terminal()
        limit = serving.limit if serving else None
        self._switchboard = Switchboard(options.services, environment, self._happened, limit=limit)
        agents.refuses = self._refuses
        self._news = News()
        self._access = Access.for_host(options.host, options.public_url)
        self._access = self._access.with_token(environment.values.get(TOKEN_VARIABLE))
        environment.hide(TOKEN_VARIABLE, self._access.token or "")
        self._port = options.port
        self._saving = asyncio.Lock()

    async def run(self, listener: socket.socket) -> int:
        self._port = listener.getsockname()[1]
        stop, at_once = asyncio.Event(), asyncio.Event()

        def signalled() -> None:
            (at_once if stop.is_set() else stop).set()

        loop = asyncio.get_running_loop()
        watcher = Watcher(files=self._watched(), folders=self._options.folders)
        await self._switchboard.prepare([agent.definition for agent in self._agents])
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, signalled)
        server = _Server(
            uvicorn.Config(
                build_app(self._agents, self._switchboard, self._access, self._news),
                log_config=None,
                access_log=False,  # it holds the token
                lifespan="off",
                ws_per_message_deflate=False,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        watching = asyncio.create_task(self._watch(watcher))
        await asyncio.wait({serving, asyncio.create_task(server.up.wait())}, return_when=asyncio.FIRST_COMPLETED)
        stopping = asyncio.create_task(stop.wait())
        room = await self._unless(stopping, self._daily_call(stop))
        if not stop.is_set():
            await self._local_call(stop)
            self._banner()
        await asyncio.wait({stopping, serving, watching}, return_when=asyncio.FIRST_COMPLETED)
        if self._options.serving and stop.is_set():
            await drain(self._switchboard.gate, at_once, self._options.serving.drain_secs, self._terminal.line)
        await _within(self._close(server, serving, watcher), self._goodbye)
        for task in (serving, watching, stopping):
            task.cancel()
        for task in (serving, watching):
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error
        return 1 if room and room.failure else 0

    async def _unless(self, stopping: asyncio.Task[Any], work: Coroutine[Any, Any, Done]) -> Done | None:
        """Do it, but give it up when runner is stopped meanwhile; what it has to clear away then gets a moment."""
        task = asyncio.create_task(work)
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        task.cancel()
        self._switchboard.see_off(task)
        return None

    async def _close(self, server: uvicorn.Server, serving: asyncio.Task[None], watcher: Watcher) -> None:
        await self._switchboard.close("runner was stopped", patience=self._goodbye)
        self._news.close()
        server.should_exit = True  # not before: it would cut the calls' connections
        await watcher.close()
        await asyncio.wait({serving})

    @property
    def _goodbye(self) -> float:
        """Seconds for the calls and the server together."""
        return _SERVER_GOODBYE_SECS if self._options.serving else _GOODBYE_SECS

    def _watched(self) -> frozenset[Path]:
        return self._agents.files | frozenset(self._environment.files)

    async def _watch(self, watcher: Watcher) -> None:
        if self._options.reload == "off":
            await asyncio.Event().wait()

        async def tried(changed: frozenset[Path]) -> None:
            await self._saved(changed, watcher, keys=True)

        new_keys = NewKeys(self._environment, self._agents, self._options.services, self._terminal.line, tried)
        async with self._saving:
            await self._follow(watcher)  # what was saved while the rest was loaded
        async for changed in watcher.changes():
            if changed & frozenset(self._environment.files):
                new_keys.saved(changed)
            else:
                await self._saved(changed, watcher)

    async def _saved(self, changed: frozenset[Path], watcher: Watcher, *, keys: bool = False) -> None:
        """Files were saved. keys: the environment may hold other values than before."""
        async with self._saving:
            try:
                await self._apply(changed, keys=keys)
                if watcher.watch(self._watched()):
                    await self._follow(watcher)
            except Exception:
                logger.exception("A save could not be applied")
                self._terminal.line("[problem] Sorry: a fault in runner. This save is not applied, all calls go on.")

    async def _apply(self, changed: frozenset[Path], *, keys: bool) -> None:
        for agent in self._agents.deaf(changed):
            said = "not applied, its file says reload: off. Start runner again to use it."
            self._terminal.line(f"[saved] {agent.name}: {said}")
        saves = await self._agents.take(changed)
        if keys:
            saves += await self._agents.look_again(besides=changed)
        await self._tell(saves)
        for path in self._agents.unopened(changed, self._options.folders):
            await self._meet(path)

    async def _meet(self, path: Path) -> None:
        """An agent that was added to the folder, or that was broken until now."""
        agent, problems = await self._agents.meet(path)
        if agent is None:
            self._terminal.problems(problems, f"{short_path(path)} takes no calls.")
            return
        self._terminal.line(f"[new] {agent.name} takes calls, version {agent.version} ({short_path(path)})")
        if problems:
            self._terminal.problems(problems, "")
        self._news.tell({"type": "agent", **describe(agent, self._switchboard), "changes": []})

    def _refuses(self, agent: AgentDefinition) -> str | None:
        """Why this agent could take no calls, though its file is good."""
        return why_not([agent], self._environment.keys, self._options.services)

    async def _follow(self, watcher: Watcher) -> None:
        """Watch what the agents were read from; files that were read before they were watched are read once more."""
        while True:
            await self._tell(await self._agents.look_again())
            if not watcher.watch(self._watched()):
                return

    async def _tell(self, saves: Sequence[Saved]) -> None:
        for save in saves:
            await self._tell_save(save)

    async def _tell_save(self, save: Saved) -> None:
        agent, running = save.agent, [c for c in self._switchboard.calls if c.agent_name == save.name_before]
        mode = self._agents.mode(agent)
        confirmed: list[str] = []
        if not save.good:
            keeps = f"Version {agent.version} stays in use" + (
                f"; {_calls(len(running))} in progress keep{'s' if len(running) == 1 else ''} it." if running else "."
            )
            self._terminal.problems(agent.problems, keeps)
            changes: list[str] = []
        else:
            for call in running:
                call.agent_name = agent.name
            planned = plan(agent, save.changed, mode, running)
            changes = list(planned.changes)
            self._terminal.line(f"[saved] {agent.name} is now version {agent.version}")
            for line in changes or ["nothing differs in what the agent does"]:
                self._terminal.detail(f"        {line}")
            if agent.problems:
                self._terminal.problems(agent.problems, "")
            if mode == "off":
                self._terminal.line("        the next saves are not applied: the file says reload: off now")
            self._news.tell({"type": "agent", **describe(agent, self._switchboard), "changes": changes})
            confirmed = await hand_over(agent, planned)
            for line in confirmed:
                self._terminal.line(f"        {line}")
        self._news.tell(
            {"type": "agent", **describe(agent, self._switchboard), "changes": changes, "confirmed": confirmed}
        )

    def _happened(self, call: Call, event: Event) -> None:
        self._terminal.event(call.number, event, call.agent_name)

    def _banner(self) -> None:
        terminal, switchboard = self._terminal, self._switchboard
        for agent in self._agents:
            title = f"runner {__version__}: {agent.name}, version {agent.version} ({short_path(agent.path)})"
            terminal.banner(title, [(c, switchboard.describe(c)) for c in switchboard.choices(agent.definition)])
        address = f"http://{_for_links(self._options.host)}:{self._port}/"
        terminal.line()
        if self._environment.values.get(TOKEN_VARIABLE):
            terminal.line(f"  Talk to it:  {address}?token=... with {TOKEN_VARIABLE}")
        else:
            address += f"?token={self._access.token}" if self._access.token else ""
            terminal.line(f"  Talk to it:  {address}")
        if public := self._options.public_url:
            name = next(iter(self._agents)).name if len(list(self._agents)) == 1 else "AGENT"
            terminal.line(
                f"  Telephone:   {public}/phone/{name} for Twilio, Telnyx and Plivo; Exotel: /ws/{name}/TOKEN"
            )
        if serving := self._options.serving:
            terminal.line(f"  Callers:     {counted(serving.limit)} at once, then 503; GET /health says how many")
            terminal.line(f"  Stop:        SIGTERM or Ctrl-C; running calls have {serving.drain_secs:.0f} s to end")
            terminal.line("ready")
            return
        terminal.line(f"  Change it:   edit {short_path(next(iter(self._agents)).path)} and save, also while you talk")
        terminal.line("  Stop:        Ctrl-C")
        terminal.line("ready")
        if self._options.browser and sys.stdout.isatty():
            with contextlib.suppress(webbrowser.Error):
                webbrowser.open(address)

    async def _daily_call(self, stop: asyncio.Event) -> RoomCall | None:
        options = self._options
        if not (options.daily or options.room or options.call):
            return None
        from runner.live.carriers.daily.command import Asked, join

        asked = Asked(room=options.room, token=options.token, call=options.call)
        agent: LiveAgent = next(iter(self._agents))
        return await join(asked, agent, self._switchboard, self._terminal, stop.set)

    async def _local_call(self, stop: asyncio.Event) -> None:
        if self._options.transport == "local":
            from runner.live.carriers.local_sound import talk

            await talk(next(iter(self._agents)), self._switchboard, self._terminal, stop.set)


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handling, because Ctrl-C ends calls first. `up`: it answers from now on."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        logging.getLogger("uvicorn.error").addFilter(_is_no_false_alarm)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _is_no_false_alarm(record: logging.LogRecord) -> bool:
    """Uvicorn 0.5x calls it an error when a websocket is refused with an HTTP answer, which is what ASGI has for it."""
    return "returned without completing handshake" not in record.getMessage()


async def _within(work: Awaitable[None], seconds: float) -> None:
    try:
        await asyncio.wait_for(work, seconds)
    except TimeoutError:
        logger.debug("The goodbye took too long and was cut")


def _calls(number: int) -> str:
    return "the call" if number == 1 else f"{number} calls"


def _for_links(host: str) -> str:
    if host in ("0.0.0.0", "::"):
        return "localhost"
    return f"[{host}]" if ":" in host else host
