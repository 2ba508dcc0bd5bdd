"""The names of `vocab.model`: they exist, are declared for type checkers, and cover the types of their signatures."""

import inspect
import re

import pytest
import torch  # noqa: F401 - most names need it

import vocab.model


@pytest.mark.parametrize("name", vocab.model.__all__)
def test_names_are_importable_and_documented(name):
    exported = getattr(vocab.model, name)
    if callable(exported):
        assert exported.__name__ == name
        assert inspect.getdoc(exported)


def test_every_name_is_listed_and_declared():
    declared = inspect.getsource(vocab.model).partition("if TYPE_CHECKING:")[2].partition("__all__")[0]
    assert (
        set(dir(vocab.model)) == set(vocab.model.__all__) == set(re.findall(r"\w+", declared)) & set(dir(vocab.model))
    )


def annotations(exported) -> list[tuple[object, str]]:
    """Each annotation of a function, or of a class's fields and public methods, with where its names are defined."""
    members = [exported]
    if inspect.isclass(exported):
        members += [value for name, value in vars(exported).items() if not name.startswith("_") or name == "__init__"]
    members = [
        getattr(member, "fget", None) or getattr(member, "func", member) for member in members
    ]  # properties, too
    return [
        (inspect.getmodule(exported), str(annotation))
        for member in members
        for annotation in getattr(member, "__annotations__", {}).values()
    ]


@pytest.mark.parametrize("name", vocab.model.__all__)
def test_types_in_signatures_are_exported(name):
    for module, annotation in annotations(getattr(vocab.model, name)):
        for word in re.findall(r"\w+", annotation):
            kind = getattr(module, word, None)
            if inspect.isclass(kind) and kind.__module__.startswith("vocab.model"):
                assert word in vocab.model.__all__, f"{name}: {annotation}"
