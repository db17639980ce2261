"""Serves exported atlases to a browser on this machine: their files and no others.

The page needs no server (it opens from disk, and any static host will do); this one is for looking at an atlas on the
machine where it was made, and at several side by side. `vitjax.atlas.server.site` says what uvicorn answers here.
"""

import asyncio
import errno
import os
import socket
import sys
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from vitjax.atlas.server.site import HEADERS, site
from vitjax.atlas.store.checksums import flaws
from vitjax.atlas.store.folder import MARK, is_export
from vitjax.errors import InputError

SEARCHED = 100  # ports looked at for a free one
BACKLOG = 1024  # connections that may wait to be taken
PATIENCE = 20.0  # seconds that the other side may take to send a request, or to take more of an answer


def serve(
    folders: Sequence[Path | str], port: int = 8000, open_browser: bool = False, *, host: str = "127.0.0.1"
) -> None:
    """Serves exported atlases until interrupted: one at /, several at /NAME/ each, by the names of their folders.

    Args:
        folders: of exported atlases.
        port: to listen on; 0 takes any free one.
        open_browser: opens the address in a browser.
        host: the address to listen on; the default is reached from this machine only, 0.0.0.0 from others too.

    Raises:
        InputError: a folder is no exported atlas, two are of one name, or the port cannot be had.
    """
    with suppress(KeyboardInterrupt), server(folders, port, host) as running:
        for folder in folders:
            _look(Path(folder))

        def ready() -> None:
            print(f"{running.address}  (Ctrl-C ends)", flush=True)
            if open_browser:
                webbrowser.open(running.address)

        running.run(ready)
    print("", file=sys.stderr)


@dataclass(frozen=True)
class Server:
    """A server that listens, and answers while `run` runs; to be closed as a context.

    Attributes:
        address: of the page.
        port: that it listens on.
    """

    address: str
    port: int
    _socket: socket.socket
    _engine: "_Engine"

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Answers until `stop` is called from another thread, or, in the main one, until Ctrl-C.

        Args:
            ready: called once, when requests and Ctrl-C are answered.
        """
        self._engine.ready = ready
        self._engine.run(sockets=[self._socket])

    def stop(self) -> None:
        """Ends `run`."""
        self._engine.should_exit = True

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def server(folders: Sequence[Path | str], port: int, host: str = "127.0.0.1") -> Server:
    """Makes the server of `serve`, listening but not yet answering; arguments and errors are the same."""
    roots = [Path(folder) for folder in folders]
    for root in roots:
        if not is_export(root):
            there = "there is no such folder" if not root.is_dir() else f"there is no {MARK} of an atlas in it"
            raise InputError(f"{root} is no exported atlas: {there}")
    names = {_name(root): root for root in roots}
    if len(names) < len(roots):
        raise InputError(f"folders served together need different names, these are all {', '.join(names)}")
    try:
        listening = _listen(host, port)
    except PermissionError:
        raise InputError(f"port {port} may not be used; take one above 1023, e.g. --port 8000") from None
    except OSError as error:
        free = _free_port(host, port) if error.errno == errno.EADDRINUSE else None
        hint = f"; port {free} is free: --port {free}" if free else ""
        known = error.errno in errno.errorcode  # of a name that leads nowhere, the number is of another kind
        reason = os.strerror(error.errno) if known else error.strerror or str(error)
        raise InputError(f"port {port} of {host} cannot be used: {reason.lower()}{hint}") from None
    config = uvicorn.Config(
        site(names if len(roots) > 1 else {"": roots[0]}, host),
        http=_Patient,
        ws="none",
        loop="asyncio",
        lifespan="off",
        backlog=BACKLOG,
        headers=list(HEADERS),
        server_header=False,
        proxy_headers=False,
        log_config=None,
        log_level="critical",  # what other sides do wrong is no matter of ours
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    port = listening.getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return Server(f"http://{shown}:{port}/", port, listening, _Engine(config))


def _look(folder: Path) -> None:
    """Says in one line if files of a page are missing or of another size; their bytes are looked at when asked for."""
    if found := [flaw for flaw in flaws(folder, bytes=False) if flaw]:
        more = f" and {len(found) - 1:,} more" if len(found) > 1 else ""
        print(f"vitjax: warning: in {folder} {found[0].file}: {found[0].what}{more}", file=sys.stderr)


def _name(root: Path) -> str:
    """Names an atlas: as its folder, or as the store whose page it is."""
    root = root.resolve()
    return root.parent.name if root.name == "page" and root.parent.name else root.name


def _listen(host: str, port: int) -> socket.socket:
    return socket.create_server(
        (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=BACKLOG
    )


def _free_port(host: str, port: int) -> int | None:
    for other in range(port + 1, min(port + SEARCHED, 65536)):
        try:
            with _listen(host, other):
                return other
        except OSError:
            continue
    return None


class _Engine(uvicorn.Server):
    """uvicorn's server, which says when it has begun: a Ctrl-C before that would cut through its beginning."""

    ready: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to answer."""
        await super().startup(sockets)
        self.ready()


class _Patient(H11Protocol):
    """uvicorn's protocol, which of itself would wait for ever on a connection that is slow.

    It is looked at every `PATIENCE` seconds: it must have come to another request, or, while it is answered, have taken
    what it was given, or some of it.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begins a connection."""
        super().connection_made(transport)
        self._taken, self._was = 0, None
        self._look()

    def connection_lost(self, error: Exception | None) -> None:
        """Ends a connection."""
        self._next.cancel()
        super().connection_lost(error)

    def resume_writing(self) -> None:
        """Notes that the other side has taken what was in the buffer."""
        self._taken += 1
        super().resume_writing()

    def _look(self) -> None:
        left = self.transport.get_write_buffer_size()
        answering = self.cycle is not None and not self.cycle.response_complete
        now = (self.cycle, self._taken, left)
        if now == self._was and (left or not answering):  # where nothing is left, it is this side that is slow
            self.transport.abort()
            return
        self._was, self._next = now, self.loop.call_later(PATIENCE, self._look)
