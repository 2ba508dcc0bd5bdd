"""Options of a command in a file: TOML that a person wrote, or the report.json of an earlier run."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from vocab.errors import TargetError
from vocab.reading import read_json

# Parameters of one run that no file sets, and those that a file may set and no report keeps.
_OF_THE_SCREEN = {"config", "quiet", "as_json", "help"}
_OF_ONE_RUN = {"out", "force", "threads"}


def options_of(path: Path, command: Any) -> dict[str, Any]:
    """Values of a command's parameters, by their names, from a file that names options: `min-count = 2`.

    The library's names of parameters, like n_tokens for --tokens, are taken too.

    Args:
        path: a TOML file, or a JSON file with an object "options", as report.json has.
        command: the command of Typer.

    Raises:
        TargetError: the file cannot be read, or names an option that the command does not have.
    """
    named = _options_of_report(path, command.name) if path.suffix == ".json" else _read_toml(path)
    parameters = _parameters_by_option(command)
    parameters |= {parameter.name.replace("_", "-"): parameter for parameter in parameters.values()}
    values = {}
    for option, value in named.items():
        parameter = parameters.get(option.replace("_", "-"))
        if parameter is None:
            raise TargetError(f"{path}: {command.name} has no option --{option.replace('_', '-')}")
        values[parameter.name] = _as_typed(value, parameter, f"{path}: {option}")
    return values


def _as_typed(value: Any, parameter: Any, where: str) -> Any:
    """A value as the command line would have it, which is then checked alike: text, or true and false for a flag."""
    if parameter.is_flag:
        if not isinstance(value, bool):
            raise TargetError(f"{where} takes true or false")
        return value
    values = value if isinstance(value, list) else [value]
    if isinstance(value, list) != parameter.multiple or any(isinstance(one, dict | list | bool) for one in values):
        wanted = "a list, in [ ]" if parameter.multiple else "a number or a text in quotes"
        raise TargetError(f"{where} takes {wanted}")
    texts = [str(one) for one in values]
    return texts if parameter.multiple else texts[0]


def given_options(context: Any) -> dict[str, Any]:
    """The options that a user gave, by hand or in a file, for a report: JSON values by the options' names."""
    given = {}
    for option, parameter in _parameters_by_option(context.command).items():
        source = context.get_parameter_source(parameter.name)
        if source and source.name in ("COMMANDLINE", "DEFAULT_MAP") and parameter.name not in _OF_ONE_RUN:
            given[option] = _plain(context.params[parameter.name])
    if paths := context.params.get("paths"):
        given["corpus"] = [*paths, *given.get("corpus", [])]
    return given


def _parameters_by_option(command: Any) -> dict[str, Any]:
    """A command's parameters that a file may set, by their longest option's name."""
    return {
        max(parameter.opts, key=len).lstrip("-"): parameter
        for parameter in command.params
        if parameter.param_type_name == "option" and parameter.name not in _OF_THE_SCREEN
    }


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, bool | int | float | str) else str(value)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TargetError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise TargetError(f"{path} is not TOML: {error}") from None


def _options_of_report(path: Path, command: str) -> dict[str, Any]:
    if command != "prune":
        raise TargetError(f"{path}: reports are of vocab prune, so write the options of {command} in a .toml file")
    options = read_json(path).get("options")
    if not isinstance(options, dict):
        raise TargetError(f"{path} does not say which options it was made with: it has no object named options")
    return options
