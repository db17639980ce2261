"""Measures an exported atlas's page in headless Chromium, opened from disk: when all is there, memory, gaps.

    python benchmarks/atlas_page.py FOLDER [FOLDER …] [--before COMMIT] [--rounds 5] [--moves N] [--result FILE]

`--before` also measures the page that a commit had, over the same data: 463f813 is the last one whose page read
schema 1. A first view needs no more of an atlas than `atlas_export.py --side 64 --bare` writes. Each round is a browser
of its own; several folders take turns, so that a machine with other work treats them alike.
"First complete view" is the time from the navigation's start until every tile of the overview is drawn at its final
sharpness. Then the wall is zoomed and dragged about; in the midst of each move a screenshot is taken, and another when
all tiles are there: the share of the wall's blocks of 16 pixels that show the bare ground. Needs Playwright and a
Chromium (`--chromium`).
"""

import argparse
import io
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

WALL = ".wall[data-tiles]"
COMPLETE = '.wall[data-tiles="complete"]'
BLOCK = 16
# Notes when the wall is complete for the first time, by the page's own clock.
WATCH = """
new MutationObserver((_, watch) => {
  if (!document.querySelector('.wall[data-tiles="complete"]')) return;
  window.firstComplete = performance.now();
  watch.disconnect();
}).observe(document, {subtree: true, childList: true, attributeFilter: ["data-tiles"]});
"""
# A key that zooms by 2, or from where to where (share of the wall's width and height) to drag: in until pictures are
# large, along, out by half the way, back, in again. Never to the edge.
MOVES = ["+"] * 5 + [((0.8, 0.6), (0.2, 0.4))] * 5 + ["-"] * 2 + [((0.2, 0.3), (0.8, 0.6))] * 4 + ["+"] * 3


def bare(page: Page) -> float:
    """The share of the wall's blocks that show nothing but ground, within what the layout covers."""
    box = page.locator(WALL).bounding_box()
    inner = {"x": box["x"] + 24, "y": box["y"] + 24, "width": box["width"] - 120, "height": box["height"] - 48}
    pixels = np.asarray(Image.open(io.BytesIO(page.screenshot(clip=inner))).convert("RGB")).astype(int)
    high, wide = (length // BLOCK for length in pixels.shape[:2])
    blocks = pixels[: high * BLOCK, : wide * BLOCK].reshape(high, BLOCK, wide, BLOCK, 3).swapaxes(1, 2)
    flat = np.ptp(blocks, axis=(2, 3)).max(-1) <= 2
    return float(flat.mean())


def move(page: Page, what: str | tuple) -> float:
    """Presses a key, or drags; gives how bare the wall is in the midst of it."""
    if isinstance(what, str):
        page.locator(WALL).press(what)
        return bare(page)
    box = page.locator(WALL).bounding_box()
    start, end = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in what]
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=8)
    found = bare(page)
    page.wait_for_timeout(200)  # a hand that rests lets go without a flick
    page.mouse.up()
    return found


def one_round(page: Page, address: str, layout: str, moves: Sequence[str | tuple]) -> dict[str, object]:
    """Opens the page, then moves about in a layout without holes."""
    page.add_init_script(WATCH)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if said.type in ("error", "warning") else None)
    page.on("requestfailed", lambda request: problems.append(request.url))
    outside: list[str] = []
    page.on("request", lambda request: None if request.url.startswith("file:") else outside.append(request.url))
    page.goto(f"{address}#/")
    page.wait_for_selector(COMPLETE, timeout=120_000)
    heap = lambda: page.evaluate("performance.memory.usedJSHeapSize")
    found = {"first_complete_s": page.evaluate("firstComplete") / 1e3, "heap_first_bytes": heap()}
    found["heap_held_bytes"] = page.evaluate("(gc(), performance.memory.usedJSHeapSize)")
    page.goto(f"{address}#/?layout={layout}")
    page.wait_for_selector(COMPLETE, timeout=120_000)
    settled = []
    at_once, at_last = [], []
    for what in moves:
        at_once.append(move(page, what))
        began = time.perf_counter()
        page.wait_for_timeout(700)  # the animation
        page.wait_for_selector(COMPLETE, timeout=120_000)
        settled.append(time.perf_counter() - began)
        at_last.append(bare(page))
    return found | {
        "heap_after_bytes": heap(),
        "decoded_pictures_bytes": page.evaluate("vitjax.images.bytes"),
        "bare_at_once": at_once,
        "bare_at_last": at_last,
        "complete_after_s": settled,
        "problems": problems,
        "outside_requests": outside,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--before", metavar="COMMIT", help="measure the first folder with that commit's page too")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--moves", type=int, default=len(MOVES), help="how many of the moves to make")
    parser.add_argument("--layout", default="looks", help="one without empty cells")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--screenshots", type=Path, help="a folder for how it looked at the end of each round")
    parser.add_argument("--result", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        if args.before:
            args.folders.insert(0, page_of(args.before, args.folders[0], Path(place) / f"the page at {args.before}"))
        measure(args)


def page_of(commit: str, folder: Path, place: Path) -> Path:
    """Puts the page that a commit had at a place, over the data of an exported atlas, and gives the place."""
    static = "vitjax/atlas/page/static"
    place.mkdir()
    packed = subprocess.run(["git", "archive", commit, static], check=True, capture_output=True).stdout
    subprocess.run(["tar", "x", "--strip-components=4", "--one-top-level=page"], check=True, input=packed, cwd=place)
    shutil.move(place / "page" / "index.html", place / "index.html")
    (place / "data").mkdir()
    for path in folder.iterdir():
        if path.name not in ("index.html", "page", "data"):
            (place / path.name).symlink_to(path.resolve())
    for path in (folder / "data").iterdir():
        if path.name != "atlas.js":
            (place / "data" / path.name).symlink_to(path.resolve())
    described = (folder / "data" / "atlas.js").read_text()
    old = '"schema":1,' if b"SCHEMAS" not in packed else '"schema":2,'
    (place / "data" / "atlas.js").write_text(described.replace('"schema":2,', old, 1))
    return place


def measure(args: argparse.Namespace) -> None:
    """Measures the folders, in turns, and prints and writes what was found."""
    rounds: dict[Path, list[dict]] = {folder: [] for folder in args.folders}
    with sync_playwright() as playwright:
        for number in range(args.rounds):
            for folder in args.folders:
                flags = ["--enable-precise-memory-info", "--no-sandbox", "--js-flags=--expose-gc"]
                browser = playwright.chromium.launch(executable_path=args.chromium, args=flags)
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                address = (folder / "index.html").resolve().as_uri()
                rounds[folder].append(one_round(page, address, args.layout, MOVES[: args.moves]))
                version = browser.version
                if args.screenshots:
                    args.screenshots.mkdir(parents=True, exist_ok=True)
                    page.screenshot(path=args.screenshots / f"{folder.name}-{number}.png")
                browser.close()
    found = [{"chromium": version, **told(folder, list_)} for folder, list_ in rounds.items()]
    for one in found:
        print(json.dumps({key: value for key, value in one.items() if key != "rounds"}, indent=1))
    if args.result:
        args.result.write_text(json.dumps(found[0] if len(found) == 1 else found, indent=1) + "\n")


def told(folder: Path, rounds: list[dict]) -> dict[str, object]:
    """What the rounds of a folder come to."""
    files = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return {
        "folder": folder.name,
        "files": len(files),
        "bytes": sum(files),
        "first_complete_s": statistics.median(one["first_complete_s"] for one in rounds),
        "first_complete_least_s": min(one["first_complete_s"] for one in rounds),
        "heap_first_mb": statistics.median(one["heap_first_bytes"] for one in rounds) / 1e6,
        "heap_held_mb": statistics.median(one["heap_held_bytes"] for one in rounds) / 1e6,
        "heap_after_mb": max(one["heap_after_bytes"] for one in rounds) / 1e6,
        "bare_at_once": max(max(one["bare_at_once"], default=0) for one in rounds),
        "bare_at_last": max(max(one["bare_at_last"], default=0) for one in rounds),
        "rounds": rounds,
    }


if __name__ == "__main__":
    main()
