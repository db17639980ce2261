"""How unlike tokens are in size, before and after each norm, under LN and DTN: the paper's motivation.

    python -m experiments.dtn.magnitudes --runs runs/dtn --model vit --data tiny-50/val --limit 500

The size of a token is the root mean square of its channels. LayerNorm gives all tokens of an image the same but for its
learned scale and bias; DTN need not. `results/magnitudes-vit.csv` has, for each norm of every finished run, the
standard deviation of sizes over an image's tokens as a share of their mean, before and after; the figure shows these
and, by position on the image, the mean sizes around one norm.
"""

import argparse

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from experiments.dtn.finished import NORMS, add_runs, save_figure, trained
from experiments.dtn.runs import Run
from experiments.dtn.table import write
from vitjax.analysis.study.passes import gather
from vitjax.analysis.study.style import COLORS, bare, panels, style
from vitjax.data.dataset import open_dataset
from vitjax.models.core.network import Network

SIDES = "before", "after"


def sizes(model: Network, images: Float[Array, "image h w 3"]) -> dict[str, dict[str, Float[Array, "image place"]]]:
    """The sizes of the tokens on the grid, before and after each norm of a block, by the norm's name."""
    found, sites = {}, model.taps()
    blocks = [(f"{scope}." if scope else "", stage.stack()) for scope, stage in model.staged]
    reads = {}
    for scope, stack in blocks:
        for number in range(len(stack.rows)):
            name, block = f"{scope}blocks.{number}", stack.block(number)
            reads |= {f"{name}.resid_pre": (f"{name}.norm1", block.norm1)}
            reads |= {f"{name}.resid_mid": (f"{name}.norm2", block.norm2)}
    for tap, value in model(images, [*reads]).items():
        name, norm = reads[tap]
        kept = slice(sites[tap].prefix, None)
        found[name] = {side: _size(x[:, kept]) for side, x in zip(SIDES, (value, norm(value)), strict=True)}
    return found


def _size(tokens: Float[Array, "image place channel"]) -> Float[Array, "image place"]:
    return jnp.sqrt(jnp.square(tokens.astype(jnp.float32)).mean(axis=-1))


def spread(sizes: Float[np.ndarray, "image place"]) -> Float[np.ndarray, " image"]:
    """The standard deviation over an image's tokens, as a share of their mean."""
    return sizes.std(axis=1) / sizes.mean(axis=1)


def draw(rows: list[dict], maps: dict[Run, dict[str, np.ndarray]], middle: str) -> Figure:
    """Spreads by depth, before and after, and maps of the mean sizes around the norm in the middle."""
    names = list(dict.fromkeys(row["of"] for row in rows))
    figure, axes = panels(2, 1 + len(maps), (2.2, 2.1), width_ratios=[1.5, *[1] * len(maps)])
    (curves, *above), (legend, *below) = np.split(np.array(axes), 2)
    for norm, color in zip(NORMS, COLORS, strict=False):
        for side, line in zip(SIDES, (":", "-"), strict=True):
            found = [[row[side] for row in rows if row["norm"] == norm and row["of"] == name] for name in names]
            if all(found):
                curves.plot([np.mean(values) for values in found], line, color=color, label=f"{NORMS[norm]}, {side}")
    curves.set(xlabel="norm, in order", ylabel="spread of tokens' sizes", ylim=(0, None))
    bare(legend).legend(*curves.get_legend_handles_labels(), loc="upper left", fontsize=8)
    shown = [[found[side] / found[side].mean() for found in maps.values()] for side in SIDES]
    most = max(float(np.abs(one - 1).max()) for line in shown for one in line)
    lines = middle.replace(".blocks", "\n.blocks")
    for side, line, places in zip(SIDES, shown, (above, below), strict=True):
        for run, one, axis in zip(maps, line, places, strict=True):
            picture = bare(axis).imshow(one, vmin=1 - most, vmax=1 + most, cmap="RdBu_r")
            axis.set(title=f"{NORMS[run.norm]}\n{side} {lines}")
    figure.colorbar(picture, ax=[*above, *below], shrink=0.6, label="mean size, of all places")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args = add_runs(parser, data=True).parse_args()
    rows, maps = [], {}
    for run, model in trained(args.runs, args.model).items():
        data = open_dataset(args.data, model.config, limit=args.limit, batch=50)
        _, found = gather(model, data.batches(), sizes)
        for name, sides in found.items():
            row = {"norm": run.norm, "seed": run.seed, "of": name}
            for side in SIDES:
                each = spread(sides[side])
                row |= {side: each.mean(), f"{side}_error": each.std(ddof=1) / len(each) ** 0.5}
            rows.append(row)
        middle = list(found)[len(found) // 2]
        if run.seed == 0:
            grid = model.taps()[middle.replace("norm1", "resid_pre").replace("norm2", "resid_mid")].grid
            maps[run] = {side: found[middle][side].mean(axis=0).reshape(grid) for side in SIDES}
    write(args.out / f"magnitudes-{args.model}.csv", rows)
    with style():
        save_figure(draw(rows, maps, middle), args.out / f"magnitudes-{args.model}.webp")


if __name__ == "__main__":
    main()
