"""Times one recipe in vitjax and in PyTorch, taking turns in one run: the paper's loop, and the best one can write.

    python -m benchmarks.peers --model FOLDER [--blocks 0 4 8 11] [--steps 4] [--rounds 3] [--out FILE.json]

    eager       what Ghiasi et al. 2022 describe: one unit, 8 views, the whole forward pass, Adam, their augmentations
                and total variation; weights frozen, as in their code
    compiled    several units at once, the forward pass cut off behind the neurons, the loss under `torch.compile`,
                jitter drawn once for all views of a step; bfloat16 on a GPU
    vitjax      its loop, every local device with as many pictures as PyTorch has in all, shared out

FOLDER holds a timm checkpoint (`model.safetensors`, `config.json`); a name of timm's, e.g. vit_base_patch32_224, gets
random weights. Needs torch, timm and a C++ compiler. Figures are seconds per optimisation step of one picture; on
shared processors only the ratios mean something.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import torch

import vitjax
from converters.referees.timm_vit import import_timm
from vitjax.bench.rates import machine
from vitjax.cli.arguments import use_cores
from vitjax.models.vit import ViT
from vitjax.optimize import loop
from vitjax.optimize.objectives import UnitActivation
from vitjax.optimize.recipes import GHIASI
from vitjax.units.units import expand

UNIT = 7  # the first; others follow it
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
Run = Callable[[int], None]


def total_variation(x: torch.Tensor) -> torch.Tensor:
    """Four directions' L2 norms per view and channel of [..., channel, h, w], averaged over all channels."""
    pairs = (
        (x[..., :, 1:], x[..., :, :-1]),
        (x[..., 1:, :], x[..., :-1, :]),
        (x[..., 1:, 1:], x[..., :-1, :-1]),
        (x[..., 1:, :-1], x[..., :-1, 1:]),
    )
    return sum((a - b).flatten(-2).norm(dim=-1).flatten(-2).mean(-1) for a, b in pairs)


def drawn(step: int, *pictures: int) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """Gain and shift of each view and channel, [*pictures, view, 3, 1, 1], and the jitter of a step."""
    shape = (*pictures, GHIASI.views, 3, 1, 1)
    mu, log_sigma = 2 * torch.rand(2, *shape, device=DEVICE) - 1
    scale = GHIASI.noise * max(GHIASI.steps - 3 - step, 0) / (GHIASI.steps - 1)
    gain = (-log_sigma).exp()
    shift = torch.randint(-GHIASI.jitter, GHIASI.jitter + 1, (2,)).tolist()
    return gain, torch.randn(shape, device=DEVICE) * scale - mu * gain, shift


def descent(images: torch.Tensor) -> Callable[[torch.Tensor], None]:
    """The recipe's optimizer, schedule and clamp: a function that takes a step against a loss of `images`."""
    optimizer = torch.optim.Adam([images], GHIASI.learning_rate, (GHIASI.b1, GHIASI.b2), GHIASI.eps)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, GHIASI.steps - 1)

    def step(loss: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            images.clamp_(0, 1)

    return step


def eager(model: torch.nn.Module, block: int) -> Run:
    """The paper's loop: a function that runs so many steps of one picture."""
    seen: dict[str, torch.Tensor] = {}
    model.blocks[block].mlp.act.register_forward_hook(lambda _, __, out: seen.update(hidden=out))
    side = model.patch_embed.img_size[0]
    image = torch.rand(1, 3, side, side, device=DEVICE, requires_grad=True)
    descend = descent(image)

    def run(steps: int) -> None:
        for step in range(steps):
            gain, shift, jitter = drawn(step)
            batch = torch.roll(image.repeat(GHIASI.views, 1, 1, 1) * gain + shift, jitter, (2, 3))
            model((batch - 0.5) / 0.5)
            loss = -GHIASI.scale * seen["hidden"][:, 1:, UNIT].mean()
            loss = loss + GHIASI.total_variation * total_variation(batch)
            descend(loss)

    return run


def compiled(model: torch.nn.Module, block: int, pictures: int) -> Run:
    """The best an engineer would write: `pictures` units at once, truncated and compiled."""
    side, last = model.patch_embed.img_size[0], model.blocks[block]
    images = torch.rand(pictures, 1, 3, side, side, device=DEVICE, requires_grad=True)
    units = torch.arange(UNIT, UNIT + pictures, device=DEVICE)
    descend = descent(images)

    def loss_of(images: torch.Tensor, gain: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        views = images * gain + shift
        variation = total_variation(views)
        x = model.patch_embed((views.flatten(0, 1) - 0.5) / 0.5)
        x = model.norm_pre(model.patch_drop(model._pos_embed(x)))
        for each in model.blocks[:block]:
            x = each(x)
        x = x + last.ls1(last.attn(last.norm1(x)))
        hidden = last.mlp.act(last.mlp.fc1(last.norm2(x)))[:, 1:].mean(1).unflatten(0, (pictures, GHIASI.views))
        reached = hidden.mean(1).float().gather(1, units[:, None]).sum()
        return GHIASI.total_variation * variation.sum() - GHIASI.scale * reached

    fused = torch.compile(loss_of)

    def run(steps: int) -> None:
        for step in range(steps):
            gain, shift, jitter = drawn(step, pictures)
            with torch.autocast(DEVICE, torch.bfloat16, enabled=DEVICE == "cuda"):
                loss = fused(torch.roll(images, jitter, (3, 4)), gain, shift)
            descend(loss)
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    return run


def ours(model: ViT, block: int, pictures: int, steps: int) -> Run:
    """The loop of vitjax, `pictures` shared out over the local devices."""
    tap, devices = f"blocks.{block}.mlp.hidden", jax.local_devices()
    each = -(-pictures // len(devices))
    program = loop.Program(GHIASI, UnitActivation(tap), chunk=steps)
    places = []
    for number, device in enumerate(devices):
        units = expand(f"{tap}:{UNIT + number * each}-{UNIT + number * each + each - 1}", model.taps())
        aims = jax.device_put(loop.aims(units, model.taps(), seed=0), device)
        here = jax.device_put(model, device)
        places.append({"model": here, "aims": aims, "slots": loop.start(here, aims, recipe=GHIASI)})

    def on_one(place: dict) -> None:
        slots = place["slots"]._replace(step=jnp.zeros_like(place["slots"].step))
        place["slots"], _ = jax.block_until_ready(loop.advance(place["model"], slots, place["aims"], program=program))

    def run(_: int) -> None:
        with ThreadPoolExecutor(len(places)) as pool:
            list(pool.map(on_one, places))

    return run


def torch_model(folder: Path) -> torch.nn.Module:
    """A fresh copy of the checkpoint in `folder`, its weights frozen."""
    from safetensors.torch import load_file

    model = import_timm().create_model(json.loads((folder / "config.json").read_text())["architecture"])
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model.to(DEVICE).eval().requires_grad_(False)


def random_checkpoint(name: str, folder: Path) -> Path:
    """Writes a timm model with random weights into `folder`."""
    from safetensors.torch import save_file

    torch.manual_seed(0)
    save_file(import_timm().create_model(name).state_dict(), folder / "model.safetensors")
    pictures = {"mean": [0.5] * 3, "std": [0.5] * 3}
    (folder / "config.json").write_text(json.dumps({"architecture": name, "pretrained_cfg": pictures}))
    return folder


def timed(runs: dict[str, tuple[Run, int]], steps: int, rounds: int) -> dict[str, list[float]]:
    """Seconds per step and picture of each contender, {name: (run, pictures)}, round by round."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, (run, pictures) in runs.items():
            clock = time.perf_counter()
            run(steps)
            if turn:  # the first turn compiles and warms up
                seconds[name].append((time.perf_counter() - clock) / steps / pictures)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--blocks", type=int, nargs="+", default=[0, 4, 8, 11])
    parser.add_argument("--pictures", type=int, default=2, help="at once, in vitjax and in compiled PyTorch")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    use_cores()
    with tempfile.TemporaryDirectory() as temporary:
        known = Path(args.model).is_dir()
        folder = Path(args.model) if known else random_checkpoint(args.model, Path(temporary))
        model, rows = vitjax.load(folder), []
        for block in args.blocks:
            runs = {
                "vitjax": (ours(model, block, args.pictures, args.steps), args.pictures),
                "eager": (eager(torch_model(folder), block), 1),
                "compiled": (compiled(torch_model(folder), block, args.pictures), args.pictures),
            }
            seconds = timed(runs, args.steps, args.rounds)
            ratios = {
                name: [slow / fast for slow, fast in zip(seconds[name], seconds["vitjax"], strict=True)]
                for name in ("eager", "compiled")
            }
            rows.append({"block": block, "ratios": ratios, "seconds_per_step": seconds})
            spread = ", ".join(
                f"{name} {statistics.median(seconds[name]):.3f} s = {statistics.median(found):.2f} times"
                f" ({min(found):.2f}-{max(found):.2f})"
                for name, found in ratios.items()
            )
            print(f"block {block:2}: vitjax {statistics.median(seconds['vitjax']):.3f} s a step; {spread}", flush=True)
    means = {name: statistics.mean(statistics.median(row["ratios"][name]) for row in rows) for name in ratios}
    print("mean: " + ", ".join(f"{name} {mean:.2f} times vitjax's time" for name, mean in means.items()))
    if args.out:
        about = {"model": Path(args.model).name, "recipe": "ghiasi", "pictures": args.pictures, "means": means}
        record = {"machine": machine() | {"torch": torch.__version__}} | about | {"rows": rows}
        args.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
