"""Damaged JSON of an atlas's store: what is read is what was written, or one line with a way out that works."""

import json
import math
import os
from dataclasses import asdict

import pytest

from tests.support.atlas_job import flips, job
from vitjax.atlas.records import manifest
from vitjax.atlas.records.agreement import agree, compare
from vitjax.atlas.records.condensed import spread
from vitjax.atlas.records.log import Log, totals
from vitjax.atlas.records.verify import report
from vitjax.atlas.store.claim import Held, claimed
from vitjax.atlas.store.sealed import SEAL, seal, unseal
from vitjax.atlas.store.store import Store
from vitjax.errors import InputError

FLIPS = 150
NO_JSON = ["", "{", "{}", "[]", "null", "1", '"a"', "[" * 10**5, '{"a":' * 10**5, "\udcff", "9" * 10**5]


@pytest.fixture
def store(tmp_path) -> Store:
    """A store in which an atlas was begun."""
    store = Store(str(tmp_path / "store"))
    agree(store, job().manifest)
    return store


def one_line(error: pytest.ExceptionInfo) -> str:
    """The message of an error, which is one line of a sane length."""
    said = str(error.value)
    assert "\n" not in said and len(said) < 1000
    return said


def test_what_is_sealed_comes_back():
    value = {"a": [1, 2.5, None, True], "b": {"c": "\udcff é\u2028"}, "odd": {1: (2,)}}
    assert unseal(seal(value), "x") == {"a": value["a"], "b": value["b"], "odd": {"1": [2]}}
    numbers = unseal(seal({"a": [math.nan, math.inf, -0.0, 1e-320]}), "x", dict[str, list[float]])["a"]
    assert math.isnan(numbers[0]) and numbers[1:] == [math.inf, -0.0, 1e-320]
    assert unseal(seal(value, indent=1), "x") == unseal(seal(value), "x")


@pytest.mark.parametrize("other", [b'{"a": 2, "checksum": "0"}', b'{"a": 1, "checksum": 7}', seal({"a": 1})[:-3]])
def test_what_was_not_sealed_does_not(other):
    with pytest.raises(InputError, match=r"^x "):
        unseal(other, "x")
    assert unseal(b'{"a": 2}', "x") == {"a": 2}  # as older versions wrote it


def test_a_flipped_bit_in_the_manifest_is_mended_from_its_copy(store, capsys):
    data, meant = store.read(manifest.KEY), manifest.read(store)
    told = 0
    for broken in flips(data, FLIPS):
        store.write(manifest.KEY, broken)
        try:
            assert manifest.read(store) == meant  # a bit of the layout, or the checksum's name
            continue
        except InputError as error:
            assert str(error).startswith("manifest.json in ") and "\n" not in str(error)
            assert "--verify --repair` mends it from its copy" in str(error)
            told += 1
        if told == 1:
            assert report(store.address) == 1 and "manifest.json: damaged" in capsys.readouterr().out
        assert report(store.address, repair=True) == 1  # of an atlas that is only begun
        assert store.read(manifest.KEY) == data
    assert told > FLIPS / 2 and not compare(store, job().manifest)


def test_a_manifest_that_is_gone_or_whose_copy_is_damaged(store, capsys):
    data = store.read(manifest.KEY)
    store.delete(manifest.KEY)
    with pytest.raises(InputError, match=r"it is missing; .* mends it from its copy") as error:
        compare(store, job().manifest)
    one_line(error)
    report(store.address, repair=True)
    assert store.read(manifest.KEY) == data
    store.write(manifest.COPY, data[:-9])
    assert report(store.address, repair=True) == 1
    assert "manifest.copy.json: is not what it is a copy of" in capsys.readouterr().out
    assert store.read(manifest.COPY) == data
    store.delete(manifest.COPY)  # as in stores of older versions
    agree(store, job().manifest)
    assert store.read(manifest.COPY) == data


@pytest.mark.parametrize("text", NO_JSON)
def test_without_manifest_and_copy_the_way_out_is_another_place(store, text, tmp_path):
    for key in (manifest.KEY, manifest.COPY):
        store.write(key, text.encode(errors="surrogateescape"))
    for reading in (manifest.read, lambda store: compare(store, job().manifest), lambda s: report(s.address)):
        with pytest.raises(InputError, match=r"manifest.json in .* is damaged: .*choose another --out") as error:
            reading(store)
        one_line(error)
    other = Store(str(tmp_path / "other"))
    agree(other, job().manifest)
    assert manifest.read(other) == job().manifest


CHANGES = {
    "recipe": [{"steps": 4, "stepz": 4}, {"steps": "many"}, {"color": "blue"}, 7],
    "units": [{"a": "0-"}, {"a": "3-999999999"}, {"a": ""}, {"a": "0.1,2"}, {"a": 5}, ["a"]],
    "image_size": [[32], [32, 0], [32, 10**9], "32"],
    "seeds": [[], [-1], [2**32], ["0"]],
    "slots": [-1, 10**12, 1.5],
    "made": [None, {"jax": 1}],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in CHANGES.items() for value in values])
def test_every_field_of_a_manifest_has_its_type(store, field, value):
    known = manifest.described(store)
    for key in (manifest.KEY, manifest.COPY):
        store.write(key, json.dumps(known | {field: value}).encode())  # without a checksum
    with pytest.raises(InputError, match=r"manifest.json in .* is damaged") as error:
        manifest.read(store)
    one_line(error)


def test_another_schema_is_named(store):
    store.write_json(manifest.KEY, manifest.described(store) | {"schema": 2})
    with pytest.raises(InputError, match="has schema 2, this version of vitjax reads and writes 1"):
        manifest.read(store)


def test_damaged_logs_stop_nobody(store):
    Log((0, 1), devices=2, pictures=3).write(store)
    seen = totals(store)
    assert seen.pictures == 3
    for i, text in enumerate([*NO_JSON, '{"wall": "long"}', '{"wall": 1, "looping": 1, "devices": [], "pictures": 1}']):
        store.write(f"logs/{i}.json", text.encode(errors="surrogateescape"))
    assert totals(store) == seen


def test_a_damaged_claim_holds_nothing(store, monkeypatch):
    monkeypatch.setattr(Store, "folder", None)  # as if it lay elsewhere, where a claim is a note
    monkeypatch.setattr("time.sleep", lambda _: None)
    with claimed(store, "0-of-1"), pytest.raises(Held, match="is at work on this atlas"), claimed(store, "0-of-1"):
        pass
    assert not store.keys("claims/")
    note = {"owner": "x", "host": "h", "process": 1, "renewed": 1e300}  # and never by a clock that is centuries ahead
    for text in [*NO_JSON, json.dumps(note)]:
        store.write("claims/0-of-1.json", text.encode(errors="surrogateescape"))
        with claimed(store, "0-of-1"):
            pass
        assert not store.keys("claims/")


def test_what_is_no_file_is_not_waited_for(store):
    os.mkfifo(store.folder / "finished.json")
    with pytest.raises(InputError, match=r"finished.json in .* is a pipe, socket or device") as error:
        store.read("finished.json")
    one_line(error)
    (store.folder / os.fsdecode(b"logs-\xff")).write_text("")
    assert store.keys("") == ["finished.json", manifest.COPY, manifest.KEY]


def test_units_are_those_of_the_manifest(store):
    units = manifest.read(store).unit_list
    assert spread(asdict(job().manifest)["units"]) == units and len(units) == 10
    assert SEAL in json.loads(store.read(manifest.KEY))
