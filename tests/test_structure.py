"""The shape of the package, read from its source: no circles, one name an idea, short files and functions."""

import ast
import functools
import re
import statistics
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "vocab"
MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_COMMAND_BODY_LINES, MAX_MEDIAN_LINES = 400, 60, 30, 9

# Exceptions of today. These lists only shrink: an exception that is no longer needed fails, too.
CIRCLES: set[frozenset[str]] = set()
SAME_NAMES: set[str] = set()
LONG_FILES: set[str] = set()
LONG_FUNCTIONS: set[str] = set()
IMPORTS_A_TEST: set[str] = set()
NAMES_OPTIONS: set[str] = {
    "vocab.corpus.profile",
}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PATHS = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@functools.cache
def trees() -> dict[str, ast.Module]:
    """Every module, parsed once, and only where a test asks."""
    return {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in PATHS.items()}


# Imports


def is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below one, but for what only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if not is_type_checking(child):
            yield child
            yield from statements(child)


def imports(module: str) -> set[str]:
    """Modules of the package that a module imports, at its top or when a function is called."""
    found = set()
    for node in statements(trees()[module]):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {below if (below := f"{node.module}.{name.name}") in PATHS else node.module for name in node.names}
    return {name for name in found if name in PATHS and name != module}


def declared_upward() -> set[tuple[str, str]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = settings["tool"]["importlinter"]["contracts"][0]
    return {tuple(arrow.split(" -> ")) for arrow in contract.get("ignore_imports", [])}


def circles() -> set[frozenset[str]]:
    """Sets of modules that reach each other by imports (Tarjan's strongly connected components)."""
    upward = declared_upward()
    arrows = {module: {to for to in imports(module) if (module, to) not in upward} for module in PATHS}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = set()

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for to in sorted(arrows[module]):
            if to not in index:
                visit(to)
            if to in stack:
                low[module] = min(low[module], low[to])
        if low[module] == index[module]:
            members = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(members) > 1:
                found.add(frozenset(members))

    for module in PATHS:
        if module not in index:
            visit(module)
    return found


def test_no_modules_import_each_other_in_a_circle():
    assert circles() == CIRCLES


# Names


def test_no_two_modules_have_one_name():
    """A module of the command line may be called as what it calls."""
    names: dict[str, list[str]] = {}
    for module, path in PATHS.items():
        if path.name != "__init__.py" and not module.startswith("vocab.cli."):
            names.setdefault(path.stem, []).append(module)
    assert {name for name, modules in names.items() if len(modules) > 1} == SAME_NAMES


# Lengths


def test_files_are_short():
    lines = {str(path.relative_to(PACKAGE)): path.read_text(encoding="utf-8").count("\n") for path in PATHS.values()}
    assert {path for path, n in lines.items() if n > MAX_FILE_LINES} == LONG_FILES


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def n_lines(function: ast.FunctionDef) -> int:
    """Lines of signature and body, the docstring apart."""
    return function.end_lineno - function.lineno + 1 - n_docstring_lines(function)


def n_body_lines(function: ast.FunctionDef) -> int:
    """Lines of the body, the docstring apart."""
    return function.end_lineno - function.body[0].lineno + 1 - n_docstring_lines(function)


def n_docstring_lines(function: ast.FunctionDef) -> int:
    first = function.body[0]
    return first.end_lineno - first.lineno + 1 if ast.get_docstring(function) is not None else 0


def is_command(module: str, function: ast.FunctionDef) -> bool:
    """Whether it is a command, whose parameters are its options with their help."""
    return module.startswith("vocab.cli.") and "typer." in ast.unparse(function.args)


def is_long(module: str, function: ast.FunctionDef) -> bool:
    if is_command(module, function):
        return n_body_lines(function) > MAX_COMMAND_BODY_LINES
    return n_lines(function) > MAX_FUNCTION_LINES


def test_functions_are_short():
    found = {
        f"{module}.{function.name}"
        for module, tree in trees().items()
        for function in functions(tree)
        if is_long(module, function)
    }
    assert found == LONG_FUNCTIONS
    every = [n_lines(function) for tree in trees().values() for function in functions(tree)]
    assert statistics.median(every) <= MAX_MEDIAN_LINES


# The command line's words


OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def options_in(tree: ast.Module) -> set[str]:
    """Options that strings of a module name, docstrings apart."""
    skipped = docstrings(tree)
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in skipped)
    texts = [node.value for node in constants if isinstance(node.value, str)]
    return {option for text in texts if "pip install" not in text for option in OPTION.findall(text)}


def docstrings(tree: ast.Module) -> set[int]:
    owners = (node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef))
    return {id(node.body[0].value) for node in owners if node.body and isinstance(node.body[0], ast.Expr)}


def test_no_module_below_the_command_line_names_one_of_its_options():
    """Errors name the parameter in backticks, which the command line turns into its option."""
    ours = {
        word
        for module, tree in trees().items()
        if module.startswith("vocab.cli.")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "typer.Option"
        for word in options_in(ast.Module([ast.Expr(node)], []))
    }
    ours |= {f"--{name.replace('_', '-')}" for name in parameters_of_commands()}
    found = {
        module for module, tree in trees().items() if not module.startswith("vocab.cli") and options_in(tree) & ours
    }
    assert found == NAMES_OPTIONS


def parameters_of_commands() -> set[str]:
    """Parameters of commands, whose options have their names unless another is given."""
    return {
        argument.arg
        for module, tree in trees().items()
        for function in functions(tree)
        if is_command(module, function)
        for argument in [*function.args.args, *function.args.kwonlyargs]
    }


# Floors


def test_the_table_of_floors_is_that_of_the_contract():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", text, re.MULTILINE)
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    named = [re.findall(r"`vocab/([^`]+?)(?:\.py)?`", places) for _, places in rows]
    floors = [[name.removeprefix("vocab.").replace(".", "/") for name in layer.split(" | ")] for layer in layers]
    assert named == floors
    assert [int(number) for number, _ in rows] == list(range(len(layers), 0, -1))


# Tests


def test_folders_of_tests_are_named_as_packages():
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    assert folders <= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}


def test_no_test_module_imports_another():
    found = {path.name for path in sorted((ROOT / "tests").rglob("*.py")) if imports_a_test(path)}
    assert found == IMPORTS_A_TEST


def imports_a_test(path: Path) -> bool:
    """Also in code that a test runs in another process."""
    lines = re.findall(r"^ *(?:from|import) ([\w.]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return any(name.split(".")[-1].startswith("test_") or name == "conftest" for name in lines)
