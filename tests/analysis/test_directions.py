"""Directions from data: what each method finds where it is known, what is sampled, and units made of them."""

import json
import re
from dataclasses import replace

import jax
import numpy as np
import pytest
from PIL import Image

from tests.support import small
from tests.support.pictures import levels, photo
from tests.support.plain import QUICK
from vitjax.analysis.directions.components import METHODS, factors, shares
from vitjax.analysis.directions.contrasts import contrasts
from vitjax.analysis.directions.find import directions
from vitjax.analysis.directions.token_sample import tokens_of
from vitjax.cli import main
from vitjax.data.dataset import Dataset
from vitjax.errors import InputError
from vitjax.models.core.network import provenance
from vitjax.models.dictionaries.directions import Along, Directions, fingerprint
from vitjax.optimize.objectives import objective_of
from vitjax.optimize.recipes import Recipe
from vitjax.optimize.results.pictures import Pictures, append
from vitjax.optimize.visualize import resolve
from vitjax.units.expression import check_spelling
from vitjax.units.in_files import attached
from vitjax.units.units import Direction
from vitjax.weights.directions import read_directions, save_directions
from vitjax.weights.load import load

TAP, UNITS = "blocks.1.resid_post", 24
ATOMS = np.linalg.qr(np.random.default_rng(0).standard_normal((UNITS, 3)))[0].T  # orthogonal, of length 1
UP = np.repeat(np.eye(3), UNITS // 3, axis=1) / np.sqrt(UNITS // 3)  # likewise, from 0 up


def _made(method: str, count: int = 1500) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of three atoms, in the amounts that a method is for, with a little noise; and the atoms."""
    rng, atoms = np.random.default_rng(2), UP if method == "nmf" else ATOMS
    amounts = {
        "pca": rng.standard_normal((count, 3)) * [3, 2, 1],
        "ica": rng.laplace(size=(count, 3)),
        "kmeans": np.eye(4)[rng.choice(4, count, p=[0.02, 0.02, 0.02, 0.94])][:, :3] * 3,
    }.get(method, rng.exponential(size=(count, 3)) * (rng.random((count, 3)) < 0.2))
    noise = 0.01 * rng.standard_normal((count, UNITS))
    return (amounts @ atoms + (abs(noise) if method == "nmf" else noise)).astype(np.float32), atoms


@pytest.mark.parametrize("method", METHODS)
def test_a_method_finds_the_atoms_that_tokens_are_made_of(method):
    values, atoms = _made(method)
    found = factors(values, 4 if method == "kmeans" else 3, method)
    assert abs(atoms @ found.vectors.T).max(axis=1).min() > 0.99
    assert np.allclose(np.linalg.norm(found.vectors, axis=1), 1) and found.facts["error"] < 0.05
    along = shares(values.astype(np.float64), found.vectors)
    assert (np.diff(along) <= 1e-12).all()
    if method == "pca":
        assert (np.take_along_axis(found.vectors, abs(found.vectors).argmax(1)[:, None], 1) > 0).all()
    if method == "nmf":
        errors = [factors(values, count, method).facts["error"] for count in (1, 2, 3)]
        assert errors[0] > errors[1] > errors[2]


def test_a_method_for_values_from_0_up_is_refused_where_many_are_below():
    with pytest.raises(InputError, match=r"blocks.1.resid_post has -.* use semi-nmf there, or nmf at .* mlp.hidden"):
        factors(_made("pca")[0], 2, "nmf", tap=TAP)
    with pytest.raises(InputError, match="25 directions are more than 1500 tokens of 24 units"):
        factors(_made("pca")[0], 25, "pca", tap=TAP)


@pytest.mark.parametrize("method", ["means", "lda", "probe"])
def test_classes_are_told_apart(method):
    """Gaussians shifted by two standard deviations; AUC is known, and so is what correlated noise does to LDA."""
    rng, labels = np.random.default_rng(1), np.arange(24_000) % 2
    noise = rng.standard_normal((len(labels), UNITS))
    found = contrasts(noise + 2 * labels[:, None] * ATOMS[0], labels, [1, 0], method)
    assert found.vectors[0] @ ATOMS[0] > 0.99 and found.vectors[1] @ found.vectors[0] < -0.999
    assert found.auc == pytest.approx([0.921, 0.921], abs=0.01) and found.held_out.tolist() == [3000, 3000]
    both = (ATOMS[0] + ATOMS[1]) / np.sqrt(2)
    tied = 0.3 * noise + 2 * rng.standard_normal((len(labels), 1)) * both + labels[:, None] * ATOMS[0]
    found = contrasts(tied, labels, [1], method)
    turned = {"means": ATOMS[0], "lda": ATOMS[0] - ATOMS[1], "probe": ATOMS[0] - ATOMS[1]}[method]
    assert found.vectors[0] @ turned / np.linalg.norm(turned) > 0.97
    assert found.patterns[0] @ ATOMS[0] > 0.97


def test_a_probe_is_in_the_space_of_the_tap():
    """Whatever it was standardised by on the way: other units of measurement, the same decision."""
    labels, scale = np.arange(2000) % 2, np.geomspace(0.01, 100, UNITS)
    values = np.random.default_rng(3).standard_normal((len(labels), UNITS)) + labels[:, None] * ATOMS[0]
    one, other = (contrasts(values * by, labels, [1], "probe") for by in (1, scale))
    again = other.vectors[0] * scale
    assert again @ one.vectors[0] / np.linalg.norm(again) > 0.9999 and other.auc == pytest.approx(one.auc)
    with pytest.raises(InputError, match="there are 2 images of class 5, too few of each class: 4 are needed"):
        contrasts(values, np.where(np.arange(2000) < 2, 5, 1), [5], "probe")
    with pytest.raises(InputError, match="there are 1600 images beside hens, too few of each class: 4 are needed"):
        contrasts(values, np.maximum(np.arange(2000) - 399, 0), [0], "probe", names=["hens"])


def _data(batch: int, **changes) -> Dataset:
    return replace(Dataset(levels(14, damaged=(3,)), small.CONFIG, batch), **changes)


def test_the_same_tokens_are_taken_in_batches_and_shards_of_any_size():
    whole = tokens_of(small.model(), _data(7), TAP, count=60)
    assert len(whole) == 13 * 4 and 3 not in whole.place and set(whole.token) <= set(range(16))
    assert len({tuple(whole.token[whole.place == place]) for place in np.unique(whole.place)}) > 1
    parts = [tokens_of(small.model(), _data(2, shard=(i, 2)), TAP, count=60) for i in range(2)]
    place, token, values = (np.concatenate([getattr(part, name) for part in parts]) for name in
                            ("place", "token", "values"))  # fmt: skip
    order = np.lexsort((token, place))
    assert np.array_equal(place[order], whole.place) and np.array_equal(token[order], whole.token)
    np.testing.assert_allclose(values[order], whole.values, atol=1e-5)
    read = small.read(small.model(), np.full((1, 32, 32, 3), 7, np.float32) / 255, reads=TAP)[TAP][0, 3:]
    seventh = whole.place == 7
    np.testing.assert_allclose(whole.values[seventh], np.asarray(read)[whole.token[seventh]], atol=1e-5)


@pytest.mark.parametrize("tap", ["blocks.1.attn.z", "pooled"])
def test_directions_are_units_of_a_model(tap):
    """What is read, what an edit changes, and that nothing changes without one."""
    model, size = small.model(), int(np.prod(small.model().taps()[tap].units))
    draw = lambda *shape: np.random.default_rng(1).standard_normal(shape, np.float32)
    made = Directions(Along(tap, model.taps()[tap].units, "some"), draw(5, size), draw(5, size) + 1, draw(size))
    with_them, images = model.with_dictionary(made), np.random.default_rng(4).random((2, 32, 32, 3), np.float32)
    name = f"{tap}.directions@some"
    assert made.taps == (name,) and with_them.taps()[name].units == (5,)
    found = small.read(with_them, images, reads=(tap, name, "logits"))
    found = {key: np.asarray(value) for key, value in found.items()}
    places = model.taps()[tap].places
    x, v = found[tap].reshape(2, *places, -1), np.asarray(made.arrays["vectors"][...])
    np.testing.assert_allclose(found[name], (x - np.asarray(made.arrays["mean"][...])) @ v.T, atol=2e-4)
    pattern = np.asarray(made.arrays["patterns"][...])[2]
    assert pattern @ v[2] == pytest.approx(1, abs=1e-4)
    shift = 3 * pattern.reshape(model.taps()[tap].units)
    edits = {name: lambda z: z.at[..., 2].add(3)}, {tap: lambda x: x + shift}
    both = jax.jit(lambda model, x: [model(x, ["logits"], edit)["logits"] for edit in edits])(with_them, images)
    edited, moved = map(np.asarray, both)
    assert abs(found["logits"] - edited).max() > 1e-3
    np.testing.assert_allclose(moved, edited, atol=1e-3 * abs(edited).max())


@pytest.fixture
def photos(tmp_path):
    """A folder of eight photographs."""
    (tmp_path / "photos").mkdir()
    for number in range(8):
        photo(40, 36, number).save(tmp_path / "photos" / f"{number}.png")
    return tmp_path / "photos"


def test_a_file_of_directions_is_units_on_the_command_line(checkpoint, photos, tmp_path, monkeypatch, capsys):
    """Found, painted alone and in a sum, mapped, and refused with another model."""
    monkeypatch.chdir(tmp_path)
    given, tap = ["--model", str(checkpoint)], "blocks.0.resid_post"
    assert main(["analyze", "directions", *given, "--data", "photos", "--tap", tap, "--count", "3"]) == 0
    said, record = capsys.readouterr().out, json.loads((tmp_path / "directions/directions.json").read_text())
    assert "3 directions in blocks.0.resid_post, of 32 tokens" in said
    found = read_directions("directions/directions.npz")
    assert found.taps == (f"{tap}.directions@pca",) and found.card.model_sha256 == load(checkpoint).card.sha256
    assert [row["vector"] for row in record["rows"]] == [fingerprint(v) for v in found.arrays["vectors"][...]]
    quick = [*QUICK, "--out", "out"]
    assert main(["visualize", *given, *quick, "directions/directions.npz:0-1"]) == 0
    record, named = json.loads((tmp_path / "out/pictures.json").read_text()), f"{tap}.directions@pca"
    assert [row["unit"] for row in record["pictures"]] == [f"{named}:0", f"{named}:1"]
    about = record["model"]["dictionaries"][named]
    assert about["method"] == "pca" and about["vectors"] == list(found.prints) and len(about["sha256"]) == 64
    maps = ["--data", "photos", "--units", "directions/directions.npz:*", "--k", "2", "--out", "maps"]
    assert main(["analyze", "maps", *given, *maps]) == 0
    assert {row["unit"] for row in json.loads((tmp_path / "maps/maps.json").read_text())["rows"]} == {
        f"{named}:{number}" for number in range(3)
    }
    capsys.readouterr()
    cards = ["--data", "photos", "--pictures", "out"]
    assert main(["analyze", "report-card", *given, *cards]) == 2
    assert "was given no file of it; name the file, e.g. --dictionary directions.npz" in capsys.readouterr().err
    for model, text, why in (
        ("demo", "directions/directions.npz:0", "found in .* not in demo .*: find them in this model"),
        (str(checkpoint), "directions/directions.npz:7", "out of range, .* has 3"),
        (str(checkpoint), "nowhere/x.npz:7", "nowhere/x.npz does not exist: make one by"),
    ):
        assert main(["visualize", "--model", model, text, "--out", "other"]) == 2
        assert re.search(why, capsys.readouterr().err)


def test_a_unit_of_directions_has_the_gradient_of_the_direction():
    """What is maximised differs by the mean alone; of ICA it is the filter."""
    model = small.model()
    found = directions(model, _data(7), tap=TAP, method="ica", count=2, name="")
    assert found.about["recipe"]["reads"] == "filters" and found.directions.taps == (f"{TAP}.directions",)
    held = model.with_dictionary(found.directions)
    vector, mean = (np.asarray(found.directions.arrays[name][...]) for name in ("vectors", "mean"))
    goals = resolve(held, [f"{TAP}.directions:1", Direction(TAP, "v", vector[1])])

    def score(goal):
        taps, way = objective_of(goal).shortest(held, "patches")
        number = objective_of(goal).numbers([goal], held.taps())[0]
        return lambda model, x: way(model(x, taps), number)[0]

    images = np.random.default_rng(3).random((1, 32, 32, 3), np.float32)
    both = jax.jit(lambda model, x: [jax.value_and_grad(score(goal), 1)(model, x) for goal in goals])(held, images)
    (one, slope), (other, again) = both
    assert float(one) == pytest.approx(float(other) - vector[1] @ mean, abs=1e-3)
    np.testing.assert_allclose(slope, again, atol=1e-3 * float(abs(again).max()))


def test_mistakes_in_files_and_names_are_said(photos, tmp_path, caplog):
    model, data = small.model(), Dataset(levels(8), small.CONFIG, 4)
    vectors = np.eye(3, 48, dtype=np.float32)
    about = {"method": "pca", "labels": [], "model": {"source": "other", "sha256": "0" * 64}}
    save_directions(tmp_path / "a.npz", Directions(Along(TAP, (48,), "a"), vectors), about)
    held, text = attached(model, f"{tmp_path}/a.npz:0-1")
    assert text == f"{TAP}.directions@a:0-1" and provenance(held)["dictionaries"][f"{TAP}.directions@a"]["form"]["name"]
    assert attached(held, text) == (held, text)
    total = [str(goal) for goal in resolve(held, f"2 * {tmp_path}/a.npz:2 - 0.5 * {TAP}:4")]
    assert total == [f"2 * {TAP}.directions@a:2 - 0.5 * {TAP}:4"] == [str(goal) for goal in resolve(held, total)]
    (tmp_path / "a-b").mkdir()
    (tmp_path / "a-b" / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes())
    for least in (f"-{tmp_path}/a.npz:2", f"2 * -{tmp_path}/a-b/a.npz:2 / 2"):
        assert [str(goal) for goal in resolve(held, least)] == [f"-{TAP}.directions@a:2"]
    assert attached(model, [f"{tmp_path}/a.npz", ["x:1"]])[1] == [f"{TAP}.directions@a", ["x:1"]]
    with pytest.raises(InputError, match=r"directions@a:1 is a direction: in Python, CosinePower takes a vector"):
        resolve(held, f"cosine(2, {tmp_path}/a.npz:1)")
    for name in ("a.npz", "out/a.npz"):
        with pytest.raises(InputError, match=rf"is no unit: write TAP:INDEX, e.g. {name}:\*"):
            check_spelling(name)
    for name in ("my photos/a.npz:0", "a (2).npz:*", "my a.npz"):
        with pytest.raises(InputError, match=r"is no unit: a file of directions with blanks, .* by --dictionary"):
            check_spelling(name)
    with pytest.raises(InputError, match=r"photos/a.npz does not exist: a file of directions with blanks"):
        attached(model, ["my photos/a.npz"])
    save_directions(tmp_path / "e.npz", Directions(Along(TAP, (48,), "e"), vectors), about | {"labels": ["one"]})
    with pytest.raises(InputError, match=f"e.npz has 1 labels for {len(vectors)} directions"):
        read_directions(tmp_path / "e.npz")
    save_directions(tmp_path / "b.npz", Directions(Along("blocks.9.resid_post", (48,), "b"), vectors), about)
    np.savez(tmp_path / "c.npz", x=vectors)
    (tmp_path / "d.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-40])
    bad = {"b": "b.npz: unknown tap 'blocks.9.resid_post'", "c": "c.npz is no file of directions", "d": "d.npz"}
    for name, why in bad.items():
        with pytest.raises(InputError, match=why):
            attached(model, f"{tmp_path}/{name}.npz:0")
    with pytest.raises(InputError, match=r"the directions are in blocks.1.resid_post, not in blocks.2.resid_post"):
        load("demo", dictionaries=[f"blocks.2.resid_post={tmp_path}/a.npz"])
    save_directions(tmp_path / "e.npz", Directions(Along(TAP, (48,), "e"), vectors), about | {"model": {}})
    with pytest.raises(InputError, match=r"are in values of shape .48,., blocks.1.resid_post has .192,."):
        load("demo", dictionaries=[f"{tmp_path}/e.npz"])
    for arrays, why in (
        ((np.zeros((1, 48)),), "direction 0 is zero"),
        ((vectors, np.roll(vectors, 5, axis=1)), "direction 0 is across its pattern"),
        ((vectors * np.nan,), "vectors have numbers that are not finite"),
        ((vectors[:, :9],), r"the directions are .3, 9., in blocks.1.resid_post they must be .direction, 48."),
    ):
        with pytest.raises(InputError, match=why):
            Directions(Along(TAP, (48,)), *arrays)
    for options, why in (
        ({"method": "pcaa"}, "unknown method 'pcaa' .did you mean pca"),
        ({"classes": ["3"]}, "classes goes with the methods of classes, means, lda, probe, not with pca"),
        ({"method": "means"}, "classes"),
        ({"method": "means", "classes": ["3"], "against": photos}, "classes and against both say what is told apart"),
        ({"method": "means", "against": "nowhere"}, "nowhere"),
        ({"method": "nmf", "count": 2}, "use semi-nmf there"),
    ):
        with pytest.raises(InputError, match=why):
            directions(model, data, tap=TAP, **options)
    Image.new("RGB", (32, 32)).save(photos / "black.png")
    (photos / "torn.png").write_bytes(b"\x89PNG\r\n")
    with caplog.at_level("WARNING", logger="vitjax"):
        found = directions(model, data, tap=TAP, method="means", against=photos)
    assert found.rows[0]["label"] == "levels against photos" and 0 <= found.rows[0]["auc"] <= 1
    many = len(list(photos.iterdir()))
    assert f"1 of {many} images of {photos} could not be read and are left out, e.g. torn.png: " in caplog.text
    assert list(found.about["data"]["against_unreadable"]) == ["torn.png"]


def test_records_tell_directions_of_one_name_apart(tmp_path):
    """By their vectors; a folder holds one of a name."""
    vectors = np.eye(2, 48)
    goals = [Direction(TAP, "mine", vector) for vector in vectors]
    pictures = Pictures(
        np.zeros((1, 32, 32, 3), np.uint8), [goals[0]], np.zeros(1), {"loss": np.zeros((1, 1))}, Recipe(), 0, {}, 1
    )
    append(tmp_path, pictures)
    (row,) = json.loads((tmp_path / "pictures.json").read_text())["pictures"]
    assert row["vectors"] == {f"{TAP}:mine": fingerprint(vectors[0])} and len(fingerprint(vectors[0])) == 8
    append(tmp_path, pictures)
    with pytest.raises(InputError, match=r"holds a picture of another direction called blocks.1.resid_post:mine"):
        append(tmp_path, replace(pictures, units=[goals[1]]))
