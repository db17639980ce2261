"""Exported atlases to a browser on this machine: folders in, a small web server that gives their files and no others.

The page needs no server (it opens from disk, and any static host will do); this one is for looking at an atlas on the
machine where it was made, and at several side by side.
"""

import html
import socket
import sys
import webbrowser
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from vitjax.atlas.folder import MARK, is_export
from vitjax.atlas.scripts import script, unscript
from vitjax.errors import InputError

SEARCHED = 100  # ports looked at for a free one
TYPES = {
    ".js": "text/javascript",
    ".webp": "image/webp",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".parquet": "application/vnd.apache.parquet",
}


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
    with server(folders, port, host) as running:
        address = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{running.server_port}/"
        try:
            print(f"{address}  (Ctrl-C ends)", flush=True)
            if open_browser:
                webbrowser.open(address)
            running.serve_forever()
        except KeyboardInterrupt:
            print("", file=sys.stderr)


def server(folders: Sequence[Path | str], port: int, host: str = "127.0.0.1") -> ThreadingHTTPServer:
    """The server of `serve`, listening but not yet answering; arguments and errors are the same."""
    roots = [Path(folder) for folder in folders]
    for root in roots:
        if not is_export(root):
            there = "there is no such folder" if not root.is_dir() else f"there is no {MARK} of an atlas in it"
            raise InputError(f"{root} is no exported atlas: {there}")
    names = {_name(root): root for root in roots}
    if len(names) < len(roots):
        raise InputError(f"folders served together need different names, these are all {', '.join(names)}")
    site = names if len(roots) > 1 else {"": roots[0]}
    try:
        return _Server((host, port), partial(_Handler, site))
    except PermissionError:
        raise InputError(f"port {port} may not be used; take one above 1023, e.g. --port 8000") from None
    except OSError as error:
        free = _free_port(host, port)
        hint = f"; port {free} is free: --port {free}" if free else ""
        raise InputError(f"port {port} of {host} cannot be used: {error.strerror.lower()}{hint}") from None


def _name(root: Path) -> str:
    """What an atlas is called: as its folder, or as the store whose page it is."""
    root = root.resolve()
    return root.parent.name if root.name == "page" and root.parent.name else root.name


def _free_port(host: str, port: int) -> int | None:
    for other in range(port + 1, min(port + SEARCHED, 65536)):
        try:
            with socket.create_server((host, other)):
                return other
        except OSError:
            continue
    return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address) -> None:
        """Browsers close connections when they like: that is no error to show."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    extensions_map = SimpleHTTPRequestHandler.extensions_map | TYPES

    def __init__(self, site: dict[str, Path], *args) -> None:
        self.site = site
        super().__init__(*args)

    def do_GET(self) -> None:
        """A file; with several atlases the list of them at /, and each is told of those beside it."""
        path = unquote(urlsplit(self.path).path)
        together = {} if "" in self.site else {f"/{name}/{MARK}": name for name in self.site}
        if together and path == "/":
            self._list()
        elif path in together:
            self._beside(together[path])
        else:
            super().do_GET()

    def translate_path(self, path: str) -> str:
        """The file of an address, always within its atlas; what is none of them is no file at all."""
        parts = [unquote(part) for part in urlsplit(path).path.split("/")[1:]]
        root = self.site.get("") or self.site.get(parts.pop(0) if parts else "/")
        inside = not any(part in (".", "..") or set(part) & set("/\\:") for part in parts)
        return str(root.joinpath(*parts)) + "/" * (parts[-1:] == [""]) if root and inside else "\0"

    def send_head(self):
        """As usual, but an address that names no file is not found, however odd it is."""
        if "\0" in self.translate_path(self.path):
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def list_directory(self, path):
        """Folders are not listed."""
        self.send_error(HTTPStatus.NOT_FOUND)

    def end_headers(self) -> None:
        """Asks browsers to look again, so that a new export is seen at once."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, *args) -> None:
        """Nothing: the address is all there is to say."""

    def _list(self) -> None:
        links = "".join(f'<li><a href="{quote(name)}/">{html.escape(name)}</a></li>' for name in self.site)
        head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Atlases</title>'
        self._send("text/html; charset=utf-8", f"{head}<h1>Atlases</h1><ul>{links}</ul>".encode())

    def _beside(self, name: str) -> None:
        about = unscript((self.site[name] / MARK).read_bytes())
        about["beside"] = [{"name": other, "path": f"../{quote(other)}"} for other in self.site if other != name]
        self._send(TYPES[".js"], script("atlas", about))

    def _send(self, kind: str, data: bytes) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
