"""Measures the export of a made-up atlas: seconds by stage, size and number of files.

    python benchmarks/atlas_export.py [--units 40000] [--out FOLDER] [--side 224] [--bare] [--likeness] [--result FILE]

Twelve layers; each unit has a picture of 224 pixels cut from coloured 1/f noise, so that it takes as many bytes as
pictures of units do, nine exemplars with activation maps, nine quantile samples, a histogram and its neighbours.
`--side 64 --bare` leaves out what the page's first view does not read: large pictures, photographs, contact sheets.
`--likeness` also measures what comes before an export: nearest units, near-repeats and the t-SNE map of as many vectors
of 192 numbers. `atlas_page.py` then measures the page of what was exported.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL
import pyarrow as pa
import sklearn
from PIL import Image

from vitjax import __version__
from vitjax.analysis.photographs import likeness
from vitjax.atlas.page.contents import Column, Contents, Exemplar, Histogram, Neighbour, Picture, Quantile
from vitjax.atlas.page.export import export
from vitjax.atlas.page.layouts import chart, layers
from vitjax.atlas.page.sheets import webp

LAYERS, SIDE, GRID, PHOTOS, TEXTURE = 12, 224, 14, 500, 1024
VERDICTS = ("good", "weak", "dead", "saturated", "noise")
NUMBERS = ("rise", "activation", "selectivity", "spread", "robustness", "spectrum", "agreement", "sparseness")


def noise(seed: int, side: int = TEXTURE) -> np.ndarray:
    """Coloured 1/f noise that tiles: uint8 [side, side, 3]."""
    rng = np.random.default_rng(seed)
    y, x = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    falling = 1 / np.maximum(np.hypot(y, x), 1 / side) ** 1.1
    waves = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((3, side, side))) * falling)
    waves = (waves - waves.mean((1, 2), keepdims=True)) / waves.std((1, 2), keepdims=True)
    return np.clip(128 + 55 * waves, 0, 255).astype(np.uint8).transpose(1, 2, 0)


def made_up(count: int, side: int = SIDE, bare: bool = False) -> Contents:
    """An atlas of `count` units in twelve layers, all of it drawn from seeds; without photographs if `bare`."""
    texture = noise(0)
    layer = np.arange(count) * LAYERS // count
    first = np.searchsorted(layer, np.arange(LAYERS))
    names = [f"blocks.{block}.mlp.hidden:{number - first[block]}" for number, block in enumerate(layer)]
    rng = np.random.default_rng(1)
    columns = [Column(key, key, f"made-up {key}", rng.lognormal(0.5, 1, count)) for key in NUMBERS]
    verdicts = rng.choice(VERDICTS, count, p=(0.7, 0.1, 0.1, 0.05, 0.05)).tolist()
    columns.append(Column("verdict", "verdict", "made-up verdict", verdicts, words=VERDICTS))
    edges = np.concatenate([-np.geomspace(10, 0.01, 32), np.geomspace(0.01, 10, 32)])

    def pictures(number: int) -> list[Picture]:
        rng = np.random.default_rng(number)
        rows, columns = (np.arange(start, start + side) % TEXTURE for start in rng.integers(TEXTURE, size=2))
        image = texture[rows[:, None], columns][..., rng.permutation(3)]
        return [Picture(image, "seed 0", True, {"rise": 2.5, "verdict": verdicts[number]})]

    def exemplars(number: int) -> list[Exemplar]:
        rng = np.random.default_rng([number, 1])
        maps = rng.integers(256, size=(9, GRID, GRID), dtype=np.uint8)
        photos = rng.choice(PHOTOS, 9, replace=False).tolist()
        return [
            Exemplar(photo, f"{photo:05d}.jpg", f"class {photo % 100}", 3 - place / 4, int(heights.argmax()), heights)
            for place, (photo, heights) in enumerate(zip(photos, maps, strict=True))
        ]

    def quantiles(number: int) -> list[Quantile]:
        photos = np.random.default_rng([number, 2]).choice(PHOTOS, 9, replace=False).tolist()
        return [Quantile(place / 8, photo, f"{photo:05d}.jpg", place / 8) for place, photo in enumerate(photos)]

    def histogram(number: int) -> Histogram:
        counts = np.random.default_rng([number, 3]).multinomial(PHOTOS, np.hanning(len(edges) + 3)[1:-1] / 33)
        return Histogram(edges, counts)

    def near(number: int) -> dict[str, Sequence[Neighbour]]:
        others = np.random.default_rng([number, 4]).integers(count, size=16).tolist()
        found = [Neighbour(o, 0.9 - i / 50, bool(layer[o] == layer[number])) for i, o in enumerate(others)]
        return {"looks": found, "responses": found[::-1]}

    def photo(number: int) -> bytes:
        shift = np.roll(texture, (37 * number, 91 * number), (0, 1))[:SIDE, :SIDE]
        return webp(Image.fromarray(shift))

    photographs = {"exemplars": exemplars, "quantiles": quantiles, "histogram": histogram, "photo": photo}
    plain = Contents(
        title=f"A made-up atlas of {count:,} units",
        model={"source": "made up", "architecture": "vit_tiny_patch16_224", "sha256": None, "licence": "apache-2.0"},
        recipe={"name": "default", "fields": {}},
        seeds=[0],
        image_size=(side, side),
        grid=(GRID, GRID),
        versions={"vitjax": __version__},
        data={"source": "made up", "images": PHOTOS},
        manifest={"units": count},
        units=names,
        columns=columns,
        layouts=(),
        pictures=pictures,
        classes=[[f"class {photo.photo % 100}" for photo in exemplars(number)[:3]] for number in range(count)],
        duplicate=[None] * count,
        near=near,
        photos=PHOTOS,
        **({} if bare else photographs),
        tables={"units": pa.table({"unit": names} | {column.key: column.values for column in columns})},
    )
    points = rng.standard_normal((2, count, 2))
    charts = [chart("looks", "by looks", points[0]), chart("responses", "by responses", points[1])]
    return Contents(**{**vars(plain), "layouts": [layers(plain.taps), *charts]})


def measure_likeness(count: int) -> dict[str, float]:
    """Seconds for what is computed of `count` vectors."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((200, 192))
    vectors = centres[rng.integers(200, size=count)] + 0.7 * rng.standard_normal((count, 192))
    layer = np.arange(count) * LAYERS // count
    seconds = {}
    for name, work in {
        "nearest": lambda: likeness.nearest(vectors, layer),
        "repeats": lambda: likeness.repeats(vectors),
        "map": lambda: chart("looks", "by looks", likeness.spread_out(vectors)),
    }.items():
        start = time.perf_counter()
        work()
        seconds[name] = time.perf_counter() - start
        print(f"{name} {seconds[name]:.1f} s", file=sys.stderr)
    return seconds


def sizes(folder: Path) -> dict[str, dict[str, int]]:
    """Files and bytes of each part of an export."""
    files, size = Counter(), Counter()
    for path in folder.rglob("*"):
        if path.is_file():
            part = path.relative_to(folder).parts[0]
            files[part] += 1
            size[part] += path.stat().st_size
    return {part: {"files": files[part], "bytes": size[part]} for part in sorted(files)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=40_000)
    parser.add_argument("--out", type=Path, help="keep the export here")
    parser.add_argument("--side", type=int, default=SIDE, help="pixels of a picture")
    parser.add_argument("--bare", action="store_true", help="without photographs and contact sheets")
    parser.add_argument("--likeness", action="store_true")
    parser.add_argument("--result", type=Path, help="write the figures here too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        contents = made_up(args.units, args.side, args.bare)
        prepared = time.perf_counter() - start
        processor = time.process_time()
        done = export(
            contents, args.out or Path(scratch) / "atlas", overwrite=args.out is not None, contact=not args.bare
        )
        processor = time.process_time() - processor
        found = {
            "units": args.units,
            "processors": os.cpu_count(),
            "python": platform.python_version(),
            "pillow": PIL.__version__,
            "scikit-learn": sklearn.__version__,
            "prepared_s": prepared,
            "export_s": sum(done.seconds.values()),
            "export_processor_s": processor,
            "stages_s": dict(done.seconds),
            "files": done.files,
            "bytes": done.bytes,
            "parts": sizes(done.folder),
        }
    show(found, args.result)
    if args.likeness:
        show(found | {"likeness_s": measure_likeness(args.units)}, args.result)


def show(found: dict[str, object], file: Path | None) -> None:
    """Prints the figures, and writes them."""
    text = json.dumps(found, indent=1)
    print(text)
    if file:
        file.write_text(text + "\n")


if __name__ == "__main__":
    main()
