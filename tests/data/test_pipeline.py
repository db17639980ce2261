"""Batches of images: every image once, in order, whatever the batch, the shard, the start and the damage."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.support.pictures import CONFIG, encode, level, levels, photo
from vitjax.data.dataset import open_dataset
from vitjax.data.files.images import Images
from vitjax.data.pipeline import Batches, pixels
from vitjax.data.prepare import decode, prepare
from vitjax.errors import InputError


def found(batches: Batches) -> dict[int, np.ndarray]:
    """{place: pixels} of all batches; each has the same shape, and rows without an image are black."""
    places = []
    for batch in batches:
        assert batch.images.shape == (batches.size, *CONFIG.image_size, 3) and batch.images.dtype == np.uint8
        assert not batch.images[batch.place < 0].any()
        places += [(int(place), image) for place, image in zip(*batch, strict=True) if place >= 0]
    assert [place for place, _ in places] == sorted({place for place, _ in places})
    return dict(places)


@pytest.mark.parametrize("size", [1, 3, 5, 11, 20])
def test_each_image_stands_in_its_row_whatever_the_batch(size):
    batches = Batches(levels(11), CONFIG, size)
    assert [batch.place.tolist() for batch in batches] == [
        [i if i < 11 else -1 for i in range(start, start + size)] for start in range(0, 11, size)
    ]
    images = found(batches)
    assert len(batches) == -(-11 // size) and list(images) == list(range(11))
    assert all((image == place).all() for place, image in images.items())


@pytest.mark.parametrize("shards", [1, 3, 8])
@pytest.mark.parametrize("count", [1, 7, 24])
def test_shards_share_the_images_out(shards, count):
    parts = [Batches(levels(count), CONFIG, 2, shard=(i, shards)) for i in range(shards)]
    places = [list(found(part)) for part in parts]
    assert sorted(np.concatenate(places)) == list(range(count))
    assert max(map(len, places)) - min(map(len, places)) <= 1
    assert [len(part) for part in parts] == [sum(1 for _ in part) for part in parts]


@pytest.mark.parametrize("start", [0, 1, 3, 4, 9])
def test_a_later_start_gives_what_was_left(start):
    whole = [batch.place.tolist() for batch in Batches(levels(17), CONFIG, 3, shard=(1, 2))]
    rest = Batches(levels(17), CONFIG, 3, shard=(1, 2), start=start)
    assert [batch.place.tolist() for batch in rest] == whole[start:]
    assert len(rest) == len(whole[start:])


def test_every_pass_is_the_same():
    images = {f"{i}.jpg": encode(photo(40 + i, 60 - i, i), "jpeg") for i in range(9)}
    data = Images("photos", tuple(images), list(images.values()).__getitem__)
    batches = Batches(data, CONFIG, 4)
    first, second = list(batches), list(batches)
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.place, b.place) and np.array_equal(a.images, b.images)
    one_by_one = [prepare(decode(data.read(place)), CONFIG) for place in range(9)]
    assert np.array_equal(np.concatenate([batch.images for batch in first])[:9], one_by_one)
    assert np.array_equal(pixels(data, [7, 2], CONFIG), [one_by_one[7], one_by_one[2]])


def test_what_is_unreadable_is_left_out_and_named(tmp_path):
    def read(place):
        return level(place) if place != 5 else (tmp_path / "gone.png").read_bytes()

    images = replace(levels(8), read=lambda place: b"no image" if place == 2 else read(place))
    batches = Batches(images, CONFIG, 3)
    assert list(found(batches)) == [0, 1, 3, 4, 6, 7]
    assert batches.unreadable["002.png"] == "not an image of a kind that Pillow knows"
    assert "No such file" in batches.unreadable["005.png"] and len(batches.unreadable) == 2


def test_a_batch_may_be_empty_but_not_all():
    assert list(found(Batches(levels(6, damaged=(2, 3)), CONFIG, 2))) == [0, 1, 4, 5]
    with pytest.raises(InputError, match=r"none of 5 images in levels is readable, e\.g\. 000\.png: an empty file"):
        list(Batches(levels(5, damaged=tuple(range(5))), CONFIG, 2))
    # A run that goes on may have read good ones before.
    assert list(found(Batches(levels(6, damaged=(4, 5)), CONFIG, 2, start=2))) == []


def test_images_are_changed_before_they_are_resized():
    seen = {}

    def invert(name, image):
        seen[name] = image.shape
        return 255 - image

    assert all((image == 255 - place).all() for place, image in found(Batches(levels(5), CONFIG, 2, invert)).items())
    assert seen == {f"{i:03d}.png": (2, 3, 3) for i in range(5)}


def test_mistakes_in_the_code_are_not_unreadable_images():
    def wrong(name, image):
        raise KeyError(name)

    with pytest.raises(KeyError):
        list(Batches(levels(3), CONFIG, 2, wrong))


def test_progress_is_told_of_every_batch():
    counts = []

    def progress(batches, total):
        counts.append(total)
        for batch in batches:
            yield batch
            counts.append((batch.place >= 0).sum())

    assert list(found(Batches(levels(8), CONFIG, 3, start=1, progress=progress))) == [3, 4, 5, 6, 7]
    assert counts == [2, 3, 2]


def test_the_reader_stays_near_the_consumer(monkeypatch):
    """Memory does not grow with the number of images."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    read = []
    images = replace(levels(250), read=lambda place: (read.append(place), level(place))[1])
    ahead = [len(read) - 4 * (i + 1) for i, _ in enumerate(Batches(images, CONFIG, 4))]
    assert max(ahead) <= 2 * 4 and sorted(read) == list(range(250))


def test_a_loop_that_is_left_ends_its_threads():
    before = threading.active_count()
    read = []
    images = replace(levels(200), read=lambda place: (read.append(place), level(place))[1])
    for _ in Batches(images, CONFIG, 2):
        break
    for thread in threading.enumerate():
        if thread.name.startswith("grain-prefetch"):
            thread.join(10)
    assert threading.active_count() <= before and len(read) < 100


def test_an_iterator_in_hand_does_not_keep_the_interpreter(on_devices):
    """Run with warnings as errors: neither grain nor the pipeline gives one."""
    printed = on_devices(
        """
        from tests.support.pictures import CONFIG, levels
        from vitjax.data.pipeline import Batches
        kept = iter(Batches(levels(200), CONFIG, 2))
        print(next(kept).place)
        raise SystemExit
        """,
        count=1,
    )
    assert printed == "[0 1]\n"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"size": 0}, "a batch of 0 images"),
        ({"shard": (3, 3)}, "shard 3 of 3"),
        ({"shard": (-1, 2)}, "shard -1 of 2"),
    ],
)
def test_batches_that_cannot_be(wrong, said):
    with pytest.raises(InputError, match=said):
        Batches(**{"images": levels(3), "config": CONFIG, "size": 2} | wrong)


def test_what_is_left_out_is_said(tmp_path, caplog):
    for name in ("a.png", "a_mask.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    assert len(open_dataset(tmp_path, CONFIG).images) == 1
    assert "left out beside 1 images: 1, e.g. a_mask.png (the mask of an image beside it)" in caplog.text
