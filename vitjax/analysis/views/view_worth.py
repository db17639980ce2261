"""The analysis `view-worth`: correlates every unit's activation with its view, after every block.

Nguyen et al. 2022 define views and show them; whether a unit does what its view says they do not measure. A view is a
product that is not yet summed, so its sum can be held against the activation.
"""

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vitjax.analysis.study.blocks import after_blocks, beside
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, settings
from vitjax.analysis.study.passes import gather
from vitjax.analysis.study.style import panels, style
from vitjax.analysis.views.filters import cut, filters
from vitjax.analysis.views.rollout import RESIDUAL, mixing, rollout
from vitjax.data.dataset import Dataset
from vitjax.models.core.network import Network

TELLERS = {"view": "the view's sum", "local": "the local view's sum alone"}


def followed(
    model: Network, images: Float[Array, "image h w 3"], residual: float = RESIDUAL
) -> tuple[Float[Array, "image layer unit"], Float[Array, "image layer unit"]]:
    """Correlates each unit's activation with the sum of its view, over the patch tokens of an image.

    Layers are blocks gone through, 0 to depth.

    Returns:
        The correlation of a unit's activation with the sum of its view, and with that of its local view in the patch
        embedding, as if no token had looked elsewhere.
    """
    after, start = after_blocks(model), model.taps()["embed"].prefix
    stream, probs = ["embed", *after], [beside(tap, "attn.probs") for tap in after]
    values = model(images, [*stream, *probs])
    local = jnp.einsum("nphwc,uhwc->npu", cut(model, images), filters(model), precision="highest")
    rolled = rollout(mixing(jnp.stack([values[tap] for tap in probs]).mean(axis=2), residual))[..., start:, start:]
    carried = jnp.einsum("lnqk,nku->lnqu", rolled, local, precision="highest")
    active = jnp.stack([values[tap][:, start:] for tap in stream])
    view = correlation(active, jnp.concatenate([local[None], carried]))
    return jnp.swapaxes(view, 0, 1), jnp.swapaxes(correlation(active, local), 0, 1)


def correlation(a: Float[Array, "*n patch unit"], b: Float[Array, "*m patch unit"]) -> Float[Array, "*n unit"]:
    """Pearson's correlation over the patches; 0 where one of the two is the same everywhere."""
    a, b = (x.astype(jnp.float32) - x.mean(axis=-2, keepdims=True) for x in (a, b))
    size = jnp.sqrt((a * a).sum(axis=-2) * (b * b).sum(axis=-2))
    return (a * b).sum(axis=-2) / jnp.where(size > 0, size, 1)


@analysis
def run(model: Network, data: Dataset, *, residual: float = RESIDUAL) -> Findings:
    """Measures how far the units of the residual stream follow their views, after every block.

    Args:
        model: any.
        data: the images; each gives a correlation over its patches, and these are averaged.
        residual: of the rollout, as of `views`.

    Returns:
        A row for each number of blocks: the median over units of the mean correlation with the view and with the local
        view alone (`followed`), and the 10th and 90th percentile of units.
    """
    _, found = gather(model, data.batches(), followed, residual=residual)
    rows = []
    last = found[0].shape[1] - 1
    for layer in range(last + 1):
        row = {"layer": layer, "images": len(found[0])}
        for name, values in zip(TELLERS, found, strict=True):
            low, middle, high = np.percentile(values[:, layer].mean(axis=0), (10, 50, 90)).tolist()
            row |= {name: middle, f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    said = ", ".join(f"{rows[i]['view']:.2f} after {i}" for i in (0, 1, last))
    summary = f"correlation of a unit with its view, median over units: {said} blocks"
    return Findings("view-worth", rows, settings(model, data, residual=residual), {"": _figure(rows)}, summary)


def _figure(rows: Sequence[Mapping]) -> Figure:
    with style():
        figure, (axes,) = panels(size=(4.4, 2.8))
        layers = [row["layer"] for row in rows]
        for (name, label), line in zip(TELLERS.items(), ("-", "--"), strict=True):
            low, middle, high = ([row[key] for row in rows] for key in (f"{name}_low", name, f"{name}_high"))
            axes.plot(layers, middle, line, marker="o", label=label)
            axes.fill_between(layers, low, high, alpha=0.15, linewidth=0)
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set(xlabel="blocks gone through", ylabel="correlation over patches")
        axes.set_title("Units and what is to tell their activation\n(median of units, and 10 to 90 % of them)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
    return figure
