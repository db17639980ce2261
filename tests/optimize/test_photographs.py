"""Pictures from pictures: starts, frames, attribution masks, inversion, caricatures, accentuation."""

import io
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from tests.support import small
from vitjax.cli import main
from vitjax.errors import InputError
from vitjax.optimize import loop
from vitjax.optimize.beside.film import animation, mask
from vitjax.optimize.beside.watch import Watch, Watched
from vitjax.optimize.objectives import objective_of
from vitjax.optimize.photographs.starts import photographs
from vitjax.optimize.recipes import RECIPES, choose
from vitjax.optimize.visualize import visualize
from vitjax.units.units import Unit

TAP = "blocks.2.mlp.hidden"
MODEL = small.model()
QUIET = {"stages": (), "views": 1, "color": "none", "noise": 0, "jitter": 0, "total_variation": 0}
PLAIN = choose("default", steps=20, parametrization="pixels", **QUIET)
PHOTO = np.random.default_rng(3).integers(20, 236, (32, 32, 3), np.uint8)
STAGED = choose("fast", steps=9)


def opened(path):
    """An image file with all its frames."""
    with Image.open(path) as image:
        frames = []
        for place in range(getattr(image, "n_frames", 1)):
            image.seek(place)
            frames.append(np.asarray(image.convert("RGBA" if image.mode == "RGBA" else "RGB")))
        return frames


def test_a_picture_begins_with_a_photograph_and_says_which(tmp_path):
    other = PHOTO[::-1].copy()
    taken = photographs(MODEL, [PHOTO, other]).images
    found = visualize(MODEL, f"{TAP}:3,4", PLAIN, starts=[PHOTO, other], frames=2)
    assert np.array_equal(found.frames[:, 0], taken) and np.array_equal(found.frames[:, 1], found.images)
    assert not np.array_equal(found.images[0], taken[0])
    again = visualize(MODEL, f"{TAP}:4", PLAIN, starts=other, variants=2, batch=2)
    assert np.array_equal(again.images[0], found.images[1]) and len(again) == 2
    found.save(tmp_path)
    rows = json.loads((tmp_path / "pictures.json").read_text())["pictures"]
    assert [row["start"]["image"] for row in rows] == ["image 0", "image 1"] and len(rows[0]["start"]["sha256"]) == 64
    staged = visualize(MODEL, f"{TAP}:3", STAGED, starts=Image.fromarray(PHOTO), frames=2)
    assert np.abs(staged.frames[0, 0].astype(int) - taken[0]).mean() < 6
    assert all(stage.size == 1 for stage in staged.recipe.stages)
    for options, said in (
        ({"starts": [PHOTO] * 3}, "begin with 3 photographs"),
        ({"starts": PHOTO, "parametrization": "maco", "stages": ()}, "phases of a photograph alone"),
        ({"starts": "no.jpg"}, "no.jpg"),
        ({"spacing": "lgo"}, "did you mean log"),
        ({"frames": 1}, "frames"),
    ):
        with pytest.raises(InputError, match=said):
            visualize(MODEL, f"{TAP}:3,4", **options)


@pytest.mark.parametrize("recipe", [STAGED, choose("ghiasi", steps=7, views=2)], ids=["fast", "ghiasi"])
def test_what_is_kept_leaves_the_picture_as_it_is(recipe):
    alone = visualize(MODEL, f"{TAP}:3-5", recipe, batch=2)
    found = visualize(MODEL, f"{TAP}:3-5", recipe, batch=2, frames=5, spacing="log", alpha=True)
    assert np.array_equal(alone.images, found.images) and alone.frames is None is alone.alpha
    assert found.frames.shape == (3, 5, 32, 32, 3) and np.array_equal(found.frames[:, -1], found.images)
    assert found.alpha.shape == (3, 32, 32) and (found.alpha > 0).all()


def test_frames_are_of_their_steps():
    assert Watch(5).steps(8) == [0, 2, 4, 6, 8] and Watch(4, "log").steps(26) == [0, 2, 8, 26]
    many = visualize(MODEL, f"{TAP}:3", PLAIN, frames=21)
    few = visualize(MODEL, f"{TAP}:3", PLAIN, frames=3)
    assert np.array_equal(many.frames[:, ::10], few.frames)
    assert visualize(MODEL, f"{TAP}:3", PLAIN, steps=2, frames=5).frames.shape == (1, 5, 32, 32, 3)


def test_a_mask_is_the_sum_of_slopes(monkeypatch):
    weights = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype(np.float32)

    def linear(model, images, targets, keys, step, program):
        reached = jnp.sum(weights * images, axis=(1, 2, 3))
        return -(program.recipe.scale * reached).sum(), loop.History(reached, reached, reached)

    monkeypatch.setattr(loop, "_loss", linear)
    recipe = choose(PLAIN, steps=7, scale=0.5)
    aims, program = small.aims(f"{TAP}:3"), loop.program(recipe, objective_of(Unit(TAP, (3,))))
    slots = loop.start(MODEL, aims, recipe=recipe)._replace(
        watched=Watched(None, None, jnp.zeros((1, 32, 32), jnp.float32))
    )
    slots, _ = jax.jit(loop.advance.__wrapped__, static_argnames="program")(MODEL, slots, aims, program=program)
    np.testing.assert_allclose(slots.watched.slopes, 7 * abs(weights).mean(axis=-1), rtol=1e-5)


def test_a_mask_of_a_patch_is_nothing_outside_it():
    found = visualize(MODEL, "blocks.0.resid_pre:5", choose(PLAIN, tokens="patch 6"), alpha=True).alpha[0]
    assert found[8:16, 16:24].min() > 0
    found[8:16, 16:24] = 0
    assert not found.any()


def test_files_of_what_is_kept():
    frames = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    assert np.array_equal(opened(io.BytesIO(animation(frames))), frames)
    slopes = np.zeros((32, 32), np.float32)
    assert not mask(slopes).any()
    slopes[10:14, 10:14] = 1
    assert mask(slopes)[11, 11] == 255 and mask(slopes)[0, 0] == 0


def test_the_command_writes_what_is_kept(checkpoint, tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    quick = ["--recipe", "fast", "--set", "steps=4", "--start", str(tmp_path / "photo.png")]
    out = tmp_path / "out"
    command = ["visualize", "--model", str(checkpoint), "blocks.1.mlp.hidden:3", *quick, "--out", str(out)]
    assert main([*command, "--frames", "3", "--alpha"]) == 0
    row = json.loads((out / "pictures.json").read_text())["pictures"][0]
    assert row["start"]["image"] == "photo.png"
    picture, alpha, film = (opened(out / row[key]) for key in ("file", "alpha", "frames"))
    assert np.array_equal(alpha[0][..., :3], picture[0]) and np.array_equal(film[-1], picture[0]) and len(film) == 3
    assert main([*command[:-1], str(tmp_path / "other"), "--spacing", "log"]) == 2


def test_all_recipes_can_begin_with_a_photograph():
    assert all(recipe.parametrization != "maco" for recipe in RECIPES.values())
