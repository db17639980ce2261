"""Maps where on images units are active, on the patch grid, and draws the maps over the images.

Ghiasi et al. 2022 (arXiv 2212.06727), figures 2, 4 and 7 to 9; in their code `it9/get_mask.py`, `it16/mask35.py`.
"""

from collections.abc import Iterable, Mapping, Sequence, Set

import jax.numpy as jnp
import matplotlib
import numpy as np
from jaxtyping import Array, Float, UInt8
from matplotlib.figure import Figure
from PIL import Image

from vitjax.analysis.photographs.exemplars import Exemplars, exemplars
from vitjax.analysis.photographs.outliers import OUTLIER, stream, stream_ratios, streams_of
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, settings
from vitjax.analysis.study.gallery import gallery
from vitjax.analysis.study.passes import on_pictures
from vitjax.analysis.study.patches import above_half, at_patches, check_patches, own_grid, unevenness
from vitjax.analysis.study.style import MAP
from vitjax.data.dataset import Dataset
from vitjax.data.pipeline import pixels
from vitjax.data.pixels import shown
from vitjax.errors import InputError, nearest
from vitjax.models.core.network import Network
from vitjax.models.core.tap_site import Site
from vitjax.units.select import flat_index
from vitjax.units.units import Unit, caption, expand, sample

SAMPLE = 12  # neurons shown where no units are named
VIEWS = ("photo", "map", "overlay")
SCALES = {"map": "gray", "overlay": MAP}  # the colours of each
WIDTH = 12.5  # of the figure, in inches


def activation_maps(
    model: Network,
    images: UInt8[np.ndarray, "image h w 3"],
    units: str | Unit | Iterable[str | Unit],
    *,
    batch: int = 32,
    grid: tuple[int, int] | None = None,
) -> Float[np.ndarray, "image unit row column"]:
    """The activation of each unit at the patches of each image.

    All units of a tap share one compiled forward pass, which stops after the last tap.

    Args:
        model: any.
        images: of the model's size.
        units: unit sets, e.g. "blocks.6.mlp.hidden:0-7" or "blocks.3.attn.z:2.*", or `Unit`s; in the order of `expand`.
        batch: images that go to the devices together.
        grid: (rows, columns) that the maps are on; default the patches', which what stands on others is laid over.

    Raises:
        InputError: unknown units, units of taps without patches, or images that are not uint8.
    """
    return _read(model, images, units, batch, grid or model.config.grid, norms=False)[0]


def _read(
    model: Network,
    images: np.ndarray,
    units: str | Unit | Iterable[str | Unit],
    batch: int,
    grid: tuple[int, int],
    norms: bool,
) -> tuple[Float[np.ndarray, "image unit row column"], dict[str, Float[np.ndarray, "image row column"]]]:
    """`activation_maps`, and the norms of each tap's stream over their median, on the tap's grid; NaN for none."""
    sites = model.taps()
    wanted = expand(units, sites, model.class_names)
    groups: dict[str, list[int]] = {}
    for position, unit in enumerate(wanted):
        check_patches(unit.tap, sites[unit.tap])
        groups.setdefault(unit.tap, []).append(position)
    shape, kind = np.shape(images), getattr(images, "dtype", type(images).__name__)
    if kind != np.uint8 or shape[1:] != (*model.config.image_size, model.config.channels) or not shape[0]:
        size = ", ".join(map(str, (*model.config.image_size, model.config.channels)))
        raise InputError(f"images are {kind} of shape {shape}, they must be uint8 [image, {size}], one at least")
    places = [flat_index([wanted[i] for i in group], sites[tap]) for tap, group in groups.items()]
    rows = [np.tile(place, (len(images), 1)) for place in places]
    own, streaming = {tap: own_grid(sites[tap], grid) for tap in groups}, _streaming(groups, sites, grid)
    about = {"taps": tuple(groups), "streams": streams_of(streaming, sites) if norms else (), "grid": grid}
    found, *ratios = on_pictures(model, _at_units, images, *rows, batch=batch, **about)
    known = {tap: np.full((len(images), *own[tap]), np.nan) for tap in groups}
    known |= {tap: ratio.reshape(-1, *own[tap]) for tap, ratio in zip(streaming, ratios, strict=norms)}
    order = np.argsort([position for group in groups.values() for position in group])
    return found[:, order].reshape(*found.shape[:2], *grid), known


def _at_units(
    model: Network, images: Array, *places: Array, taps: tuple[str, ...], streams: tuple[str, ...], grid: tuple
) -> tuple[Array, ...]:
    values, sites = model(images, {*taps, *streams}), model.taps()
    pick = lambda tap, place: jnp.take_along_axis(at_patches(values[tap], sites[tap], grid), place[:, None], axis=2)
    maps = jnp.concatenate(list(map(pick, taps, places)), axis=2).swapaxes(1, 2)
    ratios = stream_ratios(values, _streaming(taps, sites, grid), sites) if streams else {}
    return maps, *(ratio[:, sites[tap].prefix :] for tap, ratio in ratios.items())


def _streaming(taps: Iterable[str], sites: Mapping[str, Site], grid: tuple[int, int]) -> list[str]:
    """The taps whose stream's tokens stand where their own places do, none of them averaged."""
    return [tap for tap in taps if sites[tap].grid == own_grid(sites[tap], grid) and stream(tap, sites)]


def normalised(maps: Float[np.ndarray, "*n row column"]) -> Float[np.ndarray, "*n row column"]:
    """Each map from 0 (its minimum) to 1 (its maximum); a map that is the same everywhere gives 0."""
    low, high = (bound(maps, axis=(-2, -1), keepdims=True) for bound in (np.min, np.max))
    return (maps - low) / np.where(high > low, high - low, 1)


def enlarged(
    map: Float[np.ndarray, "row column"], height: int, width: int, *, smooth: bool = False
) -> Float[np.ndarray, "h w"]:
    """A map at the size of its image: each patch a rectangle of one value, or with smooth transitions between them."""
    filter = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(np.asarray(map, np.float32)).resize((width, height), filter))


def overlay(
    image: UInt8[np.ndarray, "h w 3"], map: Float[np.ndarray, "row column"], alpha: float = 0.6, *, smooth: bool = False
) -> UInt8[np.ndarray, "h w 3"]:
    """An image in grey under its map in colours.

    Args:
        image: what the map was read on.
        map: of any scale; it is normalised, dark blue being its minimum and yellow its maximum.
        alpha: how much of the map shows, 0 to 1.
        smooth: blend the patches into each other.
    """
    large = np.clip(enlarged(normalised(map), *image.shape[:2], smooth=smooth), 0, 1)
    colors = 255 * matplotlib.colormaps[MAP](large)[..., :3]
    grey = np.asarray(Image.fromarray(np.ascontiguousarray(shown(image))).convert("L"), np.float32)[..., None]
    return np.round((1 - alpha) * grey + alpha * colors).astype(np.uint8)


def in_grey(map: Float[np.ndarray, "row column"], height: int, width: int) -> UInt8[np.ndarray, "h w 3"]:
    """A normalised map as a grey image, a rectangle for each patch, as the paper shows them."""
    grey = np.round(255 * enlarged(normalised(map), height, width)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


@analysis
def run(
    model: Network,
    data: Dataset,
    *,
    units: str | Unit | Iterable[str | Unit] | None = None,
    k: int = 5,
    seed: int = 0,
    views: Sequence[str] = ("photo", "overlay"),
    pictures: Mapping[str, UInt8[np.ndarray, "h w 3"]] | None = None,
    found: Exemplars | None = None,
) -> Findings:
    """Maps where units are active on their best images.

    Args:
        model: any.
        data: the images to find the best among.
        units: unit sets; by default some neurons drawn over all blocks.
        k: best images of each unit.
        seed: of the draw.
        views: what is shown of each image, of VIEWS: the image, its map in grey, its map in colours over it.
        pictures: {unit as text: the picture painted for it}, to stand beside.
        found: exemplars that are known already, with at least `k` images for the taps meant.

    Returns:
        A row for each unit and image: the score (mean over patches), the peak and where on the tap's grid it is, the
        `norm` of the token there over the median of the image's patches (None without one; an outlier, see `outliers`,
        is named in its caption), the unevenness (standard deviation over mean of the patches) and the share of patches
        above half the peak.

    Raises:
        InputError: unknown units, units without patches, or unknown views.
    """
    if wrong := [view for view in views if view not in VIEWS]:
        raise InputError(f"unknown view {wrong[0]!r}{nearest(wrong[0], VIEWS)}: one of {', '.join(VIEWS)}")
    taps = model.taps()
    if units is None:
        wanted = sample(expand(f"{model.neurons}:*", taps), SAMPLE, seed)
    else:
        wanted = expand(units, taps, model.class_names)
    for unit in wanted:
        check_patches(unit.tap, taps[unit.tap])
    found = found or exemplars(model, data, dict.fromkeys(unit.tap for unit in wanted), k=k)
    number = lambda unit: np.ravel_multi_index(unit.index, found.taps[unit.tap].shape)
    best = np.stack([found.taps[unit.tap].place[number(unit)][:k] for unit in wanted])
    distinct = np.unique(best[best >= 0])
    images = pixels(data.images, distinct, data.config)
    maps, norms = _read(model, images, wanted, data.batch, model.config.grid, norms=True)
    shown = [[int(np.searchsorted(distinct, place)) for place in row if place >= 0] for row in best]
    rows = [
        _row(unit, rank, data.images.names[distinct[image]], maps[image, i], norms[unit.tap][image])
        for i, (unit, row) in enumerate(zip(wanted, shown, strict=True))
        for rank, image in enumerate(row)
    ]
    about = settings(model, data, units=[str(unit) for unit in wanted], k=k)
    strange = {(row["unit"], row["rank"]) for row in rows if (row["norm"] or 0) > OUTLIER}
    figure = _figure(wanted, shown, images, maps, views, pictures or {}, strange)
    half = np.median([row["above_half"] for row in rows])
    summary = f"{len(wanted)} units, {len(rows)} maps: the median one has {half:.0%} of its patches above half its peak"
    summary += f"; {len(strange)} have their peak on a token of huge norm" if strange else ""
    return Findings("maps", rows, about, {"": figure}, summary)


def _row(unit: Unit, rank: int, image: str, map: np.ndarray, norms: np.ndarray) -> dict:
    peak = np.unravel_index(map.argmax(), map.shape)
    row, column = (place * own // of for place, own, of in zip(peak, norms.shape, map.shape, strict=True))
    uneven = float(unevenness(map.reshape(-1)))
    return {
        "unit": str(unit),
        "rank": rank,
        "image": image,
        "score": float(map.mean()),
        "peak": float(map.max()),
        "row": int(row),
        "column": int(column),
        "norm": float(norms[row, column]) if np.isfinite(norms[row, column]) else None,
        "unevenness": uneven if np.isfinite(uneven) else None,
        "above_half": float(above_half(map.reshape(-1))),
    }


def _figure(
    units: Sequence[Unit],
    shown: Sequence[Sequence[int]],
    images: np.ndarray,
    maps: np.ndarray,
    views: Sequence[str],
    pictures: Mapping[str, np.ndarray],
    strange: Set[tuple[str, int]],
) -> Figure:
    """The units on their images; the captions name those of `strange`, (unit, rank) with a peak on an outlier."""
    draw = {
        "photo": lambda image, unit: images[image],
        "map": lambda image, unit: in_grey(maps[image, unit], *images.shape[1:3]),
        "overlay": lambda image, unit: overlay(images[image], maps[image, unit]),
    }
    groups, captions = [], []
    for i, (unit, row) in enumerate(zip(units, shown, strict=True)):
        groups.append([[pictures.get(str(unit))]] if pictures else [])
        groups[-1] += [[draw[view](image, i) for view in views] for image in row]
        said = [" (outlier)" if (str(unit), rank) in strange else "" for rank in range(len(row))]
        scores = [f"{maps[image, i].mean():.3g}{outlier}" for image, outlier in zip(row, said, strict=True)]
        captions.append(["painted"] * bool(pictures) + scores)
    labels = [caption(unit).replace(":", "\n") for unit in units]
    scales = {SCALES[view]: f"{view}: each from its lowest patch to its highest" for view in views if view in SCALES}
    return gallery(groups, labels=labels, captions=captions, width=WIDTH, scales=scales)
