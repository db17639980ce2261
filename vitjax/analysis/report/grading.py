"""Grades finished pictures against a yardstick: a row of grades for each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image

from vitjax.analysis.photographs.natural import Natural
from vitjax.analysis.report import grades
from vitjax.analysis.report.clarity import COARSE
from vitjax.analysis.report.grades import NONE
from vitjax.analysis.report.held_out import respond
from vitjax.analysis.report.yardstick import Yardstick, clearness
from vitjax.analysis.study.findings import Value
from vitjax.analysis.study.passes import on_pictures
from vitjax.errors import InputError, remark
from vitjax.models.core.network import Network
from vitjax.models.core.preprocess import IMAGE_MODES
from vitjax.optimize.results.record import RECORD, read_record
from vitjax.units.expression import is_unit_set
from vitjax.units.select import flat_index
from vitjax.units.units import Unit, expand


@dataclass(frozen=True)
class Finished:
    """Pictures to be graded.

    Attributes:
        images: finished pictures, at the model's size.
        units: what each was made for.
        history: activations while it was optimised; None for what was not.
        own: the place of each among the photographs; None where none is a photograph, `NONE` for one that is not.
    """

    images: UInt8[np.ndarray, "picture h w 3"]
    units: Sequence[Unit]
    history: Float[np.ndarray, "picture step"] | None = None
    own: Int[np.ndarray, " picture"] | None = None

    def take(self, rows: Iterable[int]) -> "Finished":
        """Some of the pictures, in this order."""
        rows = list(rows)
        pick = lambda array: None if array is None else array[rows]
        return Finished(self.images[rows], [self.units[i] for i in rows], pick(self.history), pick(self.own))


def grade(
    model: Network, entries: Finished, measure: Yardstick, *, tokens: str = "patches", batch: int = 32
) -> list[dict[str, Value]]:
    """Grades pictures, each by itself, as `grades` has the formulas.

    Args:
        model: whose units they are for.
        entries: the pictures.
        measure: what photographs say of the same taps.
        tokens: which tokens count, as in `Recipe.tokens`; the same as in `measure`.
        batch: pictures that go to the devices together.

    Returns:
        A row for each picture, in their order; None where a grade has no meaning. `activation` is the unit's on the
        picture as its bytes stand, `held_out` its mean over the held-out changes, `best` the best photograph's, `rank`
        and `agreement` are ranks among the tap's `units`, 1 the first. `coarse_noise` is the noise up to half the
        Nyquist frequency, `photo_agreement` the agreement of the unit's best photograph: do its own agree at all?
    """
    count = len(entries.units)
    own = np.full(count, NONE) if entries.own is None else entries.own
    columns, embeddings = visible(model, entries.images, measure, own, batch)
    columns["slope"] = np.full(count, np.nan) if entries.history is None else grades.slope(entries.history)
    taps, sites = np.array([unit.tap for unit in entries.units]), model.taps()
    rows: list[dict[str, Value]] = [{}] * count
    for tap in dict.fromkeys(taps.tolist()):
        those = np.flatnonzero(taps == tap)
        unit = flat_index([entries.units[i] for i in those], sites[tap])
        response = respond(model, tap, entries.images[those], unit, tokens=tokens, batch=batch)
        natural = measure.naturals[tap]
        exemplar, photo, best = measure.row(natural.place), measure.row(own[those]), measure.row(natural.place[unit, 0])
        agree = partial(grades.agreement, photo=measure.photos, exemplar=exemplar, unit=unit)
        found = (
            {"unit": np.array([str(entries.units[i]) for i in those])}
            | _activity(natural, unit, response.scores, response.held_out.mean(axis=1), own[those])
            | {"agreement": agree(embeddings[those], own=photo)}
            | {"photo_agreement": agree(measure.photos[best], own=best)}
            | {"units": np.full(len(those), len(natural.mean))}
            | {name: column[those] for name, column in columns.items()}
        )
        for i, row in enumerate(those):
            rows[row] = {name: _value(column[i].item()) for name, column in found.items()}
    return rows


def visible(
    model: Network, images: UInt8[np.ndarray, "picture h w 3"], measure: Yardstick, own: np.ndarray, batch: int = 32
) -> tuple[dict[str, np.ndarray], Float[np.ndarray, "picture d"]]:
    """The grades that say how pictures look, whatever they were made for, and their embeddings."""
    power, floor = on_pictures(model, clearness, images, batch=batch)
    distance, detail = grades.spectral(power, measure.spectrum)
    embeddings, thumbnails = measure.looks(images, batch)
    columns = {
        "spectral_distance": distance,
        "detail": detail,
        "coarse": grades.coarse(power, measure.spectrum),
        "noise": grades.noise(floor, measure.floor, measure.floor_std),
        "coarse_noise": grades.noise(floor[..., COARSE], measure.floor[:, COARSE], measure.floor_std[:, COARSE]),
        "contrast": grades.contrast(images),
        "levels": grades.levels(images),
        "copied": grades.copied(thumbnails, measure.thumbnails, measure.row(own)),
        "clipped": grades.clipped(images),
        "colour": grades.colour(images),
    }
    return columns, embeddings


def _activity(
    natural: Natural, unit: np.ndarray, scores: np.ndarray, held_out: np.ndarray, own: np.ndarray
) -> dict[str, np.ndarray]:
    best = grades.rival(natural.score[unit], natural.place[unit], own)
    rank, margin = grades.selectivity(scores, unit, natural.mean, natural.std)
    return {
        "activation": np.take_along_axis(scores, unit[:, None], axis=1)[:, 0],
        "held_out": held_out,
        "best": best,
        "ratio": grades.ratio(held_out, best),
        "rise": grades.rise(held_out, natural.mean[unit], best),
        "percentile": grades.percentile(held_out, natural.sample[:, unit], natural.seen_place[:, None] != own),
        "rank": rank,
        "margin": margin,
    }


def _value(value: Value) -> Value:
    return None if value != value else value  # NaN alone differs from itself


def read_finished(folder: Path, model: Network) -> tuple[Finished, dict]:
    """Reads the pictures of units that `vitjax visualize` left in a folder, and its record.

    Pictures of other goals, sums among them, are left out, which is said: they are compared with other units of a tap.

    Raises:
        InputError: no pictures of units there, or pictures of another model, of another size, or that cannot be read.
    """
    record = read_record(folder)
    if not record.get("pictures"):
        raise InputError(f"{folder} has no {RECORD} that lists pictures: give a folder that `vitjax visualize` made")
    theirs, ours = record["model"].get("sha256", ""), model.card.sha256 if model.card else ""
    if theirs != ours:
        source = record["model"].get("source") or "a model without a name"
        mine = model.card.source if model.card else "a model without a name"
        raise InputError(
            f"{folder} holds pictures of {source} (weights {theirs[:12] or 'unknown'}), not of {mine}"
            f" (weights {ours[:12] or 'unknown'}): load the model that made them"
        )
    images, want, taps = [], tuple(model.config.image_size), model.taps()
    names = [row["unit"] for row in record["pictures"]]
    rows = [row for row in record["pictures"] if is_unit_set(row["unit"])]
    if other := [name for name in names if not is_unit_set(name)]:
        said = f"{folder}: {len(other)} pictures of goals that are no units, such as {other[0]}"
        if not rows:
            raise InputError(f"{said}: pictures are graded among those of a tap's other units")
        remark(f"{said}, are left out")
    for row in rows:
        path = folder / row["file"]
        try:
            picture = Image.open(path).convert(IMAGE_MODES[model.config.channels])
            images.append(np.asarray(picture).reshape(picture.height, picture.width, -1))
        except OSError:
            raise InputError(f"{path} cannot be read, though {RECORD} lists it") from None
        if images[-1].shape[:2] != want:
            size = images[-1].shape[:2]
            raise InputError(
                f"{path} is {size[0]}x{size[1]}, the model takes {want[0]}x{want[1]}: load it at that size"
            )
    units = [expand(row["unit"], taps)[0] for row in rows]
    return Finished(np.stack(images), units, histories([row["history"]["activation"] for row in rows])), record


def histories(kept: Sequence[Sequence[float]]) -> Float[np.ndarray, "picture step"]:
    """Activations of pictures while they were optimised, NaN after the last of those that took fewer steps."""
    longest = max(map(len, kept))
    return np.array([[*one, *[np.nan] * (longest - len(one))] for one in kept], float)
