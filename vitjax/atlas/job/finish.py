"""A painted atlas in, a finished one out: graded, retried, compared, with its tables in the store."""

import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from vitjax.analysis.photographs import likeness
from vitjax.analysis.photographs.exemplars import Exemplars
from vitjax.analysis.report.yardstick import embed, middle, yardstick
from vitjax.analysis.study.passes import on_pictures
from vitjax.atlas.job import cards, care
from vitjax.atlas.job.job import Job
from vitjax.atlas.job.paint import Log, paint
from vitjax.atlas.page import layouts, scripts, tables
from vitjax.atlas.page.contents import Layout, taps_of
from vitjax.atlas.page.tables import Made
from vitjax.atlas.store import manifest
from vitjax.atlas.store.series import Series
from vitjax.atlas.store.store import Store
from vitjax.data.files.images import checksum
from vitjax.optimize.recipes import Recipe

KEY = "finished.json"
LIKE = 0.95  # cosine of two activation profiles, or without photographs of two pictures, of near-repeats
CHECKED = ("manifest.json", "natural/", "batches/", "series/", "cards/", "tables/")
CHUNK = 256  # pictures in memory together


@dataclass(frozen=True)
class Finish:
    """The end of a job, all of whose first pictures are in the store.

    Attributes:
        job, store: as of `work`.
        found: what photographs say of the taps, or None without photographs.
        log: of the run, to which further painting is added.
    """

    job: Job
    store: Store
    found: Exemplars | None
    log: Log

    @property
    def recipe(self) -> Recipe:
        """Of the first pictures."""
        return manifest.recipe_of(self.job.manifest.recipe)

    def run(self) -> bool:
        """Grades all pictures, paints failing units again, compares units, writes the tables; False if stopped."""
        judge = self._judge()
        makes = []
        for series in self.job.manifest.series(self.job.units):
            if not self._grade(series, judge):
                return False
            makes.append(Made(series, f"seed {series.seed}", cards.read(self.store, series)))
        for make in self._retries(makes, judge) if self.job.retry and self.found else ():
            if make is None:
                return False
            makes.append(make)
        if self.job.enough.is_set():
            return False
        self._tables(makes)
        return True

    def _judge(self) -> cards.Judge:
        self.job.report.begin("photographs", 0)
        measure = yardstick(self.job.model, self.job.data, self.found) if self.found else None
        return cards.Judge(self.job.model, self.recipe.tokens, measure)

    def _grade(self, series: Series, judge: cards.Judge) -> bool:
        self.job.report.begin("grading", len(series.units))
        return cards.grade(self.store, series, judge, enough=self.job.enough, graded=self.job.report.done)

    def _retries(self, makes: list[Made], judge: cards.Judge) -> Iterator[Made | None]:
        """Attempts at units that fail, each graded before the next; None where the run is to stop."""
        by_name = {str(unit): unit for unit in self.job.units}
        tries = {name: [make.cards[name] for make in makes] for name in by_name}
        for attempt in care.attempts(self.recipe, self.job.manifest.seeds):
            if not (names := care.failing(tries)):
                return
            series = care.series_of(self.store, attempt, [by_name[name] for name in names], self.job.manifest)
            starts = None
            if attempt.from_exemplar:
                starts = care.from_photographs(self.found, self.job.data.images, self.job.model.config)
            self.job.report.begin(f"painting again, {attempt.made}", len(names))
            whole = paint(
                self.store,
                series,
                self.job.model,
                remat=self.job.remat,
                starts=starts,
                enough=self.job.enough,
                stepped=self.job.stepped,
                finished=self.job.report.done,
                log=self.log,
            )
            if not whole or not self._grade(series, judge):
                yield None
                return
            make = Made(series, attempt.made, cards.read(self.store, series))
            for name, card in make.cards.items():
                tries[name].append(card)
            yield make

    def _tables(self, makes: Sequence[Made]) -> None:
        model, units, found, data = self.job.model, self.job.units, self.found, self.job.data
        self.job.report.begin("comparing units", 0)
        pictures = tables.picture_table(units, makes)
        written = {}
        layers = np.unique([unit.tap for unit in units], return_inverse=True)[1]
        looks = self._embeddings(pictures, {make.series.key: make.series for make in makes})
        kinds, classes = {"looks": likeness.nearest(looks, layers)}, []
        charts = [layouts.layers(taps_of(list(map(str, units)))),
                  layouts.chart("looks", "by looks", likeness.spread_out(looks))]  # fmt: skip
        behaviour = looks
        if found:
            behaviour = tables.profiles(found, units)
            kinds["responses"] = likeness.nearest(behaviour, layers)
            charts.append(layouts.chart("responses", "by responses", likeness.spread_out(behaviour)))
            exemplars = tables.exemplar_rows(found, units, data, model)
            classes = tables.classes_of(exemplars, units)
            written |= {"exemplars": exemplars, "photos": tables.photo_table(exemplars, data)}
            self._array("maps", tables.exemplar_maps(model, found, units, replace(data, shard=(0, 1))))
        table = tables.unit_rows(units, pictures, found, classes)
        table = table.append_column("duplicate", pa.array(likeness.repeats(behaviour, LIKE), pa.int32()))
        written |= {"units": table, "pictures": pictures, "near": tables.near_table(kinds)}
        for name, value in written.items():
            buffer = io.BytesIO()
            parquet.write_table(value, buffer, compression="zstd")
            self.store.write(f"tables/{name}.parquet", buffer.getvalue())
        self._array("looks", looks.astype(np.float16))
        self.store.write_json("tables/layouts.json", {"layouts": [_laid(chart) for chart in charts]})
        self._close(table, pictures)

    def _embeddings(self, pictures: pa.Table, series: dict[str, Series]) -> np.ndarray:
        """Of each unit's chosen picture, by unit number."""
        chosen = pictures.filter(pictures["chosen"]).select(["series", "batch", "slot", "number"]).to_pylist()
        where = {(row["series"], row["batch"], row["slot"]): row["number"] for row in chosen}
        found, numbers, images = [], [], []

        def flush() -> None:
            if images:
                found.append(on_pictures(self.job.model, embed, np.stack(images), tap=middle(self.job.model))[0])
                images.clear()

        for key, one in series.items():
            for batch in one.batches:
                slots = [slot for slot in range(len(batch.goals)) if (key, batch.number, slot) in where]
                if slots:
                    made = one.pictures(self.store, batch)[0]
                    images += [made[slot] for slot in slots]
                    numbers += [where[key, batch.number, slot] for slot in slots]
                if len(images) >= CHUNK:
                    flush()
        flush()
        looks = np.concatenate(found)[np.argsort(numbers)]
        return looks - looks.mean(axis=0)  # what all pictures have in common says nothing

    def _array(self, name: str, values: np.ndarray) -> None:
        buffer = io.BytesIO()
        np.save(buffer, values, allow_pickle=False)
        self.store.write(f"tables/{name}.npy", buffer.getvalue())

    def _close(self, units: pa.Table, pictures: pa.Table) -> None:
        """The last thing written: what is finished, with checksums of everything but the pictures and the logs."""
        keys = [key for part in CHECKED for key in self.store.keys(part)]
        sums = {key: hashlib.sha256(self.store.read(key) or b"").hexdigest() for key in keys}
        verdicts = Counter(units["verdict"].to_pylist()) if "verdict" in units.column_names else {}
        about = {
            "units": len(units),
            "pictures": len(pictures),
            "verdicts": dict(verdicts),
            "retried": len(self._again(pictures)),
            "repeats": len(units) - units["duplicate"].null_count,
            "unreadable": dict(self.job.data.unreadable) if self.job.data else {},
            "options": options(self.job),
            "sha256": sums,
        }
        self.store.write_json(KEY, about)

    @staticmethod
    def _again(pictures: pa.Table) -> set[str]:
        """The units that were painted again."""
        rows = zip(pictures["unit"].to_pylist(), pictures["series"].to_pylist(), strict=True)
        return {unit for unit, series in rows if series.startswith("retry-")}


@dataclass(frozen=True)
class End:
    """What is known of a finished atlas.

    Attributes:
        units, pictures: how many.
        verdicts: {verdict: how many units}.
        options: what decided how it ended, see `options`.
        sha256: {key: checksum} of everything but the pictures and the logs.
        retried, repeats: units painted again, and such that nearly repeat another.
        unreadable: {photograph: why it could not be read}.
    """

    units: int
    pictures: int
    verdicts: Mapping[str, int]
    options: Mapping[str, Any]
    sha256: Mapping[str, str]
    retried: int = 0
    repeats: int = 0
    unreadable: Mapping[str, str] = field(default_factory=dict)


def options(job: Job) -> dict[str, object]:
    """What of a job decides how its atlas ends and is not in the manifest."""
    names = checksum(job.model.class_names) if job.model.class_names else None
    labels = str(job.data.listed) if job.data and job.data.listed else None
    return {"retry": job.retry, "class_names": names, "labels": labels}


def ended(store: Store) -> End | None:
    """What is known of a finished atlas; None of one that is not.

    Raises:
        InputError: it is damaged.
    """
    return store.read_json(KEY, End)


def _laid(chart: Layout) -> dict[str, object]:
    return scripts.plain({"key": chart.key, "label": chart.label, **scripts.layout(chart)})
