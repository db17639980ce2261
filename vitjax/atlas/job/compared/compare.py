"""Compares the units of a graded atlas, writes its tables into the store, and closes it with their checksums."""

import hashlib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
from jaxtyping import Float
from pyarrow import parquet

from vitjax.analysis.photographs import likeness
from vitjax.analysis.photographs.exemplars import Exemplars
from vitjax.analysis.report.yardstick import embed, middle
from vitjax.analysis.study.passes import on_pictures
from vitjax.atlas.job.compared import tables
from vitjax.atlas.job.compared.scored import described, scored
from vitjax.atlas.job.compared.tables import Made
from vitjax.atlas.job.job import Job, Run
from vitjax.atlas.page import layouts, scripts
from vitjax.atlas.page.contents import Layout, taps_of
from vitjax.atlas.page.kept import cells, kept_maps
from vitjax.atlas.records import activation_map, finished, retries
from vitjax.atlas.records.series import Series
from vitjax.atlas.store.store import Store
from vitjax.data.files.images import checksum
from vitjax.models.core.network import Network

LIKE = 0.95  # cosine of two activation profiles, or without photographs of two pictures, of near-repeats
CHECKED = ("manifest.json", "natural/", "activations/", "batches/", "series/", "cards/", "tables/")
CHUNK = 256  # pictures in memory together


def compare(run: Run, found: Exemplars | None, makes: Sequence[Made]) -> None:
    """Compares units by their pictures and what photographs say, and writes the tables that programs and the page read.

    Args:
        run: of the job.
        found: what photographs say of the taps, or None without photographs.
        makes: all series of pictures, in the order in which they were made.
    """
    run.begin("comparing units")
    model, units, data, store = run.job.model, run.job.units, run.job.data, run.store
    pictures = tables.picture_table(units, makes)
    looks = _embeddings(model, store, pictures, {make.series.key: make.series for make in makes})
    layers = np.unique([unit.tap for unit in units], return_inverse=True)[1]
    near, behaviour = {"looks": likeness.nearest(looks, layers)}, looks
    charts = [
        layouts.layers(taps_of(list(map(str, units)))),
        layouts.chart("looks", "by looks", likeness.spread_out(looks)),
    ]
    written, classes, plane = {}, [], activation_map.whole(store, units)
    if plane:
        charts.insert(0, cells.layout(plane))
        written["cells"] = cells.table(plane)
    if found:
        behaviour = tables.profiles(found, units)
        near["responses"] = likeness.nearest(behaviour, layers)
        charts.append(layouts.chart("responses", "by responses", likeness.spread_out(behaviour)))
        exemplars = tables.exemplar_rows(found, units, data, model)
        classes = tables.classes_of(exemplars, units)
        written |= {"exemplars": exemplars, "photos": tables.photo_table(exemplars, data)}
        maps, scale = tables.exemplar_maps(model, found, units, replace(data, shard=(0, 1)))
        if len({one.shape for one in maps}) == 1:
            _write_array(store, "maps", np.stack(maps))
        else:
            written["maps"] = tables.map_table(maps)
    table = scored(tables.unit_rows(units, pictures, found, classes), run.job, found)
    if found:
        table = table.append_column(kept_maps.SCALE, pa.array(scale, pa.float32()))
    table = table.append_column("duplicate", pa.array(likeness.repeats(behaviour, LIKE), pa.int32()))
    if plane:
        table = table.append_column("samples", written["cells"]["samples"])
    written |= {"units": table, "pictures": pictures, "near": tables.near_table(near)}
    for name, value in written.items():
        buffer = io.BytesIO()
        parquet.write_table(value, buffer, compression="zstd")
        store.write(f"tables/{name}.parquet", buffer.getvalue())
    _write_array(store, "looks", looks.astype(np.float16))
    store.write_json("tables/layouts.json", {"layouts": [_laid(chart) for chart in charts]})
    _close(run, table, pictures)


def options(job: Job) -> dict[str, object]:
    """Says what of a job decides how its atlas ends and is not in the manifest."""
    names = checksum(job.model.class_names) if job.model.class_names else None
    labels = str(job.data.listed) if job.data and job.data.listed else None
    return {"retry": job.retry, "class_names": names, "labels": labels, **described(job)}


def _embeddings(
    model: Network, store: Store, pictures: pa.Table, series: Mapping[str, Series]
) -> Float[np.ndarray, "unit channel"]:
    """Embeds each unit's chosen picture, by unit number."""
    chosen = pictures.filter(pictures["chosen"]).select(["series", "batch", "slot", "number"]).to_pylist()
    where = {(row["series"], row["batch"], row["slot"]): row["number"] for row in chosen}
    found, numbers, images = [], [], []

    def flush() -> None:
        if images:
            found.append(on_pictures(model, embed, np.stack(images), tap=middle(model))[0])
            images.clear()

    for key, one in series.items():
        for batch in one.batches:
            slots = [slot for slot in range(len(batch.goals)) if (key, batch.number, slot) in where]
            if slots:
                made = one.pictures(store, batch)[0]
                images += [made[slot] for slot in slots]
                numbers += [where[key, batch.number, slot] for slot in slots]
            if len(images) >= CHUNK:
                flush()
    flush()
    looks = np.concatenate(found)[np.argsort(numbers)]
    return looks - looks.mean(axis=0)  # what all pictures have in common says nothing


def _close(run: Run, units: pa.Table, pictures: pa.Table) -> None:
    """Writes the last file: what is finished, with checksums of everything but the pictures and the logs."""
    keys = [key for part in CHECKED for key in run.store.keys(part)]
    verdicts = Counter(units["verdict"].to_pylist()) if "verdict" in units.column_names else {}
    rows = zip(pictures["unit"].to_pylist(), pictures["series"].to_pylist(), strict=True)
    end = finished.End(
        units=len(units),
        pictures=len(pictures),
        verdicts=dict(verdicts),
        retried=len({unit for unit, series in rows if series.startswith(retries.AGAIN)}),
        repeats=len(units) - units["duplicate"].null_count,
        unreadable=dict(run.job.data.unreadable) if run.job.data else {},
        options=options(run.job),
        sha256={key: hashlib.sha256(run.store.read(key) or b"").hexdigest() for key in keys},
    )
    run.store.write_json(finished.KEY, asdict(end))


def _write_array(store: Store, name: str, values: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    store.write(f"tables/{name}.npy", buffer.getvalue())


def _laid(chart: Layout) -> dict[str, object]:
    """Puts a layout into JSON's types, as it is kept."""
    return scripts.plain({"key": chart.key, "label": chart.label, **scripts.layout(chart)})
