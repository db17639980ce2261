"""Would it pay to stop a picture once it hardly improves, and to give its slot to the next unit?

    python -m experiments.recipes.early_stopping FOLDER [FOLDER ...]

FOLDER holds pictures with their histories, as `vitjax visualize` or frontier.py leaves them. Stopping is given every
advantage: it knows the future, so a picture stops at the first step from which on its activation, averaged over three
points of its history, has made the given share of its whole way; refilling its slot costs nothing. What that saves is
to be held against what a recipe with fewer steps from the start, whose learning rate falls sooner, loses (frontier.py).
"""

import argparse
from pathlib import Path

import numpy as np
from jaxtyping import Float

from vitjax.optimize.results.record import read_record

SHARES = (0.9, 0.95, 0.98)


def stops(history: Float[np.ndarray, "picture point"], share: float) -> Float[np.ndarray, " picture"]:
    """The share of its steps that each picture takes until it has made a share of its way."""
    padded = np.pad(history, ((0, 0), (1, 1)), mode="edge")
    smooth = (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3
    first, last = history[:, :1], smooth[:, -2:].mean(axis=1, keepdims=True)
    there = (smooth - first) >= share * (last - first)
    return (np.where(there.any(axis=1), there.argmax(axis=1), history.shape[1] - 1) + 1) / history.shape[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    for folder in parser.parse_args().folders:
        history = np.array([row["history"]["activation"] for row in read_record(folder)["pictures"]])
        for share in SHARES:
            taken = stops(history, share)
            spread = ", ".join(f"{value:.0%}" for value in np.quantile(taken, (0.1, 0.5, 0.9)))
            print(f"{folder.name}: {share:.0%} of the way after {taken.mean():.0%} of the steps (deciles {spread})")


if __name__ == "__main__":
    main()
