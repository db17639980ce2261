"""Pictures of neurons in the order of their depth (Ghiasi et al. 2022, figures 1 and 6).

The paper shows chosen neurons of ViT-B/32 in columns: edges, textures, patterns, parts, objects, from the first blocks
to the last. Here every column is a block and the neurons are drawn at random. Three numbers of each picture stand for
what one sees: its spectral centroid (where its detail is, in cycles per image), the share of its energy beyond half the
Nyquist frequency, and how sure the model is of the class that it sees in it.

    python -m experiments.ghiasi.fig1_progression --model vit_tiny_patch16_224 --pictures pictures/
    python -m experiments.ghiasi.fig1_progression --count 24

`--pictures` is a folder that `vitjax visualize` made; without it the pictures are painted first. A second table has the
mean of each block with its standard error, and whether a measure rises or falls with depth: Spearman's rank correlation
over all pictures, first for all blocks, then without the first two. It is made again of measured pictures by

    python -m experiments.ghiasi.fig1_progression --measured experiments/ghiasi/results/fig1.csv

On the paper's model:

    python -m experiments.ghiasi.fig1_progression --model timm/vit_base_patch32_384.augreg_in21k_ft_in1k \
        --recipe ghiasi --count 60
"""

import csv
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path

import jax
import numpy as np
from matplotlib.figure import Figure
from scipy.stats import spearmanr

import vitjax
from experiments import script
from vitjax.analysis.ablations.frequency import radial_spectrum
from vitjax.analysis.report.painted import painted
from vitjax.analysis.study.findings import Findings
from vitjax.analysis.study.gallery import gallery
from vitjax.analysis.study.passes import on_pictures
from vitjax.analysis.study.style import panels, style
from vitjax.analysis.units.attention_features import high_frequency
from vitjax.models.core.vocabulary import split_tap
from vitjax.units.units import Unit, neurons

MEASURES = {
    "centroid": "spectral centroid (cycles/image)",
    "high_frequency": "energy beyond half Nyquist",
    "confidence": "highest class probability",
}


def measured(model, images):
    """A picture's spectrum, and how sure the model is of its class."""
    return radial_spectrum(images), jax.nn.softmax(model(images, "logits")["logits"]).max(axis=-1)


def centroid(spectrum: np.ndarray) -> np.ndarray:
    """The mean number of cycles per image, weighted by energy: the power at r cycles counts about r times."""
    cycles = np.arange(1, spectrum.shape[1] + 1)
    return (spectrum * cycles**2).sum(axis=1) / (spectrum * cycles).sum(axis=1)


def in_columns(pictures: dict[Unit, np.ndarray]) -> Figure:
    """A column for each block, its pictures below each other with their neurons' numbers."""
    blocks: dict[int, list[Unit]] = {}
    for unit in sorted(pictures, key=lambda unit: split_tap(unit.tap).block):
        blocks.setdefault(split_tap(unit.tap).block, []).append(unit)
    rows = list(zip_longest(*blocks.values()))
    return gallery(
        [[[None if unit is None else pictures[unit]] for unit in row] for row in rows],
        titles=[f"block {block}" for block in blocks],
        captions=[["" if unit is None else ".".join(map(str, unit.index)) for unit in row] for row in rows],
    )


def by_block(rows: list[dict]) -> list[dict]:
    """The mean of each measure over a block's pictures, and its standard error."""
    found = []
    for block in sorted({row["block"] for row in rows}):
        some = [row for row in rows if row["block"] == block]
        line = {"block": block, "pictures": len(some)}
        for key in MEASURES:
            values = np.array([row[key] for row in some])
            error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
            line |= {key: float(values.mean()), f"{key}_error": error}
        found.append(line)
    return found


def trends(rows: list[dict]) -> dict[str, dict[str, float]]:
    """How each measure goes with depth: Spearman's rank correlation over pictures, and the chance of one as large."""
    found = {}
    for name, some in {"all": rows, "from block 2 on": [row for row in rows if row["block"] >= 2]}.items():
        for key in MEASURES:
            test = spearmanr([row["block"] for row in some], [row[key] for row in some])
            found[f"{key}, {name}"] = {"pictures": len(some), "rho": float(test.statistic), "p": float(test.pvalue)}
    return found


def drawn(rows: list[dict], blocks: list[dict]) -> Figure:
    """Each measure over the blocks: the pictures, and their mean with its standard error."""
    with style():
        figure, axes = panels(1, len(MEASURES), size=(3.0, 2.4))
        for panel, (key, label) in zip(axes, MEASURES.items(), strict=True):
            panel.plot([row["block"] for row in rows], [row[key] for row in rows], "o", alpha=0.35, markeredgewidth=0)
            errors = [block[f"{key}_error"] or 0 for block in blocks]
            panel.errorbar([block["block"] for block in blocks], [block[key] for block in blocks], errors, capsize=2)
            panel.set(xlabel="block", title=label, ylim=(0, None))
    return figure


def summarised(rows: list[dict], out: Path) -> None:
    """Writes the table of the blocks, with the figure, and prints the trends."""
    blocks, found = by_block(rows), trends(rows)
    findings = Findings("fig1-blocks", blocks, {"pictures": len(rows), "trends": found}, {"": drawn(rows, blocks)})
    print(*findings.save(out), sep="\n")
    for name, trend in found.items():
        print(f"{name}: rho {trend['rho']:+.2f}, p {trend['p']:.3g}, {trend['pictures']} pictures")


def measured_before(path: Path) -> list[dict]:
    """The rows of a table that this script wrote."""
    with open(path, newline="") as file:
        numbers = lambda row: {key: float(row[key]) for key in MEASURES}
        return [{"unit": row["unit"], "block": int(row["block"]), **numbers(row)} for row in csv.DictReader(file)]


def main() -> None:
    parser = script.parser(__doc__, __file__, about="with a head")
    parser.add_argument("--units", nargs="+", help="unit sets (default: all of --pictures, else drawn neurons)")
    parser.add_argument("--pictures", type=Path, help="folder that `vitjax visualize` made")
    parser.add_argument("--count", type=int, help="draw so many of the units, evenly over their blocks")
    parser.add_argument("--measured", type=Path, help="table of an earlier run: only its blocks are summarised again")
    parser.add_argument("--recipe", default="default")
    args = parser.parse_args()
    if args.measured:
        return summarised(measured_before(args.measured), args.out)
    model = vitjax.load(args.model)
    count = args.count or (None if args.units or args.pictures else 6 * len(neurons(model)))
    pictures = painted(model, args.units, folder=args.pictures, count=count, recipe=args.recipe)
    spectrum, confidence = on_pictures(model, measured, np.stack(list(pictures.values())))
    columns = {"centroid": centroid(spectrum), "high_frequency": high_frequency(spectrum), "confidence": confidence}
    rows = [
        {
            "unit": str(unit),
            "block": split_tap(unit.tap).block,
            **{key: float(values[i]) for key, values in columns.items()},
        }
        for i, unit in enumerate(pictures)
    ]
    rows.sort(key=lambda row: row["block"])
    settings = {"model": asdict(model.card), "pictures": len(pictures), "recipe": str(args.pictures or args.recipe)}
    script.keep(args, Findings("fig1", rows, settings, {"": in_columns(pictures)}))
    summarised(rows, args.out)


if __name__ == "__main__":
    main()
