"""What one photograph is made of at a tap: norms, groups, what they add to logits, and the grid of pictures."""

import io

import jax
import numpy as np
import pytest
from PIL import Image

from tests.support import small
from tests.support.pictures import photo
from vitjax.analysis.directions.attribution import attributions
from vitjax.analysis.directions.grid import mosaic, run
from vitjax.analysis.directions.made_of import made_of
from vitjax.data.dataset import open_dataset
from vitjax.errors import InputError
from vitjax.optimize.recipes import choose
from vitjax.optimize.results.pictures import Pictures

TAP = "blocks.1.resid_post"
IMAGE = np.asarray(photo(32, 32))


@pytest.fixture(scope="module")
def whole():
    """The tap's value on the image, [token, channel], and the same parts by the code."""
    value = np.asarray(small.read(small.model(), IMAGE[None] / np.float32(255), reads=TAP)[TAP][0])
    return value, made_of(small.model(), IMAGE, TAP)


def test_every_place_is_a_part(whole):
    value, parts = whole
    np.testing.assert_allclose(parts.norms, np.linalg.norm(value[3:], axis=1).reshape(4, 4), rtol=1e-4)
    assert parts.names[5] == "1.1" and parts.grid == (4, 4) and parts.classes.shape == (16, 10)
    goal = parts.goals("cat.png")[5]
    assert str(goal) == f"cosine(2, {TAP}:cat.png@1.1)" and goal.power == 2
    np.testing.assert_allclose(goal.vector, value[3 + 5], atol=1e-4)
    mean = np.arange(48, dtype=np.float32) / 48
    less = made_of(small.model(), IMAGE, TAP, mean=mean)
    np.testing.assert_allclose(less.vectors, parts.vectors - mean, atol=1e-5)
    np.testing.assert_allclose(less.classes, parts.classes, atol=1e-5)


def test_what_places_add_is_the_derivative_of_the_logits(whole):
    """By finite differences, of one place and of all together; it is linear in the part."""
    value, parts = whole
    patches = np.where(np.arange(len(value))[:, None] < 3, 0, value)
    one = np.where(np.arange(len(value))[:, None] == 3 + 6, value, 0)
    step = 1e-2

    def reached(model, image, part):
        edit = lambda sign: {TAP: lambda x: x + sign * step * part}
        after, before = (model(image, ["logits"], edit(sign))["logits"][0] for sign in (1, -1))
        return (after - before) / (2 * step)

    slope = jax.jit(reached)
    size = abs(parts.classes).max()
    for part, due in ((patches, parts.classes.sum(axis=0)), (one, parts.classes[6])):
        found = np.asarray(slope(small.model(), IMAGE[None] / np.float32(255), part))
        np.testing.assert_allclose(found, due, atol=1e-2 * size)
    again = attributions(small.model(), IMAGE, TAP, np.stack([patches, 2 * one]))
    np.testing.assert_allclose(again, np.stack([parts.classes.sum(axis=0), 2 * parts.classes[6]]), atol=1e-4 * size)


def test_groups_share_the_places_among_them(whole):
    """More groups leave less; what all add is what the places add, as far as groups are these."""
    _, parts = whole
    found = [made_of(small.model(), IMAGE, TAP, groups=count, method="semi-nmf") for count in (1, 3, 6)]
    errors = [one.facts["error"] for one in found]
    assert errors[0] > errors[1] > errors[2]
    three = found[1]
    assert three.names == ("group 0", "group 1", "group 2") and three.amounts.shape == (3, 16)
    assert (three.amounts >= 0).all() and np.allclose(np.linalg.norm(three.vectors, axis=1), 1)
    again = three.amounts.T @ three.vectors
    assert ((again - parts.values) ** 2).sum() / (parts.values**2).sum() == pytest.approx(errors[1], abs=1e-4)
    assert made_of(small.model(), IMAGE, TAP, groups=2).facts["method"] == "semi-nmf"


def test_a_grid_has_a_picture_for_every_part(tmp_path, monkeypatch):
    """What is painted, by a stand-in for painting: black pictures of the goals that are asked for."""
    asked = []

    def painted(model, goals, recipe, *, seed):
        asked.append([str(goal) for goal in goals])
        black, history = np.zeros((len(goals), 32, 32, 3), np.uint8), {"loss": np.zeros((len(goals), 1))}
        return Pictures(black, goals, np.arange(len(goals)), history, recipe, seed, {}, 4)

    monkeypatch.setattr("vitjax.analysis.directions.grid.visualize", painted)
    photo(40, 36).save(tmp_path / "cat.png")
    data, quick = open_dataset(tmp_path / "cat.png", small.model()), choose("ghiasi", steps=1, views=1)
    found = run(small.model(), data, tap=TAP, groups=2, mean=tmp_path, recipe=quick)
    assert [row["part"] for row in found.rows] == ["group 0", "group 1"] and found.settings["method"] == "semi-nmf"
    assert sum(row["share"] for row in found.rows) == pytest.approx(1)
    assert "cat.png at blocks.1.resid_post: 4 x 4 places in 2 groups by semi-nmf" in found.summary
    found = run(small.model(), data, tap=TAP, recipe=quick)
    assert len(found.rows) == 16 and {"class_1", "adds_3", "activation"} < found.rows[0].keys()
    assert found.rows[0]["adds_1"] >= found.rows[0]["adds_2"]
    assert len(asked[0]) == 2 and asked[1][5] == f"cosine(2, {TAP}:cat.png@1.1)"
    paths = found.save(tmp_path / "out")
    assert {path.name for path in paths} == {"grid.json", "grid.csv", "grid.png", "grid-cells.png"}
    assert Image.open(io.BytesIO(found.files["grid-cells.png"])).size == (4 * 32, 4 * 32)


def test_cells_are_as_large_as_values_are_long(whole):
    _, parts = whole
    black = np.zeros((16, 20, 20, 3), np.uint8)
    cells = mosaic(parts, black).reshape(4, 20, 4, 20, 3)
    inked = (cells == 0).all(axis=-1).sum(axis=(1, 3))
    due = parts.norms / np.percentile(parts.norms, 95) * 400
    np.testing.assert_allclose(inked, np.minimum(due, 400), atol=40)


def test_what_has_no_grid_is_said(tmp_path):
    for number in range(2):
        photo(32, 32, number).save(tmp_path / f"{number}.png")
    model = small.model()
    with pytest.raises(InputError, match=r"a grid is of one photograph, .* has 2"):
        run(model, open_dataset(tmp_path, model), tap=TAP)
    one = open_dataset(tmp_path / "0.png", model)
    for options, why in (
        ({"tap": "pooled"}, "pooled has no patches"),
        ({"tap": "blocks.1.resid_pots"}, "did you mean blocks.1.resid_post"),
        ({"tap": TAP, "method": "nmf"}, "method goes with groups"),
        ({"tap": TAP, "method": "nfm", "groups": 2}, "unknown method 'nfm' .did you mean nmf"),
        ({"tap": TAP, "groups": 17}, "17 directions are more than 16 tokens"),
        ({"tap": TAP, "groups": 2, "method": "nmf"}, "use semi-nmf there"),
    ):
        with pytest.raises(InputError, match=why):
            run(model, one, **options)
