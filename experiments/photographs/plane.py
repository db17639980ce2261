"""An activation atlas of one layer from two sets of photographs: a picture of its page, and its cells as a table.

    python -m experiments.photographs.plane --model vit_tiny_patch16_224 --class-names classes.json \\
        --photos images.zip --more val.zip --store out/plane

It runs `vitjax atlas --of activations`, which goes on where it was, and then looks at the page in Chromium.
"""

import csv
import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from experiments import script
from vitjax.atlas.page.reader import contents
from vitjax.atlas.store.store import Store
from vitjax.cli import main as vitjax
from vitjax.data.files.open import open_images

SIZE = {"width": 1120, "height": 760}
POINTED = ".plane a[data-cell='{}']"


def collect(sources: dict[str, int], folder: Path) -> Path:
    """Puts every n-th image of each source into a folder, {source: n}."""
    for source, every in sources.items():
        images = open_images(source)
        place = folder / Path(source).stem
        place.mkdir(parents=True, exist_ok=True)
        for number in range(0, len(images), every):
            (place / Path(images.names[number]).name).write_bytes(images.read(number))
    return folder


@contextmanager
def page(index: Path, program: str) -> Iterator:
    """The page of an atlas in a browser, all its cells there."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        shown = browser.new_page(viewport=SIZE)
        shown.goto(index.resolve().as_uri())
        shown.wait_for_selector(".plane img")
        shown.wait_for_function("[...document.querySelectorAll('.plane img')].every((one) => one.complete)")
        yield shown
        browser.close()


def write(store: Path, out: Path) -> None:
    """Writes the table of the cells, those names first that they add most to."""
    rows = contents(Store(str(store))).tables["cells"].to_pylist()
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            lists = {"names": "; ".join(row["names"]), "adds": "; ".join(f"{add:.4f}" for add in row["adds"])}
            writer.writerow(row | lists)


def draw(index: Path, cell: int, program: str, out: Path) -> None:
    """Keeps a picture of the page while a cell is pointed at."""
    with page(index, program) as shown:
        shown.hover(POINTED.format(cell))
        picture = Image.open(io.BytesIO(shown.screenshot())).convert("RGB")
    picture.save(out, quality=82, method=6)


def main() -> None:
    parser = script.parser(__doc__, __file__)
    parser.add_argument("--class-names", required=True)
    parser.add_argument("--photos", required=True)
    parser.add_argument("--more", required=True, help="of which every --every-th image is taken")
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--tap", default="blocks.8.resid_post")
    parser.add_argument("--per-image", type=int, default=4)
    parser.add_argument("--grid", type=int, default=7)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--cell", type=int, default=14, help="that is pointed at")
    parser.add_argument("--picture", type=Path, default=Path("docs/activation_atlas.webp"))
    args = parser.parse_args()
    folder = collect({args.photos: 1, args.more: args.every}, args.store.with_name(f"{args.store.name}-photos"))
    sizes = ["--per-image", str(args.per_image), "--grid", str(args.grid), "--layout", "tsne"]
    of = ["--of", "activations", "--model", args.model, "--class-names", args.class_names, "--tap", args.tap]
    if code := vitjax(["atlas", *of, *sizes, "--data", str(folder), "--recipe", "fast", "--out", str(args.store)]):
        raise SystemExit(code)
    args.out.mkdir(parents=True, exist_ok=True)
    write(args.store, args.out / "plane.csv")
    draw(args.store / "page/index.html", args.cell, shutil.which("chromium") or "chromium", args.picture)


if __name__ == "__main__":
    main()
