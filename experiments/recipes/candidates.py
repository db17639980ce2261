"""The recipes that frontier.py compares: one idea each, at several costs."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Candidate:
    """One idea at one cost.

    Attributes:
        family: the idea.
        changes: of the recipe `base`.
        base: a recipe's name.
        begin: what its pictures begin with in place of noise: "photograph" (the unit's best), "neighbour" (what the
            candidate `NEIGHBOURS` paints for the unit with the weights most alike), or a candidate's name.
    """

    family: str
    changes: dict = field(default_factory=dict)
    base: str = "default"
    begin: str = ""


CANDIDATES: dict[str, Candidate] = {
    "ghiasi": Candidate("ghiasi", base="ghiasi"),
    "default": Candidate("steps"),
    "fast": Candidate("fewer views", base="fast"),
    "best": Candidate("smoother", base="best"),
    "4 views, 320 steps": Candidate("steps", {"steps": 320}),
    "4 views, 80 steps": Candidate("steps", {"steps": 80}),
    "4 views, 40 steps": Candidate("steps", {"steps": 40}),
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
    "half the size, 4 views, 80 steps": Candidate("coarse", {"steps": 80, "jitter": 16}, size=112),
    "coarse to fine, 4 views, 60 steps": Candidate(
        "coarse to fine", {"steps": 60}, begin="half the size, 4 views, 80 steps"
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
