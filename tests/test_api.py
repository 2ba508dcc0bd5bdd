"""The public names: they exist, are documented, come without heavy imports; every module can be imported."""

import ast
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import vocab
import vocab.errors
from vocab.errors import MissingExtraError, VocabError

MODULES = sorted(m.name for m in pkgutil.walk_packages(vocab.__path__, "vocab."))
# What of vocab.model runs without torch; the rest of it needs the extra "train".
MODEL_WITHOUT_TORCH = {
    *("config", "curve", "freed_memory", "logs", "recipe", "sampling", "settings", "sharding", "shards", "trackers"),
}
# What runs studies trains and times models; specifications, rows, analyses and reports need no torch.
RUNS_MODELS = {"loss_runs", "provenance", "speed_runs"}


def needs_torch(module: str) -> bool:
    """Whether a module may import torch: most of vocab.model, and what runs studies."""
    name = module.rpartition(".")[2]
    return name not in MODEL_WITHOUT_TORCH if module.startswith("vocab.model.") else name in RUNS_MODELS


WITHOUT_TORCH = [m for m in MODULES if not needs_torch(m)]
# What can be imported where only the package and what it requires are installed: pytest alone loads its plugin.
REQUIRED_ALONE = [m for m in WITHOUT_TORCH if not m.endswith(".pytest_plugin")]


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", vocab.__all__)
def test_public_names_are_importable_and_documented(name):
    found = getattr(vocab, name)
    assert inspect.getdoc(found)
    assert found.__name__ == name
    assert found.__module__.startswith("vocab.")


def test_public_names_are_listed():
    assert vocab.__all__ == sorted(vocab.__all__)
    assert dir(vocab) == sorted(vocab.__all__)
    assert set(vocab._HOMES) == set(vocab.__all__)


def test_every_public_name_is_declared_for_type_checkers():
    source = inspect.getsource(vocab).partition("if TYPE_CHECKING:")[2].partition("__all__")[0]
    assert [name for name in vocab.__all__ if name not in source] == []


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'pruned'"):
        vocab.pruned  # noqa: B018
    with pytest.raises(ImportError):
        from vocab import nothing  # noqa: F401


def test_prune_is_a_package_that_holds_the_function():
    from vocab.prune import prune

    assert callable(prune)
    assert inspect.ismodule(sys.modules["vocab.prune"])
    for name in sys.modules["vocab.prune"].__all__:
        assert hasattr(sys.modules["vocab.prune"], name)


def test_import_loads_nothing_heavy():
    heavy = ("numba", "torch", "numpy", "pyarrow", "tiktoken", "tokenizers", "transformers", "datasets", "rich")
    code = f"import sys, vocab\nvocab.VocabError\nprint(*[name for name in {heavy} if name in sys.modules])"
    assert run_python(code).split() == []


@pytest.mark.slow
def test_importing_what_needs_no_torch_does_not_load_it():
    code = "import sys, importlib\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *WITHOUT_TORCH], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert set(WITHOUT_TORCH) <= loaded
    assert not loaded & {"torch", "transformers", "datasets"}


@pytest.mark.slow
def test_modules_import_in_any_order_alone():
    """No module needs another to have been imported first."""
    code = "import sys, importlib\nfor name in sys.argv[:0:-1]:\n    importlib.import_module(name)"
    subprocess.run([sys.executable, "-c", code, *MODULES], capture_output=True, check=True)


def test_every_module_says_what_it_is():
    paths = sorted(Path(vocab.__file__).parent.rglob("*.py"))
    assert [path for path in paths if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))] == []


@pytest.mark.parametrize("error", [e for _, e in inspect.getmembers(vocab.errors, inspect.isclass)])
def test_every_error_is_a_vocab_error(error):
    assert issubclass(error, VocabError)
    assert error.__doc__
    assert getattr(vocab, error.__name__) is error
    assert error.__name__ in vocab.errors.__doc__


def test_a_missing_package_is_told_with_what_installs_it():
    assert str(MissingExtraError("reading x", "datasets", "datasets")) == (
        "reading x needs the package datasets, which is not installed: pip install 'vocabkit[datasets]'"
    )


def test_without_torch_the_model_says_what_installs_it():
    code = """
import sys
sys.modules["torch"] = None
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "torch" else find(name, *rest)
import vocab.model
from vocab.errors import MissingExtraError
print(vocab.model.PRESETS["micro"].n_layers > 0)
try:
    vocab.model.Decoder
except MissingExtraError as error:
    print(error)
"""
    assert run_python(code).splitlines() == [
        "True",
        "vocab.model.Decoder needs the package torch, which is not installed: pip install 'vocabkit[train]'",
    ]


def test_types_are_shipped():
    from importlib.resources import files

    assert (files("vocab") / "py.typed").is_file()


@pytest.mark.parametrize("name", vocab.__all__)
def test_public_functions_are_typed(name):
    found = getattr(vocab, name)
    if inspect.isfunction(found):
        signature = inspect.signature(found)
        assert signature.return_annotation is not inspect.Signature.empty
        assert all(p.annotation is not p.empty for p in signature.parameters.values())
