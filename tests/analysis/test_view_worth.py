"""What views are worth beside what units do, and cards of the two: by hand, and with files."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support import noise, small
from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.analysis.views import view_beside_picture, view_worth
from vitjax.analysis.views.filters import local_views
from vitjax.analysis.views.rollout import relevance
from vitjax.analysis.views.view_figures import view_pictures
from vitjax.data.pipeline import pixels
from vitjax.errors import InputError
from vitjax.optimize.recipes import Recipe
from vitjax.optimize.results.pictures import Pictures
from vitjax.units.units import Unit, expand

MODEL, DATA = small.model(), noise.dataset(6, 3)
FOLLOWED = jax.jit(view_worth.followed)
UNITS = ["embed:9", "blocks.1,3.resid_post:9", "embed:2"]


def test_correlation_is_pearsons():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 7, 4))
    by_hand = [[np.corrcoef(a[i, :, j], b[i, :, j])[0, 1] for j in range(4)] for i in range(3)]
    np.testing.assert_allclose(view_worth.correlation(jnp.asarray(a), jnp.asarray(b)), by_hand, rtol=1e-4)
    assert not view_worth.correlation(jnp.asarray(a), jnp.ones((3, 7, 4))).any()


def test_units_are_held_against_the_sums_of_their_views():
    images = jnp.asarray(noise.pixels(DATA)[:2])
    view, local = FOLLOWED(MODEL, images)
    assert view.shape == local.shape == (2, 5, 48)
    np.testing.assert_allclose(view[:, 0], local[:, 0], rtol=1e-5)
    sums = np.asarray(local_views(MODEL, images).sum(axis=(3, 4, 5)))[1]
    told = np.asarray(relevance(MODEL, images))[1, 1, 3:, 3:] @ sums  # after two blocks
    active = np.asarray(jax.jit(lambda m, x: m(x, "blocks.1.resid_post"))(MODEL, images)["blocks.1.resid_post"])[1, 3:]
    by_hand = [[np.corrcoef(active[:, u], some[:, u])[0, 1] for u in (0, 31)] for some in (told, sums)]
    np.testing.assert_allclose([view[1, 2, [0, 31]], local[1, 2, [0, 31]]], by_hand, atol=1e-3)


def test_the_table_is_the_median_over_units_of_means_over_images(tmp_path):
    findings = view_worth.run(MODEL, DATA)
    images = jnp.asarray(noise.pixels(DATA))
    means = np.concatenate([FOLLOWED(MODEL, images[i : i + 2])[0] for i in (0, 2, 4)]).mean(axis=0)
    assert [row["layer"] for row in findings.rows] == [0, 1, 2, 3, 4]
    np.testing.assert_allclose([row["view"] for row in findings.rows], np.median(means, axis=1), atol=1e-4)
    np.testing.assert_allclose([row["view_low"] for row in findings.rows], np.percentile(means, 10, axis=1), atol=1e-4)
    findings.save(tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures of all units but one."""
    path = tmp_path_factory.mktemp("pictures")
    units = expand(UNITS[:2], MODEL.taps())
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    history = {"activation": np.zeros((3, 1))}
    Pictures(images, units, np.zeros(3), history, Recipe(), seed=0, model={}, batch=1).save(path)
    return path


@pytest.mark.exhaustive
def test_a_card_has_a_row_for_each_depth(folder, tmp_path):
    findings = view_beside_picture.run(MODEL, DATA, units=UNITS[:2], pictures=folder, k=2)
    assert list(findings.figures) == ["channel-9"]
    units = [f"{tap}:9" for tap in ("embed", "blocks.1.resid_post", "blocks.3.resid_post")]
    assert [row["unit"] for row in findings.rows] == [unit for unit in units for _ in range(2)]
    best = exemplars(MODEL, DATA, "blocks.3.resid_post", k=2).taps["blocks.3.resid_post"]
    assert [row["image"] for row in findings.rows[4:]] == [DATA.images.names[i] for i in best.place[9]]
    np.testing.assert_allclose([row["score"] for row in findings.rows[4:]], best.score[9], rtol=1e-4)
    shown = findings.figures["channel-9"].axes[0].images
    assert len(shown) == 3 * (2 + 2 * 3)
    photos = pixels(DATA.images, best.place[9], DATA.config)
    seen, _ = view_pictures(MODEL, photos, [Unit("blocks.3.resid_post", (9,))])
    assert np.array_equal(shown[-2].get_array(), seen[1, 0, 0])
    assert np.array_equal(shown[-3].get_array(), photos[1])
    findings.save(tmp_path)


def test_mistakes_are_named(folder):
    with pytest.raises(InputError, match=r"holds no picture of embed:2 \(1 lacking\)"):
        view_beside_picture.run(MODEL, DATA, units=UNITS, pictures=folder)
    with pytest.raises(InputError, match=r"blocks\.1\.attn\.z:0\.3 has no view"):
        view_beside_picture.run(MODEL, DATA, units="blocks.1.attn.z:0.3", pictures=folder)
