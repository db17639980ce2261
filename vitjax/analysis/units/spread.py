"""Measures how unevenly units light up their best images, and how alike the patches of an image are, by block.

Ghiasi et al. 2022 (arXiv 2212.06727) show maps on which units are active where their feature is; in the last block they
are on all patches alike, as if it pooled them. This measures both, on each unit's best image and between patches.
"""

from collections.abc import Iterable, Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from vitjax.analysis.photographs.exemplars import Exemplars, exemplars
from vitjax.analysis.photographs.own import on_own_images, own_places
from vitjax.analysis.study.blocks import beside
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, settings
from vitjax.analysis.study.means import estimate
from vitjax.analysis.study.passes import gather
from vitjax.analysis.study.patches import above_half, at_patches, chosen_taps, unevenness
from vitjax.analysis.study.style import panels, style
from vitjax.data.dataset import Dataset
from vitjax.models.core.network import Network
from vitjax.units.units import neurons

LIKENESS = {"mlp.hidden": "MLP, hidden", "attn.out": "attention, output"}  # whose patches are compared


def likeness(values: Float[Array, "image patch channel"]) -> Float[Array, " image"]:
    """The mean cosine between the vectors of two different patches of an image; 1 where all point the same way.

    The measure by which DeepViT (Zhou et al. 2021, arXiv 2103.11886) compares patches.
    """
    unit = values / jnp.linalg.norm(values, axis=-1, keepdims=True)
    patches = values.shape[1]
    return ((unit.sum(axis=1) ** 2).sum(axis=-1) - patches) / (patches * (patches - 1))


def likenesses(model: Network, data: Dataset, taps: Iterable[str]) -> dict[str, Float[np.ndarray, " image"]]:
    """The `likeness` of the patches of every readable image at each tap."""
    taps = chosen_taps(taps, model)
    return gather(model, data.batches(), _likenesses, taps=tuple(taps))[1]


def _likenesses(model: Network, images: Array, *, taps: tuple[str, ...]) -> dict[str, Array]:
    values, sites = model(images, taps), model.taps()
    return {tap: likeness(at_patches(values[tap], sites[tap], model.config.grid)) for tap in taps}


def _evenness(values: Float[Array, "image patch unit"]) -> Float[Array, "image unit 2"]:
    return jnp.stack([unevenness(values, axis=1), above_half(values, axis=1)], axis=-1)


@analysis
def run(
    model: Network, data: Dataset, *, blocks: Iterable[int] | None = None, found: Exemplars | None = None
) -> Findings:
    """Measures how unevenly units light up their best images, and how alike an image's patches are, block after block.

    Args:
        model: any.
        data: the images to find the best among; patches are compared on all of them.
        blocks: which; default all.
        found: exemplars of the blocks' `mlp.hidden` that are known already.

    Returns:
        A row for each block. Of all units of `mlp.hidden`, each on its best image, the quartiles of `unevenness` and
        the median share of patches above half the peak; `silent` units, active on no image, are left out of them.
        And the mean `likeness` of patches over `images`, with its standard error, at the taps of LIKENESS.

    Raises:
        InputError: no such block.
    """
    hidden = neurons(model, blocks)
    found = found or exemplars(model, data, list(hidden), k=1)
    own = own_places(found)
    maps = on_own_images(model, data, {tap: own[tap] for tap in hidden}, _evenness)
    alike = likenesses(model, data, [beside(tap, site) for tap in hidden for site in LIKENESS])
    rows = []
    for tap, block in hidden.items():
        uneven, half = maps[tap][0].T
        active = ~np.isnan(uneven)
        low, middle, high = np.quantile(uneven[active], [0.25, 0.5, 0.75])
        row = {"block": block, "units": len(uneven), "silent": int((~active).sum())}
        row |= {"unevenness": float(middle), "unevenness_low": float(low), "unevenness_high": float(high)}
        row |= {"above_half": float(np.median(half[active]))}
        row["images"] = len(next(iter(alike.values())))
        for site in LIKENESS:
            row |= estimate(f"likeness_{site}", alike[beside(tap, site)])
        rows.append(row)
    return Findings(
        "spread", rows, settings(model, data, blocks=list(hidden.values())), {"": _figure(rows)}, _summary(rows)
    )


def _summary(rows: Sequence[Mapping]) -> str:
    last, before = rows[-1], rows[:-1] or rows
    range_of = lambda key: f"{min(row[key] for row in before):.2f}-{max(row[key] for row in before):.2f}"
    parts = [f"unevenness {last['unevenness']:.2f} (before: {range_of('unevenness')})"]
    for site in LIKENESS:
        parts.append(f"likeness of {site} {last[f'likeness_{site}']:.2f} ({range_of(f'likeness_{site}')})")
    return f"last block {last['block']}: {', '.join(parts)}"


def _figure(rows: Sequence[Mapping]) -> Figure:
    column = lambda key: [row[key] for row in rows]
    with style():
        figure, (maps, patches) = panels(1, 2)
        maps.fill_between(column("block"), column("unevenness_low"), column("unevenness_high"), alpha=0.2, linewidth=0)
        maps.plot(column("block"), column("unevenness"), marker="o")
        maps.set(xlabel="block", ylabel="std / mean over patches", ylim=(0, None))
        maps.set_title("Maps of units on their best image\n(median and quartiles)")
        for site, label in LIKENESS.items():
            error = column(f"likeness_{site}_error")
            patches.errorbar(column("block"), column(f"likeness_{site}"), error, marker="o", capsize=2, label=label)
        patches.set(xlabel="block", ylabel="mean cosine", ylim=(0, 1))
        patches.set_title("Likeness of the patches of an image\n")
        patches.legend()
    return figure
