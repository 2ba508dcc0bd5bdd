"""The public surface: each package's names resolve, are documented and typed, and hold all that commands do."""

import ast
import importlib
import inspect
import types
import typing
from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import cache

import pytest
import typer

from vocab.cli.app import app

PACKAGES = [
    "vocab",
    "vocab.analysis",
    "vocab.corpus",
    "vocab.experiments",
    "vocab.formats",
    "vocab.interop",
    "vocab.model",
    "vocab.prune",
]
NAMES = [f"{package}.{name}" for package in PACKAGES for name in importlib.import_module(package).__all__]
# The proof inside a certificate, which is written and checked but not made by users.
INNER_TYPES = {"vocab.prune.bound.objective.Objective", "vocab.prune.bound.optimal.SearchResult"}
# The function that does what a command does.
FUNCTION_OF_COMMAND = {
    "bench": "vocab.model.bench_sizes",
    "bound": "vocab.prune.best_possible",
    "bytes": "vocab.formats.byte_table",
    "check": "vocab.prune.check",
    "compare": "vocab.experiments.compare_vocabularies",
    "convert": "vocab.interop.convert",
    "count": "vocab.corpus.count_to",
    "counts merge": "vocab.corpus.merge_count_tables",
    "counts info": "vocab.corpus.most_frequent",
    "diff": "vocab.analysis.diff",
    "draft": "vocab.interop.write_draft",
    "eval": "vocab.analysis.compare",
    "evaluate-model": "vocab.model.evaluate_model",
    "frontier": "vocab.prune.trace_frontier",
    "generate": "vocab.model.generate",
    "gguf": "vocab.interop.write_gguf",
    "head": "vocab.interop.cut_head",
    "heal": "vocab.model.heal",
    "inspect": "vocab.analysis.inspect",
    "lock": "vocab.interop.lock",
    "prune": "vocab.prune.prune",
    "score": "vocab.model.score_model",
    "show": "vocab.analysis.html_page",
    "shards": "vocab.model.make_shards",
    "size": "vocab.experiments.choose_size",
    "sizes": "vocab.analysis.sizes_near",
    "study list": "vocab.experiments.builtin_studies",
    "study new": "vocab.experiments.new_study",
    "study report": "vocab.experiments.write_report",
    "study run": "vocab.experiments.run_study",
    "train": "vocab.model.train",
    "train-tokenizer": "vocab.interop.train_tokenizer",
    "transplant": "vocab.interop.transplant",
    "verify": "vocab.interop.verify",
}


def resolved(name: str) -> object:
    package, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(package), attribute)


def is_constant(name: str) -> bool:
    """Whether a name is a value or an alias, which can have no docstring and no signature."""
    return not (inspect.isclass(resolved(name)) or inspect.isfunction(resolved(name)))


DEFINED = [name for name in NAMES if not is_constant(name)]


@pytest.mark.parametrize("package", PACKAGES)
def test_names_are_sorted_and_declared_for_type_checkers(package):
    module = importlib.import_module(package)
    assert module.__all__ == sorted(module.__all__, key=by_kind)
    assert len(set(module.__all__)) == len(module.__all__)
    imported = {alias.asname or alias.name for alias in imports_of(module)}
    assert [name for name in module.__all__ if name not in imported] == []


def by_kind(name: str) -> tuple[int, str]:
    """As ruff sorts `__all__`: constants, classes, functions."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def imports_of(module: types.ModuleType) -> Iterator[ast.alias]:
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.ImportFrom):
            yield from node.names


@pytest.mark.parametrize("name", NAMES)
def test_names_resolve_and_are_no_modules(name):
    assert not inspect.ismodule(resolved(name))


@pytest.mark.parametrize("name", DEFINED)
def test_names_are_documented(name):
    found = resolved(name)
    undocumented = [where for where, one in [(name, found), *members(name)] if not own_docstring(one)]
    assert undocumented == []


def own_docstring(found: object) -> str:
    """A docstring of its own: neither inherited nor made by `dataclass`."""
    text = vars(found).get("__doc__") if inspect.isclass(found) else found.__doc__
    generated = inspect.isclass(found) and text is not None and text.startswith(f"{found.__name__}(")
    return "" if text is None or generated else text


def members(name: str) -> Iterator[tuple[str, object]]:
    """Public methods and properties of a class that are defined in it; none of a function."""
    found = resolved(name)
    if not inspect.isclass(found):
        return
    for key, value in vars(found).items():
        function = getattr(value, "fget", None) or getattr(value, "func", None) or getattr(value, "__func__", value)
        if not key.startswith("_") and inspect.isfunction(function):
            yield f"{name}.{key}", function


@pytest.mark.parametrize("name", DEFINED)
def test_every_parameter_and_result_has_a_type(name):
    found = resolved(name)
    functions = [(name, found)] if inspect.isfunction(found) else list(members(name))
    untyped = [where for where, function in functions if not is_typed(function)]
    assert untyped == []


def is_typed(function: object) -> bool:
    signature = inspect.signature(function)
    parameters = [p for key, p in signature.parameters.items() if key not in ("self", "cls")]
    return signature.return_annotation is not signature.empty and all(p.annotation is not p.empty for p in parameters)


@pytest.mark.parametrize("name", DEFINED)
def test_types_in_signatures_are_public(name):
    private = {f"{t.__module__}.{t.__qualname__}" for t in types_in_signature(name) if t not in public_classes()}
    assert private - INNER_TYPES == set()


@cache
def public_classes() -> frozenset[type]:
    return frozenset(found for found in map(resolved, NAMES) if inspect.isclass(found))


def types_in_signature(name: str) -> set[type]:
    """Classes of ours in the signature of a function, or among the fields and parameters of a class."""
    found = resolved(name)
    if inspect.isclass(found) and not is_dataclass(found):
        found = found.__init__
    hints = hints_of(found) if inspect.isclass(found) or inspect.isfunction(found) else {}
    return {t for hint in hints.values() for t in classes_in(hint)}


def hints_of(found: object) -> dict[str, object]:
    """Annotations, evaluated with what a module imports for type checkers alone."""
    module = inspect.getmodule(found)
    names = dict(vars(module))
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            exec(compile(ast.Module(node.body, []), module.__name__, "exec"), names)
    return typing.get_type_hints(found, globalns=names)


def classes_in(hint: object) -> Iterator[type]:
    arguments = [hint, *typing.get_args(hint)]
    for argument in arguments:
        if isinstance(argument, list):
            for inner in argument:
                yield from classes_in(inner)
        elif argument is not hint:
            yield from classes_in(argument)
        elif inspect.isclass(argument) and argument.__module__.partition(".")[0] == "vocab":
            yield argument


def test_every_command_is_one_public_function():
    commands = set(names_of(typer.main.get_command(app)))
    assert commands == set(FUNCTION_OF_COMMAND)


def names_of(command, prefix: str = "") -> Iterator[str]:
    for name, below in command.commands.items():
        if hasattr(below, "commands"):
            yield from names_of(below, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}"


@pytest.mark.parametrize("command", FUNCTION_OF_COMMAND)
def test_what_a_command_does_is_a_public_function(command):
    name = FUNCTION_OF_COMMAND[command]
    assert name in NAMES, f"{name} is not in the __all__ of its package"
    assert inspect.isfunction(resolved(name))
