"""Times `vitjax.visualize` of an older tree of this repository and of this one, taking turns, and compares pictures.

    git worktree add ../before 3ed3b30^       # the last commit whose goals could not be added
    python -m benchmarks.visualize_before --before ../before --model FOLDER [--rounds 8] [--out FILE.json]

Each tree has a process of its own that stays; in each round each makes the same pictures of the same units, in an order
that changes from round to round. Processor seconds count, which other work on the machine lengthens least, though it
does; a ratio is of two turns that follow each other. The first turn compiles and does not count. What the compiled
loops take by XLA's own count stands beside, which no other work changes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parents[1]
WHAT = (
    ("ghiasi", "blocks.8.mlp.hidden:0-1"),
    ("fast", "blocks.11.mlp.hidden:0-1"),
    ("ghiasi", "blocks.3.attn.z:0.0-1"),
)


def serve(model_name: str) -> None:
    """Makes pictures for each line of JSON that comes in; answers with processor seconds, a checksum and a program."""
    import hashlib

    import jax

    import vitjax

    print(json.dumps(str(Path(vitjax.__file__).parents[1])), flush=True)
    model, client = vitjax.load(model_name), jax.devices()[0].client
    for line in sys.stdin:
        asked = json.loads(line)
        clock = time.process_time()
        pictures = vitjax.visualize(model, asked["units"], asked["recipe"], steps=asked["steps"], batch=2)
        seconds = time.process_time() - clock
        found = {"seconds": seconds, "sha256": hashlib.sha256(pictures.images.tobytes()).hexdigest()}
        if asked["compiled"]:
            found["programs"] = [
                compiled(one) for one in client.live_executables() if "advance" in one.hlo_modules()[0].name
            ]
            jax.clear_caches()
        print(json.dumps(found), flush=True)


def compiled(one) -> dict[str, float]:
    """What a compiled program takes: operations and bytes by XLA's count, its instructions, temporary memory."""
    cost, (module,) = one.cost_analysis(), one.hlo_modules()
    about = {"operations": cost["flops"], "bytes": cost["bytes accessed"]}
    about |= {"instructions": module.to_string().count(" = ")}
    return about | {"temporary": one.get_compiled_memory_stats().temp_size_in_bytes}


class Tree:
    """A process that paints with the code of a tree."""

    def __init__(self, folder: Path, model: str):
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), "--serve", "--model", model],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(folder)},
        )  # fmt: skip
        if (found := self._answer()) != str(folder):
            raise SystemExit(f"vitjax comes from {found}, not from {folder}")

    def paint(self, **asked: object) -> dict:
        """What comes of it: processor seconds, and the checksum of the pictures."""
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def end(self) -> None:
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()

    def _answer(self) -> object:
        while line := self.process.stdout.readline():
            if line[0] in '{"':
                return json.loads(line)
        raise SystemExit("a tree's process ended")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="the older tree")
    parser.add_argument("--model", required=True)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        return serve(args.model)
    commit = lambda folder: subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=folder, text=True)
    trees = {"before": Tree(args.before.resolve(), args.model), "now": Tree(HERE, args.model)}
    rows = []
    for recipe, units in WHAT:
        turns: dict[str, list[dict]] = {name: [] for name in trees}
        for round in range(args.rounds + 1):
            for name in [*trees][:: 1 if round % 2 else -1]:
                asked = {"units": units, "recipe": recipe, "steps": args.steps, "compiled": round == args.rounds}
                turns[name].append(trees[name].paint(**asked))
        before, now = ([turn["seconds"] for turn in turns[name][1:]] for name in trees)
        ratios = [one / other for one, other in zip(now, before, strict=True)]
        row = {"recipe": recipe, "units": units, "now_over_before": statistics.median(ratios)}
        row |= {"from": min(ratios), "to": max(ratios), "least_over_least": min(now) / min(before)}
        row |= {"same_bytes": turns["now"][-1]["sha256"] == turns["before"][-1]["sha256"]}
        rows.append(row | {"programs": {name: found[-1]["programs"] for name, found in turns.items()}})
        print(json.dumps(rows[-1]), flush=True)
        if args.out:
            about = {"before": commit(args.before).strip(), "now": commit(HERE).strip(), "steps": args.steps}
            args.out.write_text(json.dumps({**about, "rounds": args.rounds, "rows": rows}, indent=1) + "\n")
    for tree in trees.values():
        tree.end()


if __name__ == "__main__":
    main()
