"""The atlas as a job: finished, resumed after every kind of end, shared by hosts, verified; small random models."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flax import nnx

from tests.atlas.test_sealed import flips
from tests.conftest import ROOT
from tests.support import small
from tests.support.atlas_job import PLAIN, RECIPE, UNITS, job
from vitjax.atlas.job import cards, care, finish
from vitjax.atlas.job.work import Status, work
from vitjax.atlas.page.export import export
from vitjax.atlas.store import manifest
from vitjax.atlas.store.condensed import condense, spread
from vitjax.atlas.store.reader import contents
from vitjax.atlas.store.sealed import SEAL
from vitjax.atlas.store.store import Store
from vitjax.atlas.store.verify import faults, report
from vitjax.errors import InputError
from vitjax.models.core.class_names import ClassNames
from vitjax.optimize.recipes import choose
from vitjax.units.units import Unit, expand


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Store:
    """An atlas that was made in one go."""
    store = Store(str(tmp_path_factory.mktemp("atlas") / "whole"))
    assert work(job(), store) is Status.FINISHED
    return store


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Store:
    """One without photographs."""
    store = Store(str(tmp_path_factory.mktemp("atlas") / "plain"))
    assert work(job(photographs=False), store) is Status.FINISHED
    return store


def start(store: Path | str, *arguments: str, devices: int = 1, **options) -> subprocess.Popen:
    """The job in a process of its own."""
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)}
    command = [sys.executable, "-W", "error", "-m", "tests.support.atlas_job", str(store), *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
    )


def ended(process: subprocess.Popen) -> tuple[int, str]:
    """The exit code and the last line of a job."""
    out = process.communicate(timeout=300)[0]
    return process.returncode, out.strip().rpartition("\n")[2]


def pictures(store: Store) -> dict[str, list[str]]:
    """The checksums of all batches' pictures, as they are in the store now."""
    about = manifest.read(store)
    found = {}
    for series in [*about.series(about.unit_list), *care.begun(store, about)]:
        for batch in series.batches:
            images, _ = series.pictures(store, batch)
            found[f"{series.key} {batch.number}"] = hashlib.sha256(images.tobytes()).hexdigest()
    return found


def test_a_finished_atlas_has_everything(whole, tmp_path):
    what = contents(whole)
    assert list(what.units) == [str(unit) for unit in expand(UNITS, small.model().taps())]
    assert {"verdict", "rise", "photos_active"} <= {column.key for column in what.columns}
    shown = what.pictures(7)
    assert shown[0].image.shape == (32, 32, 3) and sum(picture.chosen for picture in shown) == 1
    best = what.exemplars(7)
    assert [one.score for one in best] == sorted((one.score for one in best), reverse=True) and len(best) == 3
    assert best[0].map.shape == (4, 4) and {best[0].map.min(), best[0].map.max()} == {0, 255}
    assert best[0].label.startswith("class ") and what.classes[7][0].startswith("class ")
    assert set(what.near(7)) == {"looks", "responses"} and sum(what.histogram(7).counts) == 12
    assert what.histogram(7).counts[0] and len(what.histogram(7).edges) == len(what.histogram(7).counts) - 1
    assert [laid.key for laid in what.layouts] == ["layers", "looks", "responses"]
    done = export(what, tmp_path / "page")
    assert (done.folder / "pictures/blocks.2.mlp.hidden/2.webp").exists() and (done.folder / "units.parquet").exists()
    assert all(fault is None for fault in faults(whole)) and report(whole.address) == 0


def test_a_finished_atlas_is_not_made_again(whole):
    everything = lambda: {key: whole.read(key) for key in whole.keys("")}
    before = everything()
    assert work(job(), whole) is Status.FINISHED and before == everything()


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
        best = max(rows, key=cards.merit)
        assert [row["chosen"] for row in rows].count(True) == 1 and best["chosen"]
        assert (len(rows) > 1) == (rows[0]["verdict"] in care.RETRIED)
        assert all(row["verdict"] in care.RETRIED for row in rows[:-1])
        assert [row["made"] for row in rows] == ["seed 0", "another seed, 1", "from its best photograph"][: len(rows)]


@pytest.mark.parametrize(
    ("what", "times"), [("pictures", 2), ("record", 2)], ids=["before a record", "between batches"]
)
def test_a_job_killed_while_painting_goes_on_and_gives_the_same(plain, tmp_path, what, times):
    store = Store(str(tmp_path / "killed"))
    assert ended(start(store.address, PLAIN, "--die", what, str(times)))[0] == -signal.SIGKILL
    there = {key: store.read(key) for key in store.keys("batches/")}
    assert len(there) == {"pictures": 1, "record": 1}[what]
    assert work(job(photographs=False), store) is Status.FINISHED
    assert all(store.read(key) == record for key, record in there.items()) and pictures(store) == pictures(plain)


def test_a_job_killed_while_grading_goes_on_and_gives_the_same(whole, tmp_path):
    store = Store(str(tmp_path / "killed"))
    assert ended(start(store.address, "--die", "card", "4"))[0] == -signal.SIGKILL
    assert len(store.keys("cards/")) == 4 and not store.read(finish.KEY)
    assert work(job(), store) is Status.FINISHED and pictures(store) == pictures(whole)
    for name in ("units", "exemplars", "near"):
        assert store.read(f"tables/{name}.parquet") == whole.read(f"tables/{name}.parquet"), name


def test_sigterm_finishes_the_batch_and_says_so(plain, tmp_path):
    process = start(tmp_path / "store", PLAIN, "--slow")
    assert process.stdout.readline() == "batch\n"
    process.send_signal(signal.SIGTERM)
    process.stdin.write("\n" * 20)
    process.stdin.flush()
    assert ended(process) == (75, "STOPPED")
    store = Store(str(tmp_path / "store"))
    done = len(store.keys("batches/"))
    assert 1 <= done < 6 and all(fault is None or fault.what == "missing" for fault in faults(store))
    assert work(job(photographs=False), store) is Status.FINISHED and pictures(store) == pictures(plain)


def test_two_processes_on_one_store_by_mistake(tmp_path):
    first, store = start(tmp_path / "store", PLAIN, "--slow"), Store(str(tmp_path / "store"))
    first.stdout.readline()
    with pytest.raises(InputError, match=r"another process is at work on this atlas .*--shard"):
        work(job(photographs=False), store)
    first.kill()
    first.communicate()
    assert work(job(photographs=False), store) is Status.FINISHED


def test_two_hosts_share_the_plan_and_the_store(whole, tmp_path):
    port = 29000 + os.getpid() % 20000
    hosts = [
        start(tmp_path / "store", "--shard", str(i), "2", "--coordinator", f"127.0.0.1:{port}", devices=2)
        for i in range(2)
    ]
    lines = {ended(host) for host in hosts}
    assert lines <= {(0, "FINISHED"), (0, "WAITING")} and (0, "FINISHED") in lines
    store = Store(str(tmp_path / "store"))
    assert pictures(store) == pictures(whole)
    records = [store.read_json(key) for key in store.keys("batches/seed-0/")]
    units = [unit for record in records for unit in record["units"]]
    assert len(units) == len(set(units)) == 10
    logs = [store.read_json(key) for key in store.keys("logs/")]
    assert {tuple(log["shard"]) for log in logs} == {(0, 2), (1, 2)} and {log["devices"] for log in logs} == {2}
    assert all({"photographs", "painting, seed 0"} <= log["stages"].keys() for log in logs)
    assert all(sum(log["stages"].values()) == pytest.approx(log["wall"]) for log in logs)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recipe": choose(RECIPE, steps=5)}, "recipe.steps is 4 there, 5 here"),
        ({"seeds": (1,)}, "seeds is 0 there, 1 here"),
        ({"slots": 3}, "slots is 2 there, 3 here"),
        ({"units": "blocks.1-2.mlp.hidden:0-5"}, "units of blocks.1.mlp.hidden is 0-4 there, 0-5 here"),
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


@pytest.fixture
def small_disk(tmp_path):
    """A function (size) -> folder on a file system of its own, which can be made larger or read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str) -> Path:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
        return folder

    yield mount
    while os.path.ismount(folder):
        subprocess.run(["umount", folder], check=True)


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


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def copy_of(store: Store, folder: Path) -> Store:
    for key in store.keys(""):
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(store.read(key))
    return Store(str(folder))


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
    store.delete(finish.KEY)
    assert key in [fault.key for fault in faults(store) if fault]
    assert report(store.address, repair=True) == 1 and work(job(), store) is Status.FINISHED
    assert report(store.address) == 0


def first_series(store: Store):
    return manifest.read(store).series(manifest.read(store).unit_list)[0]


READ = {
    "batches/seed-0/000000.json": lambda store, key: first_series(store).record(store, first_series(store).batches[0]),
    "cards/seed-0/000001.json": lambda store, key: cards.of_batch(store, one := first_series(store), one.batches[1]),
    "series/retry-seed.json": lambda store, key: care.begun_under(store, key, manifest.read(store)),
    "finished.json": lambda store, key: finish.ended(store),
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
    for key in [key for key in store.keys("") if key.endswith(".json") and key != finish.KEY]:
        value = json.loads(store.read(key))
        if SEAL in value:
            value.pop(SEAL)
            store.write(key, text(value.get("cards", value.get("layouts", value))))
    end = json.loads(store.read(finish.KEY))
    del end[SEAL]
    end["sha256"] = {key: hashlib.sha256(store.read(key)).hexdigest() for key in end["sha256"]}
    store.write(finish.KEY, text(end))
    assert report(store.address) == 0 and work(job(), store) is Status.FINISHED
    old, new = contents(store), contents(whole)
    assert old.tables["units"].equals(new.tables["units"]) and old.columns[0].values == new.columns[0].values
    assert [laid.cells.tolist() for laid in old.layouts] == [laid.cells.tolist() for laid in new.layouts]
    store.write(manifest.KEY, store.read(manifest.KEY).replace(b'"steps": 4', b'"steps": 5'))
    store.delete(manifest.COPY)  # it had none when it was damaged
    assert report(store.address, repair=True) == 1 and "choose another --out" in capsys.readouterr().out


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
    store.delete(finish.KEY)
    assert work(job(photographs=False), store) is Status.FINISHED and report(store.address) == 0


def test_a_mistake_does_not_begin_a_store(tmp_path):
    with pytest.raises(InputError, match="has 16 patches"):
        work(job(photographs=False, recipe=choose(RECIPE, tokens="patch 99")), Store(str(tmp_path / "store")))
    assert not (tmp_path / "store").exists()


def test_other_class_names_end_an_atlas_anew(whole, tmp_path):
    store = copy_of(whole, tmp_path / "copy")
    named = nnx.clone(small.model())
    named.class_names = ClassNames(tuple(f"kind {i}" for i in range(10)))
    assert work(replace(job(), model=named), store) is Status.FINISHED
    assert contents(store).classes[0][0].startswith("kind ") and pictures(store) == pictures(whole)


def test_damaged_json_is_one_line(whole, tmp_path):
    store = copy_of(whole, tmp_path / "copy")
    for text in ("{", "[]", '{"schema": 1}'):
        (tmp_path / "copy/manifest.json").write_text(text)
        with pytest.raises(InputError, match=r"manifest.json in .* is damaged"):
            work(job(), store)


def test_units_are_condensed_and_spread():
    taps = small.model().taps()
    for sets in (["blocks.1.mlp.hidden:3-9,11"], ["blocks.1.attn.z:0-2.4,7", "logits:0,2"], ["blocks.0.mlp.pre:*"]):
        units = expand(sets, taps)
        assert spread(condense(units)) == units
    assert condense([Unit("logits", (i,)) for i in (0, 1, 2, 5)]) == {"logits": "0-2,5"}


def test_a_store_on_s3(monkeypatch):
    server = pytest.importorskip("moto.server", reason="moto, the stand-in for S3, is not installed")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    standing = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    standing.start()
    try:
        host, port = standing.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        subprocess.run(["curl", "-sfX", "PUT", f"http://{host}:{port}/bucket"], check=True)
        store = Store("s3://bucket/atlases/one")
        assert work(job(units="blocks.1.mlp.hidden:0-2"), store) is Status.FINISHED
        assert all(fault is None for fault in faults(store)) and not store.keys("claims/")
        assert len(contents(store).pictures(1)) >= 1 and store.keys("natural/")
        with pytest.raises(InputError, match="NoSuchBucket"):
            work(job(), Store("s3://nowhere/one"))
    finally:
        standing.stop()


def test_an_unfinished_atlas_has_no_page(tmp_path):
    store = Store(str(tmp_path / "store"))
    with pytest.raises(InputError, match="holds no atlas"):
        contents(store)
    manifest.agree(store, job().manifest)
    with pytest.raises(InputError, match="is not finished"):
        contents(store)
    assert json.loads(store.read(manifest.KEY))["seeds"] == [0] and store.read(finish.KEY) is None
