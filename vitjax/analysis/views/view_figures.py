"""The analysis `views`: draws the views of units of the residual stream beside the images, with a table."""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Array, UInt8
from matplotlib.figure import Figure

from vitjax.analysis.study.blocks import after_blocks, stream
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, settings
from vitjax.analysis.study.gallery import gallery
from vitjax.analysis.study.passes import on_pictures
from vitjax.analysis.views.filters import evenness, filters
from vitjax.analysis.views.rollout import RESIDUAL, default_tokens
from vitjax.analysis.views.views import check_heads, shown, views
from vitjax.data.dataset import Dataset
from vitjax.data.pipeline import pixels
from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.models.core.vocabulary import split_tap
from vitjax.units.select import token_span
from vitjax.units.units import Unit, caption, expand

AFTER = {"resid_pre": 0, "resid_mid": 1, "resid_post": 1}  # blocks gone through, beyond the tap's own number
FILTERS = 3  # how many are shown where no units are named


def layer_of(unit: Unit) -> int:
    """Counts the blocks whose attention lies behind a unit of the residual stream, as `views` counts layers.

    Raises:
        InputError: a unit of another kind, which the paper defines no view for.
    """
    _, block, site = split_tap(unit.tap)
    if unit.tap == "embed":
        return 0
    if block is None or site not in AFTER:
        near = f"embed:{unit.index[-1]} or blocks.{block or 0}.resid_post:{unit.index[-1]}"
        raise InputError(f"{unit} has no view: only units of the residual stream have, such as {near}")
    return block + AFTER[site]


def named_units(model: Network, units: str | Unit | Iterable[str | Unit] | None, count: int) -> list[Unit]:
    """The units meant, all of the residual stream; by default those of the `count` filters that are most even.

    These are then taken at the embedding, after two blocks on the way, and after the last.

    Raises:
        InputError: unknown units, or units without views.
    """
    if units is None:
        after = after_blocks(model)
        taps = ["embed", *dict.fromkeys(after[i] for i in (len(after) // 3, 2 * len(after) // 3, -1))]
        channels = np.argsort(-np.asarray(evenness(filters(model))), kind="stable")[:count].tolist()
        return [Unit(tap, (channel,)) for channel in channels for tap in taps]
    wanted = expand(units, model.taps(), model.class_names)
    for unit in wanted:
        layer_of(unit)
    return wanted


def view_pictures(
    model: Network,
    images: UInt8[np.ndarray, "image h w 3"],
    units: Sequence[Unit],
    tokens: Sequence[str] = ("patches",),
    *,
    gamma: float = 1.0,
    **options,
) -> tuple[UInt8[np.ndarray, "image unit tokens h w 3"], dict[str, np.ndarray]]:
    """Paints the views of units on images, as they are shown, in one compiled call for each image.

    Args:
        model: any.
        images: of the model's size.
        units: of the residual stream.
        tokens: whose views, as `views` takes them.
        gamma: contrast, as of `shown`.
        options: `heads`, `residual`, `normalise`, as of `views`.

    Returns:
        The pictures, and of the views behind them {"highest": the highest value, "patch": where it is, "positive": the
        share of values above 0}, each [image, unit, tokens].

    Raises:
        InputError: as `layer_of` and `views`.
    """
    layers = sorted({layer_of(unit) for unit in units})
    channels = sorted({unit.index[0] for unit in units})
    options |= {"layers": tuple(layers), "tokens": tuple(tokens), "units": tuple(channels), "gamma": gamma}
    found = on_pictures(model, _measured, images, batch=1, **options)
    places = [(layers.index(layer_of(unit)), channels.index(unit.index[0])) for unit in units]
    painted, *measured = (np.stack([x[:, layer, :, channel] for layer, channel in places], axis=1) for x in found)
    return painted, dict(zip(("highest", "patch", "positive"), measured, strict=True))


def _measured(model: Network, images: Array, *, gamma: float, **options) -> tuple[Array, ...]:
    found = views(model, images, **options)
    over = (-3, -2, -1)
    best = found.max(axis=over)
    patches = model.cut(found).max(axis=over).reshape(*best.shape, -1)
    return shown(found, gamma), best, patches.argmax(axis=-1), (found > 0).mean(axis=over)


@analysis
def run(
    model: Network,
    data: Dataset,
    *,
    units: str | Unit | Iterable[str | Unit] | None = None,
    tokens: Sequence[str] | None = None,
    heads: str | int = "mean",
    residual: float = RESIDUAL,
    gamma: float = 1.0,
    count: int = 2,
) -> Findings:
    """Draws what units of the residual stream are said to see of some images.

    Args:
        model: any.
        data: the images.
        units: unit sets of the residual stream, e.g. "embed:7" or "blocks.*.resid_post:7"; default see `named_units`.
        tokens: whose views; default all patches together, and the class token.
        heads, residual: as of `views`.
        gamma: contrast of the pictures.
        count: images shown, evenly spaced.

    Returns:
        A row for each image, unit and tokens: how even the unit's filter is, the highest value of the view, the patch
        it is in, and the share of values above 0.

    Raises:
        InputError: unknown units, or units that are not of the residual stream; unknown tokens or heads.
    """
    tokens = tokens or list(dict.fromkeys(("patches", default_tokens(stream(model)))))
    for one in tokens:
        token_span(one, model.taps()["embed"])
    wanted = named_units(model, units, FILTERS)
    heads = check_heads(heads, model.config)
    chosen = data.images.some(count)
    photos = pixels(chosen, range(len(chosen)), model.config)
    painted, measured = view_pictures(model, photos, wanted, tokens, gamma=gamma, heads=heads, residual=residual)
    even = np.asarray(evenness(filters(model)))
    rows = []
    for i, u, t in np.ndindex(painted.shape[:3]):
        row, column = divmod(int(measured["patch"][i, u, t]), model.config.grid[1])
        rows.append(
            {
                "image": chosen.names[i],
                "unit": str(wanted[u]),
                "tokens": tokens[t],
                "evenness": float(even[wanted[u].index]),
                "highest": float(measured["highest"][i, u, t]),
                "row": row,
                "column": column,
                "positive": float(measured["positive"][i, u, t]),
            }
        )
    options = {"tokens": list(tokens), "heads": heads, "residual": residual, "gamma": gamma, "count": count}
    about = settings(model, data, units=[str(unit) for unit in wanted], **options)
    summary = f"{len(wanted)} units on {len(chosen)} images: {len(rows)} views"
    return Findings("views", rows, about, {"": figure(model, photos, wanted, tokens, painted)}, summary)


def figure(
    model: Network,
    photos: UInt8[np.ndarray, "image h w 3"],
    units: Sequence[Unit],
    tokens: Sequence[str],
    painted: UInt8[np.ndarray, "image unit tokens h w 3"],
) -> Figure:
    """A row for each image and filter: the image, the filter, and the views of its units, tokens after tokens."""
    taps = list(dict.fromkeys(unit.tap for unit in units))
    known = {unit: i for i, unit in enumerate(units)}
    tiles = np.asarray(shown(filters(model)))
    rows, labels = [], []
    for image, photo in enumerate(photos):
        for channel in dict.fromkeys(unit.index for unit in units):
            place = [known.get(Unit(tap, channel)) for tap in taps]
            cells = [None if i is None else painted[image, i, t] for t in range(len(tokens)) for i in place]
            rows.append([[cell] for cell in (photo, tiles[channel], *cells)])
            labels.append(f"filter\n{channel[0]}")
    titles = ["image", "filter", *(f"{one}\n{caption(Unit(tap, ()))[:-1]}" for one in tokens for tap in taps)]
    return gallery(rows, labels=labels, titles=titles)
