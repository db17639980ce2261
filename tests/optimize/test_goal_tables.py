"""Rows from unit to unit, tables of sums and of both signs: their goals, their pictures, their sheet."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.support import small
from tests.support.pictures import encode, photo, unpack
from tests.support.plain import PLAIN
from vitjax.analysis.photographs.weights import per_spread
from vitjax.cli import main
from vitjax.data.dataset import open_dataset
from vitjax.errors import InputError
from vitjax.optimize.recipes import choose, fields
from vitjax.optimize.visualize import check, visualize
from vitjax.units.algebra import terms_of
from vitjax.units.tables import interactions, interpolation, signs
from vitjax.units.units import Unit

MODEL, TAP = small.model(), "blocks.2.mlp.hidden"
A, B, C = (Unit(TAP, (i,)) for i in (3, 7, 11))
STILL = choose("default", steps=40, learning_rate=0.05, **PLAIN)


def test_goals_of_rows_and_tables():
    row = interpolation([A], [B], 5)  # whose ends are the units themselves
    assert [str(goal) for goal in row.cells[0]] == [
        str(A),
        f"0.75 * {TAP}:3 + 0.25 * {TAP}:7",
        f"0.5 * {TAP}:3 + 0.5 * {TAP}:7",
        f"0.25 * {TAP}:3 + 0.75 * {TAP}:7",
        str(B),
    ]
    assert row.columns == ("0", "0.25", "0.5", "0.75", "1") and row.rows == ("2.mlp.hidden:3 to 2.mlp.hidden:7",)
    whole = interpolation([A, B], [C], 3, whole=True)
    assert len(whole.goals) == 6 and [len(terms_of(goal)) for goal in whole.cells[0]] == [2, 2, 2]
    table = interactions([A, B], [C])
    assert table.cells == ((None, C), (A, A + C), (B, B + C)) and signs([A, B]).cells == ((-A, A), (-B, B))
    for wrong, said in (
        (lambda: interpolation([A, B], [A, B, C]), "from 2 units to 3"),
        (lambda: interpolation([A], [A]), "to itself"),
        (lambda: interpolation([A], [B], 1), "pictures of a row is 1"),
    ):
        with pytest.raises(InputError, match=said):
            wrong()


@pytest.mark.exhaustive
def test_a_row_leads_from_one_unit_to_the_other_and_shares_its_steps():
    row = interpolation([A], [B], 5, whole=True)
    found = {}
    for shared in (0, 4):
        pictures = visualize(MODEL, row.goals, choose(STILL, row=5, row_shared=shared))
        assert pictures.table(row).width > 5 * 112
        pictures = pictures.images / np.float32(255)
        values = np.asarray(small.read(MODEL, pictures, reads=TAP)[TAP])[:, 3:].mean(axis=1)
        found[shared] = np.abs(np.diff(pictures, axis=0)).mean()
        for column, sign in ((3, -1), (7, 1)):
            steps = sign * np.diff(values[:, column])
            assert steps.min() >= -0.05 * np.ptp(values[:, column]), (shared, column)
    assert found[4] < found[0]


def test_rows_in_recipes_and_their_records():
    assert not {"row", "row_shared", "diversity_of"} & fields(choose("default")).keys()
    assert fields(choose("default", row=5))["row"] == 5
    for recipe, goals, said in (
        (choose("default", row=3), [A, B], "a row is of 3 goals"),
        (choose("default", row=2), [A, A + B], "a row is of 2 goals"),
    ):
        with pytest.raises(InputError, match=said):
            check(MODEL, recipe, 0, goals)
    with pytest.raises(InputError, match="choose one of both"):
        choose("default", row=2, variants=2)


def test_weights_by_spread(tmp_path):
    data = open_dataset(
        unpack(tmp_path, {f"{i}.png": encode(photo(40, 40, i)) for i in range(5)}), MODEL.config, batch=2
    )
    tap = "blocks.1.resid_post"
    goal = A - 0.5 * Unit(tap, (4,))
    (found, alone) = per_spread(MODEL, [goal, -C], data, choose("ghiasi"))
    images = np.concatenate([batch.images[batch.place >= 0] for batch in data.batches()]) / np.float32(255)
    values = small.read(MODEL, images, reads=(TAP, tap))
    first, second = (np.asarray(values[at])[:, 3:, unit].mean(axis=1).std() for at, unit in ((TAP, 3), (tap, 4)))
    weights = {term.goal: term.weight for term in terms_of(found)}
    assert weights[A] == pytest.approx(1 / first, rel=1e-3)
    assert weights[Unit(tap, (4,))] == pytest.approx(-0.5 / second, rel=1e-3)
    assert alone == -C and all(float(f"{weight:.4g}") == weight for weight in weights.values())


@pytest.mark.exhaustive
def test_tables_on_the_command_line(tmp_path, capsys):
    photos = unpack(tmp_path / "photos", {f"{i}.png": encode(photo(64, 64, i)) for i in range(3)})
    steps = ["--set", "steps=1", "--set", "stages=[]", "--set", "views=1"]
    units = ["blocks.1.mlp.hidden:0", "--to", "blocks.2.mlp.hidden:3", "--length", "2", "--shared"]
    out = tmp_path / "out"
    assert main(["visualize", *units, "--per-spread", str(photos), "--out", str(out), *steps]) == 0
    assert "table: " in capsys.readouterr().out
    record = json.loads((out / "pictures.json").read_text())
    first, last = (row["unit"] for row in record["pictures"])
    assert first.endswith(" * blocks.1.mlp.hidden:0 + 0 * blocks.2.mlp.hidden:3") and record["recipe"]["row"] == 2
    assert last.startswith("0 * blocks.1.mlp.hidden:0 + ")
    assert all((out / row["file"]).exists() for row in record["pictures"])
    with Image.open(out / "table.png") as table:
        assert table.width > 200
    for wrong, said in (
        (["blocks.1.mlp.hidden:0 -"], "is no unit"),
        (["blocks.1.mlp.hidden:0", "--length", "3"], "--length goes with --to"),
        (["blocks.1.mlp.hidden:0", "--to", "blocks.1.mlp"], "is no unit"),
        (["--to", "blocks.1.mlp.hidden:0"], "--to goes with units: name some before it"),
        (["--with", "blocks.1.mlp.hidden:0"], "--with goes with units: name some before it"),
    ):
        assert main(["visualize", *wrong]) == 2 and said in capsys.readouterr().err
