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
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import torch

import vitjax
from benchmarks.turns import Run, compared, timed, write
from converters.referees.timm_vit import import_timm
from vitjax.cli.hosts import use_cores
from vitjax.models.core.network import Network
from vitjax.optimize import loop
from vitjax.optimize.objectives import UnitActivation
from vitjax.optimize.recipes import GHIASI
from vitjax.units.units import expand

UNIT = 7  # the first; others follow it
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

Hidden = Callable[[torch.Tensor], torch.Tensor]  # of normalised images, to hidden units [image, patch, unit]


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


def eager(model: torch.nn.Module, act: torch.nn.Module, prefix: int = 1) -> Run:
    """The paper's loop: a function that runs so many steps of one picture.

    Args:
        model: all of it runs.
        act: the activation function that gives the neurons.
        prefix: tokens before the patches.
    """
    seen: dict[str, torch.Tensor] = {}
    act.register_forward_hook(lambda _, __, out: seen.update(hidden=out))
    side = model.patch_embed.img_size[0]
    image = torch.rand(1, 3, side, side, device=DEVICE, requires_grad=True)
    descend = descent(image)

    def run(steps: int) -> None:
        for step in range(steps):
            gain, shift, jitter = drawn(step)
            batch = torch.roll(image.repeat(GHIASI.views, 1, 1, 1) * gain + shift, jitter, (2, 3))
            model((batch - 0.5) / 0.5)
            loss = -GHIASI.scale * seen["hidden"][:, prefix:, UNIT].mean()
            loss = loss + GHIASI.total_variation * total_variation(batch)
            descend(loss)

    return run


def up_to(model: torch.nn.Module, block: int) -> Hidden:
    """The hidden units of a ViT's block at its patches: nothing after them is computed."""
    last = model.blocks[block]

    def hidden(images: torch.Tensor) -> torch.Tensor:
        x = model.norm_pre(model.patch_drop(model._pos_embed(model.patch_embed(images))))
        for each in model.blocks[:block]:
            x = each(x)
        x = x + last.ls1(last.attn(last.norm1(x)))
        return last.mlp.act(last.mlp.fc1(last.norm2(x)))[:, 1:]

    return hidden


def compiled(hidden: Hidden, side: int, pictures: int) -> Run:
    """The best an engineer would write: `pictures` units at once, truncated and compiled."""
    images = torch.rand(pictures, 1, 3, side, side, device=DEVICE, requires_grad=True)
    units = torch.arange(UNIT, UNIT + pictures, device=DEVICE)
    descend = descent(images)

    def loss_of(images: torch.Tensor, gain: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        views = images * gain + shift
        variation = total_variation(views)
        means = hidden((views.flatten(0, 1) - 0.5) / 0.5).mean(1).unflatten(0, (pictures, GHIASI.views))
        reached = means.mean(1).float().gather(1, units[:, None]).sum()
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


def ours(model: Network, tap: str, pictures: int, steps: int) -> Run:
    """The loop of vitjax, `pictures` shared out over the local devices."""
    devices = jax.local_devices()
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
            own, whole, cut = torch_model(folder), torch_model(folder), args.pictures
            runs = {
                "vitjax": (ours(model, f"blocks.{block}.mlp.hidden", cut, args.steps), cut),
                "eager": (eager(whole, whole.blocks[block].mlp.act), 1),
                "compiled": (compiled(up_to(own, block), own.patch_embed.img_size[0], cut), cut),
            }
            rows.append({"block": block} | compared(f"block {block:2}", timed(runs, args.steps, args.rounds)))
    write(rows, {"model": Path(args.model).name, "recipe": "ghiasi", "pictures": args.pictures}, args.out)


if __name__ == "__main__":
    main()
