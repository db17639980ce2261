"""Maps beside boxes, and the pictures that stand beside maps: shares by hand, units in order, nothing left out."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support import noise, small
from tests.support.pictures import encode, photo, unpack
from tests.support.plain import PLAIN
from vitjax.analysis.report.painted import painted
from vitjax.analysis.study.gallery import gallery
from vitjax.analysis.units import background, objects
from vitjax.analysis.units.background import framed
from vitjax.analysis.units.maps import activation_maps
from vitjax.data.annotations.boxes import Boxes, boxes
from vitjax.data.dataset import Dataset, open_dataset
from vitjax.data.pipeline import pixels
from vitjax.errors import InputError
from vitjax.models.core.config import Preprocess
from vitjax.optimize.visualize import visualize
from vitjax.units.units import neurons

CONFIG = replace(small.CONFIG, preprocess=Preprocess(crop=1.0))
TAP = "blocks.1.mlp.hidden"


@pytest.fixture
def data(tmp_path) -> Dataset:
    """Six photos of twice the model's size with a box each, in Tiny ImageNet's form, and one without."""
    files = {f"{i}.png": encode(photo(64, 64, i)) for i in range(7)}
    lines = [f"{i}.png\tn01443537\t{8 * i}\t0\t63\t{8 * i + 15}\n" for i in range(6)]
    folder = unpack(tmp_path / "photos", files | {"val_annotations.txt": "".join(lines).encode()})
    return open_dataset(folder, CONFIG, batch=4)


def test_coverage_is_the_share_of_each_patch_inside_the_boxes():
    found = {"0.png": Boxes(np.array([[0, 0, 10, 20]])), "1.png": Boxes(np.array([[0, 0, 40, 40]]))}
    data = noise.dataset(3, batch=2, config=CONFIG)  # of 40 pixels, where the model has 32 and patches of 8
    covered = objects.coverage(data, found, [1, 0])
    wanted = np.zeros((4, 4))
    wanted[:2, 0] = 1
    np.testing.assert_allclose(covered[0].reshape(4, 4), wanted, atol=0.02)
    assert np.all(covered[1] == 1) and np.isnan(covered[2]).all()


def test_boxes_that_do_not_fit_are_named():
    found = {"1.png": Boxes(np.array([[50, 0, 60, 20]]))}
    with pytest.raises(InputError, match=r"1\.png: the box 50 0 60 20 holds no pixel"):
        objects.coverage(noise.dataset(3, batch=2, config=CONFIG), found, [1])


def test_shares_outside_the_boxes_are_those_of_the_maps(data):
    found, taps = boxes(data.images), list(neurons(small.model(), [1]))
    assert taps == [TAP] and len(found) == 6
    some = objects.boxed(data, found)
    one = objects.overlaps(small.model(), data, found, taps, k=2)[TAP]
    images = pixels(some.images, range(6), CONFIG)
    maps = np.maximum(activation_maps(small.model(), images, f"{TAP}:*"), 0).reshape(6, 96, 16)
    covered = objects.coverage(some, found, range(6))
    for unit, rank in ((0, 0), (17, 1), (95, 0)):
        place = one.place[unit, rank]
        map, inside = maps[place, unit], covered[place]
        assert one.outside[unit, rank] == pytest.approx((map * (1 - inside)).sum() / map.sum(), rel=1e-3)
        assert one.area[unit, rank] == pytest.approx((1 - inside).mean())
        assert one.usual[unit, rank] == pytest.approx((map * (1 - covered.mean(axis=0))).sum() / map.sum(), rel=1e-3)
        high, box = map > map.max() / 2, inside > 0.5
        assert one.iou[unit, rank] == pytest.approx((high & box).sum() / (high | box).sum())
        by_chance = high.sum() * box.sum() / 16
        assert one.chance[unit, rank] == pytest.approx(by_chance / (high.sum() + box.sum() - by_chance))


def test_every_block_has_its_row_and_every_unit_is_in_the_table(data, tmp_path):
    findings = objects.run(small.model(), data, k=2)
    assert [row["block"] for row in findings.rows] == [0, 1, 2, 3]
    table = findings.tables["objects-units"].to_pylist()
    assert [row["unit"] for row in table[:2]] == ["blocks.0.mlp.hidden:0", "blocks.0.mlp.hidden:1"] and len(
        table
    ) == 384
    assert (tmp_path / "out" / "objects-units.parquet") in findings.save(tmp_path / "out")


def test_units_of_the_background_come_first(data, tmp_path):
    findings = background.run(small.model(), data, block=1, count=4, k=2)
    by = lambda row: row["outside"] - max(row["area"], row["usual"])
    excess = [by(row) for row in findings.rows]
    assert excess == sorted(excess, reverse=True) and len(excess) == 4
    table = objects.run(small.model(), data, blocks=[1], k=2).tables["objects-units"].to_pylist()
    assert excess[0] == pytest.approx(max(by(row) for row in table if row["outside"] is not None))
    assert len(findings.figures[""].axes[0].images) == 4 * 2 * 2 + 1  # and the colour bar
    findings.save(tmp_path)
    with pytest.raises(InputError, match="6 images with boxes are fewer than the k=7"):
        background.run(small.model(), data, k=7)


def test_a_frame_runs_along_the_inner_edge_of_a_box():
    inside = np.zeros((8, 8, 3), np.uint8)
    inside[2:6, 1:8] = 255
    image = np.full((8, 8, 3), 9, np.uint8)
    drawn = (framed(image, inside) == background.FRAME).all(axis=-1)
    wanted = np.zeros((8, 8), bool)
    wanted[2:6, 1:8], wanted[3:5, 2:7] = True, False
    assert np.array_equal(drawn, wanted)


def test_a_gallery_shows_every_picture_at_the_same_size():
    image = np.zeros((6, 9, 3), np.uint8)
    rows = [[[image, image], [None, image]], [[image], [image]], [[image, image], [image]]]
    figure = gallery(rows, labels=["a", "b\nlong", "c"], titles=["left", "right"], captions=[["1", "2"]] * 3)
    axes = figure.axes[0]
    assert len(axes.images) == 8
    extents = np.array([picture.get_extent() for picture in axes.images])
    np.testing.assert_allclose(extents[:, 1] - extents[:, 0], 0.95)
    np.testing.assert_allclose(extents[:, 2] - extents[:, 3], 0.95 * 6 / 9)
    assert extents.min() >= 0 and extents[:, 1].max() <= figure.get_figwidth()
    assert {text.get_text() for text in axes.texts} == {"a", "b\nlong", "c", "left", "right", "1", "2"}
    beside = gallery(rows, width=20)
    assert beside.get_figwidth() > figure.get_figwidth() and beside.get_figheight() < figure.get_figheight()


def test_painted_pictures_are_found_in_their_folder_or_made(tmp_path):
    model = small.model()
    made = visualize(model, f"{TAP}:3,8", steps=2, **PLAIN)
    made.save(tmp_path)
    found = painted(model, folder=tmp_path)
    assert list(map(str, found)) == [f"{TAP}:3", f"{TAP}:8"]
    assert np.array_equal(np.stack(list(found.values())), made.images)
    (only,) = painted(model, f"{TAP}:8", folder=tmp_path).items()
    assert str(only[0]) == f"{TAP}:8" and np.array_equal(only[1], made.images[1])
    assert len(painted(model, folder=tmp_path, count=1)) == 1
    with pytest.raises(InputError, match=rf"no picture of {TAP}:9 \(1 lacking\)"):
        painted(model, f"{TAP}:8,9", folder=tmp_path)
    assert np.array_equal(np.stack(list(painted(model, f"{TAP}:3,8", recipe=made.recipe).values())), made.images)
