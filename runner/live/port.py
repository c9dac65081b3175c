"""The address of the page, taken before anything is loaded: a taken port is said at once, also to whoever comes second while
the first is still loading.

Comes in: host and port. Goes out: a listening socket, or a sentence for the person.
"""

from __future__ import annotations

import errno
import socket

from runner.problem import Mendable


class CannotListen(Mendable):
    """The page cannot be offered at this address. other_port: worth a try, None when another port would not help."""

    def __init__(self, why: str, other_port: int | None) -> None:
        super().__init__(why, with_options=f"--port {other_port}" if other_port else "")
        self.other_port = other_port


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens from now on. Who asks before the page is there waits in its queue.

    Raises:
        CannotListen: the port is in use or not allowed, or the address is not this machine's.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    except socket.gaierror:
        raise CannotListen(f"There is no address {host!r}. This machine's own is 127.0.0.1.", None) from None
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise CannotListen(*_why_not_listen(error, host, port)) from error
    return listener


def _why_not_listen(error: OSError, host: str, port: int) -> tuple[str, int | None]:
    match error.errno:
        case errno.EADDRINUSE:
            other = port + 1 if port < 65535 else 7860
            return f"Port {port} is in use, perhaps by another runner. Stop that one, or take another port:", other
        case errno.EACCES:
            return f"Port {port} is for the system only. Take another port:", 7860
        case errno.EADDRNOTAVAIL:
            return f"This machine does not have the address {host}. Its own is 127.0.0.1.", None
        case _:
            return f"Nothing can listen on {host}:{port}: {error.strerror}.", None
