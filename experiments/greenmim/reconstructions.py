"""What a pretraining makes of photographs of which it sees a quarter: each image, what was seen, what was predicted.

python -m experiments.greenmim.reconstructions --run runs/green-swin --data photos/ --out reconstructions.webp
"""

import argparse
import json
from pathlib import Path

import jax.numpy as jnp

from vitjax.data.dataset import open_dataset
from vitjax.models.core.surroundings import key
from vitjax.models.registry import KINDS
from vitjax.optimize.results.sheets import contact_sheet
from vitjax.train.green.mim import GreenConfig, GreenMIM
from vitjax.train.kept.checkpoints import kept
from vitjax.train.loop.mesh import mesh
from vitjax.train.loop.step import program
from vitjax.train.settings import Settings
from vitjax.weights.publish.converted import rebuilt


def learned(run: Path):
    """The task of a pretraining, and what it had learned at its last checkpoint."""
    stated = json.loads((run / "training.json").read_text())
    kinds = {kind.__name__: kind for kind in KINDS}
    config = rebuilt(kinds[stated["model"]["kind"]], stated["model"]["config"])
    settings = Settings(**stated["settings"])
    task = GreenMIM(GreenConfig(config, seed=settings.seed, **stated["masking"]))
    devices = mesh(settings.batch, settings.accumulate)
    made = program(task, settings, settings.dtype, stated["data"]["images"], devices)
    with kept(run, 2) as checkpoints:
        return task, checkpoints.restore(made.shapes).result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="the folder of a pretraining")
    parser.add_argument("--data", type=Path, required=True, help="photographs")
    parser.add_argument("--out", type=Path, default=Path("reconstructions.webp"))
    parser.add_argument("--seed", type=int, default=0, help="of the masks")
    args = parser.parse_args()
    task, found = learned(args.run)
    (batch,) = open_dataset(args.data, found.model, limit=8, batch=8).batches()
    images = found.model.normalise(jnp.asarray(batch.images[batch.place >= 0], jnp.float32) / 255)
    pictures = task.samples(found, {"images": images}, key(args.seed))
    contact_sheet(pictures, [""] * len(pictures), 2).save(args.out, quality=90)


if __name__ == "__main__":
    main()
