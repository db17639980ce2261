"""Expressions against another way to read them, examples in any order of hosts and steps, and a training to the end."""

import json
from collections import Counter

import jax
import numpy as np
import pytest

from experiments.dtn import listops
from experiments.dtn.listops_data import OPERATORS, WORDS, ListOps, text
from vitjax.errors import InputError
from vitjax.train.feed.made import Made, MadeFeed

DATA = ListOps(most=200)


def read(words: list[str]) -> tuple[int, int]:
    """The value and the depth of an expression, by a stack."""
    depth, deepest, stack = 0, 0, [[]]
    for word in words:
        if word.startswith("["):
            stack.append([word[1:]])
            deepest = max(deepest, len(stack))
        elif word == "]":
            name, *values = stack.pop()
            assert 2 <= len(values) <= 10
            middle = int(np.median(values)) if name == "MED" else None
            stack[-1].append({"MIN": min(values), "MAX": max(values), "MED": middle, "SM": sum(values) % 10}[name])
        else:
            stack[-1].append(int(word))
        depth = max(depth, len(stack))
    ((value,),) = stack
    return value, deepest


def test_expressions_come_to_what_they_say():
    found = [DATA(number) for number in range(60)]
    values = [read(text(one["ids"]).split(" ")) for one in found]
    assert [value for value, _ in values] == [one["labels"] for one in found]
    assert 3 < max(depth for _, depth in values) <= 10
    lengths = [(one["ids"] != 0).sum() for one in found]
    assert min(lengths) > 50 and max(lengths) < 200
    assert all((one["ids"][count:] == 0).all() for one, count in zip(found, lengths, strict=True))
    assert len(Counter(value for value, _ in values)) > 5
    assert len(WORDS) == 16 and set(OPERATORS) == {"MIN", "MAX", "MED", "SM"}


def test_a_number_gives_the_same_expression_and_each_part_its_own():
    assert np.array_equal(DATA(7)["ids"], ListOps(most=200)(7)["ids"])
    others = [ListOps("valid", 200)(7), ListOps(most=200, seed=1)(7), DATA(8)]
    assert not any(np.array_equal(other["ids"], DATA(7)["ids"]) for other in others)
    assert 500 < len(ListOps()(3)["ids"].nonzero()[0]) < 2000


def test_lengths_that_are_hard_to_find_are_refused():
    with pytest.raises(InputError, match="twice as many"):
        ListOps(most=100, least=60)


def test_a_step_sees_the_same_whatever_came_before_and_for_any_number_of_hosts():
    made = Made(lambda number: {"number": np.int32(number)}, 10)
    whole = [batch["number"].tolist() for batch in MadeFeed(made, 4, 5).begin()]
    assert sorted(number for batch in whole for number in batch) == sorted([*range(10)] * 2)
    assert [batch["number"].tolist() for batch in MadeFeed(made, 4, 5).begin(3)] == whole[3:]
    halves = [[b["number"].tolist() for b in MadeFeed(made, 4, 5, shard=(i, 2)).begin()] for i in (0, 1)]
    assert [first + second for first, second in zip(*halves, strict=True)] == whole
    assert list(MadeFeed(made, 4, 5).begin(5)) == []
    with pytest.raises(InputError, match="3 hosts"):
        MadeFeed(made, 4, 5, shard=(0, 3))


@pytest.mark.exhaustive
def test_a_training_goes_on_and_its_model_is_read(tmp_path, capsys):
    words = "--model reformer --length 48 --part 12 --width 8 --depth 1 --heads 2 --warmup 1 --batch 4 --examples 8"
    given = [*words.split(), "--valid", "6", "--save", "1", "--out", str(tmp_path)]
    assert listops.main([*given, "--steps", "2"]) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["steps"] == 2 and result["sequences"] == 6
    model = listops.load(tmp_path / "model")
    found = listops.accuracy(ListOps("valid", 48), 6)(model)
    assert found["top1"] == result["top1"] and jax.tree.leaves(model)
    assert listops.main([*given, "--steps", "2"]) == 0  # from the checkpoint of the last step
    assert listops.main([*given, "--steps", "3"]) == 2 and "choose another --out" in capsys.readouterr().err
