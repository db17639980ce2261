"""Says how a forward pass is carried out where that does not change what it computes: what is kept, which kernels."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import jax

from vitjax.errors import InputError
from vitjax.models.kernels import cudnn, tpu_attention
from vitjax.models.kernels.cudnn import Heads


class Kernel(NamedTuple):
    """Attention that is computed in one, without its scores lying in memory.

    Attributes:
        attend: from q, k and v to z.
        takes: whether it is made for this q, and for the devices that are here.
        fits: what it takes, in words.
        platform: whose devices take it where nothing else is asked; none by itself if empty.
        packed: the same from q, k and v side by side, [batch, token, 3 · head · channel], as one projection writes
            them, and the number of heads, to z [batch, token, head · channel]; None where it wants them apart.
        filled: fills tokens [batch, token, …] up to as many as it takes; then `attend` is told how many there were, and
            q, k and v are best made apart. None where it takes any number.
        gives: JAX's name of what it computes, which the backward pass keeps.
    """

    attend: Callable[[Heads, Heads, Heads], Heads]
    takes: Callable[[Heads], bool] = lambda q: True
    fits: str = ""
    platform: str = ""
    packed: Callable[[jax.Array, int], jax.Array] | None = None
    filled: Callable[[jax.Array], jax.Array] | None = None
    gives: str = ""


# By name, the better before the worse.
KERNELS = {
    "xla": Kernel(partial(jax.nn.dot_product_attention, implementation="xla")),
    "cudnn": Kernel(
        cudnn.attend,
        cudnn.takes,
        f"16 bits and heads of {cudnn.MULTIPLE}, {2 * cudnn.MULTIPLE}, … {cudnn.WIDEST} channels on NVIDIA GPUs of"
        f" compute capability {cudnn.CAPABILITY} and later",
        "gpu",
        filled=cudnn.filled,
        gives=cudnn.GIVES,
    ),
    "pallas": Kernel(
        tpu_attention.attend,
        tpu_attention.takes,
        f"floats of up to 32 bits and {tpu_attention.FEWEST} to {tpu_attention.MOST} tokens on TPUs",
        "tpu",
        packed=tpu_attention.packed,
    ),
}
COPIED = "attn.qkv"  # what kernels read whole: copied once into the arrays of a scan, and once out of them
# How many blocks alike are unrolled at most, by platform. Within a scan a GPU's products cannot write into the arrays
# of what the backward pass keeps of all blocks: each is copied there and back (benchmarks/README.md). More blocks take
# too long to compile.
UNROLLED = {"gpu": 24}
PRODUCT = "mlp.product"  # of the MLP's first layer, before its bias
WRITTEN = {"gpu": {"mlp.pre": PRODUCT}}  # what products write of what is kept, by platform: its reader adds the bias
ATTENTIONS = ("auto", "products", *KERNELS)


@dataclass(frozen=True)
class Execution:
    """How a model runs.

    Attributes:
        remat: recompute blocks in the backward pass instead of keeping their activations.
        attention: "products" (the scores and their softmax are written down), "xla" or "cudnn" (`jax.nn`'s kernels of
            that name; cuDNN's needs an NVIDIA GPU and 16 bits), "pallas" (ours, of whole rows of scores, on TPUs), or
            "auto": the best that is made for the devices and the heads, "products" where none is.
        unroll: unroll all blocks that are read, also those read alike, which else are one scan. That takes longer to
            compile; but what is read of one block need not then lie in memory beside that of all others, which makes
            passes over much data faster.
        scan: False unrolls all blocks, read or not. That takes as much longer to compile as there are blocks; but what
            the backward pass keeps then stays where it was made, where a scan copies it into arrays of all its blocks.
        recompute: False keeps all activations of all blocks for the backward pass, also those that are cheaper to
            compute again; for counting operations.
        platform: of the devices that it is compiled for ("cpu", "gpu", "tpu"), empty as long as nobody has said.
    """

    remat: bool = False
    attention: str = "auto"
    unroll: bool = False
    scan: bool = True
    recompute: bool = True
    platform: str = ""

    def __post_init__(self):
        if self.attention not in ATTENTIONS:
            raise InputError(f"unknown attention {self.attention!r}: one of {', '.join(ATTENTIONS)}")

    def on(self, platform: str) -> "Execution":
        """The same, for devices of a platform where none has been said yet."""
        return self if self.platform else replace(self, platform=platform)

    @property
    def fused(self) -> bool:
        """Whether what is no attention may be a kernel of ours as well, without a forward derivative: on TPUs."""
        return self.platform == "tpu" and self.attention in ("auto", "pallas")

    def kernel(self, q: Heads | jax.ShapeDtypeStruct) -> Kernel | None:
        """Attention of such q with as wide k and v to z in one kernel, or None where its scores are to be written down.

        Raises:
            InputError: the kernel that is asked for by name is not made for them.
        """
        if self.attention == "auto":
            mine = (kernel for kernel in KERNELS.values() if kernel.platform and kernel.platform == self.platform)
            return next((kernel for kernel in mine if kernel.takes(q)), None)
        if self.attention == "products":
            return None
        kernel = KERNELS[self.attention]
        if not kernel.takes(q):
            raise InputError(
                f"attention {self.attention!r} takes {kernel.fits}, not {q.dtype} and heads of {q.shape[-1]};"
                " 'auto' takes it where it can be"
            )
        return kernel

    def kept(self, names: Iterable[str] | None, scanned: bool = False) -> tuple[str, ...] | None:
        """What the backward pass keeps of a block that would have these taps kept: names of taps, None for all.

        A scan does not keep `COPIED`, at more cost than computing it again.
        """
        if not self.recompute:
            return None
        if self.remat or names is None:
            return () if self.remat else None
        dropped, written = {COPIED} if scanned else (), WRITTEN.get(self.platform, {})
        return tuple(written.get(name, name) for name in names if name not in dropped)

    def apart(self, blocks: int) -> bool:
        """Whether all of so many blocks alike are unrolled, read or not."""
        return not self.scan or blocks <= UNROLLED.get(self.platform, 0)


def saved(names: Iterable[str]) -> Callable[..., bool]:
    """What the backward pass keeps, as `jax.checkpoint` asks for it: what has these names, and what kernels give."""
    gives = {kernel.gives for kernel in KERNELS.values()} if names else ()
    named = jax.checkpoint_policies.save_only_these_names(*names)
    return lambda primitive, *args, **how: primitive.name in gives or named(primitive, *args, **how)


PLAIN = Execution()
OVER_DATA = Execution(unroll=True)  # of passes over much data


def platform(weights: object) -> str:
    """Where computations with these weights run: the platform of their devices, while traced the default's."""
    for leaf in jax.tree.leaves(weights):
        if isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer):
            return next(iter(leaf.devices())).platform
    return jax.default_backend()
