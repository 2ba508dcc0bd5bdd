r"""Regular expressions of Oniguruma, as tokenizer.json has them, in the words of the `regex` package.

Two things mean something else there, and `\x{4E00}` has another form. `{m,n}+` is a repeat of a repeat to Oniguruma,
and possessive to `regex`. A class in a class, and `&&` between classes, are set operations to Oniguruma, and to `regex`
only in its version 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_REPEAT_OF_REPEAT = re.compile(r"\{\d*,?\d*\}\+")
_ESCAPE = re.compile(r"\\(?:x\{([0-9A-Fa-f]{1,8})\}|.)", re.DOTALL)


def from_oniguruma(pattern: str) -> str:
    """The same regular expression for the `regex` package."""
    translated = _ESCAPE.sub(_code_point, "".join(_with_groups(list(_atoms(pattern)))))
    return f"(?V1){translated}" if _has_set_operations(pattern) else translated


def _code_point(escape: re.Match[str]) -> str:
    r"""`\x{4E00}` as Python has it; any other escape as it is."""
    return escape[0] if escape[1] is None else f"\\U{int(escape[1], 16):08X}"


def has_repeat_of_repeat(pattern: str) -> bool:
    r"""Whether a pattern has `{m,n}+`; the end of a class such as `\p{L}+` is none."""
    return any(_REPEAT_OF_REPEAT.fullmatch(atom) for atom in _atoms(pattern))


def _has_set_operations(pattern: str) -> bool:
    return any(atom.startswith("[") and ("&&" in atom or _is_nested(atom)) for atom in _atoms(pattern))


def _is_nested(atom: str) -> bool:
    """Whether a class holds another one, which `[:alpha:]` is not."""
    inner = re.sub(r"\\.|\[:\^?\w+:\]", "", atom[1:-1])
    return "[" in inner


def _atoms(pattern: str) -> Iterator[str]:
    """The parts of a pattern, classes and escapes whole, and everything else one character each."""
    i = 0
    while i < len(pattern):
        if pattern[i] == "\\":
            end = escape_end(pattern, i)
        elif pattern[i] == "[":
            end = class_end(pattern, i)
        elif repeat := _REPEAT_OF_REPEAT.match(pattern, i):
            end = repeat.end()
        else:
            end = i + 1
        yield pattern[i:end]
        i = end


def escape_end(pattern: str, i: int) -> int:
    """Where an escape ends that begins at `i`."""
    if pattern[i + 1 : i + 2] in ("p", "P", "x", "u") and pattern[i + 2 : i + 3] == "{":
        return pattern.find("}", i) + 1 or len(pattern)
    return i + 2


def class_end(pattern: str, i: int) -> int:
    """Where a class ends that begins at `i`; a bracket that comes first in it is a character of it."""
    depth, k = 0, i
    while k < len(pattern):
        if pattern[k] == "\\":
            k += 1
        elif pattern[k] == "[":
            depth += 1
            k += pattern[k + 1 : k + 2] == "^"
            k += pattern[k + 1 : k + 2] == "]"
        elif pattern[k] == "]":
            depth -= 1
            if depth == 0:
                return k + 1
        k += 1
    return len(pattern)


def _with_groups(atoms: list[str]) -> list[str]:
    """Put what `{m,n}+` repeats into a group of its own, so that the second repeat is one."""
    done: list[str] = []
    for atom in atoms:
        if _REPEAT_OF_REPEAT.fullmatch(atom) and done:
            first = _begin_of_group(done) if done[-1] == ")" else len(done) - 1
            done[first:] = ["(?:" + "".join(done[first:]) + atom[:-1] + ")+"]
        else:
            done.append(atom)
    return done


def _begin_of_group(atoms: list[str]) -> int:
    """Where the group begins that the last atom ends."""
    depth = 0
    for k in range(len(atoms) - 1, -1, -1):
        depth += (atoms[k] == ")") - (atoms[k] == "(")
        if depth == 0:
            return k
    return 0
