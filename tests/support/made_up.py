"""A made-up atlas for the tests of its export, of every kind of thing that one can hold, and what its page receives."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.support.pictures import encode, photo
from vitjax.atlas.page.contents import Column, Contents, Exemplar, Histogram, Neighbour, Picture, Quantile
from vitjax.atlas.page.layouts import chart, layers

UNITS = [f"blocks.3.attn.z:{head}.{channel}" for head in range(3) for channel in range(30)]
UNITS += [f"blocks.3.mlp.hidden:{index}" for index in range(0, 400, 2)] + ["logits:7"]
SIDE = 64
HOSTILE = [
    "</script><script>alert(1)</script>",
    "\"'`\\",
    "../../x",
    "a\u2028b\u2029c",
    "nul\0nul",
    "l" * 300,
    "<!--",
    "]]>&amp;",
    "\ud800",
]


def image(number: int, place: int = 0, size: tuple[int, int] = (SIDE, SIDE)) -> np.ndarray:
    """The `place`-th picture of a unit: uint8, smooth, unlike all others."""
    return np.asarray(photo(size[1], size[0], 10 * number + place))


def made_up(units: list[str] = UNITS, size: tuple[int, int] = (SIDE, SIDE), **changes: object) -> Contents:
    """An atlas of these units; every fifth unit has three pictures, of which the second is chosen."""
    count = len(units)

    def pictures(number: int) -> list[Picture]:
        several = number % 5 == 0
        return [
            Picture(image(number, place, size), f"seed {place}", place == several, {"rise": float("nan"), "kind": "a"})
            for place in range(3 if several else 1)
        ]

    def exemplars(number: int) -> list[Exemplar]:
        names = [HOSTILE[number % len(HOSTILE)], "plain.jpg"]
        heights = np.linspace(-1, 3, 16).reshape(4, 4)
        return [
            Exemplar(number % 7, names[0], names[0], 2.5, 15, heights),
            Exemplar(8, names[1], None, np.float32(1), None, None),
        ]

    bare = Contents(
        title=HOSTILE[0],
        model={"source": HOSTILE[0], "licence": "mit"},
        recipe={"name": "default", "fields": {"steps": 7, "odd": float("inf")}},
        seeds=[0, 1],
        image_size=size,
        grid=(4, 4),
        versions={"vitjax": "0"},
        data={"source": HOSTILE[2], "images": 20},
        manifest={"units": count, "rate": 0.123456789},
        units=units,
        columns=[
            Column("rise", "rise", "how far", np.where(np.arange(count) % 3, np.arange(count) / 7, np.nan)),
            Column("kind", "kind", HOSTILE[1], [None, *"ab" * count][:count], words=("a", "b")),
        ],
        layouts=(),
        pictures=pictures,
        classes=[[HOSTILE[number % len(HOSTILE)], "z"][: number % 3] for number in range(count)],
        duplicate=[None if number % 4 else 0 for number in range(count)],
        exemplars=exemplars,
        quantiles=lambda number: [Quantile(0.5, 9, "middle", -0.25)],
        histogram=lambda number: Histogram(np.array([0.0, 1.0]), np.array([3, 4, number])) if number else None,
        near=lambda number: {"looks": [Neighbour((number + 1) % count, 0.75, False)]},
        photo=lambda number: encode(photo(32, 32, number), "webp"),
        photos=20,
        tables={"units": pa.table({"unit": units})},
    )
    points = np.random.default_rng(0).standard_normal((count, 2))
    return replace(bare, **{"layouts": [layers(bare.taps), chart("looks", "by looks", points)], **changes})


def received(folder: Path, name: str):
    """What the page receives from a data file, read as strictly as JSON is."""
    text = (folder / "data" / f"{name}.js").read_bytes().decode("ascii")
    found = re.fullmatch(r'vitjax\.receive\("([\w./-]+)", (.*)\);\n', text)
    assert found and found[1] == name
    return json.loads(found[2], parse_constant=lambda word: pytest.fail(f"{name} says {word}"))


def details(folder: Path) -> dict[int, dict]:
    """{unit number: its details}."""
    found: dict[int, dict] = {}
    for tap in received(folder, "atlas")["taps"]:
        for part in range(-(-tap["count"] // 64)):
            for place, one in enumerate(received(folder, f"detail/{tap['tap']}/{part:04d}")):
                found[tap["first"] + part * 64 + place] = one
    return found
