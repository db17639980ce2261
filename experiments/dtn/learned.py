"""What DTN learned: how much of a token's own statistics each head keeps (λ), and which neighbours it looks at.

    python -m experiments.dtn.learned --runs runs/dtn --model vit

`results/learned-vit.csv` has a row for each head of each DTN of every finished run: λ, which began at 0.5; the factors
of the reader's offset from a place, to the right, down, and of its square (the paper's a); and of the token in the
middle of the grid the weight of its own place, and the highest weight with the offset at which it stands.
"""

import argparse

import numpy as np
from jax.nn import sigmoid
from matplotlib.figure import Figure

from experiments.dtn.finished import NORMS, add_runs, save_figure, trained
from experiments.dtn.runs import Run
from experiments.dtn.table import write
from vitjax.analysis.study.style import COLORS, bare, panels, style
from vitjax.models.core.network import Network
from vitjax.models.norms.dtn import TokenNorm


def norms(model: Network) -> dict[str, TokenNorm]:
    """The DTNs of a model, by name."""
    found = {}
    for scope, stage in model.staged:
        stack = stage.stack()
        for number in range(len(stack.rows)):
            block = stack.block(number)
            found |= {
                f"{scope and scope + '.'}blocks.{number}.{name}": getattr(block, name) for name in ("norm1", "norm2")
            }
    return {name: norm for name, norm in found.items() if isinstance(norm, TokenNorm)}


def weights(norm: TokenNorm) -> np.ndarray:
    """What the token in the middle of the grid weighs all places by: [head, row, column]."""
    found = np.asarray(norm.whole()).reshape(norm.heads, *norm.grid, *norm.grid)
    rows, columns = norm.grid
    return found[..., rows // 2, columns // 2]


def draw(rows: list[dict], maps: dict[Run, dict[str, np.ndarray]]) -> Figure:
    """λ by depth, and of the first seed what each head looks at from the middle."""
    names = list(dict.fromkeys(row["of"] for row in rows))
    heads = len(next(iter(next(iter(maps.values())).values())))
    figure, axes = panels(1, 1 + len(maps), (2.4, 3.4), width_ratios=[1.6, *[1] * len(maps)])
    shift = {norm: 0.16 * (place - 0.5) for place, norm in enumerate(run.norm for run in maps)}
    for run, color in zip(maps, COLORS[1:], strict=False):
        mine = [row for row in rows if row["norm"] == run.norm]
        at = [names.index(row["of"]) + shift[run.norm] for row in mine]
        axes[0].plot(at, [row["lambda"] for row in mine], "o", color=color, alpha=0.6, label=NORMS[run.norm])
    axes[0].axhline(0.5, color="#999999", linewidth=1, linestyle=":")
    axes[0].set(xlabel="norm, in order", ylabel="λ: share of the token's own", ylim=(0, 1))
    axes[0].legend()
    for axis, (run, found) in zip(axes[1:], maps.items(), strict=True):
        tall, wide = (1 + max(one.shape[side] for one in found.values()) for side in (1, 2))
        sheet = np.full((len(found) * tall - 1, heads * wide - 1), np.nan)
        for row, each in enumerate(found.values()):
            for head, one in enumerate(each):
                rows_of, columns_of = one.shape
                sheet[row * tall :, head * wide :][:rows_of, :columns_of] = one / one.max()
        bare(axis).imshow(sheet, interpolation="nearest")
        axis.set(title=f"{NORMS[run.norm]}:\nseen from the middle", xlabel="head", ylabel="norm, in order")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args = add_runs(parser).parse_args()
    rows, maps = [], {}
    for run, model in trained(args.runs, args.model).items():
        for name, norm in norms(model).items():
            seen = weights(norm)
            middle = np.array(seen.shape[1:]) // 2
            if run.seed == 0:
                maps.setdefault(run, {})[name] = seen
            for head, (mix, terms) in enumerate(zip(sigmoid(norm.mix[...]), norm.position[...], strict=True)):
                down, right = np.unravel_index(seen[head].argmax(), seen[head].shape) - middle
                row = {"norm": run.norm, "seed": run.seed, "of": name, "head": head, "lambda": float(mix)}
                row |= dict(zip(("right", "down", "square"), map(float, terms), strict=True))
                row |= {"own_place": float(seen[head][tuple(middle)]), "highest": float(seen[head].max())}
                rows.append(row | {"highest_right": int(right), "highest_down": int(down)})
    write(args.out / f"learned-{args.model}.csv", rows)
    with style():
        save_figure(draw(rows, maps), args.out / f"learned-{args.model}.webp")


if __name__ == "__main__":
    main()
