"""Long ListOps: nested expressions of lists of digits, and what they come to, made by number.

The task of Long Range Arena (Tay et al. 2020, arXiv 2011.04006), after Nangia and Bowman 2018 (1804.06028), from its
description: `[MAX 4 3 [MIN 2 3 ] 1 0 ]` is 4. A node is one of four operators with 2 to 10 arguments by a chance of 1
in 4, else a digit, and always a digit at depth 10. Expressions of 500 to 2,000 tokens, both ends left out, are kept.
The classes are the digits. Tokens are digits, closing brackets, and operators, each one with its opening bracket.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from vitjax.errors import InputError
from vitjax.ranges import SEED

DEPTH, ARGUMENTS, CHANCE = 10, 10, 0.25
# What an operator makes of its arguments; MED of an even number is half the sum of the middle two, rounded down.
OPERATORS: dict[str, Callable[[Sequence[int]], int]] = {
    "MIN": min,
    "MAX": max,
    "MED": lambda some: sum(sorted(some)[(len(some) - 1) // 2 : len(some) // 2 + 1]) // (2 - len(some) % 2),
    "SM": lambda some: sum(some) % 10,
}
END = "]"
WORDS = ("", *map(str, range(10)), *(f"[{name}" for name in OPERATORS), END)  # by token; 0 is none
NUMBERS = {word: number for number, word in enumerate(WORDS)}
CLASSES = 10


@dataclass(frozen=True)
class ListOps:
    """Expressions, of which the number gives one.

    Attributes:
        part: "train", "valid" or "test"; each has expressions of its own.
        most: tokens that they are filled up to, which are more than any has.
        least: tokens, more than which each has; default a quarter of `most`, as 500 is of 2,000.
        seed: of all of them.

    Raises:
        InputError: lengths of which there are none.
    """

    part: str = "train"
    most: int = 2000
    least: int | None = None
    seed: int = 0

    def __post_init__(self):
        SEED.check("seed", self.seed)
        if self.least is None:
            object.__setattr__(self, "least", self.most // 4)
        if self.least < 3 or self.most < 2 * self.least:
            raise InputError(
                f"expressions of more than {self.least} and fewer than {self.most} tokens: give at least 3, and twice"
                " as many at most, or they are hard to find"
            )

    def __call__(self, number: int) -> Mapping[str, np.ndarray]:
        """An expression: "ids" int32 [most] and its class, "labels" int32."""
        tokens, value = self.drawn(number)
        ids = np.zeros(self.most, np.int32)
        ids[: len(tokens)] = tokens
        return {"ids": ids, "labels": np.int32(value)}

    def drawn(self, number: int) -> tuple[list[int], int]:
        """The tokens of an expression, and what it comes to."""
        rng = random.Random(f"{self.seed} {self.part} {number}")
        while True:
            tokens: list[int] = []
            value = _operator(rng, tokens, 1, self.most)  # a digit alone is never long enough
            if self.least < len(tokens) < self.most:
                return tokens, value


def _node(rng: random.Random, tokens: list[int], depth: int, most: int) -> int:
    """Draws a node, adds its tokens and gives its value; one that has become too long is not drawn to its end."""
    if depth < DEPTH and len(tokens) < most and rng.random() <= CHANCE:
        return _operator(rng, tokens, depth, most)
    digit = rng.randrange(10)
    tokens.append(NUMBERS[str(digit)])
    return digit


def _operator(rng: random.Random, tokens: list[int], depth: int, most: int) -> int:
    name = rng.choice(tuple(OPERATORS))
    tokens.append(NUMBERS[f"[{name}"])
    values = [_node(rng, tokens, depth + 1, most) for _ in range(rng.randint(2, ARGUMENTS))]
    tokens.append(NUMBERS[END])
    return OPERATORS[name](values)


def text(ids: Int[np.ndarray, " token"]) -> str:
    """An expression in words."""
    return " ".join(WORDS[token] for token in ids if token)
