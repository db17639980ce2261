"""The rules of the house: what lies where, how long, how documented, and what importing it costs."""

import ast
import re
import subprocess
import sys
from collections import Counter, defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {".ci", "benchmarks", "converters", "docs", "experiments", "tests", "vitjax"}
HEAVY = {"flax", "huggingface_hub", "jax", "numpy", "optax", "orbax", "PIL", "safetensors", "tensorstore"}
MODULES = sorted((ROOT / "vitjax").rglob("*.py"))
TEXTS = {".cff", ".css", ".html", ".js", ".json", ".jsonl", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml", ""}

# Runs `vitjax ARGUMENTS`, then says on the last line how it ended and which heavy packages it imported.
PROBE = f"""
import runpy, sys
try:
    runpy.run_module("vitjax", run_name="__main__", alter_sys=True)
    code = 0
except SystemExit as stop:
    code = stop.code
print(f"\\n{{code!r}} {{sorted({HEAVY!r} & set(sys.modules))}}")
"""


def name(path: Path) -> str:
    """A file's path as a reader knows it."""
    return path.relative_to(ROOT).as_posix()


def command_line(*arguments: str) -> tuple[str, str, str]:
    """What `vitjax ARGUMENTS` printed, the line of `PROBE`, and what it said on standard error."""
    done = subprocess.run([sys.executable, "-c", PROBE, *arguments], cwd=ROOT, capture_output=True, text=True)
    printed, _, verdict = done.stdout.rstrip().rpartition("\n")
    return printed, verdict, done.stderr


def test_top_level_holds_only_the_rooms():
    listing = ["git", "-c", f"safe.directory={ROOT}", "ls-files"]
    try:
        tracked = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    assert {path.split("/")[0] for path in tracked if "/" in path} <= ROOMS


def test_no_path_of_one_machine():
    machine = re.compile(r"(?<![\w.~}/-])/(?:home|work|root|Users)/\w")
    files = [path for path in ROOT.iterdir() if path.is_file() and path.name != ".git"]  # which names a worktree's
    files += [path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file()]
    texts = (path for path in files if path.suffix in TEXTS and "__pycache__" not in path.parts)
    assert [name(path) for path in texts if machine.search(path.read_text(errors="ignore"))] == []


def test_modules_are_short():
    lines = {name(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {path: count for path, count in lines.items() if count > 250} == {}


def test_folders_are_small():
    """A dozen modules are read at a glance; more than these are two ideas in one folder."""
    folders = Counter(name(path.parent) for path in MODULES if path.name != "__init__.py")
    assert {folder: count for folder, count in folders.items() if count > 12} == {}


def test_no_two_modules_of_a_room_share_a_name():
    rooms = defaultdict(list)
    for path in MODULES:
        if path.name != "__init__.py":
            rooms[path.relative_to(ROOT).parts[1], path.name].append(name(path))
    assert [same for same in rooms.values() if len(same) > 1] == []


def test_no_module_needs_itself_to_be_imported():
    """Imports at the top of modules go round in no circle; those inside functions run when all is there."""
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in MODULES
    }

    def imported(path: Path):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                below = {f"{node.module}.{alias.name}" for alias in node.names}
                yield from below & modules.keys() or {node.module}

    graph = {module: modules.keys() & set(imported(path)) for module, path in modules.items()}
    TopologicalSorter(graph).prepare()  # CycleError names the circle


def test_no_name_of_a_module_is_given_twice():
    """The later one would stand in for the earlier, in silence where both are called."""
    twice = {}
    for path in MODULES:
        body = ast.parse(path.read_text()).body
        names = Counter(node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef))
        twice |= {f"{name(path)}: {given}": count for given, count in names.items() if count > 1}
    assert twice == {}


def test_no_drawer_for_odds_and_ends():
    drawers = [path for room in ROOMS for path in (ROOT / room).rglob("utils*")]
    assert [name(path) for path in drawers if path.suffix == ".py" or path.is_dir()] == []


def test_public_names_are_documented():
    def undocumented(body: list[ast.stmt], place: str):
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                if ast.get_docstring(node) is None:
                    yield f"{place}:{node.lineno} {node.name}"
                if isinstance(node, ast.ClassDef):
                    yield from undocumented(node.body, place)

    trees = {name(path): ast.parse(path.read_text()) for path in MODULES}
    assert [path for path, tree in trees.items() if ast.get_docstring(tree) is None] == []
    assert [found for path, tree in trees.items() for found in undocumented(tree.body, path)] == []


def test_modules_say_first_what_they_do():
    """A first sentence of the form `X in, Y out` is a garden path: what is left of it in each block out?"""
    paths = [path for room in ROOMS - {"tests"} for path in (ROOT / room).rglob("*.py")]
    first = {name(path): (ast.get_docstring(ast.parse(path.read_text())) or "").partition(". ")[0] for path in paths}
    assert [path for path, said in first.items() if re.search(r"\bin, .*\bout\b", said, re.DOTALL)] == []


@pytest.mark.parametrize("purpose", ["visualize", "test"])
def test_readme_command_is_one_line(purpose):
    readme = (ROOT / "README.md").read_text()
    (command,) = re.findall(rf"^<!-- command: {purpose} -->\n+```\w*\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert command.count("\n") == 1 and "pip install" in command


def test_ci_runs_the_commands_that_are_written():
    script = (ROOT / ".ci" / "run").read_text()
    commands = "README.md test", "CONTRIBUTING.md exhaustive", "CONTRIBUTING.md docs"
    assert all(f"$(written {command})" in script for command in commands)
    written = (ROOT / "CONTRIBUTING.md").read_text()
    assert all(f"<!-- command: {name} -->" in written for name in ("docs", "exhaustive"))
    assert "pip install" not in script


def test_importing_vitjax_is_light():
    source = f"import sys, vitjax; print(sorted({HEAVY!r} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", source], cwd=ROOT, text=True) == "[]\n"


def test_opening_a_data_set_waits_for_no_model():
    """Neither JAX nor Flax, which grain and models would bring, takes seconds before the first image is looked at."""
    source = f"import sys, vitjax.data.dataset; print(sorted({HEAVY!r} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", source], cwd=ROOT, text=True) == "['PIL', 'numpy']\n"


@pytest.mark.parametrize("arguments", [["--help"], ["visualize", "--help"], ["--version"]], ids=" ".join)
def test_help_answers_at_once(arguments):
    printed, verdict, _ = command_line(*arguments)
    assert printed.strip()
    assert verdict == "0 []"


MISTAKES = [
    ("visualise", "visualise"),
    ("visualize --stepz 3", "--stepz"),
    ("visualize --seed soon", "soon"),
    ("taps twice", "twice"),
    ("visualize --out=", "write . for the current folder"),
    ("analyze maps --data photos --labels=", "the path is empty"),
]


@pytest.mark.parametrize(("line", "wrong"), MISTAKES)
def test_argument_errors_answer_at_once(line, wrong):
    printed, verdict, said = command_line(*line.split())
    assert printed.strip() == ""
    assert verdict == "2 []"
    assert wrong in said.strip().splitlines()[-1]
