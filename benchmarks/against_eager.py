"""The same recipe, once with vitjax and once as the paper's loop in PyTorch eager, in one run, taking turns.

    python benchmarks/against_eager.py --model FOLDER [--blocks 0 6 11] [--steps 8] [--rounds 3] [--out FILE.json]

The PyTorch loop is what Ghiasi et al. 2022 describe: one unit, 8 views, the whole forward pass, frozen weights, Adam,
their three augmentations and total variation. FOLDER holds a timm checkpoint (`model.safetensors`, `config.json`).
Needs torch and timm. Figures are seconds per optimisation step of one picture; on shared processors only the ratios
mean something.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import torch

import vitjax
from vitjax.bench import machine
from vitjax.models.vit import ViT
from vitjax.optimize import loop
from vitjax.optimize.recipes import GHIASI
from vitjax.optimize.units import expand

sys.path[0] = str(Path(__file__).resolve().parents[1])
from converters.timm_reference import import_timm  # noqa: E402

UNIT = 7


def eager_total_variation(x: torch.Tensor) -> torch.Tensor:
    """Four directions' L2 norms per view and channel of [view, channel, h, w], averaged."""
    pairs = (
        (x[..., :, 1:], x[..., :, :-1]),
        (x[..., 1:, :], x[..., :-1, :]),
        (x[..., 1:, 1:], x[..., :-1, :-1]),
        (x[..., 1:, :-1], x[..., :-1, 1:]),
    )
    return sum((a - b).flatten(2).norm(dim=2).mean() for a, b in pairs)


def eager(folder: Path, block: int) -> Callable[[int], None]:
    """The paper's loop: a function that runs so many steps."""
    timm = import_timm()
    from safetensors.torch import load_file

    model = timm.create_model(json.loads((folder / "config.json").read_text())["architecture"])
    model.load_state_dict(load_file(folder / "model.safetensors"))
    model.eval().requires_grad_(False)
    seen: dict[str, torch.Tensor] = {}
    model.blocks[block].mlp.act.register_forward_hook(lambda _, __, out: seen.update(hidden=out))
    side, views = model.patch_embed.img_size[0], GHIASI.views
    image = torch.rand(1, 3, side, side, requires_grad=True)
    adam = torch.optim.Adam([image], GHIASI.learning_rate, (GHIASI.b1, GHIASI.b2), GHIASI.eps)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, GHIASI.steps - 1)

    def run(steps: int) -> None:
        for step in range(steps):
            mu, log_sigma = 2 * torch.rand(2, views, 3, 1, 1) - 1
            noise = torch.randn(views, 3, 1, 1) * GHIASI.noise * max(GHIASI.steps - 3 - step, 0) / (GHIASI.steps - 1)
            shift = torch.randint(-GHIASI.jitter, GHIASI.jitter + 1, (2,)).tolist()
            batch = torch.roll((image.repeat(views, 1, 1, 1) - mu) / log_sigma.exp() + noise, shift, (2, 3))
            model((batch - 0.5) / 0.5)
            loss = -GHIASI.scale * seen["hidden"][:, 1:, UNIT].mean()
            loss = loss + GHIASI.total_variation * eager_total_variation(batch)
            adam.zero_grad()
            loss.backward()
            adam.step()
            schedule.step()
            with torch.no_grad():
                image.clamp_(0, 1)

    return run


def compiled(model: ViT, block: int, batch: int, steps: int) -> Callable[[int], None]:
    """The loop of vitjax on `batch` pictures at once: a function that runs `steps` steps."""
    tap = f"blocks.{block}.mlp.hidden"
    units = expand(f"{tap}:{UNIT}-{UNIT + batch - 1}", model.taps())
    aims = loop.aims(units, model.taps()[tap], seed=0)
    program = loop.Program(GHIASI, tap, chunk=steps)
    state = {"slots": loop.start(model, aims, recipe=program.recipe)}

    def run(_: int) -> None:
        slots = state["slots"]._replace(step=jnp.zeros((), jnp.int32))
        state["slots"], _ = jax.block_until_ready(loop.advance(model, slots, aims, program=program))

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--blocks", type=int, nargs="+", default=[0, 6, 11])
    parser.add_argument("--batch", type=int, default=1, help="pictures at once in vitjax (PyTorch: one)")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    model, rows = vitjax.load(args.model), []
    for block in args.blocks:
        runs = {"vitjax": compiled(model, block, args.batch, args.steps), "eager": eager(args.model, block)}
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for turn in range(args.rounds + 1):
            for name, run in runs.items():
                clock = time.perf_counter()
                run(args.steps)
                per_picture = (time.perf_counter() - clock) / args.steps / (args.batch if name == "vitjax" else 1)
                seconds[name] += [per_picture] if turn else []  # the first turn compiles and warms up
        ratios = [slow / fast for slow, fast in zip(seconds["eager"], seconds["vitjax"], strict=True)]
        row = {"block": block, "ratio": statistics.median(ratios), "ratios": ratios, "seconds_per_step": seconds}
        rows.append(row)
        print(
            f"block {block:2}: eager {min(seconds['eager']):.3f} s, vitjax {min(seconds['vitjax']):.3f} s per step, "
            f"ratio {row['ratio']:.2f} ({min(ratios):.2f}-{max(ratios):.2f})",
            flush=True,
        )
    mean = statistics.mean(row["ratio"] for row in rows)
    print(f"mean ratio {mean:.2f}")
    if args.out:
        record = {"machine": machine() | {"torch": torch.__version__}, "batch": args.batch, "mean_ratio": mean}
        args.out.write_text(json.dumps(record | {"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
