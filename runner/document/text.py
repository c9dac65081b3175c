"""Bytes in, text out: how a file is read before anybody asks what it means."""

from __future__ import annotations

import codecs
import difflib
from pathlib import Path

from runner.problem import Problem

MAX_BYTES = 512 * 1024


def read_file(file: Path) -> tuple[str | None, list[Problem]]:
    """The text of a file, or None and why not.

    UTF-8 with or without its mark, and UTF-16 with one, are read. Line ends become newlines. A file that is mostly text comes
    back together with the problem of the characters that are not.
    """

    def refuse(code: str, message: str, hint: str = "") -> tuple[None, list[Problem]]:
        return None, [Problem(file, 1, 1, "", code, message, hint)]

    try:
        if file.is_dir():
            return refuse("folder", f"{file.name or file} is a folder, not a file.", "Name a file inside it.")
        size = file.stat().st_size
        if size > MAX_BYTES:
            return refuse(
                "too-big",
                f"This file is {size_in_words(size)}. The most that is read is {size_in_words(MAX_BYTES)}.",
                "Is it the right file?",
            )
        raw = file.read_bytes() if file.is_file() else None
    except FileNotFoundError:
        return refuse("no-file", "There is no such file.", _nearby(file))
    except PermissionError:
        return refuse("unreadable", "This file may not be read by you.", "Change its permissions.")
    except (OSError, ValueError) as error:
        return refuse("unreadable", f"This file cannot be read: {getattr(error, 'strerror', None) or error}.")
    if raw is None:
        return refuse("unreadable", "This is not an ordinary file.")
    return decode(file, raw)


def decode(file: Path, raw: bytes) -> tuple[str | None, list[Problem]]:
    """Bytes to text, see `read_file`."""
    not_text = Problem(file, 1, 1, "", "binary", "This file is not text.", "An agent file is plain text in YAML.")
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return one_newline(raw.decode("utf-16")), []
        except UnicodeDecodeError:
            return None, [not_text]
    raw = raw.removeprefix(codecs.BOM_UTF8)
    if b"\0" in raw:
        return None, [not_text]
    try:
        return one_newline(raw.decode("utf-8")), []
    except UnicodeDecodeError as error:
        text = one_newline(raw.decode("utf-8", errors="replace"))
        if text.count("\ufffd") > 20 + len(text) // 50:
            return None, [not_text]
        before = one_newline(raw[: error.start].decode("utf-8"))
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        return text, [
            Problem(
                file,
                line,
                column,
                "",
                "not-utf-8",
                "This character is not written in UTF-8.",
                "Save the file as UTF-8 in your editor.",
                snippet=text.split("\n")[line - 1],
            )
        ]


def size_in_words(size: int) -> str:
    """`4.8 MB`, `512 KB`."""
    return f"{size / 1024 / 1024:.1f} MB" if size >= 1024 * 1024 else f"{size // 1024} KB"


def one_newline(text: str) -> str:
    """Text without a byte order mark, every line end a newline."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _nearby(file: Path) -> str:

    try:
        names = [p.name for p in file.parent.iterdir()]
    except OSError:
        return f'There is no folder "{file.parent.name}" either.' if not file.parent.exists() else ""
    close = difflib.get_close_matches(file.name, names, 1, 0.6)
    return f'Did you mean "{close[0]}"?' if close else ""
