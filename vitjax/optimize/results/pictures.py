"""Finished pictures: shown in a notebook, saved as PNGs with a JSON beside them, laid out on a contact sheet."""

import base64
import dataclasses
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from vitjax.data.pixels import pillow
from vitjax.errors import InputError
from vitjax.files import writable_folder, write_whole
from vitjax.models.dictionaries.directions import fingerprint
from vitjax.optimize.beside.film import animation, masked
from vitjax.optimize.recipes import Recipe, fields
from vitjax.optimize.results.record import RECORD, known_record, read_record
from vitjax.optimize.results.sheets import columns_for, contact_sheet, table_sheet
from vitjax.units.algebra import Sum, terms_of
from vitjax.units.tables import Table
from vitjax.units.units import Direction, Unit, caption

SHEET = "contact_sheet.png"
TABLE = "table.png"
LONGEST = 80  # letters of a direction's name in that of its file


@dataclass(frozen=True)
class Pictures:
    """Pictures of units and how they came about.

    Attributes:
        images: uint8 [slot, height, width, channel].
        units: what each picture was made for.
        activation: [slot], the unit's activation on the picture as its bytes stand, without augmentation.
        history: {"loss", "activation", "total_variation"}: [slot, step], before each update, on the views; NaN after
            the last step of pictures that took fewer than others. Its activation is what was optimised: that before the
            activation function where `recipe.before_activation`, as of all of ours.
        recipe, seed: with the unit and the batch size they give the same bytes again on the same kind of device.
        model: where the model came from, as `model.card` says.
        batch: slots optimised together on each device.
        dtype: of the weights and activations that made them and tell `activation`.
        frames: uint8 [slot, frame, height, width, channel], from the start to the finished picture; None if not kept.
        alpha: [slot, height, width], the sum over steps of |d activation / d image|; None if not kept.
        starts: of each picture, the photograph that it began with, as records say it; None if they began with noise.
    """

    images: np.ndarray
    units: list[Unit | Direction]
    activation: np.ndarray
    history: dict[str, np.ndarray] = field(repr=False)
    recipe: Recipe
    seed: int
    model: Mapping[str, str]
    batch: int
    dtype: str = "float32"
    frames: np.ndarray | None = field(default=None, repr=False)
    alpha: np.ndarray | None = field(default=None, repr=False)
    starts: list[Mapping[str, str]] | None = None

    def __len__(self) -> int:
        return len(self.units)

    def __repr__(self) -> str:
        taps = ", ".join(list(dict.fromkeys(str(unit).partition(":")[0] for unit in self.units))[:3])
        low, high = np.min(self.activation), np.max(self.activation)
        told = ", after the activation function; history is of before it" if self.recipe.before_activation else ""
        size = " x ".join(map(str, self.images.shape[1:3]))
        return f"{len(self)} pictures of {taps}, {size}, seed {self.seed}: activation {low:.3g} to {high:.3g}{told}"

    def contact_sheet(self, columns: int | None = None) -> Image.Image:
        """All pictures on one sheet, each with its unit and activation beneath; a row per tap where that fits."""
        captions = [f"{caption(unit)}  {value:.3g}" for unit, value in zip(self.units, self.activation, strict=True)]
        columns = columns or columns_for(_groups([str(unit) for unit in self.units]))
        return contact_sheet(self.images, captions, columns)

    def table(self, table: Table) -> Image.Image:
        """The pictures of a table's goals in its rows and columns, each with its activation beneath."""
        found = zip(self.images, self.activation, strict=True)
        return _tabled(table, dict(zip(map(str, self.units), found, strict=True)))

    def save(self, folder: str | Path) -> Path:
        """Writes one PNG per picture and `pictures.json`, joining what the folder holds, then the contact sheet.

        Returns:
            The path of the contact sheet.
        """
        folder = Path(folder)
        append(folder, self)
        return write_sheet(folder)

    def _repr_html_(self) -> str:
        buffer = io.BytesIO()
        self.contact_sheet().save(buffer, format="png")
        data = base64.b64encode(buffer.getvalue()).decode()
        return f'<p>{escape(repr(self))}</p><img alt="{len(self)} pictures" src="data:image/png;base64,{data}">'


def join(parts: Sequence[Pictures], units: Sequence[Unit | Direction]) -> Pictures:
    """Joins pictures made by one run and puts them in the order of `units`."""
    place = {str(unit): i for i, unit in enumerate(unit for part in parts for unit in part.units)}
    order = [place[str(unit)] for unit in units]
    return dataclasses.replace(
        parts[0],
        images=np.concatenate([part.images for part in parts])[order],
        units=list(units),
        activation=np.concatenate([part.activation for part in parts])[order],
        history={k: _stacked([part.history[k] for part in parts])[order] for k in parts[0].history},
        frames=_ordered([part.frames for part in parts], order),
        alpha=_ordered([part.alpha for part in parts], order),
        starts=parts[0].starts and [[one for part in parts for one in part.starts][place] for place in order],
    )


def _ordered(kept: Sequence[np.ndarray | None], order: Sequence[int]) -> np.ndarray | None:
    return None if kept[0] is None else np.concatenate(kept)[order]


def _stacked(histories: Sequence[np.ndarray]) -> np.ndarray:
    """Histories under each other, filled up with NaN where some are shorter."""
    longest = max(one.shape[1] for one in histories)
    filled = [np.pad(one, ((0, 0), (0, longest - one.shape[1])), constant_values=np.nan) for one in histories]
    return np.concatenate(filled)


def append(folder: Path, pictures: Pictures) -> None:
    """Adds pictures to a folder: the PNGs first, then `pictures.json` replaced as a whole, so it never lies."""
    writable_folder(folder)
    settings = {
        "model": dict(pictures.model),
        "dtype": pictures.dtype,
        "seed": pictures.seed,
        "recipe": fields(pictures.recipe),
    }
    known = {row["unit"]: row for row in known_record(folder, settings).get("pictures", [])}
    rows = []
    for i, unit in enumerate(pictures.units):
        row = {
            "unit": str(unit),
            "file": file_name(unit),
            "activation": float(pictures.activation[i]),
            "batch": pictures.batch,
            "history": {key: _thinned(values[i]) for key, values in pictures.history.items()},
        }
        if pictures.starts:
            row["start"] = dict(pictures.starts[i])
        if vectors := _vectors(unit):
            row["vectors"] = vectors
            if vectors != (known.get(str(unit), {}).get("vectors") or vectors):
                raise InputError(f"{folder} holds a picture of another direction called {unit}; choose another folder")
        _write_beside(folder, row, pictures, i)
        text = PngImagePlugin.PngInfo()
        for key, value in {"unit": unit, "model": pictures.model.get("source", ""), "seed": pictures.seed}.items():
            text.add_text(key, str(value))
        text.add_text("recipe", json.dumps(fields(pictures.recipe)))
        buffer = io.BytesIO()
        pillow(pictures.images[i]).save(buffer, format="png", pnginfo=text)
        write_whole(folder / row["file"], buffer.getvalue())
        rows.append(row)
    known.update({row["unit"]: row for row in rows})
    record = settings | {"pictures": list(known.values())}
    write_whole(folder / RECORD, json.dumps(record, indent=1).encode())


def _vectors(goal: Unit | Direction | Sum) -> dict[str, str]:
    """What tells the directions of a goal from others of their names: 8 digits of each vector's sha256."""
    held = (term.goal for term in terms_of(goal))
    return {str(one): fingerprint(np.asarray(one.vector).ravel()) for one in held if isinstance(one, Direction)}


def _write_beside(folder: Path, row: dict, pictures: Pictures, place: int) -> None:
    """Writes what was kept beside a picture, and names it in the picture's row."""
    kept = {
        "frames": (".webp", pictures.frames is not None and animation, (pictures.frames,)),
        "alpha": (".alpha.png", pictures.alpha is not None and masked, (pictures.images, pictures.alpha)),
    }
    for key, (ending, written, values) in kept.items():
        if written:
            row[key] = row["file"].removesuffix(".png") + ending
            write_whole(folder / row[key], written(*(value[place] for value in values)))


def _thinned(history: np.ndarray) -> list[float]:
    """About 20 values of one picture's history."""
    taken = history[~np.isnan(history)] if np.isnan(history[-1]) else history
    taken = taken if taken.size else history
    return [float(f"{value:.6g}") for value in taken[:: max(1, len(taken) // 20)]]


def write_sheet(folder: Path) -> Path:
    """Draws the contact sheet of everything `pictures.json` lists; gives its path."""
    rows = read_record(folder)["pictures"]
    rows.sort(key=lambda row: _natural(row["unit"]))
    images = [np.asarray(Image.open(folder / row["file"]).convert("RGB")) for row in rows]
    captions = [f"{caption(row['unit'])}  {row['activation']:.3g}" for row in rows]
    columns = columns_for(_groups([row["unit"] for row in rows]))
    buffer = io.BytesIO()
    contact_sheet(images, captions, columns).save(buffer, format="png")
    write_whole(folder / SHEET, buffer.getvalue())
    return folder / SHEET


def write_table(folder: Path, table: Table) -> Path:
    """Draws the table of goals whose pictures `pictures.json` lists; gives its path."""
    known = {row["unit"]: row for row in read_record(folder)["pictures"]}
    rows = [row for goal in table.goals if (row := known.get(str(goal)))]
    found = {
        row["unit"]: (np.asarray(Image.open(folder / row["file"]).convert("RGB")), row["activation"]) for row in rows
    }
    buffer = io.BytesIO()
    _tabled(table, found).save(buffer, format="png")
    write_whole(folder / TABLE, buffer.getvalue())
    return folder / TABLE


def _tabled(table: Table, found: Mapping[str, tuple[np.ndarray, float]]) -> Image.Image:
    """The sheet of a table, of pictures and activations by the names of their goals; blank where there is none."""
    cells = [[found.get(str(goal)) for goal in row] for row in table.cells]
    images = [[cell and cell[0] for cell in row] for row in cells]
    captions = [["" if cell is None else f"{cell[1]:.3g}" for cell in row] for row in cells]
    return table_sheet(images, table.rows, table.columns, captions)


def file_name(unit: Unit | Direction) -> str:
    """The PNG's name for a unit: `blocks.7.mlp.hidden_1203.png`; that of any other goal ends with its hash."""
    text = re.sub(r"^-|(?<= )- ", "minus ", str(unit)) if isinstance(unit, Sum) else str(unit)
    name = "".join(c if c.isalnum() or c in ".-" else "_" for c in text)
    return f"{name}.png" if isinstance(unit, Unit) else f"{name[:LONGEST]}_{unit.hash:08x}.png"


def _groups(units: Sequence[str]) -> list[str]:
    """What has a row of the sheet: a unit where there are variants, else a tap."""
    sign = "#" if any("#" in unit for unit in units) else ":"
    return [unit.partition(sign)[0] for unit in units]


def _natural(text: str) -> list:
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split("[:.#]", text)]
