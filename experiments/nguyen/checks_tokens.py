"""What the published code of Nguyen et al. 2022 printed, checked against vitjax: shuffled pictures, t-SNE, clusters.

Each function of `CHECKS` asks by keyword for what it needs: `model`, the paper's ViT-B/16 (I21k, then ImageNet-2012, at
224 pixels); `pictures`, the folder with the dog and the cat (dogcat_600x411.png, dogcat_224.png, shuffle4_run1.png,
shuffle4_run2.png); `voc`, the root of VOC 2009. It gives one line of what it found, or raises AssertionError with it.

    python -m experiments.nguyen.checks_tokens --pictures nguyen/ --voc VOC2009/ \
        --model timm/vit_base_patch16_224.orig_in21k_ft_in1k
"""

import argparse
import contextlib
import inspect
import io
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import jax
import numpy as np
from PIL import Image
from sklearn.manifold import TSNE

import vitjax
from experiments.nguyen.clusters import paper
from experiments.nguyen.dog_and_cat import DOG_AND_CAT, painted
from vitjax.analysis.clusters.maps_of_tokens import neighbours, tsne
from vitjax.analysis.clusters.measures import MIN_SAMPLES
from vitjax.analysis.clusters.token_clusters import run, scenes
from vitjax.analysis.perturbed.alike import layers
from vitjax.analysis.perturbed.shuffle import shuffle
from vitjax.data.annotations.masks import masks, patch_labels
from vitjax.data.dataset import open_dataset
from vitjax.models.core.config import ViTConfig
from vitjax.models.vit import ViT

# Outputs of ViT_embedding_visualization.ipynb for two shuffles of the dog and the cat: the order of the 4x4 tiles, the
# five best classes (ImageNet's numbers) with their probabilities, and t-SNE's "Mean sigma" for every block.
RUNS = {
    "shuffle4_run1.png": {
        "order": [14, 9, 13, 3, 6, 2, 7, 5, 10, 12, 1, 15, 0, 11, 4, 8],
        "classes": {208: 0.92545, 207: 0.02897, 222: 0.00527, 206: 0.00177, 232: 0.00161},
        "sigma": [11.260246, 13.886091, 17.289466, 19.723168, 21.625338, 23.923142, 27.155582, 30.019906, 33.845452,
                  39.143156, 48.333048, 52.552815],
    },
    "shuffle4_run2.png": {
        "order": [7, 15, 9, 13, 6, 4, 2, 10, 14, 8, 3, 11, 12, 1, 5, 0],
        "classes": {208: 0.53063, 207: 0.29608, 222: 0.03764, 257: 0.02066, 216: 0.01665},
        "sigma": [11.416066, 13.710005, 17.144644, 19.329410, 21.672148, 24.460140, 28.065073, 30.951059, 34.074926,
                  38.838121, 49.075781, 51.389434],
    },
}  # fmt: skip
LOSSES = [0.518, 0.405, 0.379, 0.393, 0.419, 0.387, 0.333, 0.317, 0.318, 0.295, 0.273, 0.275]  # t-SNE's, run 1
TOLERANCES = {"purity": 0.02, "silhouette": 0.03, "in_cluster_cosine": 0.03, "in_object_cosine": 0.03,
              "unique_label_ratio": 0.03}  # fmt: skip


def top_classes(name: str, *, model: ViT, pictures: Path) -> str:
    """1, 2: the five best classes of a shuffled picture; tolerance 2e-4."""
    wanted = RUNS[name]["classes"]
    probs = np.asarray(jax.nn.softmax(_read(model, pictures / name, ["logits"])["logits"][0]))
    best = dict(zip(map(int, np.argsort(-probs)[:5]), np.sort(probs)[::-1][:5].tolist(), strict=True))
    assert list(best) == list(wanted), f"the best classes are {list(best)}, not {list(wanted)}"
    return _within(best.values(), wanted.values(), 2e-4)


def made_by_shuffling(name: str, *, pictures: Path) -> str:
    """1, 2: the picture is the dog and the cat with its 4x4 tiles in the recorded order."""
    whole = np.asarray(Image.open(pictures / "dogcat_224.png").convert("RGB"))
    mixed = shuffle(whole[None], np.array([RUNS[name]["order"]]), 4)[0]
    assert np.array_equal(mixed, np.asarray(Image.open(pictures / name).convert("RGB"))), "other pixels"
    return "the same pixels"


def mean_sigma(name: str, *, model: ViT, pictures: Path) -> str:
    """3: what t-SNE prints as the mean width of its Gaussians, tokens of every block; relative tolerance 1e-3."""
    found = []
    for tokens in _blocks(model, pictures / name):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            TSNE(2, perplexity=30, max_iter=250, init="random", verbose=2).fit(tokens)
        found.append(float(re.search(r"Mean sigma: ([\d.]+)", printed.getvalue())[1]))
    return _within(np.array(found) / RUNS[name]["sigma"], np.ones(len(found)), 1e-3)


def bicubic(*, pictures: Path) -> str:
    """4: the picture of 224 pixels is the large one resized by Pillow's bicubic filter, not by the bilinear one."""
    large = Image.open(pictures / "dogcat_600x411.png").convert("RGB")
    small = np.asarray(Image.open(pictures / "dogcat_224.png").convert("RGB")).astype(int)
    cubic, linear = (
        np.abs(np.asarray(large.resize((224, 224), filter)) - small).mean()
        for filter in (Image.Resampling.BICUBIC, Image.Resampling.BILINEAR)
    )
    said = f"mean differences: bicubic {cubic:.2f}, bilinear {linear:.2f} (0.79)"
    assert cubic == 0 and abs(linear - 0.79) < 0.01, said
    return said


def valid_images(*, voc: Path) -> str:
    """18: how many images of VOC 2009 have masks, two large objects, and three patches of each."""
    data = open_dataset(voc / "JPEGImages", ViTConfig())
    found = masks(data.images, voc)
    chosen, _ = scenes(data, found)
    labels = [patch_labels(scene.labels, data.config.grid) for scene in chosen]
    sizes = [np.bincount(label, minlength=len(s.kinds) + 1)[1:] for label, s in zip(labels, chosen, strict=True)]
    survive = sum(size.min() >= MIN_SAMPLES for size in sizes)
    said = f"{len(found)} images (1499), {len(chosen) / len(found):.1%} valid (36.6 %), {survive} of {len(chosen)} stay"
    said += f" (98.4 %), at most {max(len(scene.kinds) for scene in chosen)} objects"
    assert len(found) == 1499 and abs(len(chosen) / len(found) - 0.366) < 0.03, said
    assert abs(survive / len(chosen) - 0.984) < 0.02, said
    return said


def curves(*, model: ViT, voc: Path) -> str:
    """19: the measures of every layer, as they are and shuffled, and what the figures say of them."""
    data = open_dataset(voc / "JPEGImages", model.config)
    rows = run(model, data, masks=voc, grids=(1, 2, 8), layout="none").rows
    found = {(name, grid): [row[name] for row in rows if row["grid"] == grid] for name, grid in paper()}
    said = [f"{name} {grid}x{grid}: {_within(found[name, grid], values, TOLERANCES[name])}"
            for (name, grid), values in paper().items()]  # fmt: skip
    inside, objects = (
        {grid: np.array(found[name, grid]) for grid in (1, 2, 8)} for name in ("in_cluster_cosine", "in_object_cosine")
    )
    assert (np.diff(objects[1]) > 0).all(), "the cosine in objects does not rise from layer to layer"
    assert all((inside[grid] > objects[grid]).all() for grid in (1, 2)), "the cosine in clusters is not the larger"
    assert (objects[8][:4] >= inside[8][:4]).all(), "8x8: the cosine in clusters is the larger in early layers"
    silhouette = found["silhouette", 1]
    assert silhouette[2] > max(silhouette[1], silhouette[3]), "the silhouette has no local maximum at layer 3"
    assert silhouette[4] < min(silhouette[3], silhouette[5]), "the silhouette has no local minimum at layer 5"
    last = [found["silhouette", grid][-1] for grid in (1, 2, 8)]
    assert last == sorted(last, reverse=True), f"the silhouette of the last layer does not fall with shuffling: {last}"
    return "; ".join(said)


def losses(*, model: ViT, pictures: Path) -> str:
    """21: the KL divergence of t-SNE after 1000 steps, within 0.08; dog and cat stand apart in the last layer."""
    name = "shuffle4_run1.png"
    labels = shuffle(painted(DOG_AND_CAT)[None, ..., None], np.array([RUNS[name]["order"]]), 4)[0, ..., 0]
    shown = patch_labels(np.asarray(labels), (14, 14))
    places = [tsne(tokens) for tokens in _blocks(model, pictures / name)]
    apart = [neighbours(place.points[1:][shown > 0], shown[shown > 0]) for place in places]
    said = f"{_within([place.loss for place in places], LOSSES, 0.08)}; neighbours {apart[0]:.2f}, last {apart[-1]:.2f}"
    assert apart[-1] > apart[0], said
    return said


CHECKS: dict[str, Callable[..., str]] = {
    "1 classes, first shuffle": partial(top_classes, "shuffle4_run1.png"),
    "1 order, first shuffle": partial(made_by_shuffling, "shuffle4_run1.png"),
    "2 classes, second shuffle": partial(top_classes, "shuffle4_run2.png"),
    "2 order, second shuffle": partial(made_by_shuffling, "shuffle4_run2.png"),
    "3 mean sigma, first shuffle": partial(mean_sigma, "shuffle4_run1.png"),
    "3 mean sigma, second shuffle": partial(mean_sigma, "shuffle4_run2.png"),
    "4 resampling": bicubic,
    "18 valid images": valid_images,
    "19 curves": curves,
    "21 t-SNE": losses,
}


def _read(model: ViT, path: Path, reads: Sequence[str]) -> dict[str, np.ndarray]:
    pixels = np.asarray(Image.open(path).convert("RGB"))[None] / np.float32(255)
    with jax.default_matmul_precision("highest"):
        return {tap: np.asarray(value) for tap, value in model(pixels, reads).items()}


def _blocks(model: ViT, path: Path) -> list[np.ndarray]:
    """All tokens after every block, [token, channel]."""
    taps = layers(model)
    values = _read(model, path, taps)
    return [values[tap][0] for tap in taps]


def _within(found: Sequence[float], wanted: Sequence[float], tolerance: float) -> str:
    worst = np.abs(np.array([*found]) - np.array([*wanted])).max()
    said = f"differs by at most {worst:.2g} (tolerance {tolerance:g})"
    assert worst <= tolerance, said
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="the paper's ViT-B/16")
    parser.add_argument("--pictures", type=Path, help="folder with the dog and the cat")
    parser.add_argument("--voc", type=Path, help="root of VOC 2009")
    args = vars(parser.parse_args())
    if args["model"]:
        args["model"] = vitjax.load(args["model"])
    for name, check in CHECKS.items():
        needs = [n for n, p in inspect.signature(check).parameters.items() if p.kind is p.KEYWORD_ONLY]
        if missing := [need for need in needs if args[need] is None]:
            print(f"skipped  {name}: no --{', no --'.join(missing)}")
            continue
        try:
            print(f"passed   {name}: {check(**{need: args[need] for need in needs})}")
        except AssertionError as error:
            print(f"FAILED   {name}: {error}")


if __name__ == "__main__":
    main()
