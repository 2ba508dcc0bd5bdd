"""`vocab verify`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vocab.cli.corpora import (
    ColumnOption,
    DocumentsOption,
    EncodingErrorsOption,
    OnErrorOption,
    note_skipped,
    read_options,
    texts_of,
)
from vocab.cli.screen import console, progress, table
from vocab.cli.shared_options import Result

if TYPE_CHECKING:
    from vocab.interop import RuntimeCheck, Verification


def verify(
    directory: Annotated[Path, typer.Argument(help="Folder of a tokenizer, made here or elsewhere, or a GGUF file.")],
    corpus: Annotated[
        list[str] | None, typer.Option("--corpus", help="Text to encode as well; may be given several times.")
    ] = None,
    megabytes: Annotated[
        float, typer.Option("--megabytes", min=0.0, help="MB of the built-in profile's words to encode.")
    ] = 5.0,
    column: ColumnOption = "text",
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    on_error: OnErrorOption = "stop",
) -> Result:
    """Encode texts in every runtime that loads the folder, and compare ids, decoded texts and special tokens.

    Default calls are compared too: special tokens recognised in text, tokens put around it, and left out again.
    Runtimes are tiktoken, tokenizers, transformers, sentencepiece, mistral-common, rwkv and, for a GGUF file, llama.cpp
    (pip install 'vocabkit[llamacpp]'), where they are installed. The
    folder's chat template is rendered by transformers (in a sandbox) on some conversations, and ids of those compared.
    The exit code is 1 when anything differs.
    """
    from vocab import interop
    from vocab.errors import SourceError
    from vocab.formats import load_lossless
    from vocab.formats.by_content import kind_of

    if not directory.is_dir() and not (directory.is_file() and kind_of(directory) == "gguf"):
        raise SourceError(f"{directory} is neither a folder nor a GGUF file")
    texts = interop.trial_texts(load_lossless(directory), int(megabytes * 1e6))
    options = read_options(column, documents, encoding_errors, on_error)
    texts += texts_of(corpus, options)
    with progress() as bar:
        bar.add_task("encode in every runtime", total=None, rate="")
        verification = interop.verify(directory, texts)
    note_skipped(options)
    _show(verification, str(directory))
    return Result(asdict(verification), exit_code=0 if verification.agrees else 1)


def _show(verification: Verification, title: str) -> None:
    columns = ["runtime", "version", "size", "texts", "MB", "ids", "decoded", "special", "default", ""]
    shown, screen = table(title, columns, n_text=2), console()
    checks = verification.checks + ([verification.chat] if verification.chat and verification.chat.version else [])
    for check in checks:
        shown.add_row(*_cells(check))
    screen.print(shown)
    screen.print("Right of MB: how many differ, in ids, decoded texts, ids of special tokens, and default calls.")
    for check in checks:
        if check.failure or check.first_different:
            screen.print(f"{check.runtime}: {check.failure or repr(check.first_different[:200])}")
    for note in verification.notes:
        screen.print(note)
    if verification.n_with_special:
        screen.print(f"Texts with special tokens, compared by default calls alone: {verification.n_with_special:,}.")
    if verification.chat is None:
        screen.print("There is no chat template.")
    elif not verification.chat.version:
        screen.print("The chat template was not rendered: that needs tokenizer.json, transformers and jinja2.")
    screen.print("Ids have no holes." if verification.has_contiguous_ids else "Ids have holes.")
    screen.print(f"Tokens that no text was found for: {verification.n_unreachable:,}.")


def _cells(check: RuntimeCheck) -> list[str]:
    differences = (check.n_different, check.n_not_restored, check.n_special_different)
    by_default = f"{check.n_default_different:,} of {check.n_default_texts:,}" if check.n_default_texts else "–"
    return [
        check.runtime,
        check.version,
        f"{check.n_ids:,}",
        f"{check.n_texts:,}",
        f"{check.n_bytes / 1e6:.1f}",
        *(f"{n:,}" for n in differences),
        by_default,
        "agrees" if check.agrees else "differs",
    ]
