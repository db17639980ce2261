"""What a teacher makes of the training images, once for all epochs, and the losses of a student that is to agree.

Each patch token of the student learns the teacher's of the same place, and its class token what the teacher says of the
image. Li et al. 2022 (arXiv 2207.10026) show how much that helps a Transformer that is trained on few images.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from vitjax.models.kernels import products
from vitjax.models.vit import ViT

Grid = tuple[int, int] | None  # rows and columns of patches that learn the teacher's


def tokens(teacher: ViT, images: np.ndarray, grid: Grid, path: Path, batch: int = 64) -> np.ndarray:
    """The teacher's tokens before its head, class token first, float16 [image, token, channel]; kept at `path`.

    Args:
        teacher: of the image size at which it is asked.
        images: uint8 [image, h, w, 3], of any size.
        grid: of the student's patches, to which the teacher's are resampled; None for the class token alone.
        path: of an npy file.
        batch: images at a time.
    """
    if not path.exists():
        size = teacher.config.image_size

        @jax.jit
        def infer(teacher: ViT, x: jax.Array) -> jax.Array:
            x = jnp.clip(jax.image.resize(x / 255.0, (len(x), *size, 3), "bicubic"), 0, 1)
            x = teacher(x, "norm")["norm"]
            if grid is None:
                return x[:, :1].astype(jnp.float16)
            patches = x[:, teacher.config.prefix :].reshape(len(x), *teacher.config.grid, -1)
            patches = jax.image.resize(patches, (len(x), *grid, x.shape[-1]), "linear")
            return jnp.concatenate([x[:, :1], patches.reshape(len(x), -1, x.shape[-1])], axis=1).astype(jnp.float16)

        made = [np.asarray(infer(teacher, images[i : i + batch])) for i in range(0, len(images), batch)]
        part = path.with_suffix(".part.npy")  # whole or not at all
        np.save(part, np.concatenate(made))
        part.rename(path)
    return np.load(path, mmap_mode="r")


class Pupil(nnx.Module):
    """The layers that turn what a student makes of images into what a teacher does, for the time of the training.

    Args:
        width: channels of what the student's head reads, and of its tokens.
        channels: of the teacher's tokens.
        classes: of the teacher's head.
        grid: of the patches that learn the teacher's tokens, which are as wide as what the head reads.
        seed: of the initialisation.
    """

    def __init__(self, width: int, channels: int, classes: int, grid: Grid, seed: int):
        rngs = nnx.Rngs(seed)
        if grid:
            self.patches = nnx.Linear(width, channels, rngs=rngs, dot_general=products.dot_general)
        self.classes = nnx.Linear(width, classes, rngs=rngs, dot_general=products.dot_general)
        self.reads = ("pooled", "norm") if grid else ("pooled",)

    def __call__(self, seen: dict[str, jax.Array], theirs: jax.Array, scale: dict, head: nnx.Linear) -> jax.Array:
        """The divergence of the classes, plus the square error of the patches in units of their spread.

        Args:
            seen: the student's taps, `reads` among them.
            theirs: the teacher's tokens of the same places, [batch, token, channel].
            scale: "mean" and "std" of the teacher's patch tokens, [channel].
            head: the teacher's.
        """
        guess = jax.nn.log_softmax(self.classes(seen["pooled"]))
        loss = optax.kl_divergence(guess, jax.nn.softmax(head(theirs[:, 0]))).mean()
        if "norm" in self.reads:
            wanted = (theirs[:, 1:] - scale["mean"]) / scale["std"]
            loss += jnp.square(self.patches(seen["norm"][:, 1:]) - wanted).mean()
        return loss


def spread(tokens: np.ndarray, of: int = 2000) -> dict[str, np.ndarray]:
    """Mean and standard deviation of each channel of the patch tokens, by the first images; nothing without patches."""
    if tokens.shape[1] == 1:
        return {}
    some = tokens[:of, 1:].astype(np.float32)
    return {"mean": some.mean(axis=(0, 1)), "std": some.std(axis=(0, 1))}
