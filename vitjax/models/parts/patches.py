"""Patches of images, and of maps: every patch becomes a token, as it is, by one linear map, or by a convolution."""

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float


class PatchEmbedding(nnx.Linear):
    """Cuts images into patches and maps the pixels of each, [..., pixel], to a token.

    Args:
        size: (height, width) of a patch in pixels.
        channels: of an image.
        width: channels of a token.
        rngs: of the initialisation.
        use_bias: whether the map has one.
        stride: pixels from one patch to the next, (down, across); default a patch. They overlap where it divides a
            patch into several (PiT).
    """

    def __init__(
        self,
        size: tuple[int, int],
        channels: int,
        width: int,
        rngs: nnx.Rngs,
        use_bias: bool = True,
        stride: tuple[int, int] | None = None,
    ):
        super().__init__(math.prod(size) * channels, width, use_bias=use_bias, rngs=rngs)
        self.size, self.channels, self.stride = size, channels, stride or size

    def tokens(self, images: Float[Array, "batch h w color"]) -> Float[Array, "batch patch channel"]:
        """Embeds images: cut into patches, row by row, each with its pixels as one axis."""
        pieces = self.cut(images.astype(self.kernel.dtype))
        return self(pieces.reshape(*pieces.shape[:2], -1))

    def cut(self, images: Float[Array, "*batch h w color"]) -> Float[Array, "batch patch height width color"]:
        """Cuts images into patches, row by row."""
        pieces = images.reshape(-1, *images.shape[-3:])
        for axis, size, stride in zip((1, 3), self.size, self.stride, strict=True):
            pieces = _pieces(pieces, axis, size, stride)
        pieces = pieces.swapaxes(2, 3)
        return pieces.reshape(len(pieces), -1, *pieces.shape[3:])

    def views(
        self,
        base: Float[Array, "slot h w color"],
        gain: Float[Array, "slot view color"],
        shift: Float[Array, "slot view color"],
    ) -> Float[Array, "image patch channel"]:
        """Embeds the images `gain * base + shift`, `slot * view` of them in that order.

        The embedding is linear, so those of all views follow from the colour planes of `base`: one picture's products
        serve all its views, forward and backward.
        """
        kernel = self.kernel[...]
        planes = kernel.reshape(-1, self.channels, kernel.shape[1])  # pixel, colour, channel
        pieces = self.cut(base.astype(kernel.dtype))
        pieces = pieces.reshape(*pieces.shape[:2], *planes.shape[:2])
        wide = jnp.promote_types(kernel.dtype, jnp.float32)
        shared = jnp.einsum("spxc,xcd->spcd", pieces, planes, preferred_element_type=wide)
        patches = jnp.einsum("svc,spcd->svpd", gain, shared) + jnp.einsum("svc,xcd->svd", shift, planes)[:, :, None]
        if self.bias is not None:
            patches = patches + self.bias[...]
        return patches.reshape(-1, *patches.shape[2:])


class OverlappingPatches(nnx.Conv):
    """Makes tokens of a map by a convolution whose kernel is larger than its stride (PVT v2, arXiv 2106.13797).

    There is one token for each `stride` rows and columns, and one more where some are left over.

    Args:
        size: rows and columns of the kernel, an odd number; zeros stand around the map.
        stride: rows and columns from one token to the next.
        channels: of the map.
        width: channels of a token.
        rngs: of the initialisation.
    """

    def __init__(self, size: int, stride: int, channels: int, width: int, rngs: nnx.Rngs):
        super().__init__(channels, width, (size, size), strides=stride, padding=size // 2, rngs=rngs)

    def tokens(self, x: Float[Array, "batch row column color"]) -> Float[Array, "batch token channel"]:
        """Embeds maps, row by row."""
        x = self(x.astype(self.kernel.dtype))
        return x.reshape(len(x), -1, x.shape[-1])


def unfold(
    maps: Float[Array, "batch row column channel"], size: int, stride: int, padding: int
) -> Float[Array, "batch patch value"]:
    """Cuts maps into square patches that overlap, with zeros around them, each as one vector: torch's `unfold`.

    In a vector channels come first, then rows, then columns.
    """
    maps = jnp.pad(maps, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    for axis in (1, 2):
        last = maps.shape[axis] - size
        of_each = [lax.slice_in_dim(maps, at, last + at + 1, stride, axis) for at in range(size)]
        maps = jnp.stack(of_each, axis=-1)
    return maps.reshape(len(maps), maps.shape[1] * maps.shape[2], -1)


def _pieces(x: jax.Array, axis: int, size: int, stride: int) -> jax.Array:
    """Makes two axes of one: pieces, one every `stride`, and the places in each of them, `size` many."""
    x = x.reshape(*x.shape[:axis], -1, stride, *x.shape[axis + 1 :])
    if (steps := size // stride) == 1:
        return x
    count = x.shape[axis] - steps + 1
    shifted = [lax.slice_in_dim(x, first, first + count, axis=axis) for first in range(steps)]
    return jnp.concatenate(shifted, axis=axis + 1)
