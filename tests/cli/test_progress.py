"""Bars name what is going on, and their rates are of the work alone; slots are chosen so that few are empty."""

import contextlib
import io

import numpy as np
import pytest

from tests.support import small
from vitjax import progress
from vitjax.data.dataset import even
from vitjax.data.pipeline import Batch, Extent
from vitjax.errors import InputError
from vitjax.optimize.recipes import choose
from vitjax.optimize.results.sheets import _fitted
from vitjax.optimize.schedule.batches import batches_of, fewest, meter_of
from vitjax.optimize.visualize import resolve
from vitjax.progress import Bar, Meter, News


@contextlib.contextmanager
def drawn():
    """What is written on standard error, a line each."""
    lines, out = [], io.StringIO()
    with contextlib.redirect_stderr(out):
        yield lines
    lines += [line.strip() for line in out.getvalue().replace("\r", "\n").splitlines() if line.strip()]


def test_compiling_counts_in_the_time_left_and_in_no_rate():
    meter = Meter(work=100, programs=2, workers=2)
    assert meter.left is None
    for news in (News(compiling="blocks.0"), News(compiled=8), News(10), News(30, 6)):
        meter.hear(news)
    assert meter.doing == "" and meter.rate == 10
    assert meter.left == (100 - 40) / 10 + 8 / 2
    meter.hear(News(-40))
    assert meter.done == 0


def test_a_bar_says_what_is_compiled_and_what_came_of_it():
    with drawn() as lines, Bar("painting", 4, "picture", Meter(200, 1), hourly=True) as bar:
        bar.hear(News(compiling="blocks.3.mlp.hidden"))
        bar.hear(News(compiled=2))
        bar.hear(News(100, 50))
        bar.show(2)
    assert any(line.startswith("compiling blocks.3.mlp.hidden:   0%") for line in lines)
    assert lines[-1].startswith("painting:  50%") and "2 of 4 pictures, 144 an hour, 50 s left" in lines[-1]


def test_images_are_counted_not_the_places_of_batches():
    batches = [Batch(np.array([0, 1, 2]), np.zeros(0)), Batch(np.array([3, -1, -1]), np.zeros(0))]
    with drawn() as lines:
        assert list(progress.images("norms")(iter(batches), Extent(2, 4, "control"))) == batches
    assert any(line.startswith("compiling norms, control:") for line in lines)
    assert lines[-1].startswith("norms, control: 100%") and "4 of 4 images" in lines[-1]


@pytest.mark.parametrize(("images", "devices", "size"), [(60, 1, 30), (7, 1, 7), (33, 2, 18), (5, 8, 5), (64, 4, 32)])
def test_batches_are_about_full(images, devices, size):
    assert even(images, devices) == size


def test_few_slots_stay_empty():
    assert [fewest(*case) for case in (([6] * 6, 4), ([33], 32), ([3], 32), ([32, 3], 32))] == [3, 17, 3, 17]
    goals = resolve(small.model(), "blocks.0-1.mlp.hidden:0-2")
    meter = meter_of(small.CONFIG, choose("fast", steps=40), batches_of(goals, 3))
    assert meter.programs == 4 and 0 < meter.work < 6 * 80


def test_a_caption_keeps_the_index():
    class Font:
        getlength = staticmethod(len)

    assert _fitted("11.mlp.hidden:1203  2.5", 16, Font) == "11.ml…:1203  2.5"
    assert _fitted("3.resid_post.sae:12#2  -1", 16, Font) == "3.resi…:12#2  -1"
    assert _fitted("a photo of a dog  0.3", 14, Font) == "a photo …  0.3"


def test_a_notebook_shows_a_mistake_in_two_lines():
    try:
        resolve(small.model(), "blocks.0.mlp.hiden:3")
    except InputError as error:
        assert error._render_traceback_() == [
            f"InputError: {error}",
            f"  in line {error.__traceback__.tb_lineno}: resolve(small.model(), \"blocks.0.mlp.hiden:3\")",
        ]  # fmt: skip
