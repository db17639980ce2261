"""Names the recipe of an atlas: by the one that it is, or is nearest to, and what was changed of that."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from vitjax.optimize.recipes import RECIPES, Recipe

OWN = "own settings"
NEAR = 1 / 3  # of the fields that may differ, of what is still called by a recipe


def named(recipe: Recipe, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Says what a recipe is called: `name`, and where it is none of ours `base` and `changed`, {field: [there, here]}.

    Args:
        recipe: the recipe.
        fields: as they are recorded, which go with it.
    """
    different = {name: _different(recipe, known) for name, known in RECIPES.items()}
    base, changed = min(different.items(), key=lambda one: len(one[1]))
    if not changed:
        return {"name": base, "fields": fields}
    if len(changed) > NEAR * len(dataclasses.fields(Recipe)):
        return {"name": OWN, "fields": fields}
    return {"name": OWN, "base": base, "changed": changed, "fields": fields}


def _different(recipe: Recipe, known: Recipe) -> dict[str, list]:
    pairs = {field.name: [getattr(one, field.name) for one in (known, recipe)] for field in dataclasses.fields(Recipe)}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
