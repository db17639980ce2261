"""Where a unit of Swin fires on the image, by hand: one bright patch, a block with shifted windows."""

from functools import cache

import numpy as np
import pytest
from PIL import Image

from tests.support.pictures import encode
from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.analysis.units.maps import activation_maps
from vitjax.data.dataset import Dataset
from vitjax.data.files.images import Images
from vitjax.models.core.preprocess import Preprocess
from vitjax.models.hierarchical.swin import Swin, SwinConfig
from vitjax.weights.parameters import build, shapes

BLOCK = "stages.0.blocks.1"
BLACK = Preprocess(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), crop=1.0)
CONFIG = SwinConfig(
    (32, 32), (4, 4), (2,), (2,), (1,), (3,), classes=0, windows=(4,), preprocess=BLACK
)  # 8x8 patches, windows of 4x4, shifted by 2


@cache
def model() -> Swin:
    """One whose tokens are (1, -1) at a bright patch and (0, 0) elsewhere, v and a neuron their first channel."""
    arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes(CONFIG).items()}
    arrays["patch.kernel"][:] = [1, -1]
    for name, array in arrays.items():
        if name.endswith("scale"):
            array[:] = 1
        elif name.endswith("qkv.kernel"):  # row, channel, which of q, k and v, head, channel of it
            array[:, 0, 2, 0, 0] = 1
        elif name.endswith("fc1.kernel"):
            array[:, 0, 1] = 1
    return build(CONFIG, arrays)


def picture(row: int, column: int) -> np.ndarray:
    """Black, but for one patch."""
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 255
    return pixels


# Of a bright patch: the patches of its shifted window that are its neighbours in the image too, by hand.
SHARED = {(3, 5): (slice(2, 6), slice(2, 6)), (6, 3): (slice(6, 8), slice(2, 6)), (0, 7): (slice(0, 2), slice(6, 8))}


@pytest.mark.parametrize("patch", SHARED, ids=str)
def test_maps_show_which_patch_fires_and_which_share_its_window(patch):
    maps = activation_maps(
        model(), picture(*patch)[None], [f"{BLOCK}.attn.v:0.0", f"{BLOCK}.mlp.hidden:1", f"{BLOCK}.attn.z:0.0"]
    )[0]
    for one in maps[:2]:
        assert np.unravel_index(one.argmax(), one.shape) == patch and np.count_nonzero(one > 1e-6) == 1
    rows, columns = SHARED[patch]
    expected = np.zeros((8, 8))
    expected[rows, columns] = 1 / expected[rows, columns].size
    np.testing.assert_allclose(maps[2], expected, rtol=1e-3, atol=1e-6)


def test_exemplars_say_which_patch_fires():
    patches = list(SHARED)
    files = [encode(Image.fromarray(picture(*patch))) for patch in patches]
    images = Images("made", tuple(f"{i}.png" for i in range(len(files))), lambda place: files[place])
    found = exemplars(model(), Dataset(images, CONFIG, batch=2), f"{BLOCK}.attn.v", k=3).taps[f"{BLOCK}.attn.v"]
    numbers = {place: 8 * row + column for place, (row, column) in enumerate(patches)}
    assert {int(place): int(patch) for place, patch in zip(found.place[0], found.patch[0], strict=True)} == numbers


@pytest.mark.parametrize("patch", SHARED, ids=str)
def test_scores_have_places_too(patch):
    tap = f"{BLOCK}.attn.probs"
    probs, site = np.asarray(model()(picture(*patch)[None] / np.float32(255), tap)[tap])[0], model().taps()[tap]
    ((window, query),) = np.argwhere(site.cut.places == 8 * patch[0] + patch[1])
    keys = site.cut.places[window][probs[window, 0, query] > 1e-6]
    assert {divmod(int(key), 8) for key in keys} == {
        (row, column) for row in range(8)[SHARED[patch][0]] for column in range(8)[SHARED[patch][1]]
    }
