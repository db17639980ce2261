"""The patches of the paper's pictures that show objects, by hand, from the published code of Nguyen et al. 2022.

Patches are counted on the 14x14 grid, row by row from 0. The pictures themselves are not ours to publish.
"""

import numpy as np

GRID = (14, 14)


def spans(*ends: int) -> list[int]:
    """Patches from spans: first, last, first, last, …, all of them included."""
    return [patch for first, last in zip(ends[::2], ends[1::2], strict=True) for patch in range(first, last + 1)]


# OcclusionCreate.ipynb: what salient occlusion of the dog, and of the cat, draws from.
SALIENT_DOG = spans(34, 36, 48, 50, 62, 65, 75, 79, 89, 94, 105, 108, 119, 123, 133, 137, 147, 151, 161, 165)
SALIENT_DOG += [176, 179, 193]
SALIENT_CAT = [101, 102, 115, 116, 129, 130, 143, 144, *spans(156, 158, 170, 172)]

# ViT_embedding_visualization.ipynb: what its t-SNE maps colour.
DOG_AND_CAT = {
    "cat": spans(101, 102, 115, 116, 129, 130, 142, 144, 156, 158, 170, 172),
    "dog": spans(
        34, 36, 47, 51, 61, 65, 75, 80, 89, 94, 105, 109, 119, 123, 133, 137, 146, 151, 160, 165, 175, 176, 178, 179
    ),
}
COLLAGE = {
    "ringlet": spans(29, 32, 43, 47, 58, 61, 72, 74),
    "magpie 1": spans(38, 38, 52, 52),
    "magpie 2": spans(50, 50, 64, 64, 78, 78),
    "ox": spans(102, 104, 115, 118, 129, 132, 142, 146, 156, 160, 170, 174, 185, 188),
    "assault rifle": spans(133, 134, 147, 152, 161, 163),
}


def painted(objects: dict[str, list[int]], size: int = 224) -> np.ndarray:
    """A label for every pixel of a square image, int32 [size, size]: 0 for none, i + 1 for object i."""
    labels = np.zeros(GRID[0] * GRID[1], np.int32)
    for number, patches in enumerate(objects.values(), 1):
        labels[patches] = number
    return labels.reshape(GRID).repeat(size // GRID[0], 0).repeat(size // GRID[1], 1)
