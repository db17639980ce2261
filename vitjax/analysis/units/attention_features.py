"""The analysis `features`: paints queries, keys and values beside feed-forward neurons, and measures fine detail.

Ghiasi et al. 2022 (arXiv 2212.06727), figure 3: pictures of the first three are full of high frequencies
and look alike in early and deep blocks, whatever the learning rate; so they look at the wide feed-forward layers only.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import jax
import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from vitjax.analysis.ablations.frequency import radial_spectrum
from vitjax.analysis.study.blocks import beside
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, settings
from vitjax.analysis.study.gallery import gallery
from vitjax.analysis.study.passes import gather
from vitjax.analysis.study.style import COLORS, panels, style
from vitjax.data.dataset import Dataset
from vitjax.models.core.network import Network
from vitjax.models.core.vocabulary import split_tap
from vitjax.optimize.recipes import Recipe, choose, fields
from vitjax.optimize.results.pictures import Pictures
from vitjax.optimize.visualize import visualize
from vitjax.units.units import Unit, expand, neurons, sample

KINDS = {"query": "attn.q", "key": "attn.k", "value": "attn.v", "feed-forward": "mlp.hidden"}
PHOTOS = 256  # photographs that say what is ordinary

_spectra_of = jax.jit(radial_spectrum)


def high_frequency(spectrum: Float[np.ndarray, "image radius"]) -> Float[np.ndarray, " image"]:
    """The share of an image's energy beyond half the Nyquist frequency; its mean colour does not count.

    Args:
        spectrum: as `frequency.radial_spectrum` gives it: the mean power at 1, 2, … cycles per side. There are about as
            many frequencies at each as the circle is long, so that is its weight.
    """
    cycles = np.arange(1, spectrum.shape[-1] + 1)
    energy = np.asarray(spectrum, np.float64) * cycles
    return energy[..., cycles > len(cycles) / 2].sum(axis=-1) / energy.sum(axis=-1)


@analysis
def run(
    model: Network,
    data: Dataset,
    *,
    blocks: Iterable[int] | None = None,
    count: int = 2,
    recipe: str | Recipe = "default",
    seed: int = 0,
) -> Findings:
    """Paints queries, keys, values and feed-forward neurons of the same blocks with the same recipe.

    Args:
        model: any.
        data: photographs to compare with, a few hundred are taken.
        blocks: which; default the first, the middle and the last.
        count: units of each kind and block, drawn at random.
        recipe: how they are painted.
        seed: of the draw and of the pictures.

    Returns:
        A row for each picture: its activation, and its `high_frequency` share; that of photographs is in the settings.

    Raises:
        InputError: no such block, or an unknown recipe.
    """
    depth = len(neurons(model))
    chosen = neurons(model, (0, depth // 2, depth - 1) if blocks is None else blocks)
    recipe, taps, numbers = choose(recipe), model.taps(), list(chosen.values())
    sets = [f"{beside(tap, site)}:*" for site in KINDS.values() for tap in chosen]
    units = sample(expand(sets, taps), count * len(sets), seed)
    pictures = visualize(model, units, recipe, seed=seed)
    shares = high_frequency(np.asarray(_spectra_of(pictures.images.astype(np.float32) / 255)))
    photographs = _photographs(model, data)
    rows = [_row(unit, pictures.activation[i], shares[i]) for i, unit in enumerate(units)]
    about = {
        "blocks": numbers,
        "count": count,
        "seed": seed,
        "recipe": fields(recipe),
        "photographs": len(photographs),
        "photographs_high_frequency": float(np.median(photographs)),
    }
    figures = {"": _pictures(pictures, numbers, count), "detail": _detail(rows, numbers, photographs)}
    return Findings("features", rows, settings(model, data, **about), figures, _summary(rows, photographs))


def _photographs(model: Network, data: Dataset) -> np.ndarray:
    some = replace(data, images=data.images.some(PHOTOS))
    return high_frequency(gather(model, some.batches(), _spectra)[1])


def _spectra(_: Network, images: Array) -> Array:
    return radial_spectrum(images)


def _row(unit: Unit, activation: float, share: float) -> dict:
    _, block, site = split_tap(unit.tap)
    kind = next(kind for kind, name in KINDS.items() if name == site)
    return {
        "unit": str(unit),
        "kind": kind,
        "block": block,
        "activation": float(activation),
        "high_frequency": float(share),
    }


def _summary(rows: Sequence[Mapping], photographs: np.ndarray) -> str:
    middle = lambda kind: np.median([row["high_frequency"] for row in rows if row["kind"] == kind])
    shares = ", ".join(f"{kind} {middle(kind):.1%}" for kind in KINDS)
    return f"energy beyond half the Nyquist frequency (median): {shares}; photographs {np.median(photographs):.1%}"


def _pictures(pictures: Pictures, blocks: Sequence[int], count: int) -> Figure:
    images = iter(pictures.images)
    rows = [[[next(images) for _ in range(count)] for _ in blocks] for _ in KINDS]
    return gallery(rows, labels=list(KINDS), titles=[f"block {block}" for block in blocks])


def _detail(rows: Sequence[Mapping], blocks: Sequence[int], photographs: np.ndarray) -> Figure:
    with style():
        figure, (axes,) = panels(size=(6.0, 2.8))
        low, middle, high = 100 * np.quantile(photographs, [0.05, 0.5, 0.95])
        axes.axhspan(low, high, color="black", alpha=0.08, linewidth=0, label="photographs (90 %)")
        axes.axhline(middle, color="black", linestyle=":", linewidth=1)
        for i, block in enumerate(blocks):
            some = [row for row in rows if row["block"] == block]
            x = [list(KINDS).index(row["kind"]) + 0.16 * (i - (len(blocks) - 1) / 2) for row in some]
            axes.plot(
                x, [100 * row["high_frequency"] for row in some], "o", color=COLORS[i % 7], label=f"block {block}"
            )
        axes.set_xticks(range(len(KINDS)), list(KINDS))
        axes.set(yscale="log", ylabel="energy beyond half Nyquist (%)", title="Fine detail of pictures")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.grid(axis="x", visible=False)
        figure.legend(loc="outside right upper")
    return figure
