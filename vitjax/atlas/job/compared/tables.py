"""Makes the tables of an atlas of its pictures, report cards and photographs: what programs and the page read."""

import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int, UInt8
from PIL import Image

from vitjax.analysis.photographs.exemplar_tables import image_table, unit_table
from vitjax.analysis.photographs.exemplars import Exemplars
from vitjax.analysis.photographs.likeness import Nearest
from vitjax.analysis.units.maps import activation_maps
from vitjax.atlas.page.kept.classes import counted
from vitjax.atlas.records.report_cards import ReportCard, merit
from vitjax.atlas.records.series import Series
from vitjax.data.dataset import Dataset
from vitjax.data.pipeline import pixels
from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.units.units import Unit

log = logging.getLogger("vitjax")
NAMED = 3  # classes that are named for a unit
QUALITY = 85  # of photographs, as WebP


@dataclass(frozen=True)
class Made:
    """The pictures of a series, with how they came about in words."""

    series: Series
    made: str
    cards: Mapping[str, ReportCard]


def picture_table(units: Sequence[Unit], makes: Sequence[Made]) -> pa.Table:
    """Lists the pictures by unit number: number, unit, series, batch, slot, seed, made, chosen, and their grades.

    Of the pictures of a unit the one that `report_cards.merit` puts first is chosen; of equal ones the first made.
    """
    number = {unit: i for i, unit in enumerate(units)}
    rows = [
        {
            "number": number[unit],
            "unit": str(unit),
            "series": make.series.key,
            "batch": batch.number,
            "slot": slot,
            "seed": make.series.seed,
            "made": make.made,
            "chosen": False,
        }
        | {name: value for name, value in make.cards[str(unit)].items() if name != "unit"}
        for make in makes
        for unit, batch, slot in make.series.places()
    ]
    rows.sort(key=lambda row: row["number"])  # stable: of one unit in the order of the series
    best: dict[int, dict] = {}
    for row in rows:
        if row["number"] not in best or merit(row) > merit(best[row["number"]]):
            best[row["number"]] = row
    for row in best.values():
        row["chosen"] = True
    return pa.Table.from_pylist(rows)


def unit_rows(
    units: Sequence[Unit], pictures: pa.Table, found: Exemplars | None, classes: Sequence[Sequence[str]]
) -> pa.Table:
    """Lists the units by unit number: number, unit, tap, index, pictures (how many), classes, the chosen picture's
    columns, and what photographs say of them (see `exemplar_tables.unit_table`)."""
    chosen = pictures.filter(pictures["chosen"]).drop_columns(["chosen"])
    counts = np.bincount(pictures["number"].to_numpy(), minlength=len(units))
    table = pa.table(
        {
            "number": pa.array(range(len(units)), pa.int32()),
            "unit": [str(unit) for unit in units],
            "tap": [unit.tap for unit in units],
            "index": [".".join(map(str, unit.index)) for unit in units],
            "pictures": pa.array(counts, pa.int32()),
            "classes": pa.array(list(map(list, classes)) or [[]] * len(units), pa.list_(pa.string())),
        }
    )
    for name in chosen.column_names:
        if name not in table.column_names:
            table = table.append_column(name, chosen[name])
    if found is None:
        return table
    known = only(unit_table(found), units)
    for name in known.column_names:
        if name not in ("unit", "tap"):
            table = table.append_column(f"photos_{name}", known[name])
    return table.replace_schema_metadata(known.schema.metadata)


def exemplar_rows(found: Exemplars, units: Sequence[Unit], data: Dataset, model: Network) -> pa.Table:
    """Lists the best and ordinary photographs of some units, in the units' order, with each photograph's class; other
    columns as of `exemplar_tables.image_table`."""
    table = only(image_table(found, data.images, data.config), units)
    return table.append_column("class", class_of(data, model, table["photo"].to_numpy()))


def class_of(data: Dataset, model: Network, photo: Int[np.ndarray, " row"]) -> pa.Array:
    """Names the classes of photographs: their names where the model has any, else "class 17"; null where none are
    known, and then the reason is said in a line.

    Raises:
        InputError: a list of classes is given that does not say them.
    """
    try:
        known = data.labels_for(model)
    except InputError as error:
        if data.listed is not None:
            raise
        if model.config.classes:
            log.warning("the photographs are shown without their classes: %s", error)
        return pa.nulls(len(photo), pa.string())
    names = model.class_names
    return pa.array([names.shown(known[i]) if names else f"class {known[i]}" for i in photo], pa.string())


def classes_of(exemplars: pa.Table, units: Sequence[Unit]) -> list[list[str]]:
    """Lists the classes of each unit's best photographs, most frequent first, of equal ones that of the better one."""
    found = counted(exemplars, list(map(str, units)))
    return [[name for name, _ in counts.most_common(NAMED)] for counts in found]


def photo_table(exemplars: pa.Table, data: Dataset) -> pa.Table:
    """Lists the photographs that occur, as the model sees them: photo (place in the data), name, image (WebP)."""
    places = np.unique(exemplars["photo"].to_numpy())
    images = []
    for place in places:
        buffer = io.BytesIO()
        Image.fromarray(pixels(data.images, [place], data.config)[0]).save(buffer, "webp", quality=QUALITY)
        images.append(buffer.getvalue())
    names = [data.images.names[place] for place in places]
    return pa.table({"photo": pa.array(places, pa.int32()), "name": names, "image": pa.array(images, pa.binary())})


def exemplar_maps(
    model: Network, found: Exemplars, units: Sequence[Unit], data: Dataset
) -> tuple[list[UInt8[np.ndarray, "k row column"]], Float[np.ndarray, " unit"]]:
    """Maps where each unit is active on its best photographs, and gives the activation that 255 stands for in its maps.

    All maps of a unit are on that one scale, from 0, which activations of 0 and less are. They are on the grid of the
    unit's tap; 0 where there is no photograph, or no patch.
    """
    k = next(iter(found.taps.values())).score.shape[1]
    maps = [np.zeros((k, *(found.taps[unit.tap].grid or model.config.grid)), np.uint8) for unit in units]
    scale = np.zeros(len(units), np.float32)
    for tap, natural in found.taps.items():
        if natural.grid is None:
            continue
        mine = [i for i, unit in enumerate(units) if unit.tap == tap]
        rows = np.array([np.ravel_multi_index(units[i].index, natural.shape) for i in mine])
        places = natural.place[rows]
        for start in range(0, len(mine), 64):  # units whose photographs are in memory together
            some = slice(start, start + 64)
            distinct = np.unique(places[some][places[some] >= 0])
            if not len(distinct):
                continue
            images = pixels(data.images, distinct, data.config)
            here = [units[i] for i in mine[some]]
            values = np.fmax(activation_maps(model, images, here, batch=data.batch, grid=natural.grid), 0)
            for column, (unit, photos) in enumerate(zip(mine[some], places[some], strict=True)):
                there = np.flatnonzero(photos >= 0)
                own = values[np.searchsorted(distinct, photos[there]), column]
                scale[unit] = own.max(initial=0)
                maps[unit][there] = np.round(own * (255 / scale[unit] if scale[unit] > 0 else 0))
    return maps, scale


def map_table(maps: Sequence[UInt8[np.ndarray, "k row column"]]) -> pa.Table:
    """Lists the maps of an atlas whose taps stand on several grids: number, rows, columns, and the bytes of k maps."""
    return pa.table(
        {
            "number": pa.array(range(len(maps)), pa.int32()),
            "rows": pa.array([one.shape[1] for one in maps], pa.int32()),
            "columns": pa.array([one.shape[2] for one in maps], pa.int32()),
            "maps": pa.array([one.tobytes() for one in maps], pa.binary()),
        }
    )


def profiles(found: Exemplars, units: Sequence[Unit]) -> Float[np.ndarray, "unit image"]:
    """Gives units' activation profiles: what each does on the photographs whose scores are all kept, less its mean."""
    columns = []
    for unit in units:
        natural = found.taps[unit.tap]
        columns.append(natural.sample[:, np.ravel_multi_index(unit.index, natural.shape)])
    scores = np.stack(columns)
    return scores - scores.mean(axis=1, keepdims=True)


def near_table(kinds: Mapping[str, Nearest]) -> pa.Table:
    """Lists the neighbours of each unit: number, kind ("looks", "responses"), neighbour, likeness, same_layer."""
    rows = [
        (number, kind, other.unit, other.likeness, other.same_layer)
        for kind, nearest in kinds.items()
        for number in range(len(nearest.unit))
        for other in nearest.of(number)
    ]
    number, kind, neighbour, likeness, same = zip(*rows, strict=True) if rows else ((),) * 5
    return pa.table(
        {
            "number": pa.array(number, pa.int32()),
            "kind": pa.array(kind, pa.string()).dictionary_encode(),
            "neighbour": pa.array(neighbour, pa.int32()),
            "likeness": pa.array(likeness, pa.float32()),
            "same_layer": pa.array(same, pa.bool_()),
        }
    )


def only(table: pa.Table, units: Sequence[Unit]) -> pa.Table:
    """Takes the rows of a table that are of these units, in the units' order."""
    number = {str(unit): i for i, unit in enumerate(units)}
    order = np.array([number.get(unit, -1) for unit in table["unit"].to_pylist()], np.int64)
    rows = np.flatnonzero(order >= 0)
    return table.take(rows[np.argsort(order[rows], kind="stable")])
