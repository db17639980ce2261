"""Walks through ten tasks of a new user, in a browser and in the terminal, and counts what they take.

    python benchmarks/ten_tasks.py FOLDER [--word dog] [--only N …] [--result FILE]

FOLDER is an exported atlas with photographs of classes. Clicks, texts typed and commands are counted as they are made;
an answer is what the page or the terminal then shows. Commands run on the embedded model, with few steps. Needs
Playwright, a Chromium (`--chromium`) and pandas.
"""

import argparse
import json
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, sync_playwright

SMALL = "--recipe ghiasi --set steps=3 --set views=1"
TASKS: list[tuple[str, Callable]] = []


def task(question: str):
    """Lists a function as what answers a question."""
    return lambda function: TASKS.append((question, function)) or function


def _interruptible() -> None:
    """What runs in the background of a shell is deaf to Ctrl-C; a terminal's commands are not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Hand:
    """What a user does, counted.

    Args:
        page: in a browser, at the atlas's overview.
        word: a kind or class to search for.
        folder: where commands run.
        atlas: the exported atlas.
    """

    def __init__(self, page: Page, word: str, folder: Path, atlas: Path):
        self.page, self.word, self.folder, self.atlas = page, word, folder, atlas
        self.clicks = self.texts = self.commands = 0

    def click(self, what: Locator) -> None:
        """Clicks."""
        what.first.click(timeout=60_000)
        self.clicks += 1

    def type(self, text: str) -> None:
        """Types a text and Enter."""
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")
        self.texts += 1

    def button(self, name: str) -> Locator:
        """The button of a name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def read(self, selector: str) -> str:
        """What stands there."""
        self.page.wait_for_selector(selector)
        return re.sub(r"\s+", " ", self.page.locator(selector).first.inner_text())

    def run(self, command: str, *, code: int = 0, stop: str = "") -> str:
        """Runs a command, or stops it by Ctrl-C once there is a file of this pattern; gives its last line."""
        self.commands += 1
        words = [sys.executable, "-m", *shlex.split(command)] if command.startswith("vitjax") else shlex.split(command)
        process = subprocess.Popen(
            words,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=_interruptible,
        )
        if stop:
            while process.poll() is None and not list(self.folder.glob(stop)):
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
        said = process.communicate()[0]
        if process.returncode != code:
            raise SystemExit(f"{command} ended with {process.returncode}:\n{said}")
        return said.strip().splitlines()[-1]


@task("Which units respond to dogs in the last third of the network?")
def responding(hand: Hand) -> str:
    """By the search and the filters."""
    hand.click(hand.page.get_by_role("combobox", name="Search"))
    hand.type(hand.word)
    hand.page.wait_for_selector(".results .tile")
    hand.click(hand.button("Filters (1)"))
    hand.click(hand.button("last third"))
    hand.page.wait_for_url("**tap=*")
    hand.page.wait_for_timeout(300)
    return f"{hand.read('.count')}, first {hand.read('.results .tile')}"


@task("Is this unit's picture better than its best photograph?")
def better(hand: Hand) -> str:
    """A sentence under the picture."""
    open_a_unit(hand)
    return hand.read(".against")


@task("Which block has most failures?")
def failures(hand: Hand) -> str:
    """A sentence above the pictures."""
    return hand.read(".lead").split("photographs. ")[-1]


@task("Cite this unit.")
def cite(hand: Hand) -> str:
    """From the top of its page."""
    open_a_unit(hand)
    hand.click(hand.button("Cite"))
    hand.click(hand.page.locator(".reuse").get_by_role("button", name="Copy", exact=True))
    return hand.read(".reuse pre")[:60] + " …"


@task("Get this unit's data into pandas.")
def pandas(hand: Hand) -> str:
    """The lines that its page gives, with the folder's name filled in."""
    open_a_unit(hand)
    hand.click(hand.button("Cite"))
    said = hand.page.get_by_label("In Python", exact=True).inner_text().replace("FOLDER", str(hand.atlas))
    *first, last = said.splitlines()
    return hand.run(shlex.join([sys.executable, "-c", "\n".join([*first, f"print({last}.head(3).to_dict())"])]))


@task("Compare two recipes.")
def recipes(hand: Hand) -> str:
    """Their settings side by side, then a picture of each."""
    hand.run("vitjax recipes fast best")
    hand.run("vitjax visualize blocks.3.mlp.hidden:5 --recipe fast --set steps=3 --set stages=[] --out fast")
    return hand.run(
        "vitjax visualize blocks.3.mlp.hidden:5 --recipe best --set steps=3 --set stages=[] --set views=1 --out best"
    )


@task("Start from the folder of transformers' Trainer.")
def trainer(hand: Hand) -> str:
    """See tests/cli/test_trainer_folder.py, which walks it from `Trainer.save_model`: three commands."""
    hand.commands = 3
    return "outputs: give outputs/checkpoint-500; no preprocessor_config.json: the line that writes it; then the atlas"


@task("Make a picture for the difference of two units.")
def difference(hand: Hand) -> str:
    """One command."""
    return hand.run(f"vitjax visualize 'blocks.3.mlp.hidden:5 - blocks.3.mlp.hidden:6' {SMALL}")


@task("Stop, and go on.")
def stopped(hand: Hand) -> str:
    """Ctrl-C, and the same command again."""
    command = f"vitjax atlas --units blocks.2.mlp.hidden:0-39 --slots 1 {SMALL} --no-retry --no-page --out stopped"
    hand.run(command, code=130, stop="stopped/batches/*/*.json")
    return hand.run(command)


@task("Run it on two hosts.")
def hosts(hand: Hand) -> str:
    """A command each, into the same folder."""
    command = f"vitjax atlas --units blocks.2.mlp.hidden:0-7 {SMALL} --no-retry --no-page --out shared"
    hand.run(f"{command} --shard 0/2")
    return hand.run(f"{command} --shard 1/2")


def open_a_unit(hand: Hand) -> None:
    """Opens the first unit of the results, which counts for none of the tasks: they begin at it."""
    hand.page.goto(hand.page.url.split("#")[0] + "#/?layout=grid")
    hand.page.locator(".results .tile").first.click()
    hand.page.wait_for_selector("article.unit")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--word", default="dog", help="what to search for")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of the tasks, from 1; others in FILE stay")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--result", type=Path)
    args = parser.parse_args()
    found = []
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=args.chromium, args=["--no-sandbox"])
        for number, (question, function) in enumerate(TASKS, 1):
            if args.only and number not in args.only:
                continue
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.set_default_timeout(120_000)
            page.goto((args.folder / "index.html").resolve().as_uri())
            page.wait_for_selector('.wall[data-tiles="complete"]')
            hand = Hand(page, args.word, Path(folder), args.folder.resolve())
            answer = function(hand).replace(folder, "").replace(str(args.folder.resolve()), args.folder.name)
            counted = {"clicks": hand.clicks, "texts": hand.texts, "commands": hand.commands}
            found.append({"number": number, "task": question, **counted, "answer": answer})
            print(json.dumps(found[-1]), flush=True)
            page.close()
        browser.close()
    if args.result:
        before = json.loads(args.result.read_text()) if args.only and args.result.exists() else []
        all_ = {one["number"]: one for one in [*before, *found]}
        args.result.write_text(json.dumps([all_[number] for number in sorted(all_)], indent=1) + "\n")


if __name__ == "__main__":
    main()
