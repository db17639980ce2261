"""Where the class token looks, by four methods (Nguyen et al. 2022, the published notebook's attention map).

The paper shows the rollout of the last block over the image, from blue (its lowest) to yellow (its highest). Beside it
here: the same without the residual part, the attention of the last block alone, and rollout weighted by the gradient of
the model's choice (Chefer et al. 2021), which alone of the four depends on what the model says. Frames are around the
patches whose token has a huge norm after the last block (`vitjax analyze norms`): attention goes there for no content.

    python -m experiments.nguyen.attention_maps --model vit_tiny_patch16_224 --images dogcat_600x411.png
    python -m experiments.nguyen.attention_maps --model ViT-B_16-224.npz --images dogcat_600x411.png

How far patch tokens have looked after each block, over a data set, is `vitjax analyze rollout`.
"""

from pathlib import Path

import numpy as np

import vitjax
from experiments import script
from experiments.nguyen.picture import BILINEAR, squashed
from vitjax.analysis.photographs.outliers import outliers_by_layer
from vitjax.analysis.study.blocks import stream
from vitjax.analysis.study.findings import Findings
from vitjax.analysis.views.attention_maps import effective_patches, in_rows
from vitjax.analysis.views.rollout import at_grid, default_tokens, relevance

METHODS = {
    "rollout": {"method": "rollout"},
    "no residual": {"method": "rollout", "residual": 0},
    "last block": {"method": "attention"},
    "gradient": {"method": "gradient"},
}


def main() -> None:
    parser = script.parser(__doc__, __file__, about="with a head")
    parser.add_argument("--images", nargs="+", required=True)
    args = parser.parse_args()
    model = vitjax.load(args.model)
    images = np.stack([squashed(path, model.config, BILINEAR) for path in args.images])
    site = stream(model)
    tokens = default_tokens(site)
    found = {name: relevance(model, images.astype(np.float32) / 255, **how)[-1] for name, how in METHODS.items()}
    maps = {name: np.asarray(at_grid(values, tokens, site)) for name, values in found.items()}
    outlier = np.asarray(outliers_by_layer(model, images.astype(np.float32) / 255)[:, -1])
    rows = []
    for name, some in maps.items():
        for path, at, spread, huge in zip(args.images, some, effective_patches(some), outlier, strict=True):
            row, column = divmod(int(at.argmax()), at.shape[1])
            rows.append(
                {
                    "image": Path(path).name,
                    "method": name,
                    "row": row,
                    "column": column,
                    "outlier": bool(huge[at.argmax()]),
                    "on_outliers": float(at.ravel()[huge].sum() / at.sum()),
                    "patches": float(spread),
                }
            )
    settings = {"model": str(args.model), "tokens": tokens}
    findings = Findings(
        "attention-maps", rows, settings, {"": in_rows(images, maps, dict.fromkeys(maps, outlier), model.config)}
    )
    print(*findings.save(args.out), findings.csv(), sep="\n")


if __name__ == "__main__":
    main()
