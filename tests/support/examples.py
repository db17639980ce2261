"""The examples of the README and the pages: taken out, and run in a folder that holds what they name."""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from tests.support import dictionary_files as files
from tests.support.pictures import photo

ROOT = Path(__file__).resolve().parents[2]
STEPS = 2  # of any recipe, where examples say hundreds
FEW = ("--sample", "4")  # units of an atlas
ONE_TAP = ("--units", "blocks.0.mlp.hidden:*")  # of one that names none: each tap is a program
DRAWN = ("--sample", "2")  # units that are drawn for pictures: each tap of theirs is a program
CELLS = ("--grid", "2", "--threshold", "0", "--layout", "pca")  # of one of activations
LEARNED = ("--tokens", "8192", "--batch", "1024", "--buffer", "4096")  # of a dictionary
SCORED = ("--count", "3")  # units of a tap that are scored
BENCH = ("--steps", "1", "--batch", "1", "--blocks", "0")
CLASSES = ["n01443537", "n01629819", "n01641577", "n01644900"]  # the embedded model's first

# What stands for weights that are not here: an example with the one runs with the other.
STANDS_IN = {
    "timm/vit_base_patch16_224.augreg_in21k_ft_in1k": "my_vit",
    "timm/vit_base_patch16_224.dino": "my_vit",
    "./vit_tiny": "my_vit",
    "photo-model": "my_vit",
}
# What does not run here, and why; the first that is found in an example counts.
SKIPPED = {
    r"^pip install |^python -m venv|^source |^python -m (tests|docs)": "installs what is installed, or runs this",
    r"OWNER/|hf://|gs://|s3://": "a hub or bucket of one's own",
    r"--compile-for": "a chip's compiler; see tests/bench",
    r"^gcloud|sky jobs|SLURM|^trap|^wait|^\[ |^exit|^code=|^for |^done": "a cluster's own program",
    r" /shared/": "a folder that hosts share",
    r"^vitjax serve": "serves until it is interrupted; see tests/atlas/test_serve.py",
    r"my_clip": "a CLIP's files; see tests/models/test_text.py",
    r"my_swin|timm/swin": "a Swin's files; see tests/weights/test_parity_swin.py",
    r"my_vit\.pth": "a .pth, which torch writes; see tests/weights/test_convert.py",
    r"--masks": "masks of objects; see tests/analysis",
    r"--alexnet|with_dtn": "models and images of ImageNet; see tests/analysis/test_corruptions.py",
    r"vitjax (pretrain|train|finetune|probe) |--model tuned": "a training; see tests/train/test_train_commands.py",
    r"^python -m (converters|experiments|benchmarks|http)": "a script with requirements of its own",
    r"ra\.pt": "a file of overcomplete's; see tests/weights/test_dictionary_files.py",
    r"MyTask": "a sketch: MyTask is the reader's",
    r"model\(ids": "a sketch: ids are the reader's",
}


@dataclass(frozen=True)
class Example:
    """An example: the page, its place there, "python" or "sh", and its text, of a shell one command."""

    page: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def skipped(self) -> str | None:
        """Why it does not run, if it does not."""
        return next((why for what, why in SKIPPED.items() if re.search(what, self.text)), None)


def examples(page: Path) -> Iterator[Example]:
    """The examples of a page in their order."""
    found, name = re.compile(r"^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL), page.relative_to(ROOT)
    text = page.read_text()
    for block in found.finditer(text):
        kind, code = block.groups()
        line = text.count("\n", 0, block.start()) + 2
        if kind == "python":
            yield Example(name.as_posix(), line, kind, code)
            continue
        for number, command in _commands(code):
            for part in re.split(r" && |; ", re.sub(r"(^|\s)#.*", "", command)):
                if part.strip():
                    yield Example(name.as_posix(), line + number, kind, part.strip())


def _commands(code: str) -> Iterator[tuple[int, str]]:
    """The commands of a block, each with the number of its first line; one may go on on the next."""
    begun, first = "", 0
    for number, line in enumerate(code.splitlines()):
        begun, first = (begun, first) if begun else ("", number)
        if line.endswith("\\"):
            begun += line[:-1]
            continue
        yield first, begun + line
        begun = ""


def stood_in(text: str) -> str:
    """The example with what is here in place of weights that are not."""
    for away, here in STANDS_IN.items():
        text = text.replace(away, here)
    return text


def photographs(folder: Path) -> None:
    """Puts the photographs that examples name into a folder: some, some with classes, single ones."""
    for name in ("photos", "val", "classes"):
        for number in range(8):
            place = folder / name if name == "photos" else folder / name / CLASSES[number % len(CLASSES)]
            place.mkdir(parents=True, exist_ok=True)
            photo(80, 72, number).save(place / f"{number}.jpg")
    for name in ("photos", "images"):
        shutil.make_archive(str(folder / name), "zip", folder / "photos")
    for number, name in enumerate(("chelsea.png", "coffee.png", "cat.png", "photo.jpg")):
        photo(96, 80, 100 + number).save(folder / name)


def checkpoints(folder: Path) -> None:
    """Puts the models and dictionaries that examples name into a folder: a ViT of twelve blocks by several names."""
    from vitjax.models.core.config import Preprocess, ViTConfig
    from vitjax.models.registry import random
    from vitjax.weights.dictionaries.ours import save_dictionary
    from vitjax.weights.dictionaries.read import read_dictionary
    from vitjax.weights.save import export_timm

    sizes = {"image_size": (64, 64), "patch_size": (16, 16), "width": 192, "depth": 12, "heads": 3, "mlp_width": 1300}
    model = random(ViTConfig(**sizes, classes=len(CLASSES), preprocess=Preprocess(crop=1.0)))
    export_timm(model, folder / "my_vit", dtype="float32")
    config = json.loads((folder / "my_vit" / "config.json").read_text())
    (folder / "my_vit" / "config.json").write_text(json.dumps(config | {"label_names": CLASSES}))
    for name in ("vit", "another"):
        shutil.copytree(folder / "my_vit", folder / name)
    shutil.copytree(folder / "my_vit", folder / "outputs" / "checkpoint-500")
    named = json.dumps(config | {"label_names": ["goldfish", "bullfrog", "kite", "teapot"]})
    (folder / "outputs" / "checkpoint-500" / "config.json").write_text(named)
    (folder / "classes.json").write_text(json.dumps(CLASSES))
    rng = np.random.default_rng(0)
    shapes = {"W_enc": (192, 1300), "b_enc": 1300, "W_dec": (1300, 192), "b_dec": 192}
    tensors = {name: rng.standard_normal(shape).astype(np.float32) / 14 for name, shape in shapes.items()}
    header = {"schema": 5, "cfg": {"d_model": 192, "d_sae": 1300, "activation": {"cls": "Relu", "params": {}}}}
    files.saev(folder, header, tensors)
    save_dictionary(read_dictionary(folder / "sae.pt", tap="blocks.3.resid_post"), folder / "features")


def shortened(plan):
    """A recipe's plan with `STEPS` of its last stage and none of the others, which would be compiled for each."""

    def short(*arguments):
        last = plan(*arguments)[-1]
        return (replace(last, recipe=replace(last.recipe, steps=STEPS)),)

    return short


def words_of(example: Example, folder: Path) -> list[str]:
    """The arguments of a command, small where it says nothing, after making or clearing what it stands on."""
    words = shlex.split(stood_in(example.text), comments=True)[1:]
    given = dict(pairwise(words))
    reads = words[:2] == ["atlas", "export"] or {"--verify", "--repair"} & set(words)
    if "--pictures" in given:
        shutil.rmtree(folder / Path(given["--pictures"]).name, ignore_errors=True)
        whose = given.get("--model", "demo")
        made = f"vitjax visualize blocks.1.mlp.hidden:0-1 --model {whose} --out {given['--pictures']}"
        run(replace(example, text=made), folder)
    elif "--out" in given and not reads:
        shutil.rmtree(folder / Path(given["--out"]).name, ignore_errors=True)
    if words[0] == "bench":
        words += BENCH
    elif words == ["visualize"]:
        words += DRAWN
    elif words[0] == "visualize" and "--sample" in words:
        first = words.index("--sample")
        words[first : first + 2] = DRAWN
    elif words[:2] == ["analyze", "scores"]:
        words += SCORED
    elif words[:2] == ["dictionary", "train"]:
        words += LEARNED
    elif words[0] == "atlas" and words[1:2] != ["export"] and "--verify" not in words:
        words += CELLS if "activations" in words else FEW if "--units" in words else (*ONE_TAP, *FEW)
        words += (
            ["--set", f"steps={STEPS}"] if given.get("--recipe") == "ghiasi" else []
        )  # one stage: records count them
    return words


def run(example: Example, folder: Path) -> None:
    """Runs a command of vitjax's in this process; anything but success is an error."""
    from vitjax.cli import main

    words = words_of(example, folder)
    code = main(words)
    assert code == 0, f"vitjax {shlex.join(words)} ended with {code}"


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = [example for page in PAGES for example in examples(page)]
