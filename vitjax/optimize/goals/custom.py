"""Goals of one's own: the activation is any pure function of taps."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr
from jaxtyping import Array, Float

from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.optimize.goals.objective import Objective, Sites, Values
from vitjax.units.algebra import Algebra

Function = Callable[[dict[str, Array]], Float[Array, " image"]]
IMAGES = 2  # that a function is tried on; none is computed


@dataclass(frozen=True)
class Custom(Algebra):
    """A goal whose activation a function computes of the values of taps.

    Attributes:
        name: that tells it from others: the picture's random numbers depend on it and on the seed alone.
        reads: the taps that it reads.
        function: of {tap: value, [image, *axes]}, all tokens among them; gives a number for each image. It is pure:
            what it gives depends on its argument alone, and it keeps nothing.
        placeless: whether it means the same of images of another size, so that a recipe's stages may be of one.
        variant: as a unit's.
    """

    name: str
    reads: tuple[str, ...]
    function: Function
    placeless: bool = False
    variant: int = 0

    def __post_init__(self):
        reads = (self.reads,) if isinstance(self.reads, str) else tuple(self.reads)
        object.__setattr__(self, "reads", reads)
        if not isinstance(self.name, str) or not self.name.strip():
            raise InputError("a function of one's own needs a name, by which its pictures are known")
        if not reads or not all(isinstance(tap, str) for tap in reads):
            raise InputError(f"{self.name}: reads are names of taps, e.g. ['blocks.3.resid_post']")
        try:
            hash(self.function)
        except TypeError:
            raise InputError(f"{self.name}: the function cannot be hashed, as what is compiled has to be") from None
        if not callable(self.function):
            raise InputError(f"{self.name}: {self.function!r} is no function of the values of taps")

    def __str__(self) -> str:
        return f"{self.name}#{self.variant}" if self.variant else self.name

    @property
    def tap(self) -> str:
        """The first tap that it reads."""
        return self.reads[0]

    @property
    def hash(self) -> int:
        """32 bits of its name."""
        return zlib.crc32(str(self).encode())

    @property
    def objective(self) -> Objective:
        """What is computed: the function, which is compiled."""
        return OfFunction(self.tap, name=self.name, reads=self.reads, function=self.function, placeless=self.placeless)


@dataclass(frozen=True)
class OfFunction(Objective):
    """What a function gives of the values of taps; see `Custom`."""

    name: str = field(kw_only=True)
    reads: tuple[str, ...] = field(kw_only=True)
    function: Function = field(kw_only=True)
    placeless: bool = field(kw_only=True)

    @property
    def taps(self) -> tuple[str, ...]:
        """The taps that it reads."""
        return self.reads

    def numbers(self, goals: Sequence[Custom], sites: Sites) -> np.ndarray:
        """It needs none, and has zeros."""
        return np.zeros(len(goals), np.int32)

    def activation(self, values: Values, numbers: Any, *, sites: Sites, tokens: str) -> Float[Array, " image"]:
        """See `Objective.activation`; the function itself says which tokens count."""
        return self.function({tap: values[tap] for tap in self.reads}).astype(jnp.float32)

    def check(self, model: Network) -> None:
        """Tries the function on shapes alone.

        Raises:
            InputError: it fails, is not pure as far as can be seen, or gives no number for each image.
        """
        sites = model.taps()
        given = {tap: jax.ShapeDtypeStruct((IMAGES, *sites[tap].shape), model.dtype) for tap in self.reads}
        try:
            with jax.checking_leaks():
                first, again = (jax.make_jaxpr(lambda values: self.function(values))(given) for _ in range(2))
        except InputError:
            raise
        except Exception as error:
            if "Leaked" in str(error):
                raise InputError(f"{self.name}: the function is not pure: it keeps what it is given") from None
            raise InputError(f"{self.name}: the function fails ({type(error).__name__}: {_short(error)})") from None
        if not _same(first, again):
            raise InputError(f"{self.name}: the function is not pure: called again, it computes something else")
        if first.effects:
            raise InputError(
                f"{self.name}: the function is not pure: it does more than compute ({_short(first.effects)})"
            )
        shapes = [(found.shape, found.dtype) for found in first.out_avals]
        if [shape for shape, _ in shapes] != [(IMAGES,)] or not jnp.issubdtype(shapes[0][1], jnp.floating):
            what = ", ".join(f"{dtype} {list(shape)}" for shape, dtype in shapes) or "nothing"
            raise InputError(
                f"{self.name}: the function must give a float for each image, [{IMAGES}] for {IMAGES}; it gives {what}"
            )


def _same(first: ClosedJaxpr, again: ClosedJaxpr) -> bool:
    """Whether two traces compute the same, constants included."""
    if str(first) != str(again) or len(first.consts) != len(again.consts):
        return False
    return all(np.array_equal(*pair) for pair in zip(first.consts, again.consts, strict=True))


def _short(error: object) -> str:
    return " ".join(str(error).split())[:200]
