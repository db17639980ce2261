"""JSON in a store that is damaged, foreign or of an older version is read as what was written, or told."""

import hashlib
import json

import pytest

from tests.support.atlas_job import copy_of, flips, job
from vitjax.atlas.job.work import Status, work
from vitjax.atlas.page.reader import contents
from vitjax.atlas.records import finished, manifest, report_cards, retries
from vitjax.atlas.records.verify import faults, report
from vitjax.atlas.store.sealed import SEAL
from vitjax.atlas.store.store import Store
from vitjax.errors import InputError


def first_series(store: Store):
    return manifest.read(store).series(manifest.read(store).unit_list)[0]


READ = {
    "batches/seed-0/000000.json": lambda store, key: first_series(store).record(store, first_series(store).batches[0]),
    "cards/seed-0/000001.json": lambda store, key: report_cards.of_batch(
        store, one := first_series(store), one.batches[1]
    ),
    "series/retry-seed.json": lambda store, key: retries.begun_under(store, key, manifest.read(store)),
    "finished.json": lambda store, key: finished.ended(store),
    "tables/layouts.json": lambda store, key: [laid.cells.tolist() for laid in contents(store).layouts],
}


@pytest.mark.parametrize("key", READ)
def test_a_flipped_bit_in_json_is_told_in_one_line_and_never_read(whole, tmp_path, key):
    store = copy_of(whole, tmp_path / "copy")
    data, meant, told = store.read(key), repr(READ[key](store, key)), 0
    for broken in flips(data, 40):
        store.write(key, broken)
        try:
            assert repr(READ[key](store, key)) == meant
        except InputError as error:
            assert key in str(error) and "\n" not in str(error) and "--verify --repair` forgets it" in str(error)
            told += 1
    assert told > 20


@pytest.mark.parametrize("key", [*READ, "logs/x.json", "claims/x.json"])
def test_whatever_stands_in_json_there_is_no_traceback(whole, tmp_path, key):
    store = copy_of(whole, tmp_path / "copy")
    for text in ("{}", "[" * 10**5):
        store.write(key, text.encode())
        for attempt in (lambda: list(faults(store)), lambda: contents(store), lambda: work(job(), store)):
            try:
                attempt()
            except InputError as error:
                assert key in str(error) and "\n" not in str(error)


def test_a_store_of_an_older_version_is_read(whole, tmp_path, capsys):
    store, text = copy_of(whole, tmp_path / "copy"), lambda value: json.dumps(value, indent=1).encode()
    store.delete(manifest.COPY)
    for key in [key for key in store.keys("") if key.endswith(".json") and key != finished.KEY]:
        value = json.loads(store.read(key))
        if SEAL in value:
            value.pop(SEAL)
            store.write(key, text(value.get("cards", value.get("layouts", value))))
    end = json.loads(store.read(finished.KEY))
    del end[SEAL]
    end["sha256"] = {key: hashlib.sha256(store.read(key)).hexdigest() for key in end["sha256"]}
    store.write(finished.KEY, text(end))
    assert report(store.address) == 0 and work(job(), store) is Status.FINISHED
    old, new = contents(store), contents(whole)
    assert old.tables["units"].equals(new.tables["units"]) and old.columns[0].values == new.columns[0].values
    assert [laid.cells.tolist() for laid in old.layouts] == [laid.cells.tolist() for laid in new.layouts]
    store.write(manifest.KEY, store.read(manifest.KEY).replace(b'"steps": 4', b'"steps": 5'))
    store.delete(manifest.COPY)  # it had none when it was damaged
    assert report(store.address, repair=True) == 1 and "choose another --out" in capsys.readouterr().out


def test_damaged_json_is_one_line(whole, tmp_path):
    store = copy_of(whole, tmp_path / "copy")
    for text in ("{", "[]", '{"schema": 1}'):
        (tmp_path / "copy/manifest.json").write_text(text)
        with pytest.raises(InputError, match=r"manifest.json in .* is damaged"):
            work(job(), store)
