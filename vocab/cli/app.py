"""The `vocab` command: parse, call one function, print. Heavy packages are imported by the commands that need them."""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from vocab.cli.bench import bench
from vocab.cli.bound import bound
from vocab.cli.bytes import token_bytes
from vocab.cli.check import check
from vocab.cli.compare import compare
from vocab.cli.convert import convert
from vocab.cli.count import count, counts_app
from vocab.cli.diff import diff
from vocab.cli.draft import draft
from vocab.cli.evaluate import evaluate
from vocab.cli.evaluate_model import evaluate_model
from vocab.cli.frontier import frontier
from vocab.cli.generate import generate
from vocab.cli.gguf import gguf
from vocab.cli.grouped_help import GroupedCommand
from vocab.cli.head import head
from vocab.cli.heal import heal
from vocab.cli.inspect import inspect
from vocab.cli.lock import lock
from vocab.cli.prune import prune
from vocab.cli.score import score
from vocab.cli.screen import INTERRUPTED, be_loud, say
from vocab.cli.shards import shards
from vocab.cli.shared_options import with_shared_options
from vocab.cli.show import show
from vocab.cli.size import size
from vocab.cli.sizes import sizes
from vocab.cli.study import app as study_app
from vocab.cli.train import train
from vocab.cli.train_tokenizer import train_tokenizer
from vocab.cli.transplant import transplant
from vocab.cli.verify import verify
from vocab.compilation.notice import when_compiling
from vocab.errors import VocabError
from vocab.shown_text import one_line

app = typer.Typer(
    name="vocab",
    help="Prune a tokenizer's vocabulary by what the shipped encoder really produces.",
    epilog="Where output is piped, long work prints a line every 15 seconds; VOCAB_PROGRESS_SECONDS sets another time, "
    "0 none.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: it starts in half the time
    pretty_exceptions_enable=False,
)


def _command(name: str | None = None) -> Callable[[Callable[..., Any]], Any]:
    return lambda function: app.command(name, cls=GroupedCommand)(with_shared_options(function))


_command()(prune)
_command()(count)
app.add_typer(counts_app, name="counts")
_command("eval")(evaluate)
_command()(compare)
_command()(inspect)
_command()(diff)
_command()(show)
_command()(size)
_command()(sizes)
_command()(frontier)
_command()(bound)
_command()(check)
_command()(shards)
_command()(train)
_command()(generate)
_command()(verify)
_command()(lock)
app.add_typer(study_app, name="study")
_command()(bench)
_command()(train_tokenizer)
_command()(transplant)
_command()(score)
_command()(heal)
_command("evaluate-model")(evaluate_model)
_command("bytes")(token_bytes)
_command()(draft)
_command()(head)
_command()(gguf)
_command()(convert)


def _print_version(is_asked_for: bool) -> None:
    if is_asked_for:
        from importlib.metadata import version

        say(f"vocab {version('vocabkit')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point: a VocabError is one sentence on standard error and exit code 2; Ctrl-C is exit code 130."""
    gc.set_threshold(_GC_THRESHOLD)
    be_loud()
    when_compiling(lambda line: say(f"vocab: {line}", err=True))
    try:
        code = app(standalone_mode=False)
    except VocabError as error:
        _fail(with_options(str(error)), 2)
    except (KeyboardInterrupt, typer.Abort):
        _fail("stopped; nothing was written", INTERRUPTED)
    except MemoryError:  # Arrow's, too
        _fail("there is not enough memory for this: free some, or give it less at once", 2)
    except BrokenPipeError:
        sys.exit(141)
    except Exception as error:
        # Typer's own errors of usage know how to show themselves; anything else is a bug and keeps its traceback.
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        sys.exit(getattr(error, "exit_code", 2))
    if code == INTERRUPTED:  # Typer turns Ctrl-C into a return value
        _fail("stopped; nothing was written", INTERRUPTED)
    if isinstance(code, int) and code:
        sys.exit(code)


# Objects made before Python looks for cycles among the young ones, instead of 700: lists of 100,000 tokens hold none.
_GC_THRESHOLD = 50_000
# Parameters of the library whose options have another name.
_OPTION_OF_PARAMETER = {"n_threads": "--threads", "memory_bytes": "--memory", "seq_len": "--seq", "directory": "--out"}


def with_options(message: str) -> str:
    """An error of the library with options for parameters: `pad_to_multiple_of` becomes --pad-to-multiple-of."""
    options = _OPTION_OF_PARAMETER | _options_by_parameter(typer.main.get_command(app))
    return re.sub(r"`([a-z_]+)`", lambda match: options.get(match[1], match[1]), message)


def _options_by_parameter(command: Any) -> dict[str, str]:
    """The longest option of each parameter of a command and of those below it."""
    options = {
        parameter.name: max(parameter.opts, key=len)
        for parameter in command.params
        if parameter.param_type_name == "option"
    }
    for below in getattr(command, "commands", {}).values():
        options |= _options_by_parameter(below)
    return options


def _fail(message: str, code: int) -> None:
    say(f"vocab: {one_line(message)}", err=True)
    sys.exit(code)
