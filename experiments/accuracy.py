"""Top-1 and top-5 of a model on images whose file names begin with their class index (`0388_n02510455_panda.jpg`).

    python experiments/accuracy.py --model FOLDER --images images.zip

For ViT-Ti/16 (augreg, ImageNet-1k) 82.8 % of a thousand ImageNet photographs, one per class, is the known figure.
"""

import argparse
from pathlib import Path

import jax
import numpy as np
from jax import lax

import vitjax
from vitjax.data.images import batches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--images", type=Path, required=True, help="folder or zip")
    parser.add_argument("--batch", type=int, default=50)
    args = parser.parse_args()
    model = vitjax.load(args.model)
    top = jax.jit(lambda model, images: lax.top_k(model(images, "logits")["logits"], 5)[1])
    hits = []
    for names, images in batches(args.images, model.config, args.batch):
        truth = np.array([int(name.rsplit("/", 1)[-1].split("_")[0]) for name in names])
        hits.append(np.asarray(top(model, images)) == truth[:, None])
    hits = np.concatenate(hits)
    right, among = hits[:, 0].sum(), hits.any(axis=1).sum()
    print(f"{len(hits)} images: top-1 {right} ({right / len(hits):.1%}), top-5 {among} ({among / len(hits):.1%})")


if __name__ == "__main__":
    main()
