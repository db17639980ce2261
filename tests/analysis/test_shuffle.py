"""Tiles in another order: masks that go with their images, what no order changes, and curves against passes by hand."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from tests.support import noise, small
from vitjax.analysis.ablations.positions import without_positions
from vitjax.analysis.perturbed.alike import layers
from vitjax.analysis.perturbed.shuffle import orders, run, shuffle
from vitjax.errors import InputError

MODEL = noise.model(replace(small.CONFIG, depth=1))
DATA = noise.dataset(4, 3)  # the second batch holds one
IMAGES = jnp.asarray(noise.pixels(DATA))


@pytest.mark.parametrize("grid", [1, 2, 8, 16])
def test_17_tiles_are_moved_whole_and_masks_with_them(grid):
    order = np.asarray(orders(IMAGES, grid, 5))
    masks = (np.asarray(IMAGES[..., :1]) * 255).astype(np.uint8)
    mixed, mask = np.asarray(shuffle(IMAGES, order, grid)), np.asarray(shuffle(masks, order, grid))
    assert mask.dtype == np.uint8 and np.array_equal(mask, (mixed[..., :1] * 255).astype(np.uint8))
    side = 32 // grid
    cut = lambda image: image.reshape(grid, side, grid, side, 3).swapaxes(1, 2).reshape(grid * grid, -1)
    for before, after, source in zip(np.asarray(IMAGES), mixed, order, strict=True):
        assert sorted(source) == list(range(grid * grid))
        assert np.array_equal(cut(after), cut(before)[source])
    assert np.array_equal(shuffle(IMAGES, np.tile(np.arange(grid * grid), (4, 1)), grid), IMAGES)
    assert np.array_equal(mixed, IMAGES) == (grid == 1)


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("shuffle4_run1.png", [14, 9, 13, 3, 6, 2, 7, 5, 10, 12, 1, 15, 0, 11, 4, 8]),
        ("shuffle4_run2.png", [7, 15, 9, 13, 6, 4, 2, 10, 14, 8, 3, 11, 12, 1, 5, 0]),
    ],
)
def test_4_the_published_pictures(shared_data, name, order):
    folder = shared_data / "nguyen"
    read = lambda name: Image.open(folder / name).convert("RGB")
    small = np.asarray(read("dogcat_600x411.png").resize((224, 224), Image.Resampling.BICUBIC))
    assert np.array_equal(small, read("dogcat_224.png"))
    assert np.array_equal(shuffle(small[None], np.array([order]), 4)[0], read(name))


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def test_the_curves_are_those_of_passes_made_by_hand():
    findings = run(MODEL, DATA, grids=[4, 8], seed=3)
    tap, prefix, table = "blocks.0.resid_post", MODEL.config.prefix, findings.tables["shuffle-layers"].to_pylist()
    assert [(row["weights"], row["grid"]) for row in findings.rows] == [("given", 1), ("given", 4), ("given", 8)]
    whole = {name: np.asarray(value) for name, value in small.read(MODEL, IMAGES, reads=(tap, "logits")).items()}
    for row, grid in zip(findings.rows, (1, 4, 8), strict=True):
        order = orders(IMAGES, grid, 3)
        seen = small.read(MODEL, shuffle(IMAGES, order, grid), reads=(tap, "logits"))
        part = {name: np.asarray(value) for name, value in seen.items()}
        loss = -np.asarray(jax.nn.log_softmax(part["logits"]))[np.arange(4), DATA.labels_for(MODEL)]
        assert row["loss"] == pytest.approx(loss.mean(), rel=1e-5)
        found = {r["similarity"]: r["cosine"] for r in table if (r["grid"], r["tap"]) == (grid, tap)}
        assert found["class token"] == pytest.approx(cosine(whole[tap][:, 0], part[tap][:, 0]).mean(), rel=1e-4)
        if grid == 4:  # one patch to a tile
            source = np.take_along_axis(whole[tap][:, prefix:], np.asarray(order)[..., None], axis=1)
            moved = cosine(source, part[tap][:, prefix:]).mean()
            assert found["patches, where they went"] == pytest.approx(moved, rel=1e-4)
        if grid == 8:  # cuts through patches
            assert found["patches, where they went"] is None


def test_without_positions_every_patch_is_the_same_where_it_went():
    findings = run(without_positions(MODEL), DATA, grids=[2, 4])
    assert len({round(row["loss"], 4) for row in findings.rows}) == 1
    cosines = [row["cosine"] for row in findings.tables["shuffle-layers"].to_pylist()]
    assert cosines == pytest.approx([1.0] * len(cosines), abs=1e-5)


def test_grids_are_those_of_the_paper_where_they_fit_and_a_control_stands_beside():
    findings = run(MODEL, DATA, control=True)
    assert [(row["weights"], row["grid"]) for row in findings.rows] == [
        (weights, grid) for weights in ("given", "random") for grid in (1, 2, 4, 8)
    ]
    assert set(findings.figures) == {"", "layers"}
    assert findings.rows[1]["loss"] != findings.rows[5]["loss"]


def test_layers_are_taps_of_tokens():
    assert layers(MODEL) == ["blocks.0.resid_post"]
    assert layers(MODEL, ["embed", "blocks.*.attn.out"]) == ["embed", "blocks.0.attn.out"]


WRONG = [
    (lambda: run(MODEL, DATA, grids=[2, 5]), r"32x32 has no 5x5 tiles of equal size; try 4, 2, 8"),
    (lambda: run(MODEL, DATA, grids=[1]), "nothing is shuffled"),
    (lambda: shuffle(IMAGES, np.array([[0, 1, 2, 2]] * 4), 2), "the tiles of a 2x2 grid are 0-3, each once"),
    (lambda: shuffle(IMAGES, np.array([[0, 1, 2, 4]] * 4), 2), "the tiles of a 2x2 grid are 0-3, each once"),
    (lambda: shuffle(IMAGES, np.array([[0, 1, 2]] * 4), 2), "the tiles of a 2x2 grid are 0-3, each once"),
    (lambda: layers(MODEL, ["blocks.0.attn.q"]), "has no vector for each token"),
    (lambda: layers(MODEL, ["blocks.0.resid_pst"]), "resid_post"),
]


@pytest.mark.parametrize(("mistake", "said"), WRONG, ids=range(len(WRONG)))
def test_mistakes_get_one_line(mistake, said):
    with pytest.raises(InputError, match=said) as error:
        mistake()
    assert "\n" not in str(error.value)
