"""The atlas as a job: finished, refused, ended anew, stopped by a disk; small random models."""

import json
import os
from dataclasses import replace

import pytest
from flax import nnx

from tests.support.atlas_job import RECIPE, UNITS, copy_of, job, model, pictures
from vitjax.analysis.scores.encoders import layout_of
from vitjax.atlas.job.attempts import RETRIED
from vitjax.atlas.job.progress import Reporter
from vitjax.atlas.job.work import Status, work
from vitjax.atlas.page.export import export
from vitjax.atlas.page.reader import contents
from vitjax.atlas.records import finished, manifest, report_cards
from vitjax.atlas.records.agreement import agree
from vitjax.atlas.records.condensed import condense, spread
from vitjax.atlas.records.verify import faults, report
from vitjax.atlas.store.store import Store
from vitjax.errors import InputError
from vitjax.models.core.class_names import ClassNames
from vitjax.optimize.recipes import choose
from vitjax.optimize.settings.stage import Stage
from vitjax.stop import Stop
from vitjax.units.units import Unit, expand


def test_a_finished_atlas_has_everything(whole, tmp_path):
    what = contents(whole)
    assert list(what.units) == [str(unit) for unit in expand(UNITS, model().taps())]
    assert {"verdict", "rise", "photos_active"} <= {column.key for column in what.columns}
    shown = what.pictures(7)
    assert shown[0].image.shape == (32, 32, 3) and sum(picture.chosen for picture in shown) == 1
    best = what.exemplars(7)
    assert [one.score for one in best] == sorted((one.score for one in best), reverse=True) and len(best) == 3
    assert best[0].map.shape == (4, 4)
    highest = max(one.map.max() for one in best)
    assert (
        highest == pytest.approx(what.tables["units"]["map_scale"][7].as_py())
        and min(one.map.min() for one in best) >= 0
    )
    assert all(one.map.mean() >= one.score - highest / 255 for one in best)  # the score is the mean of all, below 0 too
    assert best[0].label.startswith("class ") and what.classes[7][0].startswith("class ")
    assert set(what.near(7)) == {"looks", "responses"} and sum(what.histogram(7).counts) == 12
    assert what.histogram(7).counts[0] and len(what.histogram(7).edges) == len(what.histogram(7).counts) - 1
    assert [laid.key for laid in what.layouts] == ["layers", "looks", "responses"]
    done = export(what, tmp_path / "page")
    assert (done.folder / "pictures/blocks.1.mlp.hidden/2.webp").exists() and (done.folder / "units.parquet").exists()
    assert all(fault is None for fault in faults(whole)) and report(whole.address) == 0


def test_a_finished_atlas_is_not_made_again(whole, tmp_path):
    store = copy_of(whole, tmp_path / "copy")
    everything = lambda: {key: store.read(key) for key in store.keys("")}
    before = everything()
    assert work(job(), store) is Status.FINISHED and before == everything()


def test_without_photographs_there_are_pictures_and_few_grades(plain, tmp_path):
    what = contents(plain)
    assert {column.key for column in what.columns} == {"activation", "colour", "clipped", "slope", "pictures"}
    assert what.data is None and not what.exemplars(0) and what.histogram(0) is None
    export(what, tmp_path / "page")


def test_failing_units_are_painted_again_and_the_best_is_chosen(whole):
    table = contents(whole).tables["pictures"].to_pylist()
    tries = {unit: [row for row in table if row["unit"] == unit] for unit in contents(whole).units}
    again = {unit for unit, rows in tries.items() if len(rows) > 1}
    assert again, "four steps on a random network leave weak pictures"
    for rows in tries.values():
        best = max(rows, key=report_cards.merit)
        assert [row["chosen"] for row in rows].count(True) == 1 and best["chosen"]
        assert (len(rows) > 1) == (rows[0]["verdict"] in RETRIED)
        assert all(row["verdict"] in RETRIED for row in rows[:-1])
        assert [row["made"] for row in rows] == ["seed 0", "another seed, 1", "from its best photograph"][: len(rows)]


class Asks(Reporter):
    """Asks a run to stop when an event of a stage comes for the first time."""

    def __init__(self, stage: str, event: str):
        self.wanted, self.stop, self.at = (stage, event), Stop(), ""

    def hear(self, event: str) -> None:
        """An event of the stage that the run is at."""
        if self.at.startswith(self.wanted[0]) and event == self.wanted[1]:
            self.stop.asked.set()

    def begin(self, stage, pictures, meter=None):
        self.at = stage
        self.hear("begins")

    def done(self, pictures):
        self.hear("did some")

    def photographs(self, batches, total):
        self.at = "photographs"
        for batch in batches:
            yield batch
            self.hear("did some")


@pytest.mark.representatives(
    "grading-did some-batches4-6", "photographs-did some-batches0-0", "painting, seed 0-begins-batches1-0"
)
@pytest.mark.parametrize(
    ("stage", "event", "batches", "cards"),
    [
        ("photographs", "did some", [0], 0),
        ("painting, seed 0", "begins", [0], 0),
        ("painting, seed 0", "did some", range(1, 7), 0),  # workers may be ahead of who writes
        ("grading", "begins", [6], 0),
        ("grading", "did some", [6], 6),
        ("painting again", "begins", [6], 6),
    ],
)
def test_a_stopped_atlas_leaves_at_once_and_goes_on(whole, tmp_path, stage, event, batches, cards):
    store, asks = Store(str(tmp_path / "store")), Asks(stage, event)
    assert work(job(), store, asks, asks.stop) is Status.STOPPED
    assert len(store.keys("batches/")) in batches and len(store.keys("cards/")) == cards
    assert store.keys("natural/") and len(store.keys("logs/")) == 1
    assert work(job(), store) is Status.FINISHED and pictures(store) == pictures(whole)


@pytest.mark.exhaustive
def test_an_atlas_by_stages_goes_on_as_it_was_begun(tmp_path):
    recipe = choose(RECIPE, steps=50, stages=(Stage(size=0.5, steps=46), Stage(steps=4, shallow=1)))
    made = job(False, recipe=recipe, units="blocks.0.mlp.hidden:0-3")
    stores = [Store(str(tmp_path / name)) for name in ("whole", "stopped")]
    assert work(made, stores[0]) is Status.FINISHED
    asks = Asks("painting, seed 0", "did some")
    assert work(made, stores[1], asks, asks.stop) is Status.STOPPED
    assert work(made, stores[1]) is Status.FINISHED and pictures(stores[0]) == pictures(stores[1])
    assert contents(stores[0]).recipe["fields"]["stages"][0]["size"] == 0.5
    with pytest.raises(InputError, match=r"recipe\.stages is size: 0.5.* there, none here"):
        work(job(False, recipe=choose(recipe, stages=()), units="blocks.0.mlp.hidden:0-3"), stores[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recipe": choose(RECIPE, steps=5)}, "recipe.steps is 4 there, 5 here"),
        ({"seeds": (1,)}, "seeds is 0 there, 1 here"),
        ({"slots": 3}, "slots is 2 there, 3 here"),
        ({"units": "blocks.0-1.mlp.hidden:0-5"}, "units of blocks.0.mlp.hidden is 0-4 there, 0-5 here"),
        ({"photographs": False}, "data is source: noise.*there, None here"),
    ],
)
def test_another_atlas_is_refused_with_what_differs(whole, change, words):
    with pytest.raises(InputError, match=words) as error:
        work(job(**change), whole)
    assert "--beside" in str(error.value) and "\n" not in str(error.value)


def test_a_store_whose_name_is_no_utf_8_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"caf\\udce9 is no name in UTF-8, which a store's must be"):
        Store(str(tmp_path / os.fsdecode(b"caf\xe9"))).keys("")


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match=r"not empty \(thesis.tex\)"):
        work(job(), Store(str(tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_full_disk_is_one_line_and_loses_nothing(plain, small_disk):
    store = Store(str(small_disk("size=24k")))
    for _ in range(2):
        with pytest.raises(InputError, match="the disk is full") as error:
            work(job(photographs=False), store)
        assert "\n" not in str(error.value)
    small_disk("remount,size=64m")
    assert work(job(photographs=False), store) is Status.FINISHED and pictures(store) == pictures(plain)


def test_a_read_only_store_is_one_line(small_disk):
    folder = small_disk("size=1m")
    small_disk("remount,ro")
    with pytest.raises(InputError, match=r"[Rr]ead-only") as error:
        work(job(), Store(str(folder)))
    assert "\n" not in str(error.value)


def test_a_mistake_does_not_begin_a_store(tmp_path):
    with pytest.raises(InputError, match="has 16 patches"):
        work(job(photographs=False, recipe=choose(RECIPE, tokens="patch 99")), Store(str(tmp_path / "store")))
    assert not (tmp_path / "store").exists()


def test_other_class_names_end_an_atlas_anew(whole, tmp_path):
    store = copy_of(whole, tmp_path / "copy")
    named = nnx.clone(model())
    named.class_names = ClassNames(tuple(f"kind {i}" for i in range(10)))
    assert work(replace(job(), model=named), store) is Status.FINISHED
    assert contents(store).classes[0][0].startswith("kind ") and pictures(store) == pictures(whole)


def test_an_encoder_gives_a_finished_atlas_scores(whole, tmp_path):
    store = copy_of(whole, tmp_path / "copy")
    judge = replace(layout_of(model()), name="colours")
    assert work(job(encoder=judge), store) is Status.FINISHED and pictures(store) == pictures(whole)
    assert finished.ended(store).options["encoder"]["name"] == "colours"
    what = contents(store)
    shown = {column.key: column for column in what.columns}
    assert shown["clarity"].help.endswith("(in the eyes of colours)") and not shown["rise"].help.endswith(")")
    ways = {key: shown[key].better for key in ("above_chance", "clarity", "redundancy", "polysemanticity")}
    assert ways == {"above_chance": "high", "clarity": "high", "redundancy": "low", "polysemanticity": "low"}
    assert all(-0.5 <= value <= 1 for value in shown["clarity"].values)
    units = what.tables["units"].to_pylist()
    assert {row["redundant_with"].rpartition(":")[0] == row["tap"] for row in units} == {True}
    assert "clarity" not in {column.key for column in contents(whole).columns}
    assert all(fault is None for fault in faults(store))


def test_units_are_condensed_and_spread():
    taps = model().taps()
    for sets in (["blocks.1.mlp.hidden:3-9,11"], ["blocks.1.attn.z:0-2.4,7", "logits:0,2"], ["blocks.0.mlp.pre:*"]):
        units = expand(sets, taps)
        assert spread(condense(units)) == units
    assert condense([Unit("logits", (i,)) for i in (0, 1, 2, 5)]) == {"logits": "0-2,5"}


def test_an_unfinished_atlas_has_no_page(tmp_path):
    store = Store(str(tmp_path / "store"))
    with pytest.raises(InputError, match="holds no atlas"):
        contents(store)
    agree(store, job().manifest)
    with pytest.raises(InputError, match="is not finished"):
        contents(store)
    assert json.loads(store.read(manifest.KEY))["seeds"] == [0] and store.read(finished.KEY) is None
