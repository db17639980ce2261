"""What the scripts share: the arguments that say which model and which images, and how results are kept and said.

Scripts run from the repository's root, `python -m experiments.ghiasi.fig5_patch_heads …`, so that they find this.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import vitjax
from vitjax.analysis.study.findings import Findings, Value
from vitjax.data.dataset import Dataset, open_dataset
from vitjax.models.core.network import Network


def parser(
    doc: str, file: str, model: str | Sequence[str] | None = "demo", about: str | None = None, **how
) -> argparse.ArgumentParser:
    """Makes the parser of a script: `--model` and `--out`, the folder of the results that stand beside the script.

    Args:
        doc: the script's docstring, which is its help.
        file: the script's `__file__`.
        model: the default; with None one must be given.
        about: what models will do.
        how: of `--model`, e.g. nargs.
    """
    found = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--model", default=model, required=model is None, help=about, **how)
    found.add_argument("--out", type=Path, default=Path(file).parent / "results")
    return found


def add_data(parser: argparse.ArgumentParser, batch: int = 32, *, classes: bool = False) -> None:
    """Adds the arguments that say which images: `--data`, `--limit`, `--batch` and, for accuracies, `--labels`."""
    parser.add_argument("--data", required=True, help="images: folder, zip, .parquet or hf://datasets/OWNER/NAME")
    parser.add_argument("--limit", type=int, help="take so many of the images, evenly spaced")
    parser.add_argument("--batch", type=int, default=batch)
    if classes:
        parser.add_argument("--labels", type=Path, help="classes: .csv, .tsv, .txt or .json of image and class")


def labelled(words: Sequence[str]) -> dict[str, str]:
    """The models of `--model`, {label: source}: each is called as its file or folder is, or as LABEL=SOURCE says."""
    found = {}
    for word in words:
        label, equals, source = word.partition("=")
        if equals and "/" not in label:
            found[label] = source
        else:
            found[Path(word).name] = word
    return found


def opened(args: argparse.Namespace, model: str | None = None) -> tuple[Network, Dataset]:
    """Loads the model, that of `--model` where none is named, and opens the images for it."""
    found = vitjax.load(model or args.model)
    listed = getattr(args, "labels", None)
    return found, open_dataset(args.data, found.config, limit=args.limit, batch=args.batch, listed=listed)


def keep(args: argparse.Namespace, *every: Findings, rows: bool = False) -> None:
    """Writes findings into `--out` and prints the paths and what was found, `rows` with the table."""
    for findings in every:
        said = [findings.summary] if findings.summary else []
        print(*findings.save(args.out), *said, *[findings.csv()] * rows, sep="\n")


def keep_rows(args: argparse.Namespace, name: str, rows: Sequence[dict[str, Value]]) -> None:
    """Writes another table into `--out`, as NAME.csv."""
    (args.out / f"{name}.csv").write_text(Findings(name, rows, {}).csv())
