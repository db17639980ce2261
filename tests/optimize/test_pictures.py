"""Folders of pictures that a later run, or a later version, adds to."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.support import small
from tests.support.plain import PLAIN
from vitjax.errors import InputError
from vitjax.optimize.goals.penalties import likeness
from vitjax.optimize.recipes import choose
from vitjax.optimize.results.pictures import append
from vitjax.optimize.results.record import RECORD, read_record
from vitjax.optimize.visualize import visualize
from vitjax.units.units import expand

CARD = {"source": "here", "revision": "", "sha256": "f" * 64, "converter": "timm-2"}


def test_a_folder_takes_pictures_of_the_same_weights_and_recipe_alone(tmp_path):
    model, changes = small.model(), {"steps": 2, "seed": 3, **PLAIN}
    first, second = (replace(visualize(model, f"blocks.0.mlp.hidden:{i}", **changes), model=CARD) for i in (0, 1))
    append(tmp_path, first)
    record = json.loads((tmp_path / RECORD).read_text())
    del record["recipe"]["seen_shape"]  # as written before recipes had it
    (tmp_path / RECORD).write_text(json.dumps(record))
    append(tmp_path, replace(second, model=CARD | {"source": "moved"}))
    assert [row["unit"] for row in read_record(tmp_path)["pictures"]] == [str(u) for u in first.units + second.units]
    for other, name in (
        (replace(second, model=CARD | {"sha256": "e" * 64}), "model"),
        (replace(second, seed=4), "seed"),
        (replace(second, recipe=replace(second.recipe, views=2)), "recipe"),
    ):
        with pytest.raises(InputError, match=f"another {name}"):
            append(tmp_path, other)


def test_variants_of_a_unit_differ_and_depend_on_nothing_else():
    model, recipe = small.model(), choose("default", steps=20, views=2, variants=2, diversity=30, stages=())
    pictures = visualize(model, "blocks.2.mlp.hidden:3,7", recipe, batch=3)
    assert [str(unit) for unit in pictures.units] == [
        f"blocks.2.mlp.hidden:{name}" for name in ("3", "3#1", "7", "7#1")
    ]
    alone = visualize(model, "blocks.2.mlp.hidden:7", recipe, batch=4)
    assert (alone.images == pictures.images[2:]).all()

    def alike(pictures):
        read = small.read(model, pictures.images / np.float32(255), reads="blocks.2.resid_mid")["blocks.2.resid_mid"]
        return likeness(read[:, None], 2)

    unhindered = visualize(model, "blocks.2.mlp.hidden:3,7", recipe, diversity=0)
    assert (alike(pictures) < alike(unhindered) - 0.01).all()
    with pytest.raises(InputError, match="at least 1"):
        choose("default", variants=0)


def test_likeness_is_the_mean_cosine_with_the_other_variants():
    vectors = np.random.default_rng(0).normal(size=(6, 2, 5, 8)).astype(np.float32)
    unit = vectors.mean(axis=(1, 2))
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    wanted = [np.mean([unit[i] @ unit[j] for j in range(i // 3 * 3, i // 3 * 3 + 3) if j != i]) for i in range(6)]
    np.testing.assert_allclose(likeness(vectors, 3), wanted, rtol=1e-5)


def test_variants_have_their_names_files_and_row(tmp_path):
    pictures = visualize(small.model(), "blocks.0.mlp.hidden:10,9", steps=2, variants=3, **PLAIN)
    Image.open(pictures.save(tmp_path)).verify()
    rows = read_record(tmp_path)["pictures"]
    taps = small.model().taps()
    assert [expand(row["unit"], taps)[0] for row in rows] == pictures.units
    assert all((tmp_path / row["file"]).exists() for row in rows) and len({row["file"] for row in rows}) == 6
    assert pictures.contact_sheet().size[0] < pictures.contact_sheet(6).size[0] / 1.9
