"""Damage to a store is told in one line, never gets onto the page, and is mended by the advice given."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.support.atlas_job import copy_of, flip, flips, job, pictures
from vitjax.atlas.job.work import Status, work
from vitjax.atlas.page.export import export
from vitjax.atlas.page.reader import contents
from vitjax.atlas.records import finished, manifest
from vitjax.atlas.records.photographs import part_at, same_photographs
from vitjax.atlas.records.verify import faults, report
from vitjax.data.files.prints import describe
from vitjax.errors import InputError


def test_a_flipped_byte_is_found_and_mended(whole, tmp_path, capsys):
    store = copy_of(whole, tmp_path / "copy")
    flip(tmp_path / "copy/pictures/seed-0/c/1/0/0/0", 100)
    flip(tmp_path / "copy/tables/units.parquet", 50)
    store.delete("batches/seed-0/000004.json")
    found = [fault for fault in faults(store) if fault]
    assert {fault.key: fault.what == "missing" for fault in found} == {
        "batches/seed-0/000001.json": False,
        "batches/seed-0/000004.json": True,
        "tables/units.parquet": False,
    }
    with pytest.raises(InputError, match=r"batch 1 of pictures/seed-0 .* is damaged.*--verify --repair"):
        series = manifest.read(store).series(manifest.read(store).unit_list)[0]
        series.pictures(store, series.batches[1])
    assert report(store.address, repair=True) == 1
    assert "1 missing, 2 wrong" in capsys.readouterr().out
    assert work(job(), store) is Status.FINISHED
    assert pictures(store) == pictures(whole) and report(store.address) == 0


def test_pictures_that_are_not_those_of_the_record_are_found(whole, tmp_path):
    store = copy_of(whole, tmp_path / "copy")
    series = manifest.read(store).series(manifest.read(store).unit_list)[0]
    series.array(store).write(0, np.zeros((2, 32, 32, 3), np.uint8))  # whole in itself, but another's
    assert [fault.key for fault in faults(store) if fault] == ["batches/seed-0/000000.json"]


@pytest.mark.representatives("a picture file", "a record", "the end")
@pytest.mark.parametrize(
    ("damage", "shown"),
    [
        (lambda copy: (copy / "pictures/seed-0/c/0/0/0/0").unlink(), "batch 0 of seed-0"),
        (lambda copy: (copy / "tables/near.parquet").unlink(), "tables/near.parquet"),
        (lambda copy: (copy / "tables/layouts.json").write_text("[]"), "tables/layouts.json"),
        (lambda copy: (copy / "finished.json").write_text("{}"), "finished.json"),
        (lambda copy: (copy / "batches/seed-0/000000.json").write_text("{}"), "batches/seed-0/000000.json"),
        (lambda copy: (copy / "batches/seed-0/000000.json").unlink(), "batches/seed-0/000000.json"),
    ],
    ids=["a picture file", "a table", "a layout", "the end", "a record", "no record"],
)
def test_nothing_wrong_gets_onto_the_page_and_all_is_mended(whole, tmp_path, damage, shown):
    copy = tmp_path / "copy"
    store = copy_of(whole, copy)
    damage(copy)
    with pytest.raises(InputError, match=shown.replace(".", r"\.")) as error:
        export(contents(store), tmp_path / "page")
    assert "\n" not in str(error.value) and not (tmp_path / "page").exists()
    assert report(store.address, repair=True) == 1 and work(job(), store) is Status.FINISHED
    assert report(store.address) == 0 and pictures(store) == pictures(whole)
    assert contents(store).tables["units"].equals(contents(whole).tables["units"])


@pytest.mark.parametrize("key", ["cards/seed-0/000001.json", "natural/part-0-of-1.npz", "series/retry-seed.json"])
def test_verify_sees_everything(whole, tmp_path, key):
    store = copy_of(whole, tmp_path / "copy")
    flip(tmp_path / "copy" / key, 40)
    assert key in [fault.key for fault in faults(store) if fault]
    (tmp_path / "copy" / key).write_text("")
    store.delete(finished.KEY)
    assert key in [fault.key for fault in faults(store) if fault]
    assert report(store.address, repair=True) == 1 and work(job(), store) is Status.FINISHED
    assert report(store.address) == 0


def test_what_is_missing_from_a_finished_atlas_is_made_by_the_advice_given(whole, tmp_path, capsys):
    store = copy_of(whole, tmp_path / "copy")
    store.delete("batches/seed-0/000000.json")
    assert report(store.address) == 1
    assert "`--verify --repair` forgets what is wrong; then the same command again" in capsys.readouterr().out
    assert report(store.address, repair=True) == 1 and "run the same `vitjax atlas`" in capsys.readouterr().out
    assert work(job(), store) is Status.FINISHED and report(store.address) == 0


def test_strange_files_in_a_store_do_no_harm(plain, tmp_path):
    store = copy_of(plain, tmp_path / "copy")
    for name in (".DS_Store", "batches/seed-0/000001 (copy).json", "series/retry-seed.json.orig", "logs/x.json"):
        (tmp_path / "copy" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "copy" / name).write_text("")
    store.delete(finished.KEY)
    assert work(job(photographs=False), store) is Status.FINISHED and report(store.address) == 0


def test_what_photographs_said_may_be_damaged_in_any_way(whole, tmp_path):
    store, key = copy_of(whole, tmp_path / "copy"), "natural/part-0-of-1.npz"
    data = store.read(key)
    store.delete(finished.KEY)  # whose checksum would tell all of it
    told = 0
    for broken in [*flips(data, 40), data[:-20], data[:100], b"PK", json.dumps([]).encode()]:
        store.write(key, broken)
        part = part_at(store, key)
        told += part is None
        same_photographs(store, job().data.images)
    assert told > 30
    store.write(key, b"")
    wanted = job()
    images = replace(wanted.data.images, read=lambda number: b"another")
    about = replace(wanted.manifest, data=describe(images))
    with pytest.raises(InputError, match=r"data\.content is .* there, .* here"):  # which of them, nobody knows any more
        work(replace(wanted, data=replace(wanted.data, images=images), manifest=about), store)
