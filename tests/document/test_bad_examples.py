"""Every file in examples/bad is answered word for word, at once, and in plain words."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from runner.document.load import Loaded, load
from runner.problem import print_problems

BAD = Path(__file__).parents[1] / "examples" / "bad"
FILES = sorted(BAD.glob("*.yaml"))
JARGON = re.compile(
    r"mapping|scalar|token|object|array|string|property|schema|node\b|type=|traceback|\bdict\b|None\b", re.I
)


def answer(file: Path) -> tuple[Loaded, str]:
    loaded = load(file, env={})
    return loaded, print_problems(loaded.problems, color=False) + "\n"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_fault_is_answered_word_for_word(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    began = time.perf_counter()
    _, said = answer(file)
    assert said == file.with_suffix(".expected").read_text(encoding="utf-8")
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_fault_is_answered_in_jargon(file: Path) -> None:
    for problem in answer(file)[0].problems:
        for said in (problem.message, problem.hint):
            assert not JARGON.search(re.sub(r"\w+[_-]\w+", "", said)), said


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_only_warnings_leave_a_definition(file: Path) -> None:
    loaded, _ = answer(file)
    assert loaded.problems
    assert (loaded.definition is None) == any(problem.is_error for problem in loaded.problems)
    assert loaded.sources[0] == file


def test_every_answer_belongs_to_a_fault() -> None:
    assert {file.stem for file in BAD.glob("*.expected")} == {file.stem for file in FILES}
    assert sum(len(load(file, env={}).problems) == 1 for file in FILES) >= 150


def test_no_answer_repeats_a_pasted_key() -> None:
    said = answer(BAD / "pasted-key.yaml")[1]
    assert "8f2a77c0" not in said
    assert "sk-abc" not in said


def written(folder: Path, content: bytes) -> tuple[Loaded, float]:
    file = folder / "agent.yaml"
    file.write_bytes(content)
    began = time.process_time()  # of this process: a busy machine is no fault of the reader's
    loaded = load(file, env={})
    return loaded, time.process_time() - began


def test_huge_file_is_refused_unread(tmp_path: Path) -> None:
    loaded, seconds = written(tmp_path, b"prompt: Be kind.\n" + b"# padding\n" * 500_000)
    assert [p.message for p in loaded.problems] == ["This file is 4.8 MB. The most that is read is 512 KB."]
    assert seconds < 1


def test_binary_file_is_refused(tmp_path: Path) -> None:
    for content in (
        bytes(range(256)) * 40,
        b"\x7fELF\x02\x01\x01\x00",
        b"\xff\xd8\xff\xe0" + bytes(range(128, 255)) * 20,
    ):
        loaded, seconds = written(tmp_path, content)
        assert [p.code for p in loaded.problems] == ["binary"]
        assert seconds < 1


def test_alias_bomb_is_refused(tmp_path: Path) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
    loaded, seconds = written(tmp_path, "\n".join(lines).encode())
    assert loaded.problems[-1].message == "With everything that * repeats, this file has more than 20000 values."
    assert seconds < 1


def test_merge_bomb_is_refused(tmp_path: Path) -> None:
    lines = ["a: &a {x: y}"]
    for before, name in zip("abcdefghijklmnop", "bcdefghijklmnopq", strict=True):
        lines.append(f"{name}: &{name} {{one: {{<<: [*{before}, *{before}]}}, two: *{before}}}")
    loaded, seconds = written(tmp_path, "\n".join(lines).encode())
    assert loaded.definition is None
    assert seconds < 1


def test_endless_nesting_is_refused(tmp_path: Path) -> None:
    for content in (b"- " * 100_000, b"[" * 100_000, b"{a: " * 100_000, b"? " * 100_000):
        loaded, seconds = written(tmp_path, content)
        assert loaded.problems[0].code in ("too-deep", "unclosed-bracket")
        assert seconds < 1


def test_file_full_of_mistakes_is_answered_at_once(tmp_path: Path) -> None:
    for line in (b'say: "x', b"a: b: c", b"  - [", b"x:y", b"a: @b", b"name: {{ a }} b", b"word"):
        loaded, seconds = written(tmp_path, b"".join(line + b"\n" for _ in range(8_000)))
        assert any(problem.is_error for problem in loaded.problems)
        assert seconds < 1, line


def test_latin_1_file_says_where_and_the_rest_is_read(tmp_path: Path) -> None:
    loaded, _ = written(tmp_path, "name: shop\nprompt: Frag nach der Straße.\ntemprature: 1\n".encode("latin-1"))
    assert [(p.line, p.column, p.code) for p in loaded.problems] == [(2, 27, "not-utf-8"), (3, 1, "unknown-key")]


def test_utf_16_and_byte_order_marks_are_read(tmp_path: Path) -> None:
    text = "name: shop\r\nprompt: Sei freundlich – Grüße!\r\n"
    for encoding in ("utf-8-sig", "utf-16"):
        loaded, _ = written(tmp_path, text.encode(encoding))
        assert loaded.definition is not None, loaded.problems
        assert loaded.definition.prompt == "Sei freundlich – Grüße!"
