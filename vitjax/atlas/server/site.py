"""Answers requests for the files of exported atlases, and for no others, each checked before it is first given.

Starlette's static files keep to the folder, links included, and know ranges and what a browser has already. What is
theirs here is which files there are, and that each is held against its checksum before it is first given.
"""

import html
import ipaddress
import mimetypes
import os
import socket
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

from anyio import to_thread
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from vitjax.atlas.page.scripts import script, unscript
from vitjax.atlas.store import checksums
from vitjax.atlas.store.folder import MARK
from vitjax.errors import InputError
from vitjax.files import read_bytes

HEADERS = (
    ("Cache-Control", "no-cache"),  # browsers look again, so that a new export is seen at once
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),  # data files are scripts, which any other page could load
)
TYPES = {
    ".js": "text/javascript",
    ".webp": "image/webp",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".parquet": "application/vnd.apache.parquet",
}


def site(roots: Mapping[str, Path], host: str) -> ASGIApp:
    """Makes the application that answers for exported atlases.

    Args:
        roots: {name: folder of an exported atlas}; each lies at /NAME/, with a list at /. One alone, named "", is at /.
        host: the address that is listened on.
    """
    for ending, kind in TYPES.items():
        mimetypes.add_type(kind, ending)
    files, names = {name: Files(root) for name, root in roots.items()}, names_of(host)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if not known(asked := Headers(scope=scope).get("host", ""), names):
            raise HTTPException(421, f"This server does not go by the name {asked!r}: --host gives it another.")
        app = files[""] if "" in files else _among(scope, files)
        if isinstance(app, Files) and "" not in files:
            scope = {**scope, "root_path": "/" + scope["path"].split("/")[1]}
        await app(scope, receive, send)

    return Starlette(routes=[Mount("/", app=answer)], exception_handlers={Exception: _failed})


def names_of(host: str) -> set[str]:
    """Lists the names by which a server at an address may be called."""
    names = {"localhost", host.lower()}
    return names | {socket.gethostname().lower(), socket.getfqdn().lower()} if not _loopback(host) else names


def known(asked: str, names: set[str]) -> bool:
    """Tells whether a Host header names this server: by a number, which no other site can go by, or by its name.

    Another site's page, whose name was made to lead here (DNS rebinding), would read the atlas otherwise.
    """
    try:
        name = urlsplit(f"//{asked}").hostname or ""
        return name in names or bool(ipaddress.ip_address(name))
    except ValueError:
        return False


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Files(StaticFiles):
    """The files of one exported atlas: those on its list of checksums, or, where an older export has none, all."""

    def __init__(self, root: Path):
        super().__init__(directory=root.resolve(), html=True)
        self.root = root.resolve()
        self._list: tuple[tuple, Mapping | None] = ((), None)  # of which state of the file, and what it said
        self._right: dict[str, tuple] = {}  # {file: its state when it matched its checksum}

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Finds the file of an address; raises HTTPException for one that is damaged."""
        full, found = super().lookup_path(path)
        if found is None or not stat.S_ISREG(found.st_mode) or (sums := self._sums()) is None:
            return full, found
        name = Path(full).relative_to(self.root).as_posix()
        if name == checksums.KEY:
            return full, found
        if name not in sums:
            return "", None
        state = (_state(found), sums[name])
        if self._right.get(name) != state:
            if checksums.of_file(full) != sums[name]:
                print(f"vitjax: {full} is damaged and was not given; write the page again", file=sys.stderr)
                raise HTTPException(500, f"{name} is damaged: write the page again.")
            self._right[name] = state
        return full, found

    def about(self) -> dict:
        """Reads what the atlas says it is."""
        full, found = self.lookup_path(MARK)
        if found is None:
            raise HTTPException(404)
        return unscript(read_bytes(full), full)

    def _sums(self) -> Mapping | None:
        """Reads the list as it is now: an atlas may be exported anew while it is served."""
        try:
            state = _state(os.stat(self.root / checksums.KEY))
            if self._list[0] != state:
                self._list = (state, checksums.read(self.root))
        except (OSError, InputError):
            self._list = ((), None)
        return self._list[1]


def _state(found: os.stat_result) -> tuple:
    return found.st_mtime_ns, found.st_size, found.st_ino


def _among(scope: Scope, files: Mapping[str, Files]) -> ASGIApp:
    """Finds what answers an address where several atlases lie side by side; each is told of those beside it."""
    name, slash, rest = scope["path"].removeprefix("/").partition("/")
    if scope["path"] == "/":
        links = "".join(f'<li><a href="{quote(name)}/">{html.escape(name)}</a></li>' for name in files)
        head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Atlases</title>'
        return HTMLResponse(f"{head}<h1>Atlases</h1><ul>{links}</ul>")
    if name not in files:
        raise HTTPException(404)
    if not slash:
        return RedirectResponse(f"/{quote(name)}/")
    return _beside(name, files) if rest == MARK else files[name]


def _beside(name: str, files: Mapping[str, Files]) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        about = await to_thread.run_sync(files[name].about)
        about["beside"] = [{"name": other, "path": f"../{quote(other)}"} for other in files if other != name]
        await Response(script("atlas", about), media_type=TYPES[".js"])(scope, receive, send)

    return answer


def _failed(_: Request, error: Exception) -> Response:
    """Says on the terminal what went wrong, in one line."""
    print(f"vitjax: {type(error).__name__}: {error}", file=sys.stderr)
    return PlainTextResponse("This could not be answered; the terminal says why.", 500)
