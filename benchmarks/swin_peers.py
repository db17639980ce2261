"""Times the loop of `benchmarks/peers.py` on a Swin Transformer, at one block of each stage, against timm's in PyTorch.

    python -m benchmarks.swin_peers [--model swin_base_patch4_window7_224] [--steps 2] [--rounds 3] [--out FILE.json]

The contenders, the recipe and the figures are those of `benchmarks/peers.py`; a name of timm's gets random weights. The
block is the second of a stage, whose windows are shifted where they fit; of the third stage it is one in the middle.
Seconds until the loop is compiled stand beside them, vitjax's and PyTorch's.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch

import vitjax
from benchmarks.peers import Hidden, compiled, eager, ours, random_checkpoint, torch_model
from benchmarks.turns import Run, compared, timed, write
from vitjax.cli.hosts import use_cores


def up_to(model: torch.nn.Module, stage: int, block: int) -> Hidden:
    """The hidden units of a Swin's block: nothing after them is computed."""
    here = model.layers[stage]
    last = here.blocks[block]

    def hidden(images: torch.Tensor) -> torch.Tensor:
        x = model.patch_embed(images)
        for each in model.layers[:stage]:
            x = each(x)
        x = here.downsample(x)
        for each in here.blocks[:block]:
            x = each(x)
        if hasattr(last.attn, "logit_scale"):  # Swin V2
            x = x + last.norm1(last._attn(x))
            return last.mlp.act(last.mlp.fc1(x.flatten(1, 2)))
        x = x + last._attn(last.norm1(x))
        return last.mlp.act(last.mlp.fc1(last.norm2(x.flatten(1, 2))))

    return hidden


def first_call(run: Run) -> float:
    """Seconds until one step has been made for the first time, which compiles."""
    clock = time.perf_counter()
    run(1)
    return time.perf_counter() - clock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="swin_base_patch4_window7_224")
    parser.add_argument("--pictures", type=int, default=2, help="at once, in vitjax and in compiled PyTorch")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stages", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    use_cores()
    with tempfile.TemporaryDirectory() as temporary:
        folder = random_checkpoint(args.model, Path(temporary))
        model, rows = vitjax.load(folder, cache=False), []
        for stage in args.stages:
            depth = model.config.depths[stage]
            block, own, whole, cut = (depth - 1) // 4 * 2 + 1, torch_model(folder), torch_model(folder), args.pictures
            runs = {
                "vitjax": (ours(model, f"stages.{stage}.blocks.{block}.mlp.hidden", cut, args.steps), cut),
                "eager": (eager(whole, whole.layers[stage].blocks[block].mlp.act, prefix=0), 1),
                "compiled": (compiled(up_to(own, stage, block), own.patch_embed.img_size[0], cut), cut),
            }
            compiling = {name: first_call(run) for name, (run, _) in runs.items()}
            seconds = timed(runs, args.steps, args.rounds)
            about = {"stage": stage, "block": block, "seconds_of_first_call": compiling}
            rows.append(about | compared(f"stage {stage}, block {block:2}", seconds))
            write(rows, {"model": args.model, "recipe": "ghiasi", "pictures": args.pictures}, args.out)


if __name__ == "__main__":
    main()
