"""Change one operator or number at a time, by chance, and see whether the tests of its module notice.

    python scripts/sample_mutations.py --changes 200 --seed 1
    python scripts/sample_mutations.py --only 'vocab/prune/methods/pricing.py:6*'

Each change is made in a copy of the checkout. The tests are those that import the module, by its own name or by a name
that its package exports; the quick ones run first, then the slow ones. Standing tools did not fit: mutmut wraps each
function in Python code, which kernels cannot be, and cosmic-ray runs one command of tests for every module.

What no test notices is printed with its line. Some changes cannot be noticed: another limit that is as good, or a text
of progress. Read them all, and write a test where a result would be wrong.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("vocab", "tests", "benchmarks", "scripts", "docs", "notebooks", "*.md", "*.toml", "*.txt", "*.yml")
SECONDS = 240
MOST_TESTS = 10
OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Not: ast.UAdd,  # +x has the truth of x, for numbers and truths
}
# What importing takes most of a test's time; a test's process is forked when it is there.
HEAVY = (
    "numpy",
    "numba",
    "pyarrow",
    "pyarrow.parquet",
    "tokenizers",
    "tiktoken",
    "sentencepiece",
    "hypothesis",
    "torch",
)

Place = tuple[Path, int, int]  # module, line, and which of the module's places


@dataclass(frozen=True)
class Change:
    """One change of one place in a module.

    Attributes:
        path: of the module, in the copy.
        line: number of the line.
        before: the expression.
        after: the changed expression.
        source: the changed module.
    """

    path: Path
    line: int
    before: str
    after: str
    source: str


def main() -> None:
    """Draw changes, try each, and print the share that was noticed."""
    options = parsed()
    for name in HEAVY:
        __import__(name)
    with tempfile.TemporaryDirectory(prefix="vocab-mutations-") as folder:
        copy = Path(folder)
        for pattern in COPIED:
            for path in ROOT.glob(pattern):
                (shutil.copytree if path.is_dir() else shutil.copy2)(path, copy / path.name)
        modules = sorted(path.relative_to(copy) for path in copy.glob("vocab/**/*.py"))
        chosen = [one for one in places(copy, modules) if not options.only or any(is_in(one, o) for o in options.only)]
        outcomes: Counter[str] = Counter()
        ended = time.monotonic() + 60 * options.minutes
        for change in drawn(copy, chosen, options.changes, random.Random(options.seed)):
            if time.monotonic() > ended:
                break
            tests = tests_of(copy, change.path)
            outcome = tried(copy, change, tests, ("not slow",) if options.quick else ("not slow", "slow"))
            outcomes[outcome] += 1
            print(
                f"{outcome:9}{change.path}:{change.line}  {change.before}  →  {change.after}  ({len(tests)} test files)"
            )
            sys.stdout.flush()
    print(f"Of {outcomes.total()} changes: {dict(outcomes)}")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after this time")
    parser.add_argument("--only", action="append", help="MODULE or MODULE:LINE, with * for anything; several times")
    parser.add_argument("--quick", action="store_true", help="run no slow tests")
    return parser.parse_args()


def places(copy: Path, modules: list[Path]) -> Iterator[Place]:
    """All places that can be changed."""
    for path in modules:
        for k, (node, _) in enumerate(sites(ast.parse((copy / path).read_text()))):
            yield path, node.lineno, k


def is_in(place: Place, pattern: str) -> bool:
    """Whether a place is in the lines or modules of a pattern."""
    path, line, _ = place
    return fnmatch(f"{path}:{line}", pattern) or fnmatch(str(path), pattern)


def drawn(copy: Path, chosen: list[Place], n: int, chance: random.Random) -> Iterator[Change]:
    """Changes by chance, each place as likely as any other."""
    for path, line, k in chance.sample(chosen, min(n, len(chosen))):
        tree = ast.parse((copy / path).read_text())
        node, change = list(sites(tree))[k]
        before = ast.unparse(node)
        change()
        yield Change(path, line, before, ast.unparse(node), ast.unparse(tree))


def sites(tree: ast.AST) -> Iterator[tuple[ast.AST, Callable[[], None]]]:
    """Places that can be changed, each with what changes it."""
    for node in code_of(tree):
        if isinstance(node, ast.Compare):
            for k, operator in enumerate(node.ops):
                yield node, lambda node=node, k=k, new=OPERATORS[type(operator)]: node.ops.__setitem__(k, new())
        elif isinstance(node, (ast.BinOp, ast.BoolOp, ast.AugAssign, ast.UnaryOp)) and type(node.op) in OPERATORS:
            yield node, lambda node=node: setattr(node, "op", OPERATORS[type(node.op)]())
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
            yield node, lambda node=node: setattr(node, "value", node.value + 1)


def code_of(node: ast.AST) -> Iterator[ast.AST]:
    """Every node but those of annotations, which nothing computes with."""
    yield node
    for name, field in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        for child in field if isinstance(field, list) else [field]:
            if isinstance(child, ast.AST):
                yield from code_of(child)


def tests_of(copy: Path, module: Path) -> list[str]:
    """Test files that import a module or a name that its package exports, a few; else those of its package's folder."""
    dotted = ".".join(module.with_suffix("").parts)
    package, _, stem = dotted.rpartition(".")
    names = exported(copy, module)
    own = re.compile(rf"\b{re.escape(dotted)}\b|from {re.escape(package)} import [^\n]*\b{stem}\b")
    by_name = re.compile(rf"(from {re.escape(package)} import|vocab\.)[^\n]*\b({'|'.join(names)})\b") if names else own
    files = {path: path.read_text() for path in sorted((copy / "tests").glob("**/test_*.py"))}
    found = [path for path, text in files.items() if own.search(text)]
    found += [path for path, text in files.items() if by_name.search(text) and path not in found]
    beside = sorted((copy / "tests" / module.parts[1]).glob("**/test_*.py")) or sorted(
        (copy / "tests").glob("test_*.py")
    )
    return [str(path.relative_to(copy)) for path in (found or beside)[:MOST_TESTS]]


def exported(copy: Path, module: Path) -> list[str]:
    """Names of a module that its package exports."""
    text = (copy / module.parent / "__init__.py").read_text()
    names = {node.name for node in ast.parse((copy / module).read_text()).body if hasattr(node, "name")}
    return sorted(name for name in names if re.search(rf"\b{name}\b", text))


def tried(copy: Path, change: Change, tests: list[str], markers: tuple[str, ...]) -> str:
    """What tests say: "noticed", "survived", "too long", or "unclear" where they fail without the change as well."""
    for marker in markers:
        place = copy / change.path
        original, times = place.read_bytes(), place.stat()
        place.write_text(change.source)
        found = outcome(copy, tests, marker)
        place.write_bytes(original)
        os.utime(place, ns=(times.st_atime_ns, times.st_mtime_ns))  # so that kept kernels stay good
        if found != "survived":
            return found if unchanged(copy, tuple(tests), marker) == "survived" else "unclear"
    return "survived"


@cache
def unchanged(copy: Path, tests: tuple[str, ...], marker: str) -> str:
    """The outcome of tests without a change."""
    return outcome(copy, list(tests), marker)


def outcome(copy: Path, tests: list[str], marker: str) -> str:
    """Run tests of the copy in a process of their own."""
    pid = os.fork()
    if pid == 0:
        run_tests(copy, tests, marker)
    ends = time.monotonic() + SECONDS
    while (done := os.waitpid(pid, os.WNOHANG))[0] == 0:
        if time.monotonic() > ends:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return "too long"
        time.sleep(0.05)
    return "noticed" if done[1] else "survived"


def run_tests(copy: Path, tests: list[str], marker: str) -> None:
    """Never returns: the process ends with 1 when a test fails."""
    os.setsid()
    os.chdir(copy)
    sys.path[:0] = [str(copy), str(copy / "tests")]
    sys.dont_write_bytecode = True
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    code = pytest.main(["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-m", f"({marker}) and not gpu", *tests])
    os._exit(0 if code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) else 1)


if __name__ == "__main__":
    main()
