"""The committed page: built from the committed sources, whole, small, and asking nobody but its own server."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "runner" / "page"
SOURCE, STATIC = PAGE / "source", PAGE / "static"

REBUILD = "build the page again: cd runner/page/source && npm ci && npm run build"


def test_built_page_comes_from_the_committed_sources() -> None:
    built_from: dict[str, str] = json.loads((STATIC / "sources.json").read_text())
    now = {name: hashlib.sha256((SOURCE / name).read_bytes()).hexdigest() for name in built_from}
    assert now == built_from, REBUILD


def test_no_source_file_was_added_since_the_build() -> None:
    built_from = set(json.loads((STATIC / "sources.json").read_text()))
    present = {path.relative_to(SOURCE).as_posix() for path in (SOURCE / "src").rglob("*") if path.is_file()}
    assert present <= built_from, REBUILD


def test_every_file_the_page_names_is_there() -> None:
    named = re.findall(r'(?:src|href)="/static/([^"]+)"', (STATIC / "index.html").read_text())
    assert len(named) == 2
    scripts = "".join(path.read_text() for path in STATIC.glob("*.js"))
    named += re.findall(r"/static/([\w.-]+\.js)", scripts)
    missing = [name for name in named if not (STATIC / name).is_file()]
    assert not missing


def test_page_loads_nothing_from_another_machine() -> None:
    html = (STATIC / "index.html").read_text()
    assert "default-src 'self'" in html
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", html)
    for path in [*STATIC.glob("*.js"), *STATIC.glob("*.css")]:
        text = path.read_text()
        # Addresses that name a thing and are never asked: namespaces of the DOM, a library's error message and its origin.
        hosts = set(re.findall(r"(?:https?|wss?)://([\w.-]+)", text)) - {"www.w3.org", "github.com"}
        assert hosts == set(), path.name
        assert "sentry" not in text.lower()


def test_page_stays_small() -> None:
    sent = sum(
        len(gzip.compress(path.read_bytes())) for path in STATIC.iterdir() if path.suffix in {".js", ".css", ".html"}
    )
    assert sent < 80_000, f"{sent} bytes compressed"


def test_lock_file_names_no_registry() -> None:
    lock = json.loads((SOURCE / "package-lock.json").read_text())
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]


def test_dependencies_of_the_page_are_pinned() -> None:
    package = json.loads((SOURCE / "package.json").read_text())
    wanted = {**package["dependencies"], **package["devDependencies"]}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())


def test_licences_of_what_is_bundled_travel_with_the_page() -> None:
    text = (STATIC / "licenses.md").read_text()
    for name in json.loads((SOURCE / "package.json").read_text())["dependencies"]:
        assert name in text
