"""A browser that looks at made-up atlases, from a server and from disk, and whether it shows what it should."""

import io
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from tests.support.atlas_site import TAPS, colour, write_site
from tests.support.chromium import chromium
from vitjax.atlas.server.serve import server

NAMES = [f"{tap}:{index}" for tap, indices in TAPS.items() for index in indices]
FIRST = "#/unit/blocks.0.mlp.hidden:0"
PAIR = "#/compare/blocks.0.mlp.hidden:0/blocks.1.attn.z:2.12"
WALL = ".wall[data-tiles=complete]"
TILES = ".results .tile"
LONG = 600_000  # milliseconds, which nothing here takes


@pytest.fixture(scope="module")
def browser():
    """A Chromium, if there is one."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = chromium()
    if program is None:
        pytest.skip("no Chromium on the path: apt-get install chromium-headless-shell")
    with sync_api.sync_playwright() as play:
        running = play.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def sites(tmp_path_factory) -> Path:
    """The folder of two atlases: `atlas`, which has `other` beside it."""
    folder = tmp_path_factory.mktemp("sites")
    write_site(folder / "atlas", beside=[{"name": "other", "path": "../other"}])
    write_site(folder / "other", title="Another atlas", photos=0)
    return folder


@pytest.fixture(scope="module")
def hosted(sites):
    """The address of the page of `atlas` on a server."""
    with server([sites / "atlas", sites / "other"], 0) as running:
        answering = threading.Thread(target=running.run)
        answering.start()
        yield f"{running.address}atlas/"
        running.stop()
        answering.join()


@pytest.fixture(scope="module", params=["server", pytest.param("disk", marks=pytest.mark.exhaustive)])
def address(request, sites, hosted):
    """The address of the page of `atlas` on a server and from disk."""
    return hosted if request.param == "server" else (sites / "atlas" / "index.html").as_uri()


@pytest.fixture
def visit(browser, sites):
    """A function (address, **context) -> page; at the end no page may have complained or asked for anything else."""
    contexts, complaints = [], []

    def open_page(url: str, wait: str = WALL, **options):
        context = browser.new_context(
            **({"viewport": {"width": 1000, "height": 700}, "reduced_motion": "reduce"} | options)
        )
        contexts.append(context)
        page = context.new_page()
        home = sites.as_uri() if url.startswith("file:") else url.split("/atlas/")[0]
        page.on("console", lambda said: complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(f"dialog {dialog.message}"), dialog.dismiss()))
        aborted = "net::ERR_ABORTED"  # by the page itself, as when it goes on before a picture has come
        page.on("requestfailed", lambda r: r.failure == aborted or complaints.append(f"{r.failure} {r.url}"))
        page.on("response", lambda got: complaints.append(f"{got.status} {got.url}") if got.status >= 400 else None)
        page.on(
            "request", lambda asked: None if asked.url.startswith((home, "data:")) else complaints.append(asked.url)
        )
        page.set_default_timeout(LONG)
        page.goto(url)
        page.wait_for_selector(wait)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def still(page) -> Image.Image:
    """What the page looks like, once it stands still and nothing is pointed at."""
    page.mouse.move(1, 1)
    page.wait_for_timeout(400)
    page.wait_for_selector(WALL)
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


# The unit that is pointed at, and the middle of its frame; null where there is none.
POINTED = """() => {
  if (!document.querySelector(".card").checkVisibility()) return null;
  const frame = document.querySelector(".cursor").getBoundingClientRect();
  const name = document.querySelector(".card strong").innerText;
  return [name, frame.x + frame.width / 2, frame.y + frame.height / 2];
}"""


def pointed(page, x: float, y: float, box: dict | None = None) -> tuple[str, tuple[int, int]] | None:
    """The unit at a point of the wall, which lies at `box`, and the middle of its frame on the page."""
    box = box or page.locator(".wall").bounding_box()
    page.mouse.move(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
    found = page.evaluate(POINTED)
    return found and (found[0], (round(found[1]), round(found[2])))


def wrongly_drawn(page, points: int = 6, names: Sequence[str] = NAMES) -> tuple[list[str], int]:
    """Units on the wall whose picture is not where it is when pointed at; and how many are where they should be."""
    page.locator(".regions").evaluate("names => { names.style.display = 'none'; }")  # they lie over pictures
    seen, wrong, right, box = still(page), [], set(), page.locator(".wall").bounding_box()
    for row in range(1, points):
        for column in range(1, points):
            found = pointed(page, column / points, row / points, box)
            if found is None or not (0 <= found[1][0] < seen.width and 0 <= found[1][1] < seen.height):
                continue
            unit, middle = found
            off = max(abs(a - b) for a, b in zip(seen.getpixel(middle), colour(names.index(unit)), strict=True))
            right.add(unit) if off < 30 else wrong.append(f"{unit} is {seen.getpixel(middle)}")
    return wrong, len(right)
