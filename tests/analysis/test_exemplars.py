"""Exemplars: counted right, the same whatever the batches, shards, devices and hosts, and resumable."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import reduce
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

from tests.support.small import CONFIG, model, read
from vitjax.analysis.photographs import exemplars as module
from vitjax.analysis.photographs import wide as in_parts_of
from vitjax.analysis.photographs.exemplar_tables import run
from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.analysis.photographs.natural import QUANTILES, Natural
from vitjax.analysis.photographs.tally import DIGIT, NOWHERE, Tally, add, counted, edges, empty, merge
from vitjax.cli import main
from vitjax.data.dataset import Dataset, open_dataset
from vitjax.data.files.prints import Changed
from vitjax.data.pipeline import pixels
from vitjax.data.placement import patch_box
from vitjax.errors import InputError
from vitjax.models.dictionaries.dictionary import Dictionary
from vitjax.models.dictionaries.form import Form

TAPS = ["blocks.1.mlp.hidden", "blocks.2.attn.z", "logits"]
ROOT = Path(__file__).resolve().parents[2]


def tallied(values: np.ndarray, size: int, part: int = 0, parts: int = 1, k: int = 4) -> Tally:
    """The tally of every `parts`-th image of `values` [image, token, unit], in batches of `size`."""
    places = np.arange(part, len(values), parts)
    places = np.pad(places, (0, -len(places) % size), constant_values=-1)
    tally = empty(values.shape[2], k, len(values))
    for some in places.reshape(-1, size):
        tally = jax.jit(add)(tally, values[some], some, some)
    return tally


@pytest.fixture
def photos(tmp_path) -> Path:
    """A folder of 21 random images, the last three copies of the first, of a size that is resized and cropped."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(18):
        pixels = rng.integers(0, 256, (5, 7, 3), np.uint8)
        Image.fromarray(pixels).resize((56, 40), Image.Resampling.BICUBIC).save(folder / f"{i:02}.png")
    for i in range(18, 21):
        (folder / f"{i}.png").write_bytes((folder / "00.png").read_bytes())
    return folder


def dataset(photos: Path, batch: int = 4, **more) -> Dataset:
    """The photos as the small model sees them."""
    return open_dataset(photos, CONFIG, batch=batch, **more)


def test_a_tally_counts_what_numpy_counts():
    values = np.random.default_rng(1).normal(size=(50, 6, 5)).astype(np.float32)
    tally, score = tallied(values, 7), values.mean(axis=1)
    order = np.argsort(-score, axis=0, kind="stable")[:4].T
    assert np.array_equal(tally.place, order)
    np.testing.assert_allclose(tally.score, np.take_along_axis(score.T, order, axis=1), rtol=1e-6)
    assert np.array_equal(tally.patch, np.take_along_axis(values.argmax(axis=1).T, order, axis=1))
    assert np.array_equal(tally.peak, np.take_along_axis(values.max(axis=1).T, order, axis=1))
    assert np.array_equal(counted(tally.active), (values > 0).sum(axis=(0, 1)))
    np.testing.assert_allclose(tally.mean, score.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(tally.squares, score.var(axis=0) * 50, rtol=1e-5)
    np.testing.assert_allclose(tally.sample, score, rtol=1e-6)
    assert np.array_equal(tally.sample_patch, values.argmax(axis=1))
    assert np.array_equal(tally.histogram[2], np.histogram(score[:, 2], [-np.inf, *edges(), np.inf])[0])


@pytest.mark.parametrize(("parts", "size"), [(1, 3), (3, 4), (8, 5)])
def test_merged_shards_are_one_pass_and_ties_keep_their_order(parts, size):
    values = np.random.default_rng(2).integers(-2, 3, (60, 4, 9)).astype(np.float32)  # whole numbers: many ties
    one = merge([tallied(values, 60)])
    several = reduce(lambda a, b: merge([b, a]), (tallied(values, size, i, parts) for i in range(parts)))
    for name in ("score", "place", "patch", "peak", "images", "active", "histogram", "sample", "sample_patch"):
        assert np.array_equal(getattr(one, name), getattr(several, name)), name
    for name in ("mean", "squares", "positive", "positive_squares"):
        np.testing.assert_allclose(getattr(one, name), getattr(several, name), rtol=1e-5, atol=1e-5)
    assert (np.diff(one.score) == 0).any(), "no ties were tried"
    tied = np.diff(one.score) == 0
    assert (np.diff(one.place)[tied] > 0).all()


def test_fewer_images_than_asked_leave_gaps_that_say_so():
    values = np.ones((2, 3, 1), np.float32)
    natural = Natural("logits", (1,), range(3), merge([tallied(values, 4, k=5)]), np.arange(2))
    assert natural.place.tolist() == [[0, 1, -1, -1, -1]]
    assert natural.tally.place[0, 2] == NOWHERE and natural.score[0, 2] == -np.inf


def test_sparseness_goes_from_all_the_same_to_one_alone():
    values = np.zeros((10, 1, 3), np.float32)
    values[:, 0, 0], values[4, 0, 1] = 2.0, 3.0
    natural = Natural("logits", (3,), range(1), merge([tallied(values, 5)]), np.arange(10))
    assert natural.sparseness[:2] == pytest.approx([0, 1], abs=1e-6) and np.isnan(natural.sparseness[2])


def test_quantiles_are_order_statistics():
    values = np.random.default_rng(3).permutation(101).astype(np.float32)[:, None, None]
    natural = Natural("logits", (1,), range(1), merge([tallied(values, 101)]), np.arange(101))
    place, score, _ = natural.quantiles()
    assert score[:, 0] == pytest.approx(100 * np.array(QUANTILES))
    assert np.array_equal(values[place[:, 0], 0, 0], score[:, 0])


def test_the_best_images_are_those_of_the_model(photos):
    data = dataset(photos)
    found = exemplars(model(), data, TAPS, k=3)
    acts = read(model(), pixels(data.images, range(21), CONFIG) / np.float32(255), reads=tuple(TAPS))
    tokens = {tap: np.asarray(acts[tap])[:, CONFIG.prefix :].reshape(21, 16, -1) for tap in TAPS[:2]}
    tokens["logits"] = np.asarray(acts["logits"])[:, None]
    for tap, natural in found.taps.items():
        score = tokens[tap].mean(axis=1)
        np.testing.assert_allclose(natural.score[:, 0], score.max(axis=0), rtol=1e-5, atol=1e-6)
        here = tokens[tap][natural.place[:, 0], :, np.arange(natural.score.shape[0])]
        np.testing.assert_allclose(here.mean(axis=1), natural.score[:, 0], rtol=1e-5, atol=1e-6)
        assert np.array_equal(natural.patch[:, 0], here.argmax(axis=1) if tap != "logits" else here[:, 0] * 0 - 1)
    first = found.taps["logits"]
    tied = first.place[np.isin(first.place, [0, 18, 19, 20]).all(axis=1)]
    assert (tied == [0, 18, 19]).all(), "equal images stand in the order of the data set"
    assert str(found.taps["blocks.2.attn.z"].unit(17)) == "blocks.2.attn.z:1.1"


@pytest.mark.parametrize("tokens", ["class", "all", "patch 5"])
def test_the_tokens_that_count_are_those_asked_for(photos, tokens):
    natural = exemplars(model(), dataset(photos), "blocks.1.mlp.hidden", tokens=tokens).taps["blocks.1.mlp.hidden"]
    seen = {"class": {-1}, "patch 5": {5}, "all": set(range(-1, 16))}[tokens]
    assert set(natural.patch.ravel().tolist()) <= seen


@pytest.mark.exhaustive
def test_batches_and_devices_change_nothing(photos, on_devices):
    source = f"""
        import numpy as np
        from tests.support.small import model
        from tests.analysis.test_exemplars import TAPS, dataset
        from vitjax.analysis.photographs.exemplars import exemplars

        found = exemplars(model(), dataset({str(photos)!r}, 8), TAPS)
        for natural in found.taps.values():
            print(natural.place.tobytes().hex(), natural.patch.tobytes().hex(), int(natural.tally.images))
    """
    found = exemplars(model(), dataset(photos, 5), TAPS)
    lines = [f"{n.place.tobytes().hex()} {n.patch.tobytes().hex()} {int(n.tally.images)}" for n in found.taps.values()]
    assert on_devices(source, 4).split("\n")[:3] == lines


@pytest.mark.exhaustive
def test_two_processes_give_the_tables_of_one(checkpoint, photos, tmp_path, capsys):
    command = ["analyze", "exemplars", "--model", str(checkpoint), "--data", str(photos), "--batch", "4"]
    command += ["--taps", "blocks.1.mlp.hidden", "--k", "3"]
    one, two = tmp_path / "one", tmp_path / "two"
    assert main([*command, "--out", str(one)]) == 0
    assert main([*command, "--out", str(two), "--shard", "1/2"]) == 0
    assert "part 1 of 2 is done" in capsys.readouterr().out
    other = [sys.executable, "-m", "vitjax", *command, "--out", str(two), "--shard", "0/2"]
    done = subprocess.run(other, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done
    one, two = (parquet.read_table(folder / "exemplars.parquet") for folder in (one, two))
    assert one.num_rows == 96 * (3 + len(QUANTILES))
    for column in ("unit", "kind", "rank", "image", "patch", "left", "bottom"):
        assert one[column].to_pylist() == two[column].to_pylist(), column


def test_a_run_that_was_stopped_goes_on(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SAVED_EVERY", 1)
    read = []

    def until(limit):
        def progress(batches, total):
            for number, batch in enumerate(batches):
                if number == limit:
                    raise KeyboardInterrupt
                read.append(int(batch.place[0]))
                yield batch

        return replace(dataset(photos), progress=progress)

    with pytest.raises(KeyboardInterrupt):
        exemplars(model(), until(3), TAPS, folder=tmp_path / "out")
    found = exemplars(model(), until(99), TAPS, folder=tmp_path / "out")
    assert read == [0, 4, 8, 12, 16, 20]
    whole = exemplars(model(), dataset(photos), TAPS)
    for tap in TAPS:
        assert np.array_equal(found.taps[tap].place, whole.taps[tap].place)
        assert np.array_equal(found.taps[tap].tally.histogram, whole.taps[tap].tally.histogram)
    exemplars(model(), until(0), TAPS, folder=tmp_path / "out")  # a finished run reads nothing


def test_a_state_made_with_other_settings_is_refused(photos, tmp_path):
    exemplars(model(), dataset(photos), TAPS, folder=tmp_path)
    with pytest.raises(InputError, match=r"another k \(9, not 2\)"):
        exemplars(model(), dataset(photos), TAPS, k=2, folder=tmp_path)
    (tmp_path / "part-0-of-1.npz").write_bytes(b"PK\3\4 cut off")
    with pytest.raises(InputError, match="is damaged"):
        exemplars(model(), dataset(photos), TAPS, folder=tmp_path)


def test_counts_outgrow_32_bits():
    values = np.ones((4, 5, 2), np.float32)
    tally = tallied(values, 4)._replace(active=np.array([[7, DIGIT - 3], [2**20, DIGIT - 20]], np.int32))
    tally = jax.jit(add)(tally, values, np.arange(4), np.arange(4))
    assert counted(tally.active).tolist() == [8 * DIGIT - 3 + 20, (2**20 + 1) * DIGIT]
    both = merge([tally, tally, tallied(values, 4)])
    assert counted(both.active).tolist() == [2 * (8 * DIGIT + 17) + 20, 2 * (2**20 + 1) * DIGIT + 20]
    natural = Natural("logits", (2,), range(5), both, np.arange(4))
    assert natural.active.dtype == np.int64 and natural.active[1] > 2**50


def test_patches_beyond_16_bits_are_kept():
    values = np.zeros((1, 2**15 + 2, 1), np.float32)
    values[0, -1] = 1
    tally = empty(1, 1, 1, values.shape[1])
    assert jax.jit(add)(tally, values, np.arange(1), np.arange(1)).sample_patch.tolist() == [[2**15 + 1]]


def packed(folder: Path, form: str) -> Path:
    """The folder itself, or a zip of it."""
    return folder if form == "folder" else Path(shutil.make_archive(str(folder), "zip", folder))


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_another_photograph_of_the_same_name_size_and_beginning_is_refused(photos, tmp_path, form):
    (plain := tmp_path / "plain").mkdir()
    for path in photos.iterdir():
        Image.open(path).save(plain / f"{path.stem}.bmp")
    take = lambda: run(model(), dataset(packed(plain, form)), taps=["logits"], k=21, folder=tmp_path / "out")
    first = take().tables["exemplars"]
    assert take().tables["exemplars"].equals(first)
    data = (plain / "07.bmp").read_bytes()
    (plain / "07.bmp").write_bytes(data[:5000] + bytes(len(data) - 5000))
    said = r"07\.bmp in .*zip is not the photograph that" if form == "zip" else r"07\.bmp has changed since"
    with pytest.raises(Changed, match=said):
        take()


def test_the_first_of_the_photographs_that_changed_is_named_at_once(photos, tmp_path, monkeypatch):
    exemplars(model(), dataset(photos), TAPS, folder=tmp_path / "out")
    for name in ("03.png", "11.png"):
        Image.open(photos / name).rotate(180).save(photos / name)
    monkeypatch.setattr(module, "_run", None)
    with pytest.raises(
        Changed, match=r"^03\.png \(and 1 more\) in .*photos is not the photograph that .*part-0-of-1\.npz"
    ):
        exemplars(model(), dataset(photos), TAPS, folder=tmp_path / "out")
    (photos / "03.png").unlink()
    with pytest.raises(InputError, match=r"made with another images \(21, not 20\)"):
        exemplars(model(), dataset(photos), TAPS, folder=tmp_path / "out")


def test_a_photograph_that_changes_during_the_pass_is_noticed(photos):
    found = exemplars(model(), dataset(photos), TAPS)
    Image.open(photos / "03.png").rotate(180).save(photos / "03.png")
    with pytest.raises(Changed, match=r"03\.png has changed since it was read first"):
        list(replace(dataset(photos), images=found.images).batches())


def test_a_state_that_knows_nothing_of_the_photographs_bytes_is_begun_anew(photos, tmp_path):
    new = exemplars(model(), dataset(photos), TAPS, folder=tmp_path)
    path = tmp_path / "part-0-of-1.npz"
    with np.load(path) as file:
        arrays = dict(file)
    head = json.loads(arrays["head"].tobytes())
    del arrays["heads"], arrays["sums"], head["settings"]["content"]
    old = arrays | {"head": np.frombuffer(json.dumps(head).encode(), np.uint8), "logits/active": np.zeros(10, np.int32)}
    np.savez(path, **old)
    with pytest.raises(InputError, match=r"another k \(9, not 2\)"):  # it is not overwritten by just anything
        exemplars(model(), dataset(photos), TAPS, k=2, folder=tmp_path)
    again = exemplars(model(), dataset(photos), TAPS, folder=tmp_path)
    assert again.taps["logits"].active.tolist() == new.taps["logits"].active.tolist() != [0] * 10


def test_unreadable_photographs_stay_named_when_a_run_goes_on(photos, tmp_path):
    name = os.fsencode(photos) + b"/\xff.png"
    with open(name, "wb") as file:
        file.write(b"not an image")
    (photos / "05.png").write_bytes(b"")
    for _ in range(2):
        data = dataset(photos)
        findings = run(model(), data, taps=["logits"], folder=tmp_path / "out")
        assert (
            findings.settings["unreadable"]
            == data.unreadable
            == {
                "05.png": "an empty file",
                r"\udcff.png": "not an image of a kind that Pillow knows",
            }
        )
        findings.save(tmp_path / "out")
    assert list(json.loads((tmp_path / "out" / "exemplars.json").read_bytes())["settings"]["unreadable"]) == list(
        data.unreadable
    )


def test_names_that_are_no_utf_8_and_long_thin_photographs_come_to_the_end(photos, tmp_path):
    with open(os.fsencode(photos) + b"/caf\xe9.png", "wb") as file:
        file.write((photos / "00.png").read_bytes())
    Image.new("RGB", (1_000_000, 1), (200, 10, 10)).save(photos / "long.png")
    Image.new("RGB", (1, 40_000), (10, 200, 10)).save(photos / "tall.png")
    findings = run(model(), dataset(photos), taps=["blocks.1.mlp.hidden"], k=24)
    findings.save(tmp_path / "out")
    table = parquet.read_table(tmp_path / "out" / "exemplars.parquet")
    assert {r"caf\udce9.png", "long.png", "tall.png"} <= set(table["image"].to_pylist())
    names = dataset(photos).images.names
    assert all(names[row["photo"]] == row["image"] for row in table.select(["photo", "image"]).to_pylist())
    left = [row["left"] for row in table.to_pylist() if row["image"] == "long.png"]
    assert all(499_950 < x < 500_050 for x in left)


def test_unknown_taps_are_named(photos):
    with pytest.raises(InputError, match=r"unknown tap 'blocks\.9\.mlp\.hidden'"):
        run(model(), dataset(photos), taps=["blocks.9.mlp.hidden"])
    with pytest.raises(InputError, match="out of range"):
        run(model(), dataset(photos), taps=["blocks.2-7.mlp.hidden"])


def test_unreadable_images_are_left_out_and_named(photos):
    (photos / "05.png").write_bytes(b"not an image")
    findings = run(model(), dataset(photos), taps=["logits"], k=30)
    assert list(findings.settings["unreadable"]) == ["05.png"] and findings.rows[0]["images"] == 20
    table = findings.tables["exemplars"]
    assert "05.png" not in table["image"].to_pylist()
    assert table.filter(np.array(table["kind"].to_pylist()) == "top").num_rows == 10 * 20


@pytest.mark.representatives("{'activation': 'topk', 'k': 3}")
@pytest.mark.parametrize("form", [{"tokens": "patches"}, {"activation": "topk", "k": 3}], ids=str)
def test_latents_in_parts_are_those_of_all_at_once(photos, monkeypatch, form):
    """Exactly, of equal ones the first, before the activation function too; sums over images within rounding."""
    rng, width = np.random.default_rng(0), 24
    half = rng.standard_normal((CONFIG.width, width // 2)).astype(np.float32) / 7
    encoder = np.concatenate([half, half], axis=1)
    one = Dictionary(Form("blocks.1.resid_post", **form), {"encoder": encoder, "decoder": encoder.T})
    network, taps = model().with_dictionary(one), list(one.taps)
    found = []
    for wide in (width, 8):
        monkeypatch.setattr(in_parts_of, "WIDE", wide)
        monkeypatch.setattr(in_parts_of, "LEAST", 8)
        module._add.clear_cache()  # which knows nothing of the change
        found.append(exemplars(network, dataset(photos), taps, k=3, tokens="all").taps)
    module._add.clear_cache()
    for tap in taps:
        for name, due, is_ in zip(Tally._fields, *(some[tap].tally for some in found), strict=True):
            rounding = 1e-6 if name in ("mean", "squares", "positive", "positive_squares") else 0
            np.testing.assert_allclose(is_, due, rtol=rounding, err_msg=f"{tap} {name}")


def test_patches_lie_where_they_were_in_the_original():
    # 56 x 40 is resized to 50 x 36 and 32 are cut out of its middle
    left, top, right, bottom = patch_box((56, 40), CONFIG, row=1, column=3)
    assert (left, right) == pytest.approx(((9 + 24) * 56 / 50, (9 + 32) * 56 / 50))
    assert (top, bottom) == pytest.approx(((2 + 8) * 40 / 36, (2 + 16) * 40 / 36))
