"""Reads a pickle as plain containers of what the caller admits; nothing that the pickle names is imported.

A pickle is a program for a small stack machine. This one knows the instructions that torch's files are made of, asks
its caller about every name, and keeps to strings and whole numbers as keys. Python's own machine is not used: even
with its names restricted, a file of a few bytes can make it allocate gigabytes (a large memo index) or overflow the C
stack (the hash of a deep tuple).
"""

import pickletools
from collections.abc import Callable
from typing import Any, BinaryIO

from vitjax.errors import InputError

STEPS = 10**6  # instructions of a pickle; a thousand tensors and their optimizer take a tenth of it
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}


class Record(dict):
    """An object reduced to its attributes; `BUILD` fills it."""


def unpickle(data: bytes | BinaryIO, admit: Callable[[str, str], Any], persistent: Callable[[Any], Any]) -> Any:
    """Runs a pickle.

    Args:
        data: the pickle, or a file that is at its beginning and will be at its end.
        admit: gives what stands for the global (module, name), called if the pickle calls it, or raises.
        persistent: gives what stands for a persistent id.

    Returns:
        Nested dicts, `Record`s, lists and tuples of strings, numbers, None, and what `admit` and `persistent` gave.

    Raises:
        InputError: an instruction, a key or a target that checkpoints have no use for.
        Exception: whatever a malformed pickle makes Python stumble over.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}

    def since_mark() -> list[Any]:
        mark = marks.pop()
        items = stack[mark:]
        del stack[mark:]
        return items

    for step, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        if step > STEPS:
            raise InputError(f"its pickle takes more than {STEPS:,} steps, as no checkpoint's does")
        match opcode.name:
            case "PROTO" | "FRAME":
                pass
            case "BINUNICODE" | "SHORT_BINUNICODE" | "BINSTRING" | "SHORT_BINSTRING":  # the latter Python 2's
                stack.append(argument)
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINBYTES" | "SHORT_BINBYTES":
                stack.append(argument)
            case "NONE" | "NEWTRUE" | "NEWFALSE" | "EMPTY_TUPLE":
                stack.append(CONSTANTS[opcode.name])
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST" | "EMPTY_SET":  # nothing here looks into a set
                stack.append([])
            case "MARK":
                marks.append(len(stack))
            case "TUPLE":
                stack.append(tuple(since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple([stack.pop() for _ in range(int(opcode.name[-1]))][::-1]))
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "GLOBAL":
                stack.append(admit(*argument.split(" ")))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                stack.append(admit(module, name))
            case "BINPERSID":
                stack.append(persistent(stack.pop()))
            case "REDUCE" | "NEWOBJ":
                arguments, function = stack.pop(), stack.pop()
                stack.append(function(*arguments))
            case "BUILD":
                state = stack.pop()
                # What torch hangs on other objects are notes for itself, and so are states that are no attributes.
                if isinstance(stack[-1], Record) and isinstance(state, dict):
                    fill(stack[-1], [part for pair in state.items() for part in pair])
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                fill(stack[-1], [key, value])
            case "SETITEMS":
                items = since_mark()
                fill(stack[-1], items)
            case "APPEND":
                item = stack.pop()
                _extend(stack[-1], [item])
            case "APPENDS" | "ADDITEMS":
                items = since_mark()
                _extend(stack[-1], items)
            case "STOP":
                return stack.pop()
            case other:
                raise InputError(f"its pickle has the instruction {other}, which checkpoints have no use for")


def fill(target: Any, items: list[Any]) -> None:
    """Puts items, key and value in turn, into a dict.

    Raises:
        InputError: no dict, or keys that are neither words nor numbers.
    """
    keys, values = items[::2], items[1::2]
    if not isinstance(target, dict) or not all(isinstance(key, str | int | float) for key in keys):
        raise InputError("its pickle has keys that are neither words nor numbers, or sets items of something else")
    target.update(zip(keys, values, strict=True))


def _extend(target: Any, items: list[Any]) -> None:
    if not isinstance(target, list):
        raise InputError("its pickle appends to something that is no list")
    target.extend(items)
