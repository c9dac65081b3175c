"""Noticing saves.

In come the files an agent was read from and the folders agents live in; out come sets of files whose content is no
longer what it was. Operating system events (`watchfiles`) say when to look, the content alone says whether something
changed, and a look every second catches what events miss: network disks, containers, full queues, used-up watch limits.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import stat
import unicodedata
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from loguru import logger
from watchfiles import Change, awatch  # pyright: ignore[reportUnknownVariableType]  (it names a type of trio)

from runner.document.load import agent_files

CALM = 0.03
"""Seconds a content stays the same before it is reported: a write in several pieces is one save."""

GRACE = 0.3
"""Seconds a file stays missing, empty or unreadable before that is reported: editors delete or truncate, then write."""

TOGETHER = 0.25
"""Seconds a settled file waits for another one that is still being saved: "save all" is one change."""

PATIENCE = 2.0
"""Seconds after which a file that never comes to rest is reported as it stands."""

POLL = 1.0
"""Seconds between two looks without any event."""

RETRY = 5.0
"""Seconds before events are tried again after the operating system refused them."""

HASHED = 16 * 2**20
"""Bytes up to which a file is told apart by its content; a larger one by size and time, it is no agent file anyway."""

ABSENT = b""
EMPTY = b"empty"
UNREADABLE = b"unreadable"

Digest = bytes
"""What a file holds: a hash, or ABSENT, EMPTY, UNREADABLE."""


def digest(path: Path) -> Digest:
    """The content of a file in a few bytes. Raises nothing; folders, pipes and what may not be read are UNREADABLE."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return UNREADABLE
        if status.st_size > HASHED:
            return f"{status.st_size} {status.st_mtime_ns}".encode()
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "blake2b").digest()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a name no file can have is a ValueError
        return ABSENT
    except OSError:
        return UNREADABLE
    return EMPTY if found == _NOTHING else found


_NOTHING = hashlib.blake2b(b"").digest()


@dataclass(slots=True)
class _Pending:
    digest: Digest
    since: float
    first: float

    @property
    def ready_at(self) -> float:
        rest = GRACE if self.digest in (ABSENT, EMPTY, UNREADABLE) else CALM
        return min(self.since + rest, self.first + PATIENCE)


class Settling:
    """Decides which differences are saves. Pure: contents and times are handed in, nothing is read.

    A file that is in no reading is ABSENT. `due` is the time of the next useful look, None while all is at rest.
    """

    def __init__(self, known: Mapping[Path, Digest]) -> None:
        self.known = dict(known)
        self.due: float | None = None
        self._pending: dict[Path, _Pending] = {}

    def follow(self, digests: Mapping[Path, Digest], dropped: Iterable[Path] = ()) -> None:
        """Takes further files as they stand, and forgets others. What is under way for the rest goes on."""
        for path in dropped:
            self.known.pop(path, None)
            self._pending.pop(path, None)
        self.known.update(digests)

    def settle(self, digests: Mapping[Path, Digest], now: float) -> frozenset[Path]:
        """The files that changed and came to rest, given what all files hold at `now` (seconds of any steady clock)."""
        for path in self.known.keys() | digests.keys():
            found = digests.get(path, ABSENT)
            pending = self._pending.get(path)
            if found == self.known.get(path, ABSENT):
                self._pending.pop(path, None)
            elif pending is None:
                self._pending[path] = _Pending(found, now, now)
            elif pending.digest != found:
                pending.digest, pending.since = found, now

        ready = {path: p.ready_at for path, p in self._pending.items() if p.ready_at <= now}
        waiting = [p.ready_at for path, p in self._pending.items() if path not in ready]
        if ready and waiting and now < (latest := min(ready.values()) + TOGETHER):
            self.due = min(latest, *waiting)
            return frozenset()
        for path in ready:
            self.known[path] = self._pending.pop(path).digest
        self.due = min(waiting, default=None)
        return frozenset(ready)


def _fold(name: str) -> str:
    """macOS and Windows may spell a name in an event otherwise than we do."""
    return unicodedata.normalize("NFC", name).casefold()


def places(path: Path) -> Iterator[tuple[Path, str]]:
    """Where saving `path` shows: folders that exist, each with the name of the entry in it that matters.

    Besides the file's own folder these are the folders of every link on the way (Kubernetes swaps `..data`, a link to a
    folder) and of what they lead to; for a folder that does not exist yet, the nearest one that does.
    """
    ways, seen = [path], set[Path]()
    while ways and len(seen) < 40:  # as many links as Linux follows
        way = ways.pop()
        if way in seen:
            continue
        seen.add(way)
        entry = way
        while not entry.parent.is_dir() and entry != entry.parent:
            entry = entry.parent
        yield entry.parent, entry.name
        for link in (way, *way.parents):
            # Links in the root belong to the system (macOS: /tmp), and watching the root would report the whole disk.
            if link.is_symlink() and link.parent != Path(link.anchor):
                yield link.parent, link.name
                target = Path(os.path.normpath(link.parent.resolve() / link.readlink()))
                ways.append(target / way.relative_to(link))


@dataclass(frozen=True, slots=True)
class _Look:
    """One reading of everything. `folders` carries device and inode: a replaced folder has to be watched anew."""

    digests: dict[Path, Digest]
    folders: dict[Path, tuple[int, int]]
    names: frozenset[str]


def _agents(folders: Iterable[Path]) -> set[Path]:
    found = set[Path]()
    for folder in folders:
        with suppress(OSError):  # the folder may go away while it is read
            found.update(agent_files(folder) if folder.is_dir() else ())
    return found


def _look(files: Iterable[Path], folders: Iterable[Path]) -> _Look:
    paths = {*files, *_agents(folders)}
    spots = {(folder, "") for folder in folders}
    for path in (*paths, *folders):
        with suppress(
            OSError, RuntimeError
        ):  # forbidden folders and links in a circle: what was found so far has to do
            spots.update(places(path))
    found: dict[Path, tuple[int, int]] = {}
    for folder in {folder for folder, _ in spots}:
        with suppress(OSError):
            status = folder.stat()
            if stat.S_ISDIR(status.st_mode):
                found[folder] = (status.st_dev, status.st_ino)
    names = {_fold(name) for folder, entry in spots for name in (folder.name, entry)}
    return _Look({path: digest(path) for path in paths}, found, frozenset(names))


def _absolute(paths: Iterable[Path]) -> frozenset[Path]:
    return frozenset(Path(os.path.abspath(path)) for path in paths)  # noqa: PTH100 (links stay as they are written)


class Watcher:
    """Watches single files and all agents of some folders, whether they exist yet or not.

    Paths come out absolute, links as they were written. What the files hold when they are handed over counts as known:
    hand them over before reading them. Where only reading tells which files there are, read again if `watch` returns
    any, or a save in between would be lost.

    events=False leaves only the look every `poll` seconds.
    """

    def __init__(
        self,
        files: Iterable[Path] = (),
        folders: Iterable[Path] = (),
        *,
        events: bool = True,
        poll: float = POLL,
    ) -> None:
        self._files = _absolute(files)
        self._folders = _absolute(folders)
        self._poll = poll
        self._settling = Settling(_look(self._files, self._folders).digests)
        self._names = frozenset[str]()
        self._moved = asyncio.Event()
        self._closed = False
        self._thread = ThreadPoolExecutor(1, "watch")  # a slow disk must not hold up the threads that serve calls
        self._heard: dict[Path, tuple[int, int]] = {}
        self._ears: dict[asyncio.Task[None], asyncio.Event] = {}
        self._events = events
        self._next_try = math.inf

    def watch(self, files: Iterable[Path]) -> frozenset[Path]:
        """Replaces the set of single files; returns those that were not watched before. Call it from the event loop."""
        before, self._files = self._files, _absolute(files)
        in_folders = _agents(self._folders)
        added = self._files.difference(before, in_folders, self._settling.known)
        self._settling.follow({path: digest(path) for path in added}, before - self._files - in_folders)
        self._moved.set()
        return added

    async def changes(self) -> AsyncGenerator[frozenset[Path], None]:
        """Yields the files whose content differs from what was yielded last: saved, appeared or gone.

        One reader at a time; several saves while it was busy are one change. Ends when `close` is called.
        """
        loop = asyncio.get_running_loop()
        try:
            while not self._closed:
                self._moved.clear()
                files, now = self._files, loop.time()
                look = await loop.run_in_executor(self._thread, _look, files, self._folders)
                if files is not self._files:
                    continue
                self._names = look.names
                if self._listen_to(look.folders):
                    await asyncio.sleep(0)  # its task begins, so that nothing is lost between it and the next look
                    continue
                if changed := self._settling.settle(look.digests, now):
                    yield changed
                    continue
                due = self._settling.due
                await self._pause(self._poll if due is None else min(self._poll, due - loop.time()))
        finally:
            await self._hush()

    async def close(self) -> None:
        """Ends `changes` and gives back threads and watches. May be called twice."""
        self._closed = True
        self._moved.set()
        await self._hush()
        self._thread.shutdown(wait=False)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0.001)):
                await self._moved.wait()

    def _listen_to(self, folders: dict[Path, tuple[int, int]]) -> bool:
        """Turns the event source to these folders; True if that was necessary. The old one ends by itself."""
        if not self._events or (folders == self._heard and asyncio.get_running_loop().time() < self._next_try):
            return False
        for stop in self._ears.values():
            stop.set()
        self._heard, self._next_try = folders, math.inf
        if folders:
            stop = asyncio.Event()
            ear = asyncio.create_task(self._listen(folders, stop))
            self._ears[ear] = stop
            ear.add_done_callback(lambda done: self._ears.pop(done, None))
        return True

    async def _listen(self, folders: Iterable[Path], stop: asyncio.Event) -> None:
        try:
            async for _ in awatch(
                *folders,
                watch_filter=self._concerns,
                debounce=50,
                step=5,
                stop_event=stop,
                recursive=False,
                ignore_permission_denied=True,
            ):
                self._moved.set()
        except* (OSError, RuntimeError) as failures:
            if not stop.is_set():
                self._next_try = asyncio.get_running_loop().time() + RETRY
                logger.debug("No file events, looking every {} s instead: {}", self._poll, failures.exceptions)

    def _concerns(self, change: Change, path: str) -> bool:
        name = _fold(Path(path).name)
        return name in self._names or (bool(self._folders) and name.endswith((".yaml", ".yml")))

    async def _hush(self) -> None:
        ears = list(self._ears)
        for stop in self._ears.values():
            stop.set()
        self._heard = {}
        if ears:
            await asyncio.wait(ears)
