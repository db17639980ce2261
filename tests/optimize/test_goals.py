"""Goals as an algebra: sums in one way of writing, one program for alike sums, functions of one's own."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support import small
from tests.support.plain import PLAIN
from vitjax.analysis.report.grading import read_finished
from vitjax.atlas.job.job import chosen
from vitjax.errors import InputError
from vitjax.optimize import loop
from vitjax.optimize.goals.custom import Custom
from vitjax.optimize.goals.penalties import gram_likeness
from vitjax.optimize.objectives import AlongDirection, objective_of
from vitjax.optimize.recipes import choose
from vitjax.optimize.results.pictures import Pictures, append, file_name, write_sheet
from vitjax.optimize.visualize import resolve, visualize
from vitjax.units.algebra import Sum, Term, after
from vitjax.units.units import CosinePower, Direction, Unit

TAP, OTHER = "blocks.2.resid_post", "blocks.1.attn.z"
A, B = Unit(TAP, (5,)), Unit(OTHER, (2, 1))
QUICK = choose("default", steps=4, **PLAIN)
MODEL = small.model()


def of(goal, *, earlier=False):
    """The activation of a goal by its shortest way from the values of taps, and its gradient by each of them."""
    sites, objective = MODEL.taps(), objective_of(goal)
    numbers = jax.tree.map(lambda leaf: leaf[0], objective.numbers([goal], sites))
    objective = objective.earlier(sites) if earlier else objective
    taps, score = objective.shortest(MODEL, "patches")
    found, slopes = jax.jit(jax.value_and_grad(lambda values: score(values, numbers).sum()))(
        {tap: VALUES[tap] for tap in taps}
    )
    return [found] + [slopes.get(tap, np.zeros_like(VALUES[tap])) for tap in VALUES]


READ = (TAP, OTHER, "blocks.1.resid_pre", "blocks.2.resid_mid", "blocks.2.mlp.hidden")
VALUES = {
    tap: np.random.default_rng(i).normal(size=(2, *MODEL.taps()[tap].shape)).astype(np.float32)
    for i, tap in enumerate(READ)
}


def same(found, wanted, tolerance):
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * np.abs(other).max())


def test_a_sum_is_written_in_one_way():
    assert A + B == B + A and str(A + B) == str(B + A) == f"{OTHER}:2.1 + {TAP}:5"
    assert str(A - 0.5 * B) == f"{TAP}:5 - 0.5 * {OTHER}:2.1" == str(-(0.5 * B) + A) == str(-(B / 2 - A))
    assert 1.0 * A is A and A + B - B == A + 0 * B and str(-A) == f"-{TAP}:5" and str(A - A) == f"0 * {TAP}:5"
    assert (A + A).terms == (Term(2, A),) and sum([A, B]) == A + B and np.float32(2) * A == A * 2
    assert str(replace(A - B, variant=2)) == f"({TAP}:5 - {OTHER}:2.1)#2" and (-A).hash != A.hash
    assert str(after(A - 2 * B)) == f"after({TAP}:5) - 2 * after({OTHER}:2.1)"
    for wrong, said in (
        (lambda: A * True, "multiplied by numbers"),
        (lambda: A / 0, "divided by 0"),
        (lambda: A * np.nan, "not finite"),
        (lambda: A + replace(B, variant=1), "one variant"),
        (lambda: Direction(TAP, "d", np.ones(48)) + Direction(TAP, "d", np.ones(48)), "two goals are called"),
    ):
        with pytest.raises(InputError, match=said):
            wrong()
    with pytest.raises(TypeError):
        A + 1
    with pytest.raises(TypeError):
        A * B


def test_a_sum_within_a_tap_is_the_direction():
    vector = np.zeros(48, np.float32)
    vector[5], vector[7] = 1, -0.5
    same(of(A - 0.5 * Unit(TAP, (7,))), of(Direction(TAP, "sum", vector)), 1e-5)


def test_a_sum_of_several_taps_is_the_sum_of_its_terms():
    hidden = Unit("blocks.2.mlp.hidden", (3,))
    for options in ({}, {"earlier": True}):
        parts = [of(goal, **options) for goal in (hidden, A, B)]
        wanted = [one - 0.5 * two + 2 * three for one, two, three in zip(*parts, strict=True)]
        same(of(hidden - 0.5 * A + 2 * B, **options), wanted, 1e-5)
    same(of(after(hidden) - A, earlier=True), of(hidden - A), 1e-5)
    assert objective_of(hidden - B).shortest(MODEL, "patches")[0] == (OTHER, "blocks.2.resid_mid")


def test_one_program_serves_all_sums_of_alike_terms():
    loop.advance.clear_cache()
    pairs = [Unit(TAP, (i % 48,)) - 0.1 * i * Unit(OTHER, (i % 3, i % 7)) for i in range(1, 51)]
    pictures = visualize(MODEL, pairs, QUICK, batch=10)
    assert loop.advance._cache_size() == 1
    values = small.read(MODEL, pictures.images / np.float32(255), reads=(TAP, OTHER))
    wanted = values[TAP][3, 3:, 4].mean() - 0.4 * values[OTHER][3, 3:, 1, 4].mean()
    np.testing.assert_allclose(pictures.activation[3], wanted, rtol=1e-4, atol=1e-5)

    swapped = -0.1 * Unit(OTHER, (1, 1)) + Unit(TAP, (1,))
    again = visualize(MODEL, [swapped, *pairs[1:10]], QUICK, batch=10)
    assert np.array_equal(again.images, pictures.images[:10])
    assert loop.advance._cache_size() == 1


def test_weights_of_zero_pull_nowhere():
    assert not any(map(np.any, of(A - A + 0 * B)))


def test_the_negative_lowers_its_unit_before_the_activation_function():
    tap, plain = "blocks.1.mlp.pre", choose(QUICK, steps=60)
    found = visualize(MODEL, [-Unit("blocks.1.mlp.hidden", (i,)) for i in range(3, 7)], plain)
    pictures, noise = found.images / np.float32(255), np.random.default_rng(0).random((64, 32, 32, 3), np.float32)
    reached, usual = (np.asarray(small.read(MODEL, images, reads=tap)[tap])[:, 3:, 3:7] for images in (pictures, noise))
    np.testing.assert_allclose(-found.activation, reached.mean(axis=1).diagonal(), rtol=1e-4)
    assert (reached.mean(axis=1).diagonal() < np.percentile(usual.mean(axis=1), 1, axis=0)).all()


@pytest.mark.parametrize(("power", "values", "wanted"), [(0, (3, 4), 3), (1, (3, 4), 1.8), (2, (3, 4), 1.08)])
def test_powers_of_the_cosine(power, values, wanted):
    assert cosine(power, values) == pytest.approx(wanted, rel=1e-6)
    assert cosine(power, 2 * np.array(values)) == pytest.approx(2 * wanted, rel=1e-6)


def cosine(power, *tokens, vector=(1, 0)):
    """The activation along a vector of a value with these tokens of two channels, or images with one each."""
    site = replace(MODEL.taps()[TAP], shape=(1, 2), grid=(1, 1), prefix=0)
    goal, sites = CosinePower(TAP, "v", np.array(vector), power=power), {TAP: site}
    objective = objective_of(goal)
    values = {TAP: jnp.asarray(tokens, jnp.float32)[:, None]}
    found = objective.activation(values, objective.numbers([goal], sites)[0], sites=sites, tokens="patches")
    return np.asarray(found if len(tokens) > 1 else found[0])


def test_a_cosine_has_a_floor_and_knows_no_other_image():
    few = (0.5, 0.5 * np.sqrt(1 / 0.05**2 - 1))
    assert cosine(2, few) == pytest.approx(0.005, rel=1e-5)
    np.testing.assert_allclose(cosine(2, few, (3, 4)), [cosine(2, few), cosine(2, (3, 4))], rtol=1e-6)
    assert cosine(2, (3, 4), vector=(5, 0)) == pytest.approx(5 * 1.08, rel=1e-6)
    plain, none = Direction(TAP, "v", np.ones(48)), CosinePower(TAP, "v", np.ones(48), power=0)
    assert objective_of(none) == AlongDirection(TAP) and none.hash == plain.hash
    with pytest.raises(InputError, match="power of the cosine"):
        CosinePower(TAP, "v", np.ones(48), power=-1)


def mean_of_5(values):
    return values[TAP][:, 3:, 5].mean(axis=1)


def test_a_function_of_ones_own():
    mine = Custom("mine", [TAP], mean_of_5)
    same(of(mine), of(A), 1e-6)
    both = of(mine - B), of(A - B)
    same(*both, 1e-6)
    assert str(resolve(MODEL, mine - B)[0]) == f"mine - {OTHER}:2.1"


KEPT, CALLS = [], []


def _keeps(values):
    KEPT.append(values[TAP])
    return mean_of_5(values)


@dataclass
class Unhashed:
    def __call__(self, values):
        return mean_of_5(values)


def _counts(values):
    CALLS.append(1)
    return mean_of_5(values) * len(CALLS)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (_keeps, "not pure: it keeps"),
        (_counts, "not pure: called again"),
        (lambda values: mean_of_5(values) + np.random.default_rng().normal(size=2), "not pure: called again"),
        (lambda values: values[TAP].mean(), r"\[2\] for 2; it gives float32 \[\]"),
        (lambda values: values[TAP].argmax(axis=(1)), "it gives int32"),
        (lambda values: values["logits"], "fails \\(KeyError: 'logits'\\)"),
        (3, "no function"),
        (Unhashed(), "cannot be hashed"),
    ],
    ids=("keeps", "counts", "draws", "one number", "integers", "another tap", "no function", "unhashed"),
)
def test_functions_that_are_none_of_a_goals(function, said):
    with pytest.raises(InputError, match=said):
        resolve(MODEL, Custom("mine", [TAP], function) + 0 * A)


def test_customs_have_names_and_taps():
    with pytest.raises(InputError, match="needs a name"):
        Custom(" ", [TAP], mean_of_5)
    with pytest.raises(InputError, match="did you mean"):
        resolve(MODEL, Custom("mine", ["blocks.2.resid_past"], mean_of_5))
    with pytest.raises(InputError, match="two goals are called mine"):
        resolve(MODEL, [Custom("mine", [TAP], mean_of_5), Custom("mine", [TAP], lambda values: mean_of_5(values))])


def test_files_of_sums_have_sound_names():
    assert file_name(-A).startswith("minus_blocks.2.resid_post_5_")
    assert file_name(A - 0.5 * B).startswith("blocks.2.resid_post_5_minus_0.5___blocks.1.attn.z_2.1_")
    assert isinstance(A - B, Sum) and file_name(A) == "blocks.2.resid_post_5.png"


def test_lucids_diversity_of_equal_pictures():
    values = np.random.default_rng(0).normal(size=(1, 1, 5, 4)).astype(np.float32)
    alike = gram_likeness(jnp.asarray(np.repeat(values, 6, axis=0)), 3)
    np.testing.assert_allclose(alike, np.full(6, 2), rtol=1e-5)
    features = np.random.default_rng(1).normal(size=(3, 2, 5, 4)).astype(np.float32)
    grams = [np.einsum("pc,pd->cd", one, one) for one in features.reshape(3, 10, 4)]
    grams = [gram / np.linalg.norm(gram) for gram in grams]
    wanted = sum((one * other).sum() for i, one in enumerate(grams) for j, other in enumerate(grams) if i != j) / 3
    np.testing.assert_allclose(gram_likeness(jnp.asarray(features), 3).mean(), wanted, rtol=1e-5)


def test_reports_and_atlases_are_of_units(tmp_path, caplog):
    images, history = np.zeros((2, 32, 32, 3), np.uint8), dict.fromkeys(loop.History._fields, np.zeros((2, 3)))
    append(tmp_path, Pictures(images, [A, -A], np.zeros(2), history, QUICK, 0, {}, 1))
    assert read_finished(tmp_path, MODEL)[0].units == [A] and f"such as -{TAP}:5, are left out" in caplog.text
    write_sheet(tmp_path)
    with pytest.raises(InputError, match="an atlas is of units alone"):
        chosen(MODEL, [f"{TAP}:5 - {TAP}:6"], None)


def test_a_picture_of_what_is_no_number_is_refused():
    lost = Custom("lost", [TAP], lambda values: values[TAP].mean(axis=(1, 2)) * jnp.nan)
    with pytest.raises(InputError, match="lost: its activation has become nan"):
        visualize(MODEL, lost, QUICK)
