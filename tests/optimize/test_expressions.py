"""Goals as they are written: what a text means, and where it is wrong."""

import pytest

from tests.support import small
from vitjax.errors import InputError, Misspelled
from vitjax.models.core.class_names import ClassNames
from vitjax.optimize.visualize import resolve
from vitjax.units.expression import check_spelling, is_unit_set, read
from vitjax.units.spelled import goals_of
from vitjax.units.units import CosinePower, Unit, expand

MODEL = small.model()
TAPS = MODEL.taps()
NAMES = ClassNames(
    tuple(
        "golden retriever|Siamese cat|black-and-tan coonhound|jack-o'-lantern|rock - scissors|C#|crane (bird)|2CV|a + b"
        "|tench, Tinca tinca".split("|")
    )
)
H, Z = "blocks.3.mlp.hidden", "blocks.1.attn.z"


def named(text, names=NAMES):
    return [str(goal) for goal in goals_of(text, TAPS, names)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (f"{H}:5 - 0.5 * {Z}:2.12", [f"{H}:5 - 0.5 * {Z}:2.12"]),
        (f"-.5*{Z}:2.12+{H}:5", [f"{H}:5 - 0.5 * {Z}:2.12"]),
        (f"-{H}:5", [f"-{H}:5"]),
        (f"- (2 * {H}:0-1 - {Z}:0.0 / 4) * 2e0", [f"0.5 * {Z}:0.0 - 4 * {H}:0", f"0.5 * {Z}:0.0 - 4 * {H}:1"]),
        (f"1.0 * {H}:5", [f"{H}:5"]),
        (f"{H}:5 - {H}:5", [f"0 * {H}:5"]),
        (f"{H}:0,4 + {Z}:0-1.3", [f"{Z}:0.3 + {H}:0", f"{Z}:1.3 + {H}:4"]),
        ("blocks.0-1.mlp.pre:3 - logits:7", ["blocks.0.mlp.pre:3 - logits:7", "blocks.1.mlp.pre:3 - logits:7"]),
        (f"after({H}:5 - {Z}:0.0) + {H}:6", [f"after({H}:5) + {H}:6 - after({Z}:0.0)"]),
        (f"({H}:5 - {Z}:0.0)#3", [f"({H}:5 - {Z}:0.0)#3"]),
        (f"{H}:5#2 + {Z}:0.0#2", [f"({Z}:0.0 + {H}:5)#2"]),
        (f"cosine(2, {H}:5)", [f"cosine(2, {H}:5)"]),
        (f"cosine(0.5, {H}:5) - {H}:6", [f"cosine(0.5, {H}:5) - {H}:6"]),
        ("logits:golden retriever - logits:Siamese cat", ["logits:0 - logits:1"]),
        ("logits:golden retriever,Siamese cat - logits:2", ["logits:0 - logits:2", "logits:1 - logits:2"]),
        ("(logits:crane (bird) + logits:black-and-tan coonhound) / 2", ["0.5 * logits:2 + 0.5 * logits:6"]),
        ("logits:rock - scissors - logits:jack-o'-lantern", ["-logits:3 + logits:4"]),
        ("logits:a + b + logits:C#", ["logits:5 + logits:8"]),
        ('logits:"rock - scissors"#1', ["logits:4#1"]),
        ("logits:2CV#1", ["logits:7#1"]),
        ("logits:5+logits:6", ["logits:5 + logits:6"]),
    ],
)  # fmt: skip
def test_what_a_text_means(text, names):
    check_spelling(text)
    names = [str(goals_of(name, TAPS)[0]) for name in names]
    assert named(text) == names
    assert [name for name in named(text) for name in named(name)] == names  # the name of a goal means the goal
    assert is_unit_set(text) == (expands(text) and "#" not in text.partition('"')[2])


def expands(text):
    try:
        return bool(expand(text, TAPS, NAMES))
    except InputError:
        return False


@pytest.mark.parametrize(
    "text", [f"{H}:0-3", "blocks.*.mlp.hidden:*", f"{Z}:*.4", f"{H}:7#2", "logits:tench", "logits:3-4"]
)
def test_unit_sets_are_what_they_were(text):
    assert goals_of(text, TAPS, NAMES) == expand(text, TAPS, NAMES) and is_unit_set(text)


@pytest.mark.parametrize(
    ("text", "said", "place"),
    [
        (f"{H}:5 -", "is no unit", len(H) + 4),
        (f"{H}:5 - 3", "a number is added to no unit", len(H) + 3),
        (f"{H}:5 * {H}:5", "multiplied and divided by numbers alone", len(H) + 3),
        (f"2 / {H}:5", "multiplied and divided by numbers alone", 2),
        (f"{H}:5 / 0", "divided by 0", len(H) + 3),
        (f"aftr({H}:5)", r"did you mean after\?", 0),
        (f"({H}:5", r"a \) is due", len(H) + 3),
        (f"{H}:5)", r"no \) without", len(H) + 2),
        (f"{H}:5 {H}:6", "an operator between", len(H) + 3),
        (f"{H}:x - {H}:6", "no index", len(H) + 1),
        (f"{H}:5- {H}:6", "an operator between", len(H) + 4),
        (f"cosine({H}:6)", "the power of the cosine", 7),
        (f"cosine(2 {H}:6)", "a comma is due", 9),
        ("2 * 3", "names no unit", 0),
        (f"{H}:5 - blocks.9.mlp.hidden:3", r"blocks", len(H) + 5),
        (f"{H}:5 - {H}:96", "out of range", len(H) + 5),
        (f"{H}:0-2 - {H}:0-3", "has 3 units and another set of the sum 4", 0),
        (f"{H}:5 - logits:golden retriver", "did you mean golden retriever", len(H) + 5),
        (f"({H}:5 - {Z}:0.0)#3 + {H}:1", "an operator between", len(H) + len(Z) + 14),
    ],
)  # fmt: skip
def test_a_mistake_is_shown_where_it_is(text, said, place):
    with pytest.raises(Misspelled, match=said) as caught:
        named(text)
    _, shown, caret = str(caught.value).split("\n")
    assert shown == f"  {text}" and caret == f"  {' ' * place}^"


def test_a_long_text_is_shown_around_the_mistake():
    with pytest.raises(Misspelled) as caught:
        named(" + ".join([f"{H}:{i}" for i in range(20)]) + " +\n")
    _, shown, caret = str(caught.value).split("\n")
    assert shown[2] == "…" and len(caret) == 104 and shown.endswith("+\\n")


def test_what_needs_the_names_of_classes_is_judged_with_them():
    check_spelling("logits:rock - scissors")
    check_spelling(f"{H}:5 + logits:rock - scissors")
    for wrong in ("blocks.3.mlp.hidden", f"{H}:5-{H}:6", f"{H}:5 + ", "logits:5 + 3"):
        with pytest.raises(InputError):
            check_spelling(wrong)


def test_a_cosine_of_a_unit_is_along_its_axis():
    (goal,) = resolve(MODEL, f"cosine(2, {Z}:2.12)")
    assert isinstance(goal, CosinePower) and goal.power == 2 and goal.vector[2, 12] == 1 == goal.vector.sum()
    assert resolve(MODEL, [f"{H}:5 - {Z}:2.12", Unit(H, (5,)) - Unit(Z, (2, 12))]) == [Unit(H, (5,)) - Unit(Z, (2, 12))]


def test_operators_without_spaces_and_endless_nests_are_said():
    with pytest.raises(InputError, match=rf"nothing is left of 0 \* {H}:5"):
        resolve(MODEL, f"{H}:5 - {H}:5")
    with pytest.raises(InputError, match="space"):
        read("blocks.3.mlp.hidden:1-blocks.4.mlp.hidden:2")
    with pytest.raises(InputError, match="nested too deep"):
        read("(" * 5000 + "blocks.3.mlp.hidden:1" + ")" * 5000)
