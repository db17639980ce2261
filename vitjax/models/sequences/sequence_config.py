"""What fixes a Transformer over sequences: plain attention, BigBird's or Reformer's, a frozen dataclass each."""

from dataclasses import dataclass

from vitjax.errors import InputError
from vitjax.models.core.config import BlockConfig


@dataclass(frozen=True)
class SequenceConfig(BlockConfig):
    """A classifier of sequences in which every token attends to all.

    It knows `vocabulary` tokens, of which 0 is none: what a sequence is filled up with to the `context` tokens that it
    always has. `classes` are read off the mean over the others.
    """

    width: int = 64
    depth: int = 4
    heads: int = 4
    mlp_width: int = 128
    vocabulary: int = 16
    context: int = 2000
    classes: int = 10

    def __post_init__(self):
        super().__post_init__()
        for name in ("vocabulary", "context", "classes"):
            self._check(name, 1)

    def _check(self, name: str, least: int) -> None:
        if not isinstance(value := getattr(self, name), int) or isinstance(value, bool) or value < least:
            raise InputError(f"{name} is {value!r}, it must be a whole number of at least {least}")

    def _cut(self, name: str) -> None:
        """Checks that the context is cut into equal parts of so many tokens."""
        self._check(name, 1)
        if self.context % (part := getattr(self, name)):
            near = -(-self.context // part) * part
            raise InputError(f"context {self.context} is not cut into {name}s of {part} tokens: fill it up to {near}")


@dataclass(frozen=True)
class BigBirdConfig(SequenceConfig):
    """BigBird (Zaheer et al. 2020, arXiv 2007.14062): tokens attend by blocks of `block`.

    A block attends to the first `global_blocks`, to the `window` blocks around it and to `random_blocks` more; the
    first ones attend to all. Which are random is drawn from `seed`, for each head by itself, the same in every layer.
    """

    block: int = 50
    window: int = 3
    global_blocks: int = 1
    random_blocks: int = 2
    seed: int = 0

    def __post_init__(self):
        super().__post_init__()
        self._cut("block")
        for name in ("global_blocks", "random_blocks", "seed"):
            self._check(name, 0)
        self._check("window", 1)
        if not self.window % 2:
            raise InputError(f"window is {self.window} blocks: as many on both sides of a block make an odd number")


@dataclass(frozen=True)
class ReformerConfig(SequenceConfig):
    """Reformer (Kitaev et al. 2020, arXiv 2001.04451): tokens attend within buckets of like ones, in several `rounds`.

    Queries are keys, too. Sorted by bucket they are cut into `chunk`s, each of which sees itself and the one before.
    There are `buckets`, by default twice as many as chunks. Rotations, which make them, are drawn from `seed` for each
    head and round, the same in every layer and step. Residuals are reversible.
    """

    chunk: int = 50
    rounds: int = 2
    buckets: int = 0
    seed: int = 0

    def __post_init__(self):
        super().__post_init__()
        self._cut("chunk")
        self._check("rounds", 1)
        for name in ("buckets", "seed"):
            self._check(name, 0)
        if self.buckets > 1 and self.buckets % 2:
            raise InputError(f"buckets is {self.buckets}: each has one opposite, so their number is even, or 1")
        if self.normed != "before":
            raise InputError(f"normed is {self.normed!r}: reversible residuals know norms 'before' a branch alone")

    @property
    def hashes(self) -> int:
        """How many buckets there are."""
        return self.buckets or 2 * (self.context // self.chunk)
