"""What every command takes beside its own options: --config, --quiet, --json, and corpora without an option's name."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from vocab.cli.options_file import options_of
from vocab.cli.screen import be_quiet

_LAST = "Screen and settings"


class Result(NamedTuple):
    """What a command found, as --json prints it, and the exit code that says the same to a shell."""

    record: Any
    exit_code: int = 0


def with_shared_options(function: Callable[..., Result | None]) -> Callable[..., None]:
    """A command with the options that all have. One whose function returns a `Result` gets --json as well.

    A command with --corpus and no arguments of its own takes paths without it: `vocab count texts/` is
    `vocab count --corpus texts/`.
    """
    signature = inspect.signature(function, eval_str=True)
    parameters = dict(signature.parameters)
    takes_paths = "corpus" in parameters and not any(map(_is_argument, parameters.values()))
    needs_paths = takes_paths and parameters["corpus"].default is inspect.Parameter.empty
    added = _added(has_result=signature.return_annotation is not None, takes_paths=takes_paths)
    if needs_paths:
        parameters["corpus"] = parameters["corpus"].replace(default=None)

    @functools.wraps(function)
    def command(**given: Any) -> None:
        own = {name: given.pop(name, None) for name in added}
        if takes_paths:
            given["corpus"] = [*(own["paths"] or []), *(given["corpus"] or [])] or None
            if needs_paths and not given["corpus"]:
                raise typer.BadParameter("name the text: a file, a folder or a glob", param_hint="--corpus")
        result = function(**given)
        if result and own.get("as_json"):
            typer.echo(json.dumps(result.record, indent=2, default=_plain))
        if result and result.exit_code:
            raise typer.Exit(result.exit_code)

    every = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in [*parameters.values(), *added.values()]]
    command.__signature__ = signature.replace(parameters=every, return_annotation=None)  # type: ignore[attr-defined]
    return command


def _is_argument(parameter: inspect.Parameter) -> bool:
    metadata = getattr(parameter.annotation, "__metadata__", ())
    return any(isinstance(one, typer.models.ArgumentInfo) for one in metadata)


def _added(*, has_result: bool, takes_paths: bool) -> dict[str, inspect.Parameter]:
    """The shared parameters of a command, by name."""
    added = {"config": (ConfigOption, None), "quiet": (QuietOption, False)}
    if has_result:
        added["as_json"] = (JsonOption, False)
    if takes_paths:
        added["paths"] = (PathsArgument, None)
    kind = inspect.Parameter.KEYWORD_ONLY
    return {
        name: inspect.Parameter(name, kind, annotation=annotation, default=default)
        for name, (annotation, default) in added.items()
    }


def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Take the options of a file for those that the command line does not name."""
    if path is not None:
        context.default_map = {**(context.default_map or {}), **options_of(path, context.command)}
    return path


def _silence(is_asked_for: bool) -> bool:
    if is_asked_for:
        be_quiet()
    return is_asked_for


def _silence_screen(is_asked_for: bool) -> bool:
    """With --json the screen is for JSON alone; progress is on standard error."""
    if is_asked_for:
        be_quiet(progress=True)
    return is_asked_for


def _plain(value: Any) -> Any:
    """What JSON has no word for: dataclasses as objects, paths as text, tokens as text or else in hexadecimal."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"hex": value.hex()}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        is_eager=True,
        callback=_read_config,
        rich_help_panel=_LAST,
        help="Take options from this file: TOML with their names, or for prune a report.json. The command line wins.",
    ),
]
QuietOption = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", callback=_silence, rich_help_panel=_LAST, help="Print only errors, warnings and JSON."
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", callback=_silence_screen, rich_help_panel=_LAST, help="Print the result as JSON."),
]
PathsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="PATH", help="Text, as for --corpus.", show_default=False)
]
