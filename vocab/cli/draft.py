"""`vocab draft`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vocab.choices import DraftFormat
from vocab.cli.corpora import (
    ColumnOption,
    CorpusOption,
    CountsOption,
    DocumentsOption,
    EncodingErrorsOption,
    MinCountOption,
    OnErrorOption,
    ThreadsOption,
    read_options,
)
from vocab.cli.coverage import ByOption, ChatsOption, LeastOption, Named, show_coverage
from vocab.cli.named_files import ReplaceOption
from vocab.cli.screen import console
from vocab.cli.shared_options import Result
from vocab.cli.whole_numbers import whole_number

if TYPE_CHECKING:
    from vocab.interop import DraftVocabulary

_PLACE = "{size}"


def draft(
    source: Annotated[
        str,
        typer.Argument(help="Result of vocab prune; or with --size the target's vocabulary, as for prune --source."),
    ],
    file_format: Annotated[
        DraftFormat,
        typer.Option(
            "--format",
            help="eagle3: tensors d2t and t2d as safetensors, for EAGLE-3 checkpoints in vLLM and SGLang; sglang: the "
            "list of ids for --speculative-token-map; gguf: the tensor d2t of EAGLE-3 in llama.cpp.",
        ),
    ],
    out: Annotated[
        str, typer.Option("--out", "-o", help="File to write; with several sizes, a name with {size} in it.")
    ],
    size: Annotated[
        list[int] | None,
        typer.Option(
            "--size",
            parser=whole_number,
            metavar="NUMBER",
            help="Take this many of the target's most used ids instead, special tokens included; several sizes come "
            "from one count. Like 8k.",
        ),
    ] = None,
    target_rows: Annotated[
        int | None, typer.Option("--target-rows", help="Length of t2d: the target's vocab_size, where that is padded.")
    ] = None,
    force: ReplaceOption = False,
    chats: ChatsOption = None,
    by: ByOption = None,
    min_coverage: LeastOption = 0.9,
    curve: Annotated[
        Path | None, typer.Option("--curve", help="File for the coverage of each domain at every size, as JSON.")
    ] = None,
    corpus: CorpusOption = None,
    counts: CountsOption = None,
    min_count: MinCountOption = 1,
    column: ColumnOption = "text",
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    on_error: OnErrorOption = "stop",
    threads: ThreadsOption = None,
) -> Result:
    """Write which ids of a target model its draft model may propose, for speculative decoding.

    With --size the coverage of each domain is shown: the share of its tokens that can be drafted. The most used ids are
    those of a corpus, or of what the assistant says in conversations (--chats).
    """
    from vocab import interop
    from vocab.errors import TargetError

    options = read_options(column, documents, encoding_errors, on_error)
    named = Named(chats, by, corpus, counts, min_count, options, threads)
    _check_paths(out, size or [], curve, force)
    if size:
        drafted = _of_most_used(source, size, named, min_coverage, curve, force)
    elif named.is_empty and curve is None:
        drafted = [interop.draft_of_result(source)]
    else:
        raise TargetError("a corpus is for --size: a result of vocab prune has its tokens chosen already")
    record = []
    for one in drafted:
        n_ids = one.target_ids.size
        path = _path(out, n_ids)
        interop.write_draft(one, path, file_format, n_rows=target_rows, force=force)
        console().print(f"Wrote {path}: {n_ids:,} of the {one.n_target:,} ids of {one.source}.")
        record.append({"file": str(path), "n_ids": n_ids, "n_ids_of_target": one.n_target, "source": one.source})
    return Result(record)


def _path(out: str, size: int) -> Path:
    return Path(out.replace(_PLACE, str(size)))


def _check_paths(out: str, sizes: list[int], curve: Path | None, force: bool) -> None:
    """Raise before text is counted where a file may not be written."""
    from vocab.errors import TargetError
    from vocab.writing import check_file

    if len(set(sizes)) > 1 and _PLACE not in out:
        raise TargetError(f"several sizes need a name with {_PLACE} in it, such as draft-{_PLACE}.safetensors")
    for path in [*(_path(out, size) for size in sizes), *([] if curve is None else [curve])]:
        check_file(path, force=force, make_folders=True)


def _of_most_used(
    source: str, sizes: list[int], named: Named, least: float, curve: Path | None, force: bool
) -> list[DraftVocabulary]:
    """Draft vocabularies of several sizes from one count."""
    from vocab import interop
    from vocab.formats import load_lossless

    target = load_lossless(source)
    uses = named.uses(target, source)
    drafted = [interop.draft_of_most_used(target, size, uses) for size in sorted(set(sizes))]
    show_coverage(uses, {one.target_ids.size: uses.coverage(one.target_ids) for one in drafted}, least)
    if curve is not None:
        interop.write_curve(curve, target, uses, target.special_tokens.values(), force=force)
    return drafted
