"""The analysis `rollout`: attention maps of images, and over the blocks how far tokens have looked."""

import math
from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt8
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vitjax.analysis.photographs.outliers import outliers_by_layer
from vitjax.analysis.study.blocks import last_stage, stream
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, settings
from vitjax.analysis.study.gallery import framed, gallery
from vitjax.analysis.study.passes import gather
from vitjax.analysis.study.style import MAP, panels, style
from vitjax.analysis.units.maps import overlay
from vitjax.analysis.views.rollout import (
    RESIDUAL,
    at_grid,
    check_layers,
    check_method,
    default_tokens,
    mixing,
    relevance,
    rollout,
)
from vitjax.data.dataset import Dataset
from vitjax.data.pipeline import pixels
from vitjax.models.core.network import Network
from vitjax.models.core.tap_site import Site
from vitjax.models.registry import Config
from vitjax.units.select import token_span

MEASURES = {
    "own": "share of a patch token\nfrom its own patch",
    "reach": "weight of another patch\nrelative to the own, median",
    "patches": "patches in the map\n(exp of its entropy)",
}


def own_share(found: Float[Array, "*n query key"], prefix: int) -> Float[Array, "*n"]:
    """The share of each patch token, after the first `prefix`, that comes from its own patch, mean over the patches."""
    rows = found[..., prefix:, :]
    return (_own(found, prefix) / rows.sum(axis=-1)).mean(axis=-1)


def reach(found: Float[Array, "*n query key"], prefix: int) -> Float[Array, "*n"]:
    """Measures the weight of other patches in a patch token, over that of its own: median over others, and patches.

    Near 0 a token sees its own patch alone, near 1 it sees all patches alike.
    """
    among = found[..., prefix:, prefix:]
    own = jnp.eye(among.shape[-1], dtype=bool)
    return jnp.median(jnp.nanmedian(jnp.where(own, jnp.nan, among), axis=-1) / _own(found, prefix), axis=-1)


def _own(found: Array, prefix: int) -> Array:
    return jnp.diagonal(found, axis1=-2, axis2=-1)[..., prefix:]


def effective_patches(maps: Float[Array, "*n row column"]) -> Float[Array, "*n"]:
    """The number of patches that a map is spread over: exp of its entropy, 1 to all."""
    flat = maps.reshape(*maps.shape[:-2], -1)
    share = flat / flat.sum(axis=-1, keepdims=True)
    return jnp.exp(-jnp.sum(share * jnp.log(jnp.where(share > 0, share, 1)), axis=-1))


@analysis
def run(
    model: Network,
    data: Dataset,
    *,
    method: str = "rollout",
    residual: float | None = None,
    tokens: str | None = None,
    layers: Sequence[int] | None = None,
    count: int = 4,
) -> Findings:
    """Draws attention maps of images after some blocks, and measures over all images how far tokens have looked.

    Args:
        model: any.
        data: the images.
        method, residual: as of `relevance`.
        tokens: whose map; default the class token's, or in models without one that of all patches.
        layers: blocks gone through, 1 to depth, whose maps are shown; default four of them.
        count: images shown, evenly spaced.

    Returns:
        A row for each number of blocks, with standard errors over images: `own_share`, `reach`, `effective_patches`; of
        rollout, what the first two are with `even_attention`. `on_outliers` is the share of the map that lies on
        patches whose token has a huge norm after those blocks (see `outliers`), `fair` their share of the patches; in
        the figure they have frames.

    Raises:
        InputError: an unknown method, tokens or layers that the model does not have.
    """
    config, site, depth = model.config, stream(model), len(last_stage(model))
    tokens = tokens or default_tokens(site)
    check_method(method, residual)
    token_span(tokens, site)
    some = dict.fromkeys(-(-depth * i // 4) for i in range(1, 5))
    layers = check_layers(list(some) if layers is None else layers, depth)
    options = {"method": method, "residual": residual, "tokens": tokens}
    places, (maps, outlier, on_outliers, *measured) = gather(model, data.batches(), _measured, **options)
    rows = [{"layer": layer, "images": len(places)} for layer in range(1, depth + 1)]
    for row, *columns in zip(rows, *(values.T for values in measured), strict=True):
        for name, values in zip(MEASURES, columns, strict=True):
            row |= {name: float(values.mean()), f"{name}_error": _error(values)}
    for row, values, there in zip(rows, on_outliers.T, outlier.swapaxes(0, 1), strict=True):
        row |= {"on_outliers": float(values.mean()), "on_outliers_error": _error(values), "fair": float(there.mean())}
    even = even_attention(model, residual) if method == "rollout" else {}
    for name, values in even.items():
        for row, value in zip(rows, values.tolist(), strict=True):
            row[f"{name}_even"] = value
    shown = np.unique(np.arange(count) * len(places) // count)
    images = pixels(data.images, places[shown], config)
    figures = {
        "": in_rows(
            images,
            {f"after block {n - 1}": maps[shown, n - 1] for n in layers},
            {f"after block {n - 1}": outlier[shown, n - 1] for n in layers},
            config,
        ),
        "reach": _curves(rows, site),
    }
    last = rows[-1]
    summary = (
        f"after {last['layer']} blocks {last['own']:.1%} of a patch token come from its own patch; the map"
        f" (tokens: {tokens}) spreads over {last['patches']:.0f} of {math.prod(site.grid)} patches"
    )
    if last["fair"]:
        summary += f"; {last['on_outliers']:.1%} of it lie on tokens of huge norm, {last['fair']:.1%} of the patches"
    about = settings(model, data, **options, layers=list(layers), count=count)
    return Findings("rollout", rows, about, figures, summary)


def even_attention(model: Network, residual: float | None = None) -> dict[str, Float[Array, " layer"]]:
    """`own_share` and `reach` of a model of this size whose attention is the same everywhere: what depth alone does."""
    site, depth = stream(model), len(last_stage(model))
    flat = jnp.full((depth, site.tokens, site.tokens), 1 / site.tokens)
    found = rollout(mixing(flat, RESIDUAL if residual is None else residual))
    return {"own": own_share(found, site.prefix), "reach": reach(found, site.prefix)}


def in_rows(
    images: UInt8[np.ndarray, "image h w 3"],
    maps: Mapping[str, Float[np.ndarray, "image row column"]],
    outlier: Mapping[str, Bool[np.ndarray, "image patch"]],
    config: Config,
) -> Figure:
    """A row for each image, with its maps over it, named above, and frames around the outliers of each map."""

    def over(i: int) -> list:
        drawn = ((overlay(images[i], found[i], smooth=True), outlier[name][i]) for name, found in maps.items())
        return [[framed(cell, np.flatnonzero(there), config, grid=grid)] for cell, there in drawn]

    grid = next(iter(maps.values())).shape[1:]
    rows = [[[image], *over(i)] for i, image in enumerate(images)]
    scales = {MAP: "each map from the patch that the least of it comes from to that of the most"}
    return gallery(rows, titles=["image", *maps], side=1.3, scales=scales)


def _measured(model: Network, images: Array, *, tokens: str, **options) -> tuple[Array, ...]:
    found = jnp.moveaxis(relevance(model, images, **options), 0, 1)  # image layer query key
    site = stream(model)
    maps, outlier = at_grid(found, tokens, site), outliers_by_layer(model, images)
    flat = maps.reshape(outlier.shape)
    share = jnp.where(outlier, flat, 0).sum(axis=-1) / flat.sum(axis=-1)
    rest = own_share(found, site.prefix), reach(found, site.prefix), effective_patches(maps)
    return maps, outlier, share, *rest


def _error(values: np.ndarray) -> float | None:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def _curves(rows: Sequence[Mapping], site: Site) -> Figure:
    with style():
        figure, axes = panels(1, len(MEASURES), size=(3.0, 2.6))
        for panel, (name, title) in zip(axes, MEASURES.items(), strict=True):
            errors = [row[f"{name}_error"] or 0 for row in rows]
            layers, values = [row["layer"] - 1 for row in rows], [row[name] for row in rows]
            panel.errorbar(layers, values, errors, marker="o", capsize=2, label="model")
            if f"{name}_even" in rows[0]:
                even = [row[f"{name}_even"] for row in rows]
                panel.plot(layers, even, color="black", linestyle=":", linewidth=1, label="even attention")
                panel.legend()
            panel.set(xlabel="after block", title=title, ylim=(0, None))
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes[-1].set_ylim(0, math.prod(site.grid))
    return figure
