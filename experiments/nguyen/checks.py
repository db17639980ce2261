"""Do the paper's own weights and images give what Nguyen et al. 2022 published?

    python -m experiments.nguyen.checks --model ViT-B_16-224.npz --assets nguyen/ --photos inputs/ --panels panels/

Runs every check that what is given suffices for, and says what it skipped and why; exit code 1 if one fails. The
weights are those of ImageNet-21k, tuned on ImageNet, as Google published them (imagenet21k+imagenet2012), with exact
GELU. The folders:

    --assets    dogcat_600x411.png and dogcat_224.png, shuffle4_run1.png and shuffle4_run2.png (images of the published
                notebook), recovered.npz (filters and rollout maps read off the published figures)
    --photos    img1.jpg, img18.jpeg and img5.jpg of the published code
    --panels    the panels of figure layer0_good_bad_filters, cut out: 714_img1.png, 714_img18.png, 714_img5.png,
                732_img5.png
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

import vitjax
from experiments.nguyen.drops import DOG, DROPS, dropped
from experiments.nguyen.higher_layers import others
from experiments.nguyen.picture import BICUBIC, BILINEAR, squashed
from vitjax.analysis.study.findings import Findings
from vitjax.analysis.views.filters import constants, filters, local_views
from vitjax.analysis.views.rollout import relevance
from vitjax.analysis.views.views import shown, views
from vitjax.models.vit import ViT

RESAMPLERS = {"bicubic": BICUBIC, "bilinear": BILINEAR}
PAPERS = {"image_size": (224, 224), "patch_size": (16, 16), "width": 768, "depth": 12, "heads": 12, "classes": 1000}
CLASSES = {  # ImageNet's, by number
    "curly-coated_retriever": 206, "golden_retriever": 207, "Labrador_retriever": 208, "clumber": 216, "kuvasz": 222,
    "Border_collie": 232, "Great_Pyrenees": 257,
}  # fmt: skip


@dataclass(frozen=True)
class Given:
    """What the checks can work with; None for what is not given."""

    model: ViT | None
    assets: Path | None
    photos: Path | None
    panels: Path | None

    @property
    def paper(self) -> ViT | None:
        """The model, if it has the sizes of the paper's."""
        same = self.model and all(getattr(self.model.config, key) == value for key, value in PAPERS.items())
        return self.model if same else None

    @cached_property
    def recovered(self) -> dict[str, np.ndarray]:
        """What was read off the published figures."""
        with np.load(self.assets / "recovered.npz") as file:
            return dict(file)

    def asset(self, name: str, filter: Image.Resampling = BILINEAR) -> np.ndarray:
        """An image of the assets at the model's size, [1, h, w, 3] in [0, 1]."""
        return squashed(self.assets / name, self.model.config, filter)[None].astype(np.float32) / 255

    def rolled(self, image: np.ndarray) -> np.ndarray:
        """The rollout after each block, [layer, query, key]."""
        return np.asarray(relevance(self.model, image)[:, 0])

    @cached_property
    def filter_714(self) -> int:
        """The number of the filter that the paper calls 714: whether it counts from 0 or from 1."""
        kernel = np.asarray(filters(self.model))
        return max((713, 714), key=lambda j: pearson(kernel[j], self.recovered["f714_elephant"]))


class Found(NamedTuple):
    """One comparison: what, the value, the bounds it should lie in."""

    what: str
    value: float
    low: float
    high: float


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    """The correlation of all values of two arrays."""
    return float(np.corrcoef(np.ravel(a), np.ravel(b))[0, 1])


def softmax(given: Given, run: int, wanted: dict[str, float]) -> Iterator[Found]:
    """The five highest probabilities on a shuffled image (1, 2)."""
    logits = np.asarray(given.paper(given.asset(f"shuffle4_run{run}.png"), "logits")["logits"][0], np.float64)
    share = np.exp(logits - logits.max())
    share /= share.sum()
    best = np.argsort(-share)[:5].tolist()
    for rank, (name, value) in enumerate(wanted.items()):
        yield Found(f"place of {name}", best.index(CLASSES[name]) if CLASSES[name] in best else 5, rank, rank)
        yield Found(name, float(share[CLASSES[name]]), value - 2e-4, value + 2e-4)


def resampling(given: Given) -> Iterator[Found]:
    """The small picture is the large one resized bicubically, not bilinearly (4)."""
    small = np.asarray(Image.open(given.assets / "dogcat_224.png").convert("RGB"), float)
    large = Image.open(given.assets / "dogcat_600x411.png").convert("RGB")
    resized = {name: np.asarray(large.resize((224, 224), how), float) for name, how in RESAMPLERS.items()}
    yield Found("bicubic, largest difference", float(np.abs(resized["bicubic"] - small).max()), 0, 0)
    yield Found("bilinear, mean difference", float(np.abs(resized["bilinear"] - small).mean()), 0.78, 0.80)


def identity(given: Given) -> Iterator[Found]:
    """Views, bias and position sum to the activation, for all patches and units (5)."""
    image = given.asset("dogcat_600x411.png")
    sums = local_views(given.model, image).sum(axis=(3, 4, 5)) + constants(given.model)
    embedded = given.model(image, "embed")["embed"][:, given.model.config.prefix :]
    yield Found("largest difference", float(np.abs(sums - embedded).max()), 0, 1e-4)


def numbering(given: Given) -> Iterator[Found]:
    """Recovered filters are found under one of two numbers, and not under the other (6)."""
    kernel = np.asarray(filters(given.paper))
    for name, number in {
        "f714_elephant": 714,
        "f714_fish": 714,
        "f714_pink": 714,
        "f732_pink": 732,
        "f3_clsrow": 3,
    }.items():
        low, high = sorted(pearson(kernel[j], given.recovered[name]) for j in (number - 1, number))
        yield Found(f"{name}: the better number", high, 0.95, 1)
        yield Found(f"{name}: the other", low, -1, 0.95)


def tiles(given: Given) -> Iterator[Found]:
    """Filters and views of the top left patch are those of the published row (7)."""
    numbers = [1, 2, 3, 768]
    units = [number - 1 for number in numbers]
    seen = np.asarray(shown(local_views(given.paper, given.asset("dogcat_600x411.png"), units)[0, 0]))
    for number, view in zip(numbers, seen, strict=True):
        tile = np.asarray(shown(filters(given.paper)[number - 1]))
        yield Found(f"filter {number}", pearson(tile, given.recovered[f"tile{number}_filter"]), 0.97, 1)
        yield Found(f"view {number}", pearson(view, given.recovered[f"tile{number}_view"]), 0.95, 1)


def panels(given: Given) -> Iterator[Found]:
    """Global views are the published panels (8), which they are not of images in [0, 1] (9)."""
    config = given.paper.config
    for number, photo in ((714, "img1.jpg"), (714, "img18.jpeg"), (714, "img5.jpg"), (732, "img5.jpg")):
        panel = squashed(given.panels / f"{number}_{Path(photo).stem}.png", config)
        image = squashed(given.photos / photo, config, BILINEAR)[None].astype(np.float32) / 255
        unit = given.filter_714 + number - 714
        view = np.asarray(views(given.paper, image, units=[unit])[0, 0, 0, 0])
        bare = image[0] * np.tile(np.asarray(filters(given.paper)[unit]), (*config.grid, 1))
        yield Found(f"{number} on {photo}", pearson(np.asarray(shown(view)), panel), 0.94, 1)
        yield Found(f"{number} on {photo}, values as high as the highest", int((view == view.max()).sum()), 1, 1)
        yield Found(f"{number} on {photo} in [0, 1], R2", pearson(np.asarray(shown(bare)), panel) ** 2, 0, 0.56)


def rows_of_rollout(given: Given) -> Iterator[Found]:
    """Rows sum to 1, and half of a token is itself after the first block (11)."""
    rolled = given.rolled(given.asset("dogcat_600x411.png"))
    yield Found("largest error of a row's sum", float(np.abs(rolled.sum(axis=-1) - 1).max()), 0, 1e-5)
    yield Found("lowest share of a token itself after block 0", float(np.diagonal(rolled[0]).min()), 0.5, 1)


def published_rollout(given: Given, run: int, top: list[tuple[int, int]]) -> Iterator[Found]:
    """The class token's rollout after the last block is the published panel (12)."""
    last = given.rolled(given.asset(f"shuffle4_run{run}.png"))[-1, 0, 1:].reshape(14, 14)
    yield Found("correlation", pearson(last, given.recovered[f"rollout_minmax_run{run}"]), 0.97, 1)
    best = [divmod(int(patch), 14) for patch in np.argsort(-last.ravel())[: len(top)]]
    yield Found("of the highest patches, as published", len(set(best) & set(top)), len(top) - 1, len(top))
    yield Found("place of the published highest", best.index(top[0]) if top[0] in best else len(top), 0, 0)


def occluded(given: Given) -> Iterator[Found]:
    """How local the views of patch 62 are on the three occluded images (13)."""
    original = np.asarray(Image.open(given.assets / "dogcat_600x411.png").convert("RGB"))
    for name, dropped_tiles in DROPS.items():
        image = squashed(dropped(original, dropped_tiles), given.paper.config)[None].astype(np.float32) / 255
        among = given.rolled(image)[:, 1:, 1:]
        ratios = [others(block[62], 62) for block in among]
        for block, (low, high) in {3: (0, 0.1), 8: (0.25, 0.5), 11: (0.8, 0.95)}.items():
            yield Found(f"{name}, block {block}: others relative to the own", ratios[block], low, high)
        yield Found(f"{name}: least growth from block to block", float(np.diff(ratios).min()), 0, 1)


def late_views(given: Given) -> Iterator[Found]:
    """Late views weigh the patches of the dog alike, and the class token's hardly change from block 4 on (14)."""
    rolled = given.rolled(given.asset("dogcat_600x411.png"))[:, :, 1:]
    dog = rolled[11, 1 + 62, [patch for patch in DOG if patch != 62]]
    yield Found("least weight of the dog's patches over the highest", float(dog.min() / dog.max()), 0.8, 1)
    for early, late in ((4, 8), (8, 11)):
        ratio = rolled[late, 0] / rolled[early, 0]
        yield Found(
            f"spread of the weights' ratio, block {late} to {early}", float(ratio.std() / ratio.mean()), 0, 0.05
        )


def lone_patch(given: Given) -> Iterator[Found]:
    """Before the first block the view of patch 62 is nothing elsewhere (15)."""
    image = given.asset("dogcat_600x411.png")
    height, width = given.model.config.patch_size
    row, column = divmod(62, given.model.config.grid[1])
    view = np.array(views(given.model, image, tokens=["patch 62"], units=[3])[0, 0, 0, 0])
    own = view[row * height : (row + 1) * height, column * width : (column + 1) * width]
    yield Found("highest value at the patch", float(np.abs(own).max()), 1e-6, np.inf)
    own[:] = 0
    yield Found("highest value elsewhere", float(np.abs(view).max()), 0, 0)


RUN_1 = {
    "Labrador_retriever": 0.92545, "golden_retriever": 0.02897, "kuvasz": 0.00527, "curly-coated_retriever": 0.00177,
    "Border_collie": 0.00161,
}  # fmt: skip
RUN_2 = {
    "Labrador_retriever": 0.53063, "golden_retriever": 0.29608, "kuvasz": 0.03764, "Great_Pyrenees": 0.02066,
    "clumber": 0.01665,
}  # fmt: skip
TOP_1, TOP_2 = [(4, 13), (5, 13), (3, 13), (6, 13), (5, 12)], [(13, 9), (10, 10), (12, 9), (10, 9), (13, 6)]

# {name: (what of `Given` it needs, the check)}.
CHECKS: dict[str, tuple[tuple[str, ...], Callable[[Given], Iterator[Found]]]] = {
    "1 probabilities, run 1": (("paper", "assets"), lambda given: softmax(given, 1, RUN_1)),
    "2 probabilities, run 2": (("paper", "assets"), lambda given: softmax(given, 2, RUN_2)),
    "4 resampling": (("assets",), resampling),
    "5 views sum to activations": (("model", "assets"), identity),
    "6 numbers of filters": (("paper", "assets"), numbering),
    "7 tiles": (("paper", "assets"), tiles),
    "8, 9 global views": (("paper", "assets", "photos", "panels"), panels),
    "11 rows of the rollout": (("model", "assets"), rows_of_rollout),
    "12 rollout, run 1": (("paper", "assets"), lambda given: published_rollout(given, 1, TOP_1)),
    "12 rollout, run 2": (("paper", "assets"), lambda given: published_rollout(given, 2, TOP_2)),
    "13 occluded images": (("paper", "assets"), occluded),
    "14 late views": (("paper", "assets"), late_views),
    "15 a lone patch": (("model", "assets"), lone_patch),
}
LACKING = {
    "paper": "--model with the paper's weights",
    **{name: f"--{name}" for name in ("model", "assets", "photos", "panels")},
}


def outcomes(given: Given) -> Iterator[dict[str, object]]:
    """A row for each comparison of each check, or one that says why the check was skipped."""
    for name, (needs, check) in CHECKS.items():
        if lacking := [LACKING[need] for need in needs if getattr(given, need) is None]:
            yield {"check": name, "what": f"needs {', '.join(lacking)}", "value": None, "low": None, "high": None,
                   "verdict": "skipped"}  # fmt: skip
            continue
        for found in check(given):
            verdict = "ok" if found.low <= found.value <= found.high else "FAILED"
            yield {"check": name, **found._asdict(), "verdict": verdict}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="the paper's weights, or any for checks that hold for all")
    parser.add_argument("--assets", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--panels", type=Path)
    parser.add_argument("--out", type=Path, help="where to keep the table")
    args = parser.parse_args()
    model = vitjax.load(args.model) if args.model else None
    rows = []
    for row in outcomes(Given(model, args.assets, args.photos, args.panels)):
        rows.append(row)
        value = "" if row["value"] is None else f": {row['value']:.6g}, wanted {row['low']:.6g} to {row['high']:.6g}"
        print(f"{row['verdict']:8}{row['check']:28}{row['what']}{value}", flush=True)
    if args.out:
        print(*Findings("checks", rows, {"model": str(args.model)}).save(args.out), sep="\n")
    sys.exit(any(row["verdict"] == "FAILED" for row in rows))


if __name__ == "__main__":
    main()
