"""Tiles hidden by every means: which and how many, what stands there, and curves against passes made by hand."""

import pickle
from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.nguyen.dog_and_cat import SALIENT_CAT, SALIENT_DOG
from tests.support import noise, small
from tests.support.pictures import encode, photo, unpack
from vitjax.analysis.ablations.positions import permutations
from vitjax.analysis.perturbed.occlusion import (
    FILLS,
    Occlude,
    by_attention,
    candidates,
    hidden_tiles,
    object_tiles,
    occlude,
    occluded,
    removal,
    tile_pixels,
)
from vitjax.analysis.perturbed.occlusion_curves import run
from vitjax.data.annotations.masks import Objects
from vitjax.data.dataset import open_dataset
from vitjax.errors import InputError
from vitjax.models.core.tap_site import Site
from vitjax.models.registry import abstract

MODEL = noise.model(replace(small.CONFIG, depth=1))
DATA = noise.dataset(5, 3)  # the second batch is filled up
IMAGES = jnp.asarray(noise.pixels(DATA))
GRID, PATCHES = small.CONFIG.grid, small.CONFIG.patches

read = jax.jit(lambda model, images, taps: model(images, taps), static_argnums=2)


def test_16_the_tiles_of_the_paper():
    assert len(SALIENT_DOG) == 48 and len(SALIENT_CAT) == 14
    assert len({*range(196)} - {*SALIENT_DOG, *SALIENT_CAT}) == 134
    image = np.full((411, 600, 3), 9, np.uint8)
    black = (occluded(image, range(196)) == 0).all(axis=-1)
    assert black[:406, :588].all() and not black[406:].any() and not black[:, 588:].any()
    one = np.argwhere((occluded(image, [62]) == 0).all(axis=-1))
    assert one.min(axis=0).tolist() == [4 * 29, 6 * 42] and one.max(axis=0).tolist() == [5 * 29 - 1, 7 * 42 - 1]
    assert tile_pixels(np.eye(196, dtype=bool), (14, 14), 224, 224).sum(axis=(1, 2)).tolist() == [256] * 196


def test_16_a_fifth_of_196_is_39():
    order = permutations(jnp.asarray(IMAGES), 0, 196)
    everything = jnp.ones((len(IMAGES), 196), bool)
    assert (hidden_tiles(everything, order, [0.2]).sum(axis=-1) == 39).all()


def test_more_hides_the_same_and_others_of_the_set_alone():
    salient = jnp.asarray(np.random.default_rng(0).random((5, PATCHES)) < [[0], [0.3], [0.5], [0.8], [1]])
    ratios, order = [0.3, 0.7, 1.0], permutations(IMAGES, 1, PATCHES)
    for which in ("random", "salient", "non-salient"):
        chosen = np.asarray(candidates(salient, which))
        hidden = np.asarray(hidden_tiles(chosen, order, ratios))
        counts = [[int(ratio * count) for count in chosen.sum(axis=1)] for ratio in ratios]
        assert hidden.sum(axis=-1).tolist() == counts
        assert not (hidden & ~chosen).any() and not (hidden[:-1] & ~hidden[1:]).any()
    first = np.asarray(hidden_tiles(jnp.ones_like(salient), order, [0.5]))[0, 0]
    assert sorted(np.asarray(order)[0, : PATCHES // 2]) == np.flatnonzero(first).tolist()


@pytest.mark.parametrize("fill", FILLS)
def test_what_stands_where_pixels_are_hidden(fill):
    tiles = jnp.asarray(np.random.default_rng(1).random((5, PATCHES)) < 0.4)
    hidden = np.repeat(np.repeat(np.asarray(tiles).reshape(5, *GRID), 8, 1), 8, 2)
    out = np.asarray(occlude(IMAGES, tiles, GRID, fill, seed=3))
    assert np.array_equal(out[~hidden], np.asarray(IMAGES)[~hidden])
    for image, mask, before in zip(out, hidden, np.asarray(IMAGES), strict=True):
        if fill == "noise":
            assert (
                image[mask].std() == pytest.approx(12**-0.5, abs=0.03)
                and len(np.unique(image[mask])) > 0.99 * image[mask].size
            )
        else:
            even = np.broadcast_to(before.mean(axis=(0, 1)) * (fill == "mean"), image[mask].shape)
            np.testing.assert_allclose(image[mask], even, rtol=1e-5)
    assert np.array_equal(out[::-1], occlude(IMAGES[::-1], tiles[::-1], GRID, fill, seed=3))


@pytest.mark.parametrize("pool", ["token", "mean", "mean of all"])
def test_removal_is_as_if_the_tokens_had_been_dropped_of_each_image_its_own(pool):
    config = replace(small.CONFIG, depth=1, pool=pool.split()[0], pool_prefix="all" in pool)
    model, taps = noise.model(config), ("blocks.0.resid_post", "logits")
    gone = np.arange(PATCHES) % 5 < np.array([1, 3])[:, None]
    found = jax.jit(lambda model, images, gone: model(images, taps, removal(gone, model)))(model, IMAGES[:2], gone)
    for row, tokens in enumerate(gone):
        kept = np.flatnonzero(np.pad(~tokens, (config.prefix, 0), constant_values=True))
        drop = {"embed": lambda values, kept=kept: values[:, kept]}
        alone = jax.jit(lambda model, image, drop=drop: model(image, taps, drop))(model, IMAGES[row : row + 1])
        np.testing.assert_allclose(found["logits"][row], alone["logits"][0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found[taps[0]][row, kept], alone[taps[0]][0], rtol=1e-4, atol=1e-5)


def test_half_of_the_patches_is_salient_to_the_class_token():
    probs = np.zeros((1, 2, 7, 7))
    probs[0, :, 0, 3:] = [[0.1, 0.5, 0, 0.3], [0.1, 0, 0, 0.4]]
    assert by_attention(jnp.asarray(probs), 3).tolist() == [[False, True, False, True]]


LABELS = np.zeros((33, 41), np.int32)
LABELS[8:24, 10:25] = 1


def test_tiles_that_show_objects():
    by_hand = [(LABELS[r * 8 : r * 8 + 8, c * 10 : c * 10 + 10] > 0).mean() > 0.15 for r in range(4) for c in range(4)]
    assert object_tiles(LABELS, (4, 4)).tolist() == by_hand
    assert sum(by_hand) == 4


def test_native_changes_hide_their_set_and_travel_to_other_processes():
    image = np.full((33, 41, 3), 7, np.uint8)
    found = {"a": lambda height, width: Objects(LABELS, ("cat",))}
    salient = tile_pixels(object_tiles(LABELS, (4, 4)), (4, 4), 33, 41)
    for which, count in (("random", 8), ("salient", 2), ("non-salient", 6)):
        black = ~Occlude(which, 0.5, (4, 4), masks=found)("a", image).any(axis=-1)
        assert black.sum() == count * 80
        assert which == "random" or (salient[black] == (which == "salient")).all()
    change = Occlude("random", 0.5, (4, 4), "noise", seed=2)
    assert np.array_equal(pickle.loads(pickle.dumps(change))("a", image), change("a", image))
    assert not np.array_equal(change("b", image), change("a", image))


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def _chance(before: np.ndarray, after: np.ndarray, hidden: np.ndarray) -> float:
    """The mean cosine between hidden patches and *other* hidden patches as they were."""
    there = np.flatnonzero(hidden)
    return np.mean([cosine(before[i], after[j]) for i in there for j in there if i != j])


def test_the_curves_are_those_of_passes_made_by_hand():
    findings = run(MODEL, DATA, ratios=[0.5], fills=["mean", "remove"], seed=4)
    tap, prefix = "blocks.0.resid_post", MODEL.config.prefix
    whole = read(MODEL, IMAGES, (tap, "logits", "blocks.0.attn.probs"))
    salient = by_attention(whole["blocks.0.attn.probs"], prefix)
    order = permutations(IMAGES, 4, PATCHES)
    rows = {(row["fill"], row["set"]): row for row in findings.rows}
    assert len(rows) == len(findings.rows) == 1 + 2 * 3
    table = findings.tables["occlusion-layers"].to_pylist()
    whole = {name: np.asarray(value) for name, value in whole.items()}
    for which in ("random", "salient", "non-salient"):
        tiles = hidden_tiles(candidates(salient, which), order, [0.5])[0]
        part = read(MODEL, occlude(IMAGES, tiles, GRID, "mean"), (tap, "logits"))
        row = rows["mean", which]
        loss = -np.asarray(jax.nn.log_softmax(part["logits"]))[np.arange(5), DATA.labels_for(MODEL)]
        assert row["loss"] == pytest.approx(loss.mean(), rel=1e-5) and row["images"] == 5
        assert row["hidden"] == pytest.approx(0.5 if which == "random" else 0.25)
        before, after, hidden = whole[tap], np.asarray(part[tap]), np.asarray(tiles)
        patches = cosine(before, after)[:, prefix:]
        by_hand = {
            "class token": cosine(before[:, 0], after[:, 0]),
            "mean of patches": cosine(before[:, prefix:].mean(1), after[:, prefix:].mean(1)),
            "patches seen": [line[~mask].mean() for line, mask in zip(patches, hidden, strict=True)],
            "patches hidden": [line[mask].mean() for line, mask in zip(patches, hidden, strict=True)],
        }
        found = {r["similarity"]: r for r in table if (r["fill"], r["set"], r["tap"]) == ("mean", which, tap)}
        assert {name: pytest.approx(np.mean(values), rel=1e-4) for name, values in by_hand.items()} == {
            name: row["cosine"] for name, row in found.items()
        }
        error = np.std(by_hand["class token"]) / 5**0.5
        assert found["class token"]["cosine_error"] == pytest.approx(error, rel=1e-2)
        chance = [_chance(*some) for some in zip(before[:, prefix:], after[:, prefix:], hidden, strict=True)]
        above = np.array(by_hand["patches hidden"]) - chance
        line = found["patches hidden"]
        assert line["chance"] == pytest.approx(np.mean(chance), rel=1e-3, abs=1e-5) and line["images"] == 5
        assert line["above_chance"] == pytest.approx(above.mean(), rel=1e-3, abs=1e-5)
        assert line["above_chance_error"] == pytest.approx(above.std() / 5**0.5, rel=1e-2)
        assert found["class token"]["chance"] is None
    images = findings.tables["occlusion-images"].to_pylist()
    right = {
        key: np.array([r["rank"] < 1 for r in images if (r["fill"], r["set"]) == key], float)
        for key in [("none", "none"), *rows]
    }
    for (fill, which), row in rows.items():
        others = {"change": right["none", "none"]} | {
            "to_mean": right["mean", which] if fill != "none" else right[fill, which]
        }
        for name, other in others.items():
            change = right[fill, which] - other
            assert row[name] == pytest.approx(change.mean()) and row[f"{name}_error"] == pytest.approx(
                change.std() / 5**0.5
            )
    pairs = [cosine(whole[tap][i, 0], whole[tap][j, 0]) for i in range(5) for j in range(5) if i != j]
    assert found["class token"]["between"] == pytest.approx(np.mean(pairs), rel=1e-4)
    gone = [r["cosine"] for r in table if r["fill"] == "remove" and r["similarity"] == "patches hidden"]
    assert gone and not any(gone)


@pytest.mark.exhaustive
def test_batches_and_a_control_change_nothing():
    one = run(MODEL, DATA, ratios=[0.4], fills=["noise"])
    other = run(MODEL, replace(DATA, batch=2), ratios=[0.4], fills=["noise"], control=True)
    own, control = ([row["loss"] for row in other.rows if row["weights"] == name] for name in ("given", "random"))
    assert own == pytest.approx([row["loss"] for row in one.rows], rel=1e-5)
    assert control[0] == pytest.approx(np.log(10), rel=0.5) and control[0] != own[0]


@pytest.fixture(scope="module")
def boxed(tmp_path_factory):
    """Four pictures of 40 by 36 pixels with a box in each, and one without."""
    files = {f"{i:04d}_n{i:08d}_{i}.png": encode(photo(40, 36, i)) for i in range(5)}
    lines = "".join(f"{name}\t12\t9\t19\t26\n" for name in list(files)[:4])
    folder = unpack(tmp_path_factory.mktemp("boxed"), files | {"a_boxes.txt": lines.encode()})
    return open_dataset(folder, small.CONFIG, batch=3), folder / "a_boxes.txt"


@pytest.mark.parametrize("native", [False, True])
def test_objects_are_hidden_where_boxes_say_so(boxed, native):
    data, boxes = boxed
    rows = run(MODEL, data, ratios=[1.0], boxes=boxes, native=native).rows
    assert {row["images"] for row in rows} == {4}
    hidden = {row["set"]: row["hidden"] for row in rows}
    assert hidden["none"] == 0 and 0.1 < hidden["salient"] < hidden["non-salient"]
    assert hidden["salient"] + hidden["non-salient"] == pytest.approx(hidden["random"], abs=0.1)


MAP = ("row", "column", "channel")


@jax.tree_util.register_static
class Convolutional:
    """Stands in for a convolutional network: maps of 4x4 places as big as the tiles, then of 2x2, then classes."""

    config = SimpleNamespace(image_size=(32, 32), preprocess=small.CONFIG.preprocess, classes=10, grid=GRID, prefix=0,
                             patches=PATCHES)  # fmt: skip
    card = None

    def taps(self):
        maps = {
            f"stages.{i}.out": Site((n, n, width), MAP, (n, n)) for i, (n, width) in enumerate(((4, 192), (2, 768)))
        }
        return maps | {"logits": Site((10,), ("class",))}

    def __call__(self, images, reads, edits=None):
        cut = lambda n: images.reshape(-1, n, 32 // n, n, 32 // n, 3).swapaxes(2, 3).reshape(len(images), n, n, -1)
        values = {"stages.0.out": cut(4), "stages.1.out": cut(2), "logits": images.mean((1, 2)) @ jnp.ones((3, 10))}
        return {name: values[name] for name in reads}


def test_a_convolutional_network_can_stand_beside(boxed):
    data, boxes = boxed
    findings = run(Convolutional(), data, ratios=[0.5], boxes=boxes, taps=["stages.0.out", "stages.1.out"])
    found = {(r["tap"], r["similarity"]): r["cosine"] for r in findings.tables["occlusion-layers"].to_pylist()
             if r["set"] == "random"}  # fmt: skip
    assert found["stages.0.out", "patches seen"] == pytest.approx(1) and found["stages.0.out", "patches hidden"] == 0
    assert found["stages.0.out", "class token"] is None and found["stages.1.out", "patches seen"] is None
    assert 0 < found["stages.1.out", "mean of patches"] < 1


WRONG = [
    (lambda: occluded(np.zeros((28, 28, 3), np.uint8), [3, 196]), "tile 196 is outside the grid of 14x14"),
    (lambda: occluded(np.zeros((9, 28, 3), np.uint8), [3]), "an image of 28x9 has no grid of 14x14"),
    (lambda: occluded(np.zeros((28, 28, 3), np.uint8), [3], fill="blak"), "did you mean black"),
    (lambda: run(MODEL, DATA, ratios=[0.5, 1.5]), "the ratio 1.5 is not above 0 and at most 1"),
    (lambda: run(MODEL, DATA, ratios=[]), "ratios is empty"),
    (lambda: run(Convolutional(), DATA, taps=["stages.0.out"]), "give masks or boxes"),
    (lambda: run(MODEL, DATA, fills=["grey"]), "no occlusion by 'grey'"),
    (lambda: run(MODEL, DATA, fills=["remove"], native=True), "no occlusion by 'remove'"),
    (lambda: run(MODEL, DATA, taps=["blocks.*.attn.probs"]), "has no vector for each token"),
    (lambda: removal(jnp.zeros((1, 16), bool), abstract(replace(small.CONFIG, pool="attention"))), "attends to them"),
]


@pytest.mark.parametrize(("mistake", "said"), WRONG, ids=[said for _, said in WRONG])
def test_mistakes_get_one_line(mistake, said):
    with pytest.raises(InputError, match=said) as error:
        mistake()
    assert "\n" not in str(error.value)
