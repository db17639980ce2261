"""Pictures from pictures: starts, frames, attribution masks, inversion, caricatures, accentuation."""

import io
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from tests.support import plain, small
from vitjax.cli import main
from vitjax.errors import InputError
from vitjax.optimize import loop
from vitjax.optimize.beside.film import animation, mask
from vitjax.optimize.beside.watch import Watch, Watched
from vitjax.optimize.objectives import objective_of
from vitjax.optimize.parametrize import parametrization
from vitjax.optimize.photographs.accentuation import accentuated, slope
from vitjax.optimize.photographs.likeness import Likeness, likenesses
from vitjax.optimize.photographs.starts import Beginnings, Photographs, photographs, whole
from vitjax.optimize.recipes import RECIPES, choose
from vitjax.optimize.schedule.plan import plan
from vitjax.optimize.visualize import visualize
from vitjax.units.units import Unit

TAP = "blocks.2.mlp.hidden"
MODEL = small.model()
PLAIN = choose("default", steps=20, parametrization="pixels", **plain.PLAIN)
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
    again = visualize(MODEL, f"{TAP}:4", PLAIN, starts=Image.fromarray(other), batch=2, frames=2)
    assert np.array_equal(again.images[0], found.images[1])
    found.save(tmp_path)
    rows = json.loads((tmp_path / "pictures.json").read_text())["pictures"]
    assert [row["start"]["image"] for row in rows] == ["image 0", "image 1"] and len(rows[0]["start"]["sha256"]) == 64
    assert all(stage.size == 1 for stage in whole(STAGED).stages)
    shown = parametrization((32, 32), STAGED)
    assert np.abs(255 * shown.image(shown.params(taken[0] / 255)) - taken[0]).mean() < 6
    for options, said in (
        ({"starts": [PHOTO] * 3}, "begin with 3 photographs"),
        ({"starts": PHOTO, "parametrization": "maco", "stages": ()}, "phases of a photograph alone"),
        ({"starts": "no.jpg"}, "no.jpg"),
        ({"spacing": "lgo"}, "did you mean log"),
        ({"frames": 1}, "frames"),
    ):
        with pytest.raises(InputError, match=said):
            visualize(MODEL, f"{TAP}:3,4", **options)


@pytest.mark.exhaustive
def test_what_is_kept_leaves_the_picture_as_it_is():
    alone = visualize(MODEL, f"{TAP}:3-5", STAGED, batch=2)
    found = visualize(MODEL, f"{TAP}:3-5", STAGED, batch=2, frames=5, spacing="log", alpha=True)
    assert np.array_equal(alone.images, found.images) and alone.frames is None is alone.alpha
    assert found.frames.shape == (3, 5, 32, 32, 3) and np.array_equal(found.frames[:, -1], found.images)
    assert found.alpha.shape == (3, 32, 32) and (found.alpha > 0).all()


@pytest.mark.exhaustive
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


READ = "blocks.1.resid_post"


def features_of(images, tap=READ):
    """A tap's value on the patches of images."""
    return np.asarray(small.read(MODEL, np.asarray(images, np.float32), reads=tap)[tap])[:, 3:]


def test_likenesses_of_given_values():
    sites, rng = MODEL.taps(), np.random.default_rng(0)
    values = {READ: rng.normal(size=(2, *sites[READ].shape)).astype(np.float32)}
    target = rng.normal(size=sites[READ].shape).astype(np.float32)

    def of(goal, tokens="patches"):
        objective = objective_of(goal)
        numbers = jax.tree.map(lambda leaf: leaf[0], objective.numbers([goal], sites))
        return np.asarray(objective.activation(values, numbers, sites=sites, tokens=tokens))

    found, wanted = values[READ][:, 3:].reshape(2, -1), target[3:].reshape(-1)
    own, along = (wanted**2).sum(), found @ wanted
    np.testing.assert_allclose(of(Likeness(READ, "a", target)), -((found - wanted) ** 2).sum(1) / own, rtol=1e-5)
    np.testing.assert_allclose(of(Likeness(READ, "a", target, "dot")), along / own, rtol=1e-4, atol=1e-6)
    cosine = np.maximum(along / np.linalg.norm(found, axis=1) / own**0.5, 0.1)
    np.testing.assert_allclose(of(Likeness(READ, "a", target, "dot", 2)), along / own * cosine**2, rtol=1e-4, atol=1e-6)
    distances = -np.linalg.norm(values[READ][:, 3:] - target[3:], axis=2).mean(axis=1)
    np.testing.assert_allclose(of(Likeness(READ, "a", target, "distance")), distances, rtol=1e-5)
    axis = np.zeros(sites[READ].shape, np.float32)
    axis[:, 5] = 1
    np.testing.assert_allclose(of(Likeness(READ, "a", axis, "dot")), of(Unit(READ, (5,))), rtol=1e-5)
    same = Likeness(READ, "a", values[READ][0], "distance")
    numbers = jax.tree.map(lambda leaf: leaf[0], same.objective.numbers([same], sites))
    slope = jax.grad(lambda value: same.objective.activation({READ: value}, numbers, sites=sites, tokens="all").sum())
    assert not slope(values[READ][:1]).any()  # no NaN where a distance is 0


def test_features_are_inverted_and_exaggerated():
    seen = photographs(MODEL, PHOTO)
    first = likenesses(MODEL, seen, "blocks.0.resid_pre").cells[0][0]
    assert visualize(MODEL, first, PLAIN, steps=200, learning_rate=0.05).activation[0] > -0.05
    goals = [likenesses(MODEL, seen, READ, *kind).cells[0][0] for kind in (("l2",), ("dot", 1))]
    assert list(map(str, goals)) == [f"inversion({READ}, image 0)", f"caricature(1, {READ}, image 0)"]
    made = visualize(MODEL, goals, PLAIN, steps=100)
    target, (inverted, caricature) = features_of(seen.images / 255)[0], features_of(made.images / 255)
    ratio = np.linalg.norm(inverted) / np.linalg.norm(target)
    assert abs(ratio - 1) < 0.1 and np.linalg.norm(caricature) > 1.05 * np.linalg.norm(target)
    assert made.activation[1] > 1 > 0 > made.activation[0] > -0.5

    coarse = choose(PLAIN, optimizer="nadam", eps=0.01)  # with less it makes whole steps of what is nothing
    still = visualize(MODEL, goals[:1], coarse, starts=PHOTO)
    assert -still.history["activation"][0, 0] < 1e-10
    assert np.abs(still.images[0].astype(int) - seen.images[0]).max() <= 1


def test_photographs_are_data_and_pictures_of_them_are_not_rolled():
    loop.advance.clear_cache()
    seen = photographs(MODEL, [PHOTO, PHOTO[::-1].copy()])
    table = likenesses(MODEL, seen, READ)
    visualize(MODEL, table.goals, PLAIN, steps=2, batch=1)
    assert loop.advance._cache_size() == 1 and table.rows == ("image 0", "image 1")
    mixed = table.goals[0] - 0.5 * Unit(TAP, (3,))
    legs = plan(choose("default"), MODEL.config, objective_of(mixed))
    assert {leg.recipe.jitter for leg in legs} == {0} and {leg.config for leg in legs} == {MODEL.config}
    for wrong, said in (
        (lambda: visualize(MODEL, table.goals, PLAIN, seen=0.5), "leaves out places"),
        (lambda: likenesses(MODEL, seen, "blocks.1.resid_pots"), "did you mean"),
        (lambda: likenesses(MODEL, seen, READ, "l3"), "unknown kind 'l3'"),
        (lambda: likenesses(MODEL, seen, READ, "l2", 2), "goes with kind='dot'"),
        (lambda: visualize(MODEL, Likeness(READ, "a", np.ones((3, 3))), PLAIN), "the target has shape"),
    ):
        with pytest.raises(InputError, match=said):
            wrong()


def test_photographs_of_one_name_are_named():
    twice = Photographs(np.zeros((3, *MODEL.config.image_size, 3), np.uint8), ("a.png", "b.png", "b.png"))
    with pytest.raises(InputError, match=r"two photographs are called b.png"):
        likenesses(MODEL, twice, READ)


@pytest.mark.exhaustive
def test_accentuation_stays_nearer_the_more_it_is_to():
    unit, seen = Unit(TAP, (3,)), photographs(MODEL, PHOTO)
    begun, recipe = Beginnings(seen, (unit,)), choose(PLAIN, steps=60, optimizer="adam", learning_rate=0.02)
    assert accentuated(MODEL, [unit], begun, READ, 0, recipe) == [unit]
    strengths = (0.1, 1, 10)
    goals = [accentuated(MODEL, [unit], begun, READ, strength, recipe)[0] for strength in strengths]
    near, weight = next((term.goal, term.weight) for term in goals[1].terms if isinstance(term.goal, Likeness))
    seed = jnp.asarray(seen.images[0] / np.float32(255))
    assert weight * slope(MODEL, near, seed, recipe) == pytest.approx(slope(MODEL, unit, seed, recipe), rel=1e-3)
    made = visualize(MODEL, goals, recipe, starts=PHOTO).images
    target = features_of(seen.images / 255)[0]
    distances = np.linalg.norm(features_of(made / 255) - target, axis=2).mean(axis=1)
    assert (np.diff(distances) < 0).all()
    images = np.concatenate([seen.images, made]) / 255
    first, *after = features_of(images, "blocks.2.mlp.pre")[..., 3].mean(axis=1)
    assert after[1] > first
    with pytest.raises(InputError, match="did you mean"):
        accentuated(MODEL, [unit], begun, "blocks.1.resid_pots", 1, recipe)


def test_the_command_writes_what_is_kept(checkpoint, tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    photo, quick = str(tmp_path / "photo.png"), ["--recipe", "fast", "--set", "steps=4", "--set", "stages=[]"]
    command, out = ["visualize", "--model", str(checkpoint), *quick], tmp_path / "out"
    near = ["--start", photo, "--near", "2", "--tap", "blocks.0.resid_post", "--frames", "3", "--alpha"]
    assert main([*command, "blocks.1.mlp.hidden:3", *near, "--out", str(out)]) == 0
    row = json.loads((out / "pictures.json").read_text())["pictures"][0]
    assert row["start"]["image"] == "photo.png"
    assert "near(blocks.0.resid_post, photo.png)" in row["unit"] and "blocks.1.mlp.hidden:3" in row["unit"]
    picture, alpha, film = (opened(out / row[key]) for key in ("file", "alpha", "frames"))
    assert len(film) == 3 and alpha[0].shape == (32, 32, 4)
    assert all(np.array_equal(kept[..., :3], picture[0]) for kept in (alpha[0], film[-1]))
    assert main([*command, "--like", photo, "--tap", "blocks.0.resid_pre", "--out", str(tmp_path / "like")]) == 0
    assert (tmp_path / "like" / "table.png").exists() and len(list((tmp_path / "like").glob("inversion*.png"))) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--spacing", "log"], "--spacing goes with --frames"),
        (["--near", "1", "--tap", "embed"], "--near goes with --start"),
        (["--near", "1", "--start", "photo.jpg"], "--near needs one --tap"),
        (["--like", "photo.jpg"], "--like needs a --tap"),
        (["--kind", "caricature"], "--kind goes with --like"),
        (["--like", "photo.jpg", "--tap", "embed", "--power", "2"], "--power goes with --kind caricature"),
        (["--tap", "embed"], "--tap goes with"),
    ],
)
def test_options_that_do_not_go_together(options, said, capsys):
    assert main(["visualize", *options]) == 2
    assert said in capsys.readouterr().err


def test_all_recipes_can_begin_with_a_photograph():
    assert all(recipe.parametrization != "maco" for recipe in RECIPES.values())
