"""Atlases of activations: cells as units of one job, in a store that goes on wherever it was stopped."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support import noise, small
from tests.support.atlas_job import RECIPE, copy_of, model
from tests.support.atlas_job import job as units_job
from vitjax.analysis.activations.attributed import Readout
from vitjax.atlas.job import survey
from vitjax.atlas.job.job import Job
from vitjax.atlas.job.progress import Reporter
from vitjax.atlas.job.survey import Asked, surveyed
from vitjax.atlas.job.work import Status, work
from vitjax.atlas.page.export import export
from vitjax.atlas.page.reader import contents
from vitjax.atlas.records import manifest
from vitjax.atlas.records.agreement import agree
from vitjax.atlas.records.verify import faults
from vitjax.atlas.store.store import Store
from vitjax.errors import InputError, Stopped
from vitjax.stop import Stop

ASKED = Asked(("blocks.1.resid_post",), per_image=3, layout="pca", grid=2, threshold=4)
READOUT = Readout([f"class {i}" for i in range(small.CONFIG.classes)])


def data(shard=(0, 1)):
    return replace(noise.dataset(12, 4), shard=shard)


def found(store, shard=(0, 1), asked=ASKED, patience=0.0, stop=None, readout=READOUT):
    how = {"report": Reporter(), "stop": stop or Stop(), "patience": patience}
    return surveyed(store, model(), data(shard), asked, readout, **how)


def job(cells, **changes) -> Job:
    """The atlas of the cells, without photographs."""
    with_cells = model().with_dictionary(*cells.cells)
    about = manifest.manifest(with_cells, cells.units, RECIPE, (0,), 4, None, 3)
    return Job(with_cells, cells.units, about, None, **changes)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished atlas of activations; to be read, or copied."""
    store = Store(str(tmp_path_factory.mktemp("activations") / "atlas"))
    assert work(job(found(store)), store) is Status.FINISHED
    return store


def test_cells_are_units_of_one_atlas(made, tmp_path):
    what, cells = contents(made), found(made)
    assert list(what.units) == [str(unit) for unit in cells.units]
    assert what.layouts[0].key == "activations" and len(what.layouts[0].bands) == 1
    table = what.tables["cells"].to_pylist()
    for row in table:
        layer = cells.layers[row["tap"]]
        assert row["samples"] == layer.counts[row["row"], row["column"]] > ASKED.threshold
        assert row["adds"] == sorted(row["adds"], reverse=True) and len(set(row["names"])) == 5
    assert {column.key for column in what.columns} >= {"samples", "activation"}
    export(what, tmp_path / "page")
    assert (tmp_path / "page/pictures/blocks.1.resid_post.cells/0.webp").exists()
    assert (tmp_path / "page/data/activations-0.js").exists() and (tmp_path / "page/cells.parquet").exists()
    assert all(fault is None for fault in faults(made))


def test_the_layout_is_part_of_the_store(made, monkeypatch):
    """Where the layout would not come out again, as UMAP's on another machine, the same command goes on."""
    before = found(made)
    monkeypatch.setattr(survey, "gathered", None)
    again = found(made)
    for tap, layer in again.layers.items():
        assert np.array_equal(layer.points, before.layers[tap].points) and len(layer.points) == 36
        assert layer.counts.sum() == 36 and np.array_equal(
            layer.cell[layer.cell >= 0] >= 0, layer.cell[layer.cell >= 0] >= 0
        )
    assert work(job(again), made) is Status.FINISHED


def test_hosts_share_the_samples_and_find_the_same_cells(made, tmp_path):
    store = Store(str(tmp_path / "atlas"))
    assert found(store, (1, 2)) is None  # the other has no samples yet
    cells = found(store, (0, 2))
    assert cells is not None and found(store, (1, 2)) is not None
    whole = contents(made).tables["cells"].to_pylist()
    work(job(cells, shard=(1, 2)), store)
    assert work(job(cells, shard=(0, 2)), store) is Status.FINISHED
    shared = contents(store).tables["cells"].to_pylist()
    for one, other in zip(whole, shared, strict=True):
        assert (one["unit"], one["samples"], one["names"]) == (other["unit"], other["samples"], other["names"])
        np.testing.assert_allclose(one["adds"], other["adds"], rtol=1e-4, atol=1e-6)


def test_samples_that_were_stopped_go_on(made, tmp_path):
    store, stop = Store(str(tmp_path / "atlas")), Stop()
    stop.asked.set()
    with pytest.raises(Stopped):
        found(store, stop=stop)
    part = survey.activation_map.read_sample(store, (0, 1), _settings(ASKED))
    assert part.done == 1 and not part.complete
    cells = found(store)
    for tap, layer in found(made).layers.items():
        np.testing.assert_array_equal(cells.layers[tap].token, layer.token)
        np.testing.assert_allclose(cells.layers[tap].means, layer.means, rtol=1e-5, atol=1e-6)


def _settings(asked):
    return survey.settings_of(model(), data(), asked, READOUT)


def test_another_atlas_is_refused_by_what_differs(made, tmp_path):
    with pytest.raises(InputError, match=r"asked.per_image is 3 there, 2 here"):
        found(made, asked=replace(ASKED, per_image=2))
    agree(units := Store(str(tmp_path / "units")), units_job(photographs=False).manifest)
    with pytest.raises(InputError, match="holds an atlas of units"):
        found(units)
    with pytest.raises(InputError, match=r"no cell of blocks.1.resid_post has more than 90 of the 36 samples"):
        survey.gathered(_sample(made), "blocks.1.resid_post", layout="pca", grid=2, threshold=90, ridge=0.01)
    for wrong, said in (({"taps": ["blocks.1.attn.z"]}, "attn.z has the axes"), ({"per_image": 17}, "has 16")):
        with pytest.raises(InputError, match=said):
            replace(ASKED, **wrong).checked(model())


def _sample(store):
    return survey.activation_map.read_sample(store, (0, 1), _settings(ASKED))


def test_a_damaged_map_is_found_and_made_again(made, tmp_path):
    store = copy_of(made, tmp_path / "copy")
    store.write("activations/map.npz", b"no zip")
    assert [fault.key for fault in faults(store) if fault] == ["activations/map.npz"]
    with pytest.raises(InputError, match=r"activations/map.npz in .* is damaged"):
        found(store)
    store.delete("activations/map.npz"), store.delete("finished.json")
    assert work(job(found(store)), store) is Status.FINISHED  # by a layout that comes out again
