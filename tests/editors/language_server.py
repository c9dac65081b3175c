"""The real yaml-language-server over LSP, as editors drive it: JSON-RPC on the standard streams of a process.

The server comes from npm into a folder of its own; it is not a part of this project.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from pathlib import Path
from queue import Empty, Queue
from types import TracebackType
from typing import Any, Self

PACKAGE = "yaml-language-server@1.25.0"


def install(folder: Path) -> Path | None:
    """The server's program, installed with npm into `folder`; None where npm or node is missing or nothing can be fetched."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder), PACKAGE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    program = folder / "node_modules" / ".bin" / "yaml-language-server"
    return program if done.returncode == 0 and program.exists() else None


class LanguageServer:
    """One running server. Positions are as in LSP: line and character from 0."""

    def __init__(self, program: Path, root: Path) -> None:
        self._process = subprocess.Popen(
            [str(program), "--stdio"],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._root = root
        self._number = 0
        self._answers: dict[int, Queue[dict[str, Any]]] = {}
        self._marked: dict[str, list[dict[str, Any]]] = {}
        self._news = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        settings = {"completion": True, "hover": True, "validate": True, "schemaStore": {"enable": False}}
        capabilities = {
            "textDocument": {
                "completion": {"completionItem": {"snippetSupport": True, "documentationFormat": ["markdown"]}},
                "hover": {"contentFormat": ["markdown"]},
                "publishDiagnostics": {},
            },
            "workspace": {"configuration": True},
        }
        self._settings = {"yaml": settings}
        self.ask("initialize", {"processId": None, "rootUri": self._root.as_uri(), "capabilities": capabilities})
        self.tell("initialized", {})
        self.tell("workspace/didChangeConfiguration", {"settings": self._settings})
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()

    def open(self, file: Path, text: str) -> str:
        """Show the server a file with this text, saved or not. Returns its address."""
        address = file.as_uri()
        document = {"uri": address, "languageId": "yaml", "version": 1, "text": text}
        self.tell("textDocument/didOpen", {"textDocument": document})
        return address

    def complete(self, address: str, line: int, character: int) -> dict[str, dict[str, Any]]:
        """What the editor offers there, by name."""
        found = self.ask("textDocument/completion", _at(address, line, character))
        items = found["items"] if isinstance(found, dict) else found or []
        return {item["label"]: item for item in items}

    def hover(self, address: str, line: int, character: int) -> str:
        """What the editor shows when the mouse rests there."""
        found = self.ask("textDocument/hover", _at(address, line, character))
        return found["contents"]["value"] if found else ""

    def marks(self, address: str, *, seconds: float = 20) -> list[dict[str, Any]]:
        """What is underlined in the file, once the server has looked at it."""
        deadline = time.monotonic() + seconds
        while address not in self._marked:
            self._news.clear()
            if not self._news.wait(deadline - time.monotonic()):
                raise AssertionError(f"the server said nothing about {address} within {seconds} s")
        return self._marked[address]

    def ask(self, method: str, params: dict[str, Any], *, seconds: float = 20) -> Any:
        """A request and its answer."""
        self._number += 1
        waiting = self._answers[self._number] = Queue()
        self._send({"id": self._number, "method": method, "params": params})
        try:
            answer = waiting.get(timeout=seconds)
        except Empty:
            raise AssertionError(f"the server did not answer {method} within {seconds} s") from None
        assert "error" not in answer, answer
        return answer["result"]

    def tell(self, method: str, params: dict[str, Any]) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._process.stdin.flush()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream
        while True:
            try:
                head = stream.readline()
                if not head:
                    return
                if not head.lower().startswith(b"content-length:"):
                    continue
                size = int(head.split(b":")[1])
                while stream.readline().strip():
                    pass
                self._take(json.loads(stream.read(size)))
            except ValueError:
                return

    def _take(self, message: dict[str, Any]) -> None:
        if "method" not in message:
            self._answers.pop(message["id"]).put(message)
        elif message["method"] == "textDocument/publishDiagnostics":
            self._marked[message["params"]["uri"]] = message["params"]["diagnostics"]
            self._news.set()
        elif "id" in message:
            wanted = message.get("params", {}).get("items", [])
            answer = [self._settings.get(item.get("section"), {}) for item in wanted]
            self._send({"id": message["id"], "result": answer or None})


def _at(address: str, line: int, character: int) -> dict[str, Any]:
    return {"textDocument": {"uri": address}, "position": {"line": line, "character": character}}
