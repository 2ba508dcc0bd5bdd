"""The public names of vocab.experiments: they exist, are documented, and need no torch to be imported."""

import inspect
import typing

import pytest

from vocab import experiments


@pytest.mark.parametrize("name", experiments.__all__)
def test_public_names_are_importable_and_documented(name):
    exported = getattr(experiments, name)
    assert inspect.getdoc(exported)
    assert exported.__name__ == name


def test_public_names_are_listed():
    assert experiments.__all__ == sorted(experiments.__all__) == dir(experiments)
    source = inspect.getsource(experiments).partition("if TYPE_CHECKING:")[2].partition("__all__")[0]
    assert [name for name in experiments.__all__ if name not in source] == []


def classes(hint: object) -> set[type]:
    """The classes of this room that a type hint names."""
    if inspect.isclass(hint) and hint.__module__.startswith("vocab.experiments"):
        return {hint}
    return {found for part in typing.get_args(hint) for found in classes(part)}


@pytest.mark.parametrize("name", [name for name in experiments.__all__ if name[0].islower()])
def test_types_in_signatures_are_public(name):
    for hint in typing.get_type_hints(getattr(experiments, name)).values():
        assert {kind.__name__ for kind in classes(hint)} <= set(experiments.__all__)
