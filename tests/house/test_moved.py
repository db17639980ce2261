"""Old import paths: each leads to the module as it is called now, says so once, and stands in the change log."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from vitjax.moved import MOVED

ROOT = Path(__file__).resolve().parents[2]
EXEMPT = {"changelog.md", "moved.py", "test_moved.py"}
PROBE = """
import sys, warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    {lines}
print(*(f"{{one.category.__name__}} {{one.filename}}: {{one.message}}" for one in said), sep="\\n")
"""


def probed(*lines: str) -> list[str]:
    """What a fresh process warns of where it runs these lines."""
    source = PROBE.format(lines="\n    ".join(lines))
    return subprocess.check_output([sys.executable, "-c", source], cwd=ROOT, text=True).splitlines()


def place(name: str) -> Path | None:
    """The file of a module that no finder of old names knows."""
    path = ROOT.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def test_the_table_is_exact():
    assert [new for new in MOVED.values() if place(new) is None or new in MOVED] == []
    assert len(set(MOVED.values())) == len(MOVED)
    kept = [old for old in MOVED if (file := place(old)) and "within(__name__)" not in file.read_text()]
    assert kept == []  # a name that is in use again must give the names of the module that had it


@pytest.mark.parametrize(
    "line",
    [
        "import vitjax.analysis.grades as old",
        "from vitjax.analysis import grades as old",
        "import vitjax.analysis.grades; old = sys.modules['vitjax.analysis.grades']",
    ],
)
def test_a_module_that_moved_is_the_one_it_is_now(line):
    [warning] = probed(line, "import vitjax.analysis.report.grades as new", "assert old is new", line)
    assert warning == "DeprecationWarning <string>: vitjax.analysis.grades is now vitjax.analysis.report.grades"


def test_a_package_that_took_a_module_s_name_gives_its_names():
    old, new = "vitjax.weights.families", "vitjax.weights.families.registry"
    lines = f"from {old} import Family as old", f"from {new} import Family as new"
    [warning] = probed(*lines, "assert old is new", lines[0])
    assert warning == f"DeprecationWarning <string>: {old}.Family is now {new}.Family"
    wrong = f"try:\n        from {old} import Famly\n    except ImportError:\n        pass"
    assert probed(wrong, f"from {old} import google") == [""]


def test_looking_for_a_module_that_moved_imports_nothing():
    lines = "import vitjax, importlib.util as util", "assert util.find_spec('vitjax.models.config')"
    assert probed(*lines, "assert 'vitjax.models.core.config' not in sys.modules") == [""]
    assert find_spec("vitjax.models.nothing") is None


def test_the_change_log_lists_what_moved():
    """Row by row: | new package | its modules, each with its old name in brackets where that was another |."""
    listed, left = {}, None
    for line in (ROOT / "docs" / "changelog.md").read_text().splitlines():
        if found := re.fullmatch(r"### Out of `(vitjax\.\w+)`", line):
            left = found[1]
        elif left and (row := re.fullmatch(r"\| `(vitjax[\w.]*)` \| (.*) \|", line)):
            for new, old in re.findall(r"`(\w+)`(?: \(was `(\w+)`\))?", row[2]):
                listed[f"{left}.{old or new}"] = f"{row[1]}.{new}"
    assert listed == MOVED


def test_nothing_here_uses_an_old_path():
    taken = [old for old in MOVED if place(old) is None]
    old = re.compile(rf"\b({'|'.join(map(re.escape, taken))})\b")
    rooms = ("vitjax", "tests", "converters", "experiments", "benchmarks", "docs", ".ci")
    files = [ROOT / "README.md", *(path for room in rooms for path in (ROOT / room).rglob("*.*"))]
    texts = [path for path in files if path.suffix in {".py", ".md", ".toml"} and path.name not in EXEMPT]
    assert [f"{path.relative_to(ROOT)}: {found[0]}" for path in texts for found in old.finditer(path.read_text())] == []
