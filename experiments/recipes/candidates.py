"""The recipes that frontier.py compares: one idea each, at several costs."""

from dataclasses import dataclass, field, replace

from vitjax.optimize.recipes import RECIPES, Recipe
from vitjax.optimize.settings.stage import Stage


def by_nadam(name: str, rate: float, coarse: int, fine: int, jitter: int = 4) -> Recipe:
    """A recipe of ours as it was when all its coefficients took steps of one length."""
    now = RECIPES[name]
    first, second = now.stages
    stages = replace(first, steps=coarse), replace(second, steps=fine, shallow=0.75, learning_rate=0.5)
    changes = {"optimizer": "nadam", "decay": 1.0, "learning_rate": rate, "jitter": jitter}
    return replace(now, steps=coarse + fine, stages=stages, **changes)


FAST, DEFAULT, BEST = (
    by_nadam("fast", 0.12, 90, 28),
    by_nadam("default", 0.1, 150, 80),
    by_nadam("best", 0.1, 300, 280, jitter=8),
)
# All at one size, four views: what the recipes of stages are held against.
PLAIN = replace(DEFAULT, steps=160, views=4, optimizer="adam", color_strength=0.3, jitter=32, stages=())
THREE = (Stage(size=5 / 14, steps=60), Stage(size=0.5, steps=60), FAST.stages[1])  # of 80 pixels, of 224


@dataclass(frozen=True)
class Candidate:
    """One idea at one cost.

    Attributes:
        family: the idea.
        changes: of the recipe `base`.
        base: a recipe, or its name.
        begin: what its pictures begin with in place of noise: "photograph" (the unit's best), "neighbour" (what the
            candidate `NEIGHBOURS` paints for the unit with the weights most alike), or a candidate's name.
    """

    family: str
    changes: dict = field(default_factory=dict)
    base: str | Recipe = PLAIN
    begin: str = ""


CANDIDATES: dict[str, Candidate] = {
    "ghiasi": Candidate("ghiasi", base="ghiasi"),
    "default": Candidate("stages", base="default"),
    "fast": Candidate("stages", base="fast"),
    "best": Candidate("stages", base="best"),
    "4 views, 160 steps": Candidate("steps"),
    "4 views, 320 steps": Candidate("steps", {"steps": 320}),
    "4 views, 80 steps": Candidate("steps", {"steps": 80}),
    "4 views, 40 steps": Candidate("steps", {"steps": 40}),
    "2 views, 150 steps": Candidate("fewer views", {"views": 2, "steps": 150}),
    "2 views, 160 steps": Candidate("fewer views", {"views": 2}),
    "1 view, 320 steps": Candidate("fewer views", {"views": 1, "steps": 320}),
    "twice the rate, 2 views, 150 steps": Candidate("rates", {"views": 2, "steps": 150, "learning_rate": 0.2}),
    "twice the variation, 2 views, 150 steps": Candidate(
        "smoother", {"views": 2, "steps": 150, "total_variation": 0.0001}
    ),
    "half the tokens, 4 views, 160 steps": Candidate("tokens dropped", {"seen": 0.5}),
    "half the tokens, 4 views, 320 steps": Candidate("tokens dropped", {"steps": 320, "seen": 0.5}),
    "windows of a quarter, 4 views, 160 steps": Candidate("windows", {"seen": 0.25, "seen_shape": "window"}),
    "windows of half, 4 views, 160 steps": Candidate("windows", {"seen": 0.5, "seen_shape": "window"}),
    "windows of a quarter, then 4 views, 40 steps": Candidate(
        "windows", {"steps": 40, "learning_rate": 0.05}, begin="windows of a quarter, 4 views, 160 steps"
    ),
    "fast, adam": Candidate("stages", {"optimizer": "adam"}, base=FAST),
    "fast, twice the rate": Candidate("stages", {"learning_rate": 0.24}, base=FAST),
    "fast, noise to the end": Candidate("stages", {"stages.1.noise": 1, "stages.1.color_strength": 1}, base=FAST),
    "fast, as many steps for all": Candidate("stages", {"stages.1.shallow": 0, "stages.1.steps": 45}, base=FAST),
    "fast, from 80 pixels up": Candidate("stages", {"stages": THREE}, base=FAST),
    "fast, two views": Candidate("stages", {"views": 2, "steps": 59}, base=FAST),
    "default, jitter of 32 pixels": Candidate(
        "jitter of 32", {"jitter": 32, "stages.1.total_variation": 2}, base=DEFAULT
    ),
    "fast, jitter of 32 pixels": Candidate("jitter of 32", {"jitter": 32, "stages.1.total_variation": 1}, base=FAST),
    "fast, jitter of 8 pixels": Candidate("stages", {"jitter": 8}, base=FAST),
    "fast, jitter of 2 pixels": Candidate("stages", {"jitter": 2}, base=FAST),
    "fast, windows of half": Candidate(
        "stages",
        {"stages.0.seen": 0.5, "stages.0.seen_shape": "window", "stages.0.steps": 170, "steps": 198},
        base=FAST,
    ),
    "fast, by nadam": Candidate("stages", base=FAST),
    "default, by nadam": Candidate("stages", base=DEFAULT),
    "best, by nadam": Candidate("stages", base=BEST),
    "fast, floor 1": Candidate("floors", {"floor": 1.0, "learning_rate": 0.16}, base="fast"),
    "fast, floor 10": Candidate("floors", {"floor": 10.0, "learning_rate": 0.1}, base="fast"),
    "fast, decay 1": Candidate("floors", {"decay": 1.0, "learning_rate": 0.08}, base="fast"),
    "coarse to fine, 4 views, 140 steps": Candidate(
        "coarse to fine", {"views": 4, "stages": (Stage(size=0.5, steps=80), Stage(steps=60))}
    ),
    "from the best photograph, 4 views, 80 steps": Candidate("warm starts", {"steps": 80}, begin="photograph"),
    "from a neighbour, 4 views, 80 steps": Candidate("warm starts", {"steps": 80}, begin="neighbour"),
    "pyramid, 4 views, 80 steps": Candidate("pyramid", {"steps": 80, "parametrization": "pyramid"}),
    "pixels, 4 views, 80 steps": Candidate("pixels", {"steps": 80, "parametrization": "pixels"}),
    "maco, 4 views, 80 steps": Candidate(
        "maco", {"steps": 80, "parametrization": "maco", "learning_rate": 0.3, "total_variation": 0}
    ),
    "nadam, 4 views, 80 steps": Candidate("optimizers", {"steps": 80, "optimizer": "nadam"}),
    "lion, 4 views, 80 steps": Candidate("optimizers", {"steps": 80, "optimizer": "lion", "learning_rate": 0.03}),
    "sign, 4 views, 80 steps": Candidate("optimizers", {"steps": 80, "optimizer": "sign", "learning_rate": 0.03}),
    "muon on pixels, 4 views, 80 steps": Candidate(
        "optimizers", {"steps": 80, "optimizer": "muon", "parametrization": "pixels", "learning_rate": 0.02}
    ),
}
NEIGHBOURS = "4 views, 80 steps"
