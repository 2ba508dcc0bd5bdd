"""`read_record`: a dataclass from a TOML table, with every key and type checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from vocab.errors import StudyError

T = TypeVar("T")


def read_record(kind: type[T], table: Any, where: str, given: Mapping[str, Any] | None = None) -> T:
    """A record of the dataclass `kind` from a TOML table.

    Args:
        kind: the dataclass; its field types say what a value may be.
        table: the table's content.
        where: the table's place, which errors begin with.
        given: fields that do not come from the table.

    Raises:
        StudyError: for a key that is unknown or missing, a value of another type, and values that `kind` refuses.
    """
    given = given or {}
    known = {entry.name: entry for entry in fields(kind) if entry.name not in given}  # type: ignore[arg-type]
    _check_keys(table, known, where)
    hints = get_type_hints(kind)
    values = {name: _value(hints[name], name, value, where) for name, value in table.items()}
    try:
        return kind(**given, **values)
    except StudyError as error:
        raise StudyError(f"{where}: {error}") from None


def _check_keys(table: Any, known: Mapping[str, Field[Any]], where: str) -> None:
    if not isinstance(table, dict):
        raise StudyError(f"{where} must be a table")
    if unknown := sorted(set(table) - set(known)):
        raise StudyError(f"{where} has the unknown key {unknown[0]!r}; there are {', '.join(known)}")
    needed = [name for name, entry in known.items() if entry.default is MISSING and entry.default_factory is MISSING]
    if missing := [name for name in needed if name not in table]:
        raise StudyError(f"{where} lacks {missing[0]!r}")


def _value(hint: Any, name: str, value: Any, where: str) -> Any:
    """A value as the type `hint`."""
    item = next(iter(get_args(hint)), None)
    if get_origin(hint) is tuple and is_dataclass(item):
        if not isinstance(value, list) or not value:
            raise StudyError(f"{where}: {name} must be tables [[…{name}]]")
        return tuple(read_record(item, table, f"{where} {name} {k}") for k, table in enumerate(value, 1))  # type: ignore[arg-type]
    if get_origin(hint) is Mapping:
        if not isinstance(value, dict) or not value:
            raise StudyError(f"{where}: {name} must be a table of lists of whole numbers")
        return {key: _whole_numbers(numbers, f"{where} {name}.{key}") for key, numbers in value.items()}
    if hint == tuple[int, ...]:
        return _whole_numbers(value, f"{where} {name}", least=0 if name == "seeds" else 1)
    if hint == tuple[str, int]:
        if not isinstance(value, list) or [type(part) for part in value] != [str, int]:
            raise StudyError(f"{where}: {name} must be the name of an arm and a size")
        return tuple(value)
    return _scalar(hint, name, value, where)


def _whole_numbers(value: Any, where: str, least: int = 1) -> tuple[int, ...]:
    if not isinstance(value, list) or not value or any(type(n) is not int or n < least for n in value):
        raise StudyError(f"{where} must be a list of whole numbers from {least}")
    if len(set(value)) < len(value):
        raise StudyError(f"{where} holds a number twice")
    return tuple(value)


def _scalar(hint: Any, name: str, value: Any, where: str) -> Any:
    if choices := _choices(hint):
        if value not in choices:
            raise StudyError(f"{where}: {name} is {' or '.join(filter(None, choices))}, not {value!r}")
        return value
    if hint is str:
        return _checked(value, str, f"{where}: {name} must be text")
    number = _checked(value, (int, float) if hint is float else int, f"{where}: {name} must be a number")
    return float(number) if hint is float else number


def _choices(hint: Any) -> list[str]:
    """The strings of a Literal, or of the Literals in a union; none for another type."""
    parts = [get_args(part) or (part,) for part in get_args(hint)]
    return [choice for part in parts for choice in part if isinstance(choice, str)]


def _checked(value: Any, kind: type | tuple[type, ...], rule: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, kind):
        raise StudyError(f"{rule}, not {value!r}")
    return value
