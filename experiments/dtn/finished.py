"""What is finished: models to look at, and how what is found of them is written."""

import argparse
from pathlib import Path

from matplotlib.figure import Figure

import vitjax
from experiments.dtn.runs import RESULT, Run
from vitjax.models.core.network import Network

# What norms are called on figures.
NORMS = {"layer": "LN", "dtn": "DTN", "dtn-overwritten": "DTN, begun at random"}


def trained(folder: Path, model: str) -> dict[Run, Network]:
    """Loads the finished models of a kind, norm by norm in the order of `NORMS` and seed by seed."""
    found = [_of(path.parent.name) for path in folder.glob(f"{model}-*/{RESULT}")]
    found = sorted(found, key=lambda run: (list(NORMS).index(run.norm), run.seed))
    return {run: vitjax.load(folder / run.name) for run in found}


def _of(name: str) -> Run:
    """The run whose folder has this name."""
    model, norm = name.rsplit("-", 1)[0].split("-", 1)
    return Run(model, norm, int(name.rsplit("-", 1)[1]))


def add_runs(parser: argparse.ArgumentParser, data: bool = False) -> argparse.ArgumentParser:
    """Adds the arguments that say which finished runs are looked at, and on which images."""
    parser.add_argument("--runs", type=Path, default=Path("runs/dtn"), help="the folder that holds the runs")
    parser.add_argument("--model", default="vit", help="kind of model: vit, swin, pvt")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    if data:
        parser.add_argument("--data", required=True, help="images that models have not seen")
        parser.add_argument("--limit", type=int, default=500, help="take so many of the images, evenly spaced")
    return parser


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a figure small."""
    figure.savefig(path, bbox_inches="tight", pil_kwargs={"quality": 80})
    print(path, flush=True)
