"""What a head's classes are called: out of configs and files of every form, kept with the model, looked up by name."""

import json

import jax
import pytest

import vitjax
from tests.support import small
from vitjax.cli import main
from vitjax.errors import InputError
from vitjax.models.core.class_names import NAMELESS, ClassNames
from vitjax.models.core.tap_site import Site
from vitjax.models.registry import abstract
from vitjax.optimize import report
from vitjax.optimize.visualize import resolve
from vitjax.units.units import Unit, expand
from vitjax.weights.class_lists import class_names, stated
from vitjax.weights.publish.converted import export
from vitjax.weights.save import export_timm

FISH = ClassNames(("tench, Tinca tinca", "goldfish"))
IDS = ClassNames(("tench, Tinca tinca", "goldfish"), ("n01440764", "n01443537"))
DESCRIBED = dict(zip(IDS.ids, IDS, strict=True))
CONFIGS = {  # what it shows: settings, what the classes of a head of two are called
    "transformers": ({"id2label": {"0": FISH[0], "1": FISH[1]}, "label2id": {FISH[0]: 0, FISH[1]: 1}}, FISH),
    "out of order": ({"id2label": {"1": FISH[1], "0": FISH[0]}}, FISH),
    "whole numbers for keys": ({"id2label": {0: FISH[0], 1: FISH[1]}}, FISH),
    "placeholders": ({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}, NAMELESS),
    "timm": ({"label_names": list(FISH)}, FISH),
    "timm, as it was": ({"labels": list(FISH)}, FISH),
    "timm, by number": ({"label_names": {"0": FISH[0], "1": FISH[1]}}, FISH),
    "timm, with descriptions": ({"label_names": list(IDS.ids), "label_descriptions": DESCRIBED}, IDS),
    "timm, ids alone": ({"label_names": list(IDS.ids)}, ClassNames(IDS.ids, IDS.ids)),
    "timm, within": ({"pretrained_cfg": {"num_classes": 2, "label_names": list(FISH)}}, FISH),
    "timm, within, of another head": ({"pretrained_cfg": {"num_classes": 3, "label_names": ["a", "b", "c"]}}, NAMELESS),
    "timm, the top first": ({"label_names": list(FISH), "pretrained_cfg": {"label_names": ["a", "b"]}}, FISH),
    "both, alike": ({"label_names": list(FISH), "id2label": {"0": FISH[0], "1": FISH[1]}}, FISH),
    "nothing": ({"id2label": None, "label_names": []}, NAMELESS),
}  # fmt: skip


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_config_says_it(kind):
    settings, names = CONFIGS[kind]
    assert stated(settings, 2) == names
    assert stated(settings, 0) == NAMELESS


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"id2label": {"0": "a", "2": "b"}},
            "id2label names 2 classes, but not class 1: they must be numbered from 0 to 1",
        ),
        ({"id2label": {"0": "a", "1": "b", "2": "c"}}, "id2label names 3 classes, the head has 2"),
        ({"id2label": {"0": "a", "one": "b"}}, "'one' is no number of a class"),
        ({"id2label": {"0": "a", "1": None}}, "id2label calls class 1 'None', which is no name"),
        ({"id2label": "names.txt"}, "must be a list of names"),
        ({"label_names": ["a"]}, "label_names names 1 classes, the head has 2"),
        ({"label_names": ["a", " "]}, "calls class 1 ' '"),
        (
            {"label_names": ["a", "b"], "id2label": {"0": "b", "1": "a"}},
            "class 0 is 'a' in label_names, 'b' in id2label",
        ),
    ],
)
def test_what_a_config_says_wrongly_is_refused(settings, said):
    with pytest.raises(InputError, match=said):
        stated(settings, 2)


FILES = {  # what it shows: the file, what it holds, what the classes are called
    "lines": ("a.txt", "tench, Tinca tinca\ngoldfish\n", FISH),
    "blank lines": ("a.txt", "\ntench, Tinca tinca\n\n  goldfish \n\n", FISH),
    "ids before names": ("a.txt", "n01440764 tench, Tinca tinca\nn01443537 goldfish\n", IDS),
    "ids in a table": ("a.tsv", "n01440764\ttench, Tinca tinca\nn01443537\tgoldfish\n", IDS),
    "ids alone": ("a.txt", "n01440764\nn01443537\n", ClassNames(IDS.ids, IDS.ids)),
    "numbers": ("a.csv", '0,"tench, Tinca tinca"\n1,goldfish\n', FISH),
    "numbers, out of order": ("a.csv", "1,goldfish\n0,tench, Tinca tinca\n", FISH),
    "numbers from 1, with a head": ("a.csv", "id,name\n1,tench, Tinca tinca\n2,goldfish\n", FISH),
    "numbers and ids": ("a.txt", "0 n01440764 tench, Tinca tinca\n1 n01443537 goldfish\n", IDS),
    "YAML": ("a.yaml", "0: tench, Tinca tinca\n1: goldfish\n", FISH),
    "numbers last": ("a.csv", "goldfish,1\n'tench, Tinca tinca',0\n", FISH),
    "JSON": ("a.json", json.dumps(list(FISH)), FISH),
    "JSON by number": ("a.json", json.dumps({"1": FISH[1], "0": FISH[0]}), FISH),
    "JSON by name": ("a.json", json.dumps({FISH[1]: 1, FISH[0]: 0}), FISH),
    "Keras' index": ("a.json", json.dumps({"0": ["n01440764", FISH[0]], "1": ["n01443537", "goldfish"]}), IDS),
    "a config": ("config.json", json.dumps({"id2label": {"0": FISH[0], "1": FISH[1]}, "hidden_size": 3}), FISH),
    "Python": ("a.txt", "{0: 'tench, Tinca tinca',\n 1: 'goldfish',}\n", FISH),
    "UTF-16": ("a.txt", "tench, Tinca tinca\r\ngoldfish\r\n".encode("utf-16"), FISH),
    "a mark before it": ("a.txt", "tench, Tinca tinca\ngoldfish".encode("utf-8-sig"), FISH),
    "names that are numbers": ("a.txt", "7\n3\n", ClassNames(("7", "3"))),
    "names that end in numbers from 0": ("a.txt", "kind 0\nkind 1\n", ClassNames(("kind 0", "kind 1"))),
    "names that begin with numbers": ("a.txt", "1 euro\n2 euro\n5 euro\n", ClassNames(("1 euro", "2 euro", "5 euro"))),
    "two that begin with numbers": ("a.txt", "1 euro\n2 euro\n", ClassNames(("1 euro", "2 euro"))),
    "names that end in numbers": ("a.txt", "Boeing 747\nAirbus 320\n", ClassNames(("Boeing 747", "Airbus 320"))),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_says_it(tmp_path, kind):
    file, text, names = FILES[kind]
    (tmp_path / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    assert class_names(tmp_path / file) == names


def test_a_file_in_latin_letters_says_that_it_is_taken_for_one(tmp_path, caplog):
    (tmp_path / "a.txt").write_bytes("tênch\n".encode("latin-1"))
    assert class_names(tmp_path / "a.txt") == ClassNames(("tênch",))
    assert caplog.messages == [f"{tmp_path / 'a.txt'} is not UTF-8: read as Western European (cp1252)"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0,a\n2,b\n", "names 2 classes, but not class 1"),
        ("0,a\n0,b\n", "gives class 0 two names"),
        ("0,a\n00,b\n1,c\n", "gives class 0 two names"),
        ("", "must be a list of names"),
        ("{0: f(1)}", "is readable neither as JSON nor as a Python literal"),
        ("{" * 5000, "is readable neither as JSON nor as a Python literal"),
        ('["a", 3]', "calls class 1 '3', which is no name"),
        (b"tench\0goldfish", "it holds null bytes"),
        (b"\x89PNG\r\n\x1a\n\0\0", "is not readable as text"),
        (b"a" * (2**22 + 1), "has 4,194,305 bytes, more than"),
    ],
)
def test_a_file_that_says_it_wrongly_is_refused(tmp_path, text, said):
    (tmp_path / "a.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=said) as caught:
        class_names(tmp_path / "a.txt")
    assert "\n" not in str(caught.value)


def test_a_name_means_a_class():
    names = ClassNames(("tench, Tinca tinca", "crane", "golden retriever", "crane", "maillot", "maillot, tank suit"))
    found = {
        name: names.number(name) for name in ("Tinca Tinca", "Golden_Retriever", "tench, Tinca tinca", "tank-suit")
    }
    assert list(found.values()) == [0, 2, 0, 5]
    assert names.number("maillot") == 4 and names.matches("crane") == (1, 3) and names.matches("dog") == ()
    assert [names.shown(i) for i in (1, 2, 3)] == ["crane (1)", "golden retriever", "crane (3)"]
    with pytest.raises(InputError, match=r"called 'golden retriver' \(did you mean golden retriever"):
        names.number("golden retriver")
    with pytest.raises(InputError, match=r"'Crane' may mean several classes of the model, 1 \(crane\), 3 \(crane\)"):
        names.number("Crane")
    assert ClassNames(("Caf\u00e9",)).number("cafe\u0301") == 0  # composed letters, as macOS takes them apart


TAPS = {"logits": Site((4,), ("class",)), "blocks.0.mlp.hidden": Site((5, 8), ("token", "channel"))}


def test_units_are_called_by_the_names_of_classes():
    names = ClassNames(
        ("tench, Tinca tinca", "golden retriever", "2CV", "C#"), ("n01440764", "n02099601", "n03", "n04")
    )
    called = lambda *sets: [str(unit) for unit in expand(sets, TAPS, names)]
    assert called("logits:golden retriever", "logits:tench, Tinca tinca", "logits:2cv") == [
        "logits:1",
        "logits:0",
        "logits:2",
    ]
    assert called("logits:tench,Golden_Retriever#2") == ["logits:0#2", "logits:1#2"] and called("logits:C#") == [
        "logits:3"
    ]
    assert called("logits:n02099601", "logits:0-1", "logits:*")[:2] == ["logits:1", "logits:0"]
    with pytest.raises(InputError, match=r"no class of the model is called 'golden retriver'.*golden retriever"):
        called("logits:golden retriver")
    with pytest.raises(InputError, match="is no unit: write TAP:INDEX"):
        called("blocks.0.mlp.hidden:tench")
    with pytest.raises(InputError, match="nothing says what this model's classes are called; give a number"):
        expand("logits:tench", TAPS)


def test_a_number_that_is_another_classs_name_is_refused():
    names = ClassNames(("3", "2", "1", "0"))
    with pytest.raises(InputError, match=r"logits:0: class 3 is called '0'; write logits:3-3 .*, logits:0-0 for"):
        expand("logits:0", TAPS, names)
    assert expand(["logits:3-3", Unit("logits", (0,))], TAPS, names) == [Unit("logits", (3,)), Unit("logits", (0,))]


NAMES = [f"kind {letter}" for letter in "jihgfedcba"]


def test_names_stay_with_a_model(checkpoint, tmp_path):
    """Loaded, changed as a pytree, written as our own and as timm's, and overruled by what the user says."""
    config = json.loads((checkpoint / "config.json").read_text())
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((checkpoint / name).read_bytes())
    (tmp_path / "config.json").write_text(json.dumps(config | {"label_names": NAMES}))
    model = vitjax.load(tmp_path)
    assert list(model.class_names) == NAMES and not vitjax.load(checkpoint).class_names
    assert jax.tree.map(lambda x: 2 * x, model).class_names == model.class_names
    model.class_names = ClassNames(tuple(NAMES), tuple(f"n{i:08}" for i in range(10)))
    export(model, tmp_path / "ours")
    export_timm(model, tmp_path / "timm", dtype="float32")
    for folder in ("ours", "timm"):
        assert vitjax.load(tmp_path / folder).class_names == model.class_names
    assert list(vitjax.load(tmp_path, class_names=NAMES[::-1]).class_names) == NAMES[::-1]
    for names, said in (
        (NAMES[:9], "class_names names 9 classes, the head has 10"),
        ("lost.txt", r"cannot read lost\.txt"),
    ):
        with pytest.raises(InputError, match=said):
            vitjax.load(tmp_path, class_names=names)
    (tmp_path / "config.json").write_text(json.dumps(config | {"label_names": NAMES[:9]}))
    with pytest.raises(InputError, match="label_names names 9 classes, the head has 10"):
        vitjax.load(tmp_path)


def test_names_cost_a_compiled_function_nothing():
    """They are no part of what a hash looks at; models of other names are still told apart."""
    assert hash(FISH) == hash(IDS) and FISH != IDS
    plain, named, again = (abstract(small.CONFIG) for _ in range(3))
    named.class_names = again.class_names = FISH
    assert jax.tree.structure(named) == jax.tree.structure(again) != jax.tree.structure(plain)


def test_a_class_is_painted_by_its_name(checkpoint, tmp_path, capsys, monkeypatch):
    seen = []
    monkeypatch.setattr(report, "run_visualize", lambda model, units, *_, **__: seen.extend(resolve(model, units)) or 0)
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    line = ["visualize", "logits:Kind_C", "--model", str(checkpoint), "--out", str(tmp_path / "out")]
    assert main([*line, "--class-names", str(tmp_path / "names.txt")]) == 0 and seen == [Unit("logits", (7,))]
    assert main([*line, "--class-names", str(tmp_path / "lost.txt")]) == 2
    assert "cannot read" in capsys.readouterr().err
    assert main(line) == 2 and "nothing says what this model's classes are called" in capsys.readouterr().err


def test_two_tables_of_transformers_that_differ_are_refused():
    names = {"0": "a", "1": "b", "2": "c"}
    with pytest.raises(InputError, match="'a' is class 0 in id2label, 2 in label2id"):
        stated({"id2label": names, "label2id": {"a": 2, "b": 1, "c": 0}}, 3)
    twice = {"0": "crane", "1": "b", "2": "crane"}  # as ImageNet's two cranes
    assert stated({"id2label": twice, "label2id": {"crane": 2, "b": 1}}, 3).names == ("crane", "b", "crane")


LAST = ["name,id\ntench,1\ngoldfish,0\n", "tench,2\ngoldfish,1\n", "tench;1\ngoldfish;0\n"]


@pytest.mark.parametrize("text", LAST)
def test_numbers_may_stand_last_after_a_head_or_from_1(tmp_path, text):
    (tmp_path / "names.csv").write_text(text)
    assert class_names(tmp_path / "names.csv").names == ("goldfish", "tench")
