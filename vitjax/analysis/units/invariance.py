"""Measures how much of a unit's activation stays when its best image is turned or moved.

From the published code of Ghiasi et al. 2022, `experiments/it13`; the paper's text does not show it. Their angles carry
a random part of up to one degree each, which is left out here: angle 0 is the image itself.
"""

from collections.abc import Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from matplotlib.figure import Figure

from vitjax.analysis.photographs.exemplars import Exemplars, exemplars
from vitjax.analysis.photographs.own import View, on_own_images, own_places
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, Value, settings
from vitjax.analysis.study.patches import chosen_taps
from vitjax.analysis.study.style import along, panels, style
from vitjax.data.dataset import Dataset
from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.models.core.vocabulary import split_tap
from vitjax.units.units import caption

ANGLES = tuple(range(0, 360, 20))  # degrees
STEPS = (0, 4, 8, 12)  # pixels, along both axes


def rotated(
    images: Float[Array, "image h w 3"], degrees: Float[Array, " image"] | float
) -> Float[Array, "image h w 3"]:
    """Turns images counter-clockwise about their centre; the nearest pixel is taken, and black where there is none.

    The same as `PIL.Image.rotate(degrees)`, but for pixels whose origin is as near to one pixel as to another.
    """
    height, width = images.shape[1:3]
    y, x = jnp.mgrid[:height, :width] + 0.5
    y, x = y - height / 2, x - width / 2

    def turn(image, degrees):
        cos, sin = jnp.cos(jnp.deg2rad(degrees)), jnp.sin(jnp.deg2rad(degrees))
        row = jnp.floor(sin * x + cos * y + height / 2).astype(jnp.int32)
        column = jnp.floor(cos * x - sin * y + width / 2).astype(jnp.int32)
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        return jnp.where(inside[..., None], image[row.clip(0, height - 1), column.clip(0, width - 1)], 0)

    return jax.vmap(turn)(images, jnp.broadcast_to(jnp.asarray(degrees, jnp.float32), len(images)))


def shifted(images: Float[Array, "image h w 3"], by: Int[Array, "image 2"]) -> Float[Array, "image h w 3"]:
    """Moves each image down and to the right by whole pixels, `by` (dy, dx); what leaves one side enters opposite."""
    return jax.vmap(lambda image, by: jnp.roll(image, (by[0], by[1]), (0, 1)))(images, by)


@analysis
def run_rotation(
    model: Network,
    data: Dataset,
    *,
    taps: Iterable[str] | None = None,
    angles: Sequence[float] = ANGLES,
    found: Exemplars | None = None,
) -> Findings:
    """Measures what turning its best image by `angles` leaves of each unit's activation, on average.

    Args:
        model: any.
        data: the images to find the best among; each distinct one is run once for each angle.
        taps: whose units are meant; `*` stands for every block, and by default it is all neurons.
        angles: degrees, counter-clockwise; the first must be 0.
        found: exemplars of the taps that are known already.

    Returns:
        A row for each tap, see `retained`; figures of the ratio and of the activation at each angle.

    Raises:
        InputError: unknown taps, taps without patches, or angles that do not begin with 0.
    """
    parameters = np.asarray(angles, np.float32)
    values, about = _measured(model, data, taps, rotated, parameters, found)
    rows = [{"tap": tap, **retained(value)} for tap, value in values.items()]
    figures = {"": _ratios(rows, values, "Turned"), "angles": _by_angle(values, angles)}
    return Findings("rotation", rows, {**about, "angles": list(angles)}, figures, _summary(rows, "rotations"))


@analysis
def run_shift(
    model: Network,
    data: Dataset,
    *,
    taps: Iterable[str] | None = None,
    steps: Sequence[int] = STEPS,
    found: Exemplars | None = None,
) -> Findings:
    """Measures what circular shifts of its best image leave of each unit's activation, on average.

    Args:
        model: any.
        data: the images to find the best among; each distinct one is run once for each shift.
        taps: whose units are meant; `*` stands for every block, and by default it is all neurons.
        steps: pixels; the image is moved by every pair of them, down and to the right. The first must be 0.
        found: exemplars of the taps that are known already.

    Returns:
        A row for each tap, see `retained`.

    Raises:
        InputError: unknown taps, taps without patches, or steps that do not begin with 0.
    """
    parameters = np.array([(dy, dx) for dy in steps for dx in steps], np.int32)
    values, about = _measured(model, data, taps, shifted, parameters, found)
    rows = [{"tap": tap, **retained(value)} for tap, value in values.items()]
    figures = {"": _ratios(rows, values, "Shifted")}
    return Findings("shift", rows, {**about, "steps": list(steps)}, figures, _summary(rows, "shifts"))


def ratios(values: Float[np.ndarray, "view unit"]) -> Float[np.ndarray, " unit"]:
    """Each unit's mean over all views as a share of its value in the first, not less than 0.

    NaN for a unit whose value in the first is not above 0: it fires on no image.
    """
    before, after = values[0], values.mean(axis=0)
    return np.maximum(after / np.where(before > 0, before, np.nan), 0)


def retained(values: Float[np.ndarray, "view unit"]) -> dict[str, Value]:
    """What a row says of a tap.

    `before` is the mean over units of their value in the first view, `after` that of their mean over all views (the
    first among them), `ratio` the mean of `ratios` with its standard error; `silent` units, which fire on no image,
    are in the first two only.
    """
    ratio = ratios(values)
    known = ratio[~np.isnan(ratio)]
    return {
        "units": values.shape[1],
        "silent": values.shape[1] - len(known),
        "before": float(values[0].mean()),
        "after": float(values.mean()),
        "ratio": float(known.mean()),
        "ratio_error": float(known.std() / np.sqrt(len(known))),
    }


def _measured(
    model: Network,
    data: Dataset,
    taps: Iterable[str] | None,
    view: View,
    parameters: np.ndarray,
    found: Exemplars | None,
) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    chosen = chosen_taps(taps, model)
    if not len(parameters) or np.any(parameters[0]):
        raise InputError("the first angle or step must be 0: the others are compared with it")
    own = own_places(found or exemplars(model, data, chosen, k=1))
    own = {tap: own[tap] for tap in chosen}
    values = on_own_images(model, data, own, _mean, view, parameters)
    distinct = np.unique(np.concatenate(list(own.values())))
    return values, settings(model, data, taps=chosen, best_images=int((distinct >= 0).sum()))


def _mean(values: Float[Array, "image patch unit"]) -> Float[Array, "image unit"]:
    return values.mean(axis=1)


def _summary(rows: Sequence[dict], what: str) -> str:
    first, last = rows[0], rows[-1]
    return (
        f"mean activation left over all {what} of a unit's best image: {first['ratio']:.0%} ({first['tap']})"
        f" to {last['ratio']:.0%} ({last['tap']})"
    )


def legend(figure: Figure) -> None:
    """Names what is drawn, below the panel; to be called again where something was added."""
    for old in figure.legends:
        old.remove()
    with style():
        figure.legend(loc="outside lower center", ncols=2)


def _ratios(rows: Sequence[dict], values: dict[str, np.ndarray], what: str) -> Figure:
    quartiles = np.array([np.nanquantile(ratios(value), [0.25, 0.75]) for value in values.values()])
    with style():
        figure, (axes,) = panels(size=(4.2, 3.0))
        x = along(axes, [row["tap"] for row in rows])
        axes.fill_between(x, *(100 * quartiles.T), alpha=0.2, linewidth=0, label="half of the units")
        axes.plot(x, [100 * row["ratio"] for row in rows], marker="o", label="mean of the units")
        axes.set(ylim=(0, None), ylabel="activation left (%)", title=f"{what}: the best image of each unit")
    legend(figure)
    return figure


def _by_angle(values: dict[str, np.ndarray], angles: Sequence[float]) -> Figure:
    order = np.argsort(angles)
    shares = [value.mean(axis=1) / value[0].mean() for value in values.values()]
    with style():
        figure, (axes,) = panels(size=(4.6, 3.0))
        image = axes.imshow(100 * np.stack(shares)[:, order], aspect="auto", vmin=0, vmax=100, origin="lower")
        axes.grid(False)
        axes.set_xticks(np.arange(len(order))[::3], [f"{angles[i]:g}°" for i in order[::3]])
        axes.set_yticks(np.arange(len(values)), _names(list(values)))
        axes.set(xlabel="angle", ylabel="block", title="Mean activation of all units, share of the upright (%)")
        figure.colorbar(image, ax=axes)
    return figure


def _names(taps: Sequence[str]) -> list[str]:
    """The numbers of the blocks where that says it all, else the taps' names."""
    blocks = [split_tap(tap).block for tap in taps]
    alone = len({split_tap(tap).name for tap in taps}) == 1 and None not in blocks and len({*blocks}) == len(taps)
    return list(map(str, blocks)) if alone else list(map(caption, taps))
