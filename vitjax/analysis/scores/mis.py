"""Measures whether a machine's eyes tell which images a unit fires on: the Machine Interpretability Score.

Zimmermann, Klindt and Brendel, "Measuring Per-Unit Interpretability at Scale Without Humans", NeurIPS 2024. A task
draws K + 1 images from the top share of a unit's images and as many from the bottom one. The least extreme of each are
the queries q+ and q-, the others the explanations E+ and E-. With s the mean cosine of a query with explanations,
D = (s(q+, E+) - s(q+, E-)) - (s(q-, E+) - s(q-, E-)). `accuracy` is the share of tasks with D > 0: 0.5 is chance.
`temperate` is the mean of sigmoid(D / temperature).

The score has its name where the cosine is DreamSim's; by another encoder it is not MIS, and is to be called so.
Published code multiplies D by 0.16, with which cosines reach no more than sigmoid(0.64) = 0.655; divided by it they
spread from 0 to 1. So the temperature is always stated with it.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

TASKS, EXPLAINING, SHARE = 20, 9, 0.2
TEMPERATURE = 0.16


class Tasks(NamedTuple):
    """The images of some units' tasks, as rows of those that were scored: the queries and the explanations."""

    query_plus: Int[np.ndarray, "unit task"]
    query_minus: Int[np.ndarray, "unit task"]
    plus: Int[np.ndarray, "unit task k"]
    minus: Int[np.ndarray, "unit task k"]


def enough(images: int, explaining: int = EXPLAINING, share: float = SHARE) -> bool:
    """Whether there are images enough for a task: the two shares lie apart and hold K + 1 each."""
    return explaining < math.ceil(images * share) <= images // 2


def tasks(
    scores: Float[np.ndarray, "image unit"],
    count: int = TASKS,
    explaining: int = EXPLAINING,
    share: float = SHARE,
    seed: int = 0,
) -> Tasks:
    """Draws tasks, the same places in the order of scores for every unit; `enough` says for how many images.

    Args:
        scores: of each unit on each image.
        count: of tasks for each unit.
        explaining: images that explain, K.
        share: of the images that top and bottom are.
        seed: of the draw.
    """
    rng, pool = np.random.default_rng(seed), math.ceil(len(scores) * share)
    drawn = np.stack([rng.choice(pool, explaining + 1, replace=False) for _ in range(2 * count)])
    top, bottom = np.sort(drawn, axis=1).reshape(2, count, -1)  # most extreme first
    order = np.argsort(-scores, axis=0, kind="stable").T
    best, worst = order[:, top], order[:, ::-1][:, bottom]
    return Tasks(best[..., -1], worst[..., -1], best[..., :-1], worst[..., :-1])


def differences(cosines: Float[np.ndarray, "image image"], asked: Tasks) -> Float[np.ndarray, "unit task"]:
    """D of each task, explained by photographs, by the cosines of all of them."""
    alike = lambda query, shown: cosines[query[..., None], shown].mean(axis=-1)
    plus = alike(asked.query_plus, asked.plus) - alike(asked.query_plus, asked.minus)
    return plus - (alike(asked.query_minus, asked.plus) - alike(asked.query_minus, asked.minus))


def differences_by_pictures(
    plus: Float[np.ndarray, "unit image"], minus: Float[np.ndarray, "unit image"], asked: Tasks
) -> Float[np.ndarray, "unit task"]:
    """D of each task, explained by pictures (FV-MIS).

    Args:
        plus: the mean cosine of the unit's pictures with each photograph.
        minus: the same of pictures that were made to have its activation as low as may be.
        asked: the tasks, whose queries stay photographs.
    """
    apart = plus - minus
    return np.take_along_axis(apart, asked.query_plus, axis=1) - np.take_along_axis(apart, asked.query_minus, axis=1)


def accuracy(found: Float[np.ndarray, "unit task"]) -> Float[np.ndarray, " unit"]:
    """The share of tasks that are solved."""
    return (found > 0).mean(axis=1)


def temperate(found: Float[np.ndarray, "unit task"], temperature: float = TEMPERATURE) -> Float[np.ndarray, " unit"]:
    """The mean of sigmoid(D / temperature)."""
    return (1 / (1 + np.exp(-found / temperature))).mean(axis=1)
