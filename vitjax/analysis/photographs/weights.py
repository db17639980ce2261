"""Weighs the terms of sums by how much their activations differ between photographs, so that none drowns another."""

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vitjax.analysis.study.passes import gather
from vitjax.data.dataset import Dataset
from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.optimize.objectives import objective_of
from vitjax.optimize.recipes import Recipe
from vitjax.optimize.visualize import resolve
from vitjax.units.algebra import Sum, Term, combined, terms_of, varied


def per_spread(model: Network, goals: Any, data: Dataset, recipe: Recipe | None = None) -> list[Any]:
    """Gives goals with the weight of each term of a sum divided by the standard deviation of its activation.

    The activations of one tap may be a hundred times another's; of a plain sum a picture then shows that tap alone. A
    weight has four digits, so that a goal's name says what it is; goals of one term stay as they are.

    Args:
        model: any.
        goals: as `vitjax.visualize` takes them.
        data: photographs, as the model sees them.
        recipe: that the goals are for: which tokens count, and whether terms are taken before the activation function.

    Raises:
        InputError: a term whose activation is the same on all photographs.
    """
    goals, recipe = resolve(model, goals), recipe or Recipe()
    terms = {str(term): term for goal in goals for term in terms_of(goal) if len(terms_of(goal)) > 1}
    if not terms:
        return goals
    options = {"tokens": recipe.tokens, "before": recipe.before_activation, "terms": tuple(terms.values())}
    _, found = gather(model, data.batches(), _activations, **options)
    data.tell_unreadable()
    spread = dict(zip(terms, found.astype(np.float64).std(axis=0), strict=True))
    if flat := [name for name, size in spread.items() if not size > 0]:
        raise InputError(
            f"{flat[0]} is the same on all of the {len(found)} photographs: it has no spread to weigh it by"
        )
    return [_weighed(goal, spread) for goal in goals]


def _weighed(goal: Any, spread: dict[str, float]) -> Any:
    terms = terms_of(goal)
    if len(terms) == 1:
        return goal
    new = (term._replace(weight=float(f"{term.weight / spread[str(term)]:.4g}")) for term in terms)
    return varied(combined(*((1, Sum((term,))) for term in new)), goal.variant)


def _activations(
    model: Network, images: Float[Array, "image h w c"], *, terms: Sequence[Term], tokens: str, before: bool
) -> Float[Array, "image term"]:
    """The activation of each term on each image."""
    sites, columns = model.taps(), [None] * len(terms)
    for objective, places in _groups(terms, sites, before):
        taps, score = objective.shortest(model, tokens)
        numbers = objective_of(terms[places[0]].goal).numbers([terms[i].goal for i in places], sites)
        values = model(images, taps)
        found = jax.vmap(lambda one, values=values, score=score: score(values, one))(jax.tree.map(jnp.asarray, numbers))
        for place, column in zip(places, found, strict=True):
            columns[place] = column
    return jnp.stack(columns, axis=1)


def _groups(terms: Sequence[Term], sites: Any, before: bool) -> Iterable[tuple[Any, list[int]]]:
    """The places of terms by what is computed for them."""
    groups: dict[Any, list[int]] = {}
    for place, term in enumerate(terms):
        objective = objective_of(term.goal)
        groups.setdefault(objective.earlier(sites) if before and not term.after else objective, []).append(place)
    return groups.items()
