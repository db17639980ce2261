"""Maps the tokens of an image to the plane, by t-SNE or UMAP of a layer's embeddings, and draws them by object.

Nguyen et al. 2022 (arXiv 2210.07646), published code `ViT_embedding_visualization.ipynb`: t-SNE of all tokens, of which
the patches are drawn, background as crosses, objects each with a marker of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

from vitjax.analysis.study.style import COLORS, bare, panels, style
from vitjax.data.pixels import shown
from vitjax.errors import InputError, nearest
from vitjax.models.core.network import Network
from vitjax.models.core.surroundings import standard

PERPLEXITY = 30  # published code
STEPS = 1000
_NEIGHBOURS = 5
# The look of the paper's figures, colours from the project's own.
MARKERS = "*ovxDs^P"
_NOTHING = "#bbbbbb"


class Layout(NamedTuple):
    """Tokens in the plane; `loss` is what was minimised, the KL divergence in nats of t-SNE, None of UMAP."""

    points: Float[np.ndarray, "token 2"]
    loss: float | None


def tsne(tokens: Float[np.ndarray, "token channel"], seed: int = 0) -> Layout:
    """t-SNE as in the published code: random start, learning rate 200; fewer than 91 tokens get less perplexity."""
    perplexity = min(PERPLEXITY, (len(tokens) - 1) / 3)
    one = TSNE(2, perplexity=perplexity, max_iter=STEPS, init="random", learning_rate=200.0, random_state=seed)
    return Layout(one.fit_transform(tokens), float(one.kl_divergence_))


def umap(tokens: Float[np.ndarray, "token channel"], seed: int = 0) -> Layout:
    """UMAP with the defaults of umap-learn."""
    check("umap")
    from umap import UMAP

    return Layout(UMAP(random_state=seed, n_jobs=1).fit_transform(tokens), None)


LAYOUTS: Mapping[str, Callable[[np.ndarray, int], Layout]] = {"tsne": tsne, "umap": umap}


def check(layout: str) -> None:
    """Raises an InputError for a layout that is not known ("none" is), or whose package is not installed."""
    known = (*LAYOUTS, "none")
    if layout not in known:
        raise InputError(f"unknown layout {layout!r}{nearest(layout, known)}: {', '.join(known)}")
    if layout == "umap" and not find_spec("umap"):
        raise InputError("UMAP takes the package umap-learn: pip install 'vitjax[umap]'")


def neighbours(points: Float[np.ndarray, "patch 2"], labels: Int[np.ndarray, " patch"]) -> float:
    """How far objects stand apart: the share of patches whose object most of their 5 nearest neighbours show."""
    near = NearestNeighbors(n_neighbors=min(_NEIGHBOURS, len(points) - 1)).fit(points).kneighbors(return_distance=False)
    votes = (labels[near][..., None] == np.arange(labels.max() + 1)).sum(axis=1)
    return float((votes.argmax(axis=1) == labels).mean())


@standard()
@partial(jax.jit, static_argnames="taps")
def _tokens(model: Network, images: Array, taps: tuple[str, ...]) -> dict[str, Array]:
    return model(images, taps)


def example(
    model: Network,
    pixels: UInt8[np.ndarray, "h w 3"],
    labels: Int[np.ndarray, " patch"],
    kinds: Sequence[str],
    taps: Sequence[str],
    layout: str = "tsne",
    *,
    seed: int = 0,
    picture: bool = True,
) -> tuple[Figure, list[dict[str, float | str | None]]]:
    """Draws the tokens of one image in the plane at the first, a middle and the last of `taps`.

    Args:
        model: any ViT.
        pixels: the image as the model takes it.
        labels: the object of each patch, 0 for none.
        kinds: what object i is, at i - 1.
        taps: of tokens; with three or fewer all are drawn.
        layout: tsne or umap.
        seed: of the layout.
        picture: draw the image beside them, its patches marked alike.

    Returns:
        A figure, and a row for each layer: what was minimised, and `neighbours` of the patches that show objects.
    """
    number, sites = len(taps), model.taps()
    chosen = dict.fromkeys(taps[place] for place in (0, number // 2, number - 1))
    values = _tokens(model, pixels[None] / np.float32(255), tuple(chosen))
    rows = []
    with style():
        figure, axes = panels(1, len(chosen) + picture, size=(2.6, 2.7))
        if picture:
            bare(axes[0]).imshow(shown(pixels))
            height, width = model.config.patch_size
            row, column = np.divmod(np.arange(len(labels)), model.config.grid[1])
            _mark(axes[0], np.stack([(column + 0.5) * width, (row + 0.5) * height], axis=1), labels, kinds, 8)
        for panel, tap in zip(axes[picture:], chosen, strict=True):
            place = LAYOUTS[layout](np.asarray(values[tap][0], np.float32), seed)
            points = place.points[sites[tap].prefix :]
            _mark(bare(panel), points, labels, kinds, 16)
            there = labels > 0
            rows.append({"tap": tap, "loss": place.loss, "neighbours": neighbours(points[there], labels[there])})
            panel.set_title(tap)
        handles = {text: handle for handle, text in zip(*axes[-1].get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=6)
    return figure, rows


def _mark(axes: Axes, points: np.ndarray, labels: np.ndarray, kinds: Sequence[str], size: float) -> None:
    """Draws the patches, those of every object alike."""
    for number, kind in enumerate(("no object", *kinds)):
        there = labels == number
        if number:
            how = {"marker": MARKERS[(number - 1) % len(MARKERS)], "color": COLORS[(number - 1) % len(COLORS)]}
        else:
            how = {"marker": "+", "color": _NOTHING}
        axes.scatter(*points[there].T, s=size, linewidths=0.8, label=kind, **how)
