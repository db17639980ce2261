"""Folders of pictures that a later run, or a later version, adds to."""

import json
from dataclasses import replace

import pytest

from tests import small
from vitjax.errors import InputError
from vitjax.optimize.pictures import RECORD, append, read_record
from vitjax.optimize.visualize import visualize

CARD = {"source": "here", "revision": "", "sha256": "f" * 64, "converter": "timm-2"}


def test_a_folder_takes_pictures_of_the_same_weights_and_recipe_alone(tmp_path):
    model, changes = small.model(), {"steps": 2, "views": 1, "seed": 3}
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
