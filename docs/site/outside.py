"""Looks that a built site asks nothing of other hosts: no letters, no scripts, no pictures from elsewhere."""

import re
import sys
import threading
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

from tests.support.chromium import chromium

ASKED = {"src", "srcset", "poster", "data", "action"}  # attributes that a browser follows by itself
ELSEWHERE = re.compile(r"^\s*(?:[a-z]+:)?//", re.IGNORECASE)
IN_STYLES = re.compile(r"(?:url\(\s*['\"]?|@import\s*['\"])((?:https?:)?//[^'\")]*)")
OPENED = ["", "start/", "commands/visualize/", "api/vitjax.units/", "coming_from/"]  # in a browser, if there is one


class Requests(HTMLParser):
    """Collects the addresses elsewhere that a page asks for as it is opened."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Looks at one element; where links lead is left alone, and what they load is not."""
        followed = ASKED | {"href"} if tag == "link" and ("rel", "canonical") not in attrs else ASKED
        self.found += [f"<{tag} {name}={value}>" for name, value in attrs if name in followed and _elsewhere(value)]
        self.found += [f"<{tag} style>" for name, value in attrs if name == "style" and IN_STYLES.search(value or "")]


def _elsewhere(value: str | None) -> bool:
    return bool(value and ELSEWHERE.match(value))


def requests_of(site: Path) -> Iterator[str]:
    """Each request to another host that a file of the site would make, with the file's name."""
    for path in sorted(site.rglob("*")):
        if path.suffix == ".html":
            parser = Requests()
            parser.feed(path.read_text())
            yield from (f"{path.relative_to(site)}: {one}" for one in parser.found)
        elif path.suffix == ".css":
            yield from (f"{path.relative_to(site)}: {one}" for one in IN_STYLES.findall(path.read_text()))


def check_site(site: Path) -> None:
    """Ends the process where a page asks for anything elsewhere: by its text, and in Chromium where there is one."""
    found = [*requests_of(site), *in_browser(site)]
    if found:
        sys.exit("\n".join(["the site asks other hosts:", *found]))


def in_browser(site: Path) -> list[str]:
    """What some pages ask for elsewhere, and complain of, in a real browser; a line says so where there is none."""
    program = chromium()
    if program is None or find_spec("playwright") is None:
        print("no Chromium, or no playwright: the site was not opened in a browser")
        return []
    from playwright.sync_api import sync_playwright

    handler = partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as play:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        home, found = f"http://127.0.0.1:{server.server_port}/", []
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.route(lambda url: not url.startswith((home, "data:", "blob:")), lambda route: route.abort())
        page.on("request", lambda asked: asked.url.startswith((home, "data:", "blob:")) or found.append(asked.url))
        page.on("console", lambda said: said.type in ("error", "warning") and found.append(said.text))
        page.on("pageerror", lambda error: found.append(str(error)))
        for address in OPENED:
            page.goto(home + address, wait_until="networkidle", timeout=120_000)
        browser.close()
        server.shutdown()
    return found


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, *args: object) -> None:
        """Says nothing."""
