"""Saves of every kind against the real watcher on a real disk; the decisions alone against made-up clocks."""

# ruff: noqa: ASYNC240  (a save on the local disk takes less than a millisecond)
from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from runner.live.watch import CALM, EMPTY, GRACE, PATIENCE, TOGETHER, Settling, Watcher, digest

SILENCE = GRACE + 0.25
NEVER = 600.0
"""Seconds between two looks in tests where an event has to show the save."""
FIRST, SECOND = Path("/a.yaml"), Path("/b.md")


class Reader:
    """Reads what a watcher reports, at once, the way the loader does."""

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher
        self.reports: list[frozenset[Path]] = []
        self.contents: list[dict[Path, str | None]] = []
        self._news = asyncio.Event()

    async def read(self) -> None:
        async for changed in self.watcher.changes():
            self.reports.append(changed)
            self.contents.append({path: _text(path) for path in changed})
            self._news.set()

    async def next(self, seconds: float = 5.0) -> frozenset[Path]:
        """The oldest report not yet taken."""
        while not self.reports:
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), seconds)
        return self.reports.pop(0)

    async def quiet(self, seconds: float = SILENCE) -> bool:
        await asyncio.sleep(seconds)
        return not self.reports


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


@asynccontextmanager
async def reading(watcher: Watcher) -> AsyncGenerator[Reader]:
    reader = Reader(watcher)
    task = asyncio.create_task(reader.read())
    await asyncio.sleep(0.05)
    try:
        yield reader
    finally:
        await watcher.close()
        await asyncio.wait_for(task, 2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "agents" / "support.yaml"
    file.parent.mkdir()
    file.write_text("name: old\n")
    return file


def save_by_rename(file: Path, text: str) -> None:
    new = file.with_name(".support.yaml.swp")
    new.write_text(text)
    new.replace(file)


def save_by_truncating(file: Path, text: str) -> None:
    file.write_text(text)


def save_by_truncating_first(file: Path, text: str) -> None:
    file.write_text("")
    time.sleep(0.08)
    file.write_text(text)


def save_by_deleting(file: Path, text: str) -> None:
    file.unlink()
    time.sleep(0.05)
    file.write_text(text)


def save_by_moving_away(file: Path, text: str) -> None:
    file.replace(file.with_name("support.yaml~"))
    time.sleep(0.02)
    file.write_text(text)


def save_slowly(file: Path, text: str) -> None:
    with file.open("w") as pieces:
        for start in range(0, len(text), 4):
            pieces.write(text[start : start + 4])
            pieces.flush()
            time.sleep(0.01)


def save_by_link(file: Path, text: str) -> None:
    store = file.parent.parent / "store"
    store.mkdir(exist_ok=True)
    target = store / f"{time.monotonic_ns()}"
    target.write_text(text)
    link = file.with_name("link")
    link.symlink_to(target)
    link.replace(file)


def save_with_same_time_and_size(file: Path, text: str) -> None:
    before = file.stat()
    file.write_text(text.strip().ljust(before.st_size - 1) + "\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


WAYS: list[Callable[[Path, str], None]] = [
    save_by_rename,
    save_by_truncating,
    save_by_truncating_first,
    save_by_deleting,
    save_by_moving_away,
    save_slowly,
    save_by_link,
    save_with_same_time_and_size,
]


@pytest.mark.parametrize("save", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("events", [True, False], ids=["events", "poll"])
async def test_every_way_of_saving_is_one_change(file: Path, save: Callable[[Path, str], None], events: bool) -> None:
    async with reading(Watcher([file], events=events, poll=NEVER if events else 0.05)) as reader:
        await asyncio.to_thread(save, file, "name: new\n")
        assert await reader.next() == {file}
        assert reader.contents[-1] == {file: "name: new\n"}
        assert await reader.quiet(0.2)


@pytest.mark.slow
async def test_two_hundred_saves_lose_nothing(file: Path) -> None:
    chance = random.Random(20)
    rested: list[str] = []
    text = ""
    async with reading(Watcher([file])) as reader:
        for number in range(200):
            text = f"name: version {number:03}\n"
            await asyncio.to_thread(chance.choice(WAYS), file, text)
            text = file.read_text()  # padded to the size before by the last way
            if chance.random() < 0.08:
                await asyncio.sleep(0.45)
                rested.append(text)
            else:
                await asyncio.sleep(chance.random() * 0.04)
        await asyncio.sleep(SILENCE)
        seen = [content[file] for content in reader.contents]
    assert seen[-1] == text
    assert len(rested) > 10
    assert [text for text in rested if text not in seen] == []


async def test_saving_the_same_content_is_silent(file: Path) -> None:
    async with reading(Watcher([file])) as reader:
        file.touch()
        save_by_rename(file, "name: old\n")
        await asyncio.to_thread(save_by_deleting, file, "name: old\n")
        file.chmod(0o600)
        assert await reader.quiet()


async def test_other_files_of_the_folder_are_silent(file: Path) -> None:
    async with reading(Watcher([file])) as reader:
        file.with_name("log.txt").write_text("noise")
        file.with_name("other.yaml").write_text("name: other\n")
        assert await reader.quiet()


async def test_save_between_start_and_first_look_is_noticed(file: Path) -> None:
    watcher = Watcher([file])
    save_by_rename(file, "name: new\n")
    async with reading(watcher) as reader:
        assert await reader.next() == {file}


async def test_save_while_the_reader_is_busy_is_noticed(file: Path) -> None:
    watcher = Watcher([file])
    changes = watcher.changes()
    save_by_rename(file, "name: new\n")
    assert await anext(changes) == {file}
    save_by_rename(file, "name: newer\n")
    await asyncio.sleep(0.1)
    assert await asyncio.wait_for(anext(changes), 5) == {file}
    await watcher.close()


async def test_deletion_that_lasts_is_a_change_and_so_is_the_return(file: Path) -> None:
    async with reading(Watcher([file])) as reader:
        file.unlink()
        assert await reader.next() == {file}
        assert reader.contents == [{file: None}]
        await asyncio.sleep(2 - GRACE)
        file.write_text("name: old\n")
        assert await reader.next() == {file}
        assert await reader.quiet()


async def test_file_left_empty_is_reported(file: Path) -> None:
    async with reading(Watcher([file])) as reader:
        file.write_text("")
        assert await reader.next() == {file}


async def test_write_that_stops_half_way_is_reported_and_so_is_its_end(file: Path) -> None:
    async with reading(Watcher([file])) as reader:
        with file.open("w") as pieces:
            pieces.write("name: ")
            pieces.flush()
            assert await reader.next() == {file}
            pieces.write("new\n")
        assert await reader.next() == {file}
        assert reader.contents == [{file: "name: "}, {file: "name: new\n"}]


async def test_file_and_folder_that_do_not_exist_yet(tmp_path: Path) -> None:
    prompt, env = tmp_path / "prompts" / "refunds" / "money.md", tmp_path / ".env"
    async with reading(Watcher([prompt, env], poll=NEVER)) as reader:
        prompt.parent.mkdir(parents=True)
        prompt.write_text("Be kind.")
        assert await reader.next() == {prompt}
        env.write_text("OPENAI_API_KEY=")
        assert await reader.next() == {env}


async def test_saves_after_the_folder_was_replaced_are_noticed(file: Path) -> None:
    async with reading(Watcher([file], poll=NEVER)) as reader:
        new = file.parent.with_name("new")
        new.mkdir()
        (new / file.name).write_text("name: replaced\n")
        file.parent.rename(file.parent.with_name("old"))
        new.rename(file.parent)
        assert await reader.next() == {file}
        save_by_rename(file, "name: newer\n")
        assert await reader.next() == {file}


async def test_swapped_folder_link_as_kubernetes_does_it(tmp_path: Path) -> None:
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "support.yaml").write_text(f"name: {version}\n")
    (tmp_path / "..data").symlink_to("v1")
    file = tmp_path / "support.yaml"
    file.symlink_to("..data/support.yaml")
    async with reading(Watcher([file], poll=NEVER)) as reader:
        (tmp_path / "..data_tmp").symlink_to("v2")
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")
        assert await reader.next() == {file}
        assert reader.contents == [{file: "name: v2\n"}]
        (tmp_path / "v2" / "support.yaml").write_text("name: edited behind the link\n")
        assert await reader.next() == {file}


async def test_swapped_link_far_above_the_file(tmp_path: Path) -> None:
    for release in ("one", "two"):
        (tmp_path / release / "agents").mkdir(parents=True)
        (tmp_path / release / "agents" / "support.yaml").write_text(f"name: {release}\n")
    (tmp_path / "current").symlink_to(tmp_path / "one")
    file = tmp_path / "current" / "agents" / "support.yaml"
    async with reading(Watcher([file], poll=NEVER)) as reader:
        (tmp_path / "next").symlink_to(tmp_path / "two")
        (tmp_path / "next").replace(tmp_path / "current")
        assert await reader.next() == {file}


async def test_files_saved_together_are_one_change(file: Path) -> None:
    prompt = file.with_name("prompt.md")
    prompt.write_text("old")
    async with reading(Watcher([file, prompt])) as reader:
        save_by_rename(file, "name: new\n")
        await asyncio.to_thread(save_by_deleting, prompt, "new")
        assert await reader.next() == {file, prompt}
        assert await reader.quiet()


async def test_new_set_of_files_replaces_the_old_one(file: Path) -> None:
    prompt = file.parent.parent / "prompts" / "support.md"
    prompt.parent.mkdir()
    prompt.write_text("old")
    watcher = Watcher([file], poll=NEVER)
    async with reading(watcher) as reader:
        prompt.write_text("changed before anybody watched it")
        assert watcher.watch([file, prompt]) == {prompt}
        assert watcher.watch([file, prompt]) == frozenset()
        assert await reader.quiet()
        prompt.write_text("new")
        assert await reader.next() == {prompt}
        watcher.watch([prompt])
        save_by_rename(file, "name: new\n")
        assert await reader.quiet()


async def test_new_set_does_not_lose_a_save_under_way(file: Path) -> None:
    watcher = Watcher([file])
    async with reading(watcher) as reader:
        save_by_rename(file, "name: new\n")
        await asyncio.sleep(CALM / 2)
        watcher.watch([file, file.with_name("prompt.md")])
        assert await reader.next() == {file}


async def test_agents_of_a_folder_come_and_go(file: Path) -> None:
    other, shared = file.with_name("sales.yaml"), file.with_name("_shared.yaml")
    shared.write_text("old")
    watcher = Watcher(folders=[file.parent], poll=NEVER)
    async with reading(watcher) as reader:
        other.write_text("name: sales\n")
        file.with_name("support.tests.yaml").write_text("[]")
        file.with_name(".#support.yaml").write_text("lock of an editor")
        shared.write_text("new")
        assert await reader.next() == {other}
        save_by_rename(file, "name: new\n")
        assert await reader.next() == {file}
        assert watcher.watch([file, shared]) == {shared}
        shared.write_text("newer")
        assert await reader.next() == {shared}
        other.unlink()
        assert await reader.next() == {other}
        assert await reader.quiet()


async def test_folder_that_does_not_exist_yet(tmp_path: Path) -> None:
    file = tmp_path / "agents" / "hello.yaml"
    async with reading(Watcher(folders=[file.parent], poll=NEVER)) as reader:
        file.parent.mkdir()
        file.write_text("name: hello\n")
        assert await reader.next() == {file}


async def test_relative_path_comes_out_absolute(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    async with reading(Watcher([Path("support.yaml")])) as reader:
        save_by_rename(file, "name: new\n")
        assert await reader.next() == {file}


async def test_links_in_a_circle_and_pipes_do_no_harm(file: Path) -> None:
    circle, pipe = file.with_name("circle.yaml"), file.with_name(".env")
    circle.symlink_to("circle.yaml")
    os.mkfifo(pipe)
    async with reading(Watcher([file, circle, pipe, circle / "deeper.md", Path("/no\0such")])) as reader:
        save_by_rename(file, "name: new\n")
        assert await reader.next() == {file}


async def test_refused_events_leave_the_regular_look(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr("runner.live.watch.awatch", refuse)
    async with reading(Watcher([file], poll=0.1)) as reader:
        save_by_rename(file, "name: new\n")
        assert await reader.next() == {file}


@pytest.mark.parametrize("events", [True, False], ids=["events", "poll"])
async def test_close_ends_the_changes_at_once(file: Path, events: bool) -> None:
    watcher = Watcher([file], events=events)
    reader = asyncio.create_task(Reader(watcher).read())
    await asyncio.sleep(0.2)
    start = time.monotonic()
    await watcher.close()
    await asyncio.wait_for(reader, 2)
    assert time.monotonic() - start < 0.5
    await watcher.close()
    assert [changed async for changed in watcher.changes()] == []


async def test_reader_may_be_cancelled_and_another_goes_on(file: Path) -> None:
    watcher = Watcher([file])
    first = asyncio.create_task(Reader(watcher).read())
    await asyncio.sleep(0.1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    save_by_rename(file, "name: new\n")
    async with reading(watcher) as reader:
        assert await reader.next() == {file}


def test_content_is_reported_once_it_rests() -> None:
    settling = Settling({FIRST: b"1"})
    assert settling.settle({FIRST: b"1"}, 0.0) == frozenset()
    assert settling.due is None
    assert settling.settle({FIRST: b"2"}, 1.0) == frozenset()
    assert settling.due == 1.0 + CALM
    assert settling.settle({FIRST: b"3"}, 1.05) == frozenset()
    assert settling.settle({FIRST: b"3"}, 1.05 + CALM) == {FIRST}
    assert settling.settle({FIRST: b"3"}, 2.0) == frozenset()
    assert settling.due is None


def test_content_that_goes_back_is_no_change() -> None:
    settling = Settling({FIRST: b"1"})
    settling.settle({FIRST: b"2"}, 0.0)
    assert settling.settle({FIRST: b"1"}, 5.0) == frozenset()
    assert settling.due is None


@pytest.mark.parametrize("now", [{}, {FIRST: EMPTY}], ids=["gone", "empty"])
def test_hollow_file_gets_the_grace(now: dict[Path, bytes]) -> None:
    settling = Settling({FIRST: b"1"})
    settling.settle(now, 0.0)
    assert settling.settle(now, GRACE - 0.01) == frozenset()
    assert settling.settle(now, GRACE) == {FIRST}


def test_file_that_never_rests_is_reported_all_the_same() -> None:
    settling = Settling({FIRST: b"start"})
    moments = [step * CALM / 2 for step in range(round(2 * PATIENCE / CALM) + 2)]
    reported = [now for now in moments if settling.settle({FIRST: str(now).encode()}, now)]
    assert len(reported) == 1
    assert reported[0] >= PATIENCE


def test_settled_file_waits_for_another_but_not_for_long() -> None:
    settling = Settling({FIRST: b"1", SECOND: b"1"})
    settling.settle({FIRST: b"2"}, 0.0)
    assert settling.settle({FIRST: b"2"}, CALM) == frozenset()
    assert settling.due is not None
    assert CALM < settling.due <= CALM + TOGETHER
    assert settling.settle({FIRST: b"2", SECOND: b"2"}, 0.1) == frozenset()
    assert settling.settle({FIRST: b"2", SECOND: b"2"}, 0.1 + CALM) == {FIRST, SECOND}

    settling.settle({FIRST: b"3", SECOND: b"2"}, 1.0)
    settling.settle({FIRST: b"3"}, 1.05)
    assert settling.settle({FIRST: b"3"}, 1.0 + CALM + TOGETHER) == {FIRST}
    assert settling.settle({FIRST: b"3"}, 1.05 + GRACE) == {SECOND}


def test_forgotten_file_is_no_change() -> None:
    settling = Settling({FIRST: b"1", SECOND: b"1"})
    settling.follow({}, [SECOND])
    assert settling.settle({FIRST: b"1"}, 0.0) == frozenset()
    assert settling.due is None


def test_digest_tells_contents_apart(tmp_path: Path) -> None:
    file = tmp_path / "file"
    found = {digest(file), digest(tmp_path)}
    for content in (b"", b"a", b"b"):
        file.write_bytes(content)
        found.add(digest(file))
    assert len(found) == 5
