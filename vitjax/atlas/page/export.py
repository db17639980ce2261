"""Writes an atlas as a folder of static files: the page, its data, pictures, photographs and contact sheets.

docs/atlas_format.md says what lies where. Pictures pass through in the order of unit numbers, a few at a time; threads
encode them, as Pillow lets go of Python's lock meanwhile.
"""

import io
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from PIL import Image
from pyarrow import parquet

from vitjax.atlas.page import scripts
from vitjax.atlas.page.contact import ContactSheets
from vitjax.atlas.page.contents import Contents, Picture
from vitjax.atlas.page.fitting import check
from vitjax.atlas.page.named.regions import regions
from vitjax.atlas.page.named.seen import Seen
from vitjax.atlas.page.named.shown import Shown, look
from vitjax.atlas.page.pool import Pool
from vitjax.atlas.page.sharing.head import headed
from vitjax.atlas.page.sharing.lossless import MOST, png
from vitjax.atlas.page.sharing.preview import FILE, Preview, shown
from vitjax.atlas.page.sheets import Sheets, cells_for, thumbnails, webp
from vitjax.atlas.store import checksums
from vitjax.atlas.store.folder import Folder, whole

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Exported:
    """An exported atlas.

    Attributes:
        folder: where it is.
        files, bytes: how many files, and their size.
        seconds: {stage: seconds}.
    """

    folder: Path
    files: int
    bytes: int
    seconds: Mapping[str, float]


def export(
    contents: Contents,
    out: str | Path,
    *,
    overwrite: bool = False,
    contact: bool = True,
    lossless: bool | None = None,
    address: str = "",
    progress: Progress = lambda stage, done, total: None,
    workers: int | None = None,
) -> Exported:
    """Writes an atlas as a folder of static files, which opens from disk and from any static host.

    The folder appears as a whole, when all is written; see `whole`.

    Args:
        contents: what it shows.
        out: the folder; it must be free, empty, or, with `overwrite`, an exported atlas, which is replaced.
        contact: whether to draw contact sheets; they are a fifth of the size of a large atlas.
        lossless: whether to write each picture as a PNG too; default in atlases of 500 units and less.
        address: where it will be published, if that is known: for the preview of links.
        progress: called with ("pictures" or "photos", how many are done, how many there are).
        workers: threads, as many as there are processors unless said.

    Raises:
        InputError: `out` is something else, cannot be written, or a unit has a name that no file can have.
    """
    check(contents)
    workers = workers or os.cpu_count() or 1
    seconds: dict[str, float] = {}
    with whole(out, overwrite) as folder, Pool(workers) as pool:
        with _timed(seconds, "page"):
            for name, data in page_files():
                folder.write(name, headed(data, contents, address) if name == "index.html" else data)
        sheets, seen = Sheets(cells_for(contents.image_size)), seen_in(contents)
        with _timed(seconds, "data"):
            lossless = len(contents.units) <= MOST if lossless is None else lossless
            _data(contents, sheets, seen, lossless, folder)
        with _timed(seconds, "pictures"):
            about = {"title": contents.title, "recipe": str(contents.recipe.get("name", ""))}
            drawn = ContactSheets(contents.taps, about) if contact else None
            named = _pictures(contents, sheets, seen, lossless, drawn, folder, pool, progress)
        with _timed(seconds, "photos"):
            _photographs(contents, named, folder, pool, progress)
        folder.write(checksums.KEY, checksums.listed(folder.sums))
    return Exported(Path(out).expanduser().resolve(), len(folder.sums), folder.bytes, seconds)


def seen_in(contents: Contents) -> Seen:
    """Gives the classes of the photographs of units that respond to any; once each where nobody counted them."""
    counts = contents.seen or [dict.fromkeys(names, 1) for names in contents.classes] or [{}] * len(contents.units)
    silent = {*contents.silent}
    return Seen([{} if number in silent else one for number, one in enumerate(counts)])


def _data(contents: Contents, sheets: Sheets, seen: Seen, lossless: bool, folder: Folder) -> None:
    """Writes what there is once: the small data of the page, the tables, the manifest."""
    values = {"atlas": scripts.atlas(contents, sheets.describe(), lossless), "units": scripts.units(contents)}
    values |= {"classes": seen.index()} | dict(contents.further)
    named = Seen([{word: 1} if word else {} for word in contents.words]) if contents.words else seen
    for laid in contents.layouts:
        values[f"layout-{laid.key}"] = scripts.layout(laid, () if laid.bands else regions(laid, named))
    for name, value in values.items():
        folder.write(f"data/{name}.js", scripts.script(name, value))
    for name, table in contents.tables.items():
        buffer = io.BytesIO()
        parquet.write_table(table, buffer, compression="zstd")
        folder.write(f"{name}.parquet", buffer.getvalue())
    folder.write("manifest.json", (json.dumps(contents.manifest, indent=1) + "\n").encode())


def _pictures(
    contents: Contents,
    sheets: Sheets,
    seen: Seen,
    lossless: bool,
    contact: ContactSheets | None,
    folder: Folder,
    pool: Pool,
    progress: Progress,
) -> Shown:
    """Writes what there is of each unit, and the sheets made of it; gives the photographs that were named."""
    index = [unit.rpartition(":")[2] for unit in contents.units]
    encode = lambda name, image, quality: folder.write(name, webp(image, quality))
    draw = lambda sheet: folder.write(sheet.file, sheet.png())
    named = Shown(contents.silent)
    done = 0
    write = lambda block: _block(contents, seen, block, sheets.cells, lossless, folder)
    preview = Preview(shown(contents))
    for small, details in pool.each(write, list(_blocks(contents))):
        for pictures, detail in zip(small, details, strict=True):
            named.add(done, detail)
            preview.add(done, pictures[max(sheets.cells)])
            for full in sheets.add(pictures):
                pool.later(encode, *full)
            for sheet in contact.add(index[done], pictures) if contact else ():
                pool.later(draw, sheet)
            done += 1
        progress("pictures", done, len(index))
    for full in sheets.finish():
        pool.later(encode, *full)
    pool.settle()
    folder.write(FILE, preview.jpeg())
    if (photos := named.numbers) and not (contents.photo and photos[0] >= 0 and photos[-1] < contents.photos):
        raise ValueError(f"photographs {photos[0]} to {photos[-1]} are named, there are {contents.photos}")
    return named


def _photographs(contents: Contents, named: Shown, folder: Folder, pool: Pool, progress: Progress) -> None:
    """Writes the photographs that units name, and who responds to each."""

    def write(number: int) -> str:
        folder.write(f"photos/{number:06d}.webp", data := contents.photo(number))
        return look(data)

    looks = []
    for one in pool.each(write, named.numbers):
        looks.append(one)
        progress("photos", len(looks), len(named.numbers))
    if contents.photo:
        folder.write("data/photographs.js", scripts.script("photographs", named.index(looks)))


@dataclass(frozen=True)
class _Block:
    """Units of a tap that share a file of details."""

    tap: str
    number: int
    units: range


def _blocks(contents: Contents) -> Iterator[_Block]:
    per = scripts.PER_DETAIL
    for tap in contents.taps:
        units = range(tap.first, tap.first + tap.count)
        for number in range(-(-tap.count // per)):
            yield _Block(tap.tap, number, units[number * per : (number + 1) * per])


def _block(
    contents: Contents, seen: Seen, block: _Block, cells: Sequence[int], lossless: bool, folder: Folder
) -> tuple[list[dict[int, Image.Image]], list[dict[str, Any]]]:
    """Writes pictures and details of a block; gives the units' thumbnails, and the photographs that they name."""
    details, small = [], []
    for number in block.units:
        pictures = sorted(contents.pictures(number), key=lambda picture: not picture.chosen)  # the chosen one first
        files = _files(contents.units[number], len(pictures))
        for file, picture in zip(files, pictures, strict=True):
            folder.write(file, webp(Image.fromarray(picture.image)))
            if lossless:
                folder.write(f"{file.removesuffix('.webp')}.png", png(contents, number, picture))
        small.append(thumbnails(_chosen(pictures, contents.units[number]).image, cells))
        details.append(scripts.detail(contents, number, pictures, files, seen.kinds_of(number)))
    name = f"detail/{block.tap}/{block.number:04d}"
    folder.write(f"data/{name}.js", scripts.script(name, details))
    kept = ("photo", "class")  # not the maps, which are large
    names = lambda some: [{key: one.get(key) for key in kept} for one in some]
    return small, [{kind: names(one[kind]) for kind in ("exemplars", "quantiles")} for one in details]


def _files(unit: str, count: int) -> list[str]:
    """Names the files of a unit's pictures: TAP/INDEX.webp, TAP/INDEX.1.webp, …"""
    tap, _, index = unit.rpartition(":")
    return [f"pictures/{tap}/{index}{f'.{place}' if place else ''}.webp" for place in range(count)]


def _chosen(pictures: Sequence[Picture], unit: str) -> Picture:
    chosen = [picture for picture in pictures if picture.chosen]
    if len(chosen) != 1:
        raise ValueError(f"{len(chosen)} of the {len(pictures)} pictures of {unit} are marked as chosen, one should be")
    return chosen[0]


def page_files() -> Iterator[tuple[str, bytes]]:
    """Gives the page's own files by their paths in an exported atlas: index.html, and all that it loads under page/."""
    return _static(resources.files("vitjax.atlas.page") / "static", "page/")


def _static(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _static(entry, f"{path}{entry.name}/")
        else:
            yield entry.name if entry.name == "index.html" else path + entry.name, entry.read_bytes()


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start
