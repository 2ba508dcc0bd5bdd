"""`vocab bound`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from vocab.cli.candidates import (
    CandidatesOption,
    MinCandidateCountOption,
    MinDocumentsOption,
    MostCandidatesOption,
    PriorOption,
    candidates_of,
)
from vocab.cli.corpora import (
    ColumnOption,
    CorpusOption,
    CountsOption,
    DocumentsOption,
    EncodingErrorsOption,
    MinCountOption,
    OnErrorOption,
    ThreadsOption,
    corpus_of,
    read_options,
)
from vocab.cli.named_files import ReplaceOption
from vocab.cli.proofs import DEFAULT_GAP_PER_CENT, GapOption, TimeOption, show_certificate
from vocab.cli.prune import tokens_to_keep
from vocab.cli.screen import progress, say, stages
from vocab.cli.shared_options import Result
from vocab.cli.whole_numbers import TargetOption


def bound(
    target: TargetOption,
    source: Annotated[
        str,
        typer.Option("--source", help="Vocabulary to prune: a tiktoken name, a .tiktoken file, or a tokenizer.json."),
    ] = "cl100k_base",
    corpus: CorpusOption = None,
    counts: CountsOption = None,
    min_count: MinCountOption = 1,
    candidates: CandidatesOption = None,
    min_documents: MinDocumentsOption = None,
    candidates_min_count: MinCandidateCountOption = None,
    candidates_most: MostCandidatesOption = 1_000_000,
    prior: PriorOption = None,
    keep: Annotated[Path | None, typer.Option("--keep", help="File of tokens never to drop, one a line.")] = None,
    special: Annotated[
        list[str] | None, typer.Option("--special", metavar="NAME", help="Special token to add, counted in the target.")
    ] = None,
    drop_special: Annotated[
        list[str] | None,
        typer.Option("--drop-special", metavar="PATTERN", help="Special token to leave out; * stands for anything."),
    ] = None,
    certificate: Annotated[Path | None, typer.Option("--certificate", help="File to write the proof to.")] = None,
    force: ReplaceOption = False,
    gap: GapOption = DEFAULT_GAP_PER_CENT,
    seconds: TimeOption = None,
    column: ColumnOption = "text",
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    on_error: OnErrorOption = "stop",
    threads: ThreadsOption = None,
) -> Result:
    """Show how few tokens any vocabulary of TARGET ids needs at least, and the fewest found for one.

    The bound holds for every inference method; the vocabulary found is for least-tokens.
    """
    from vocab.formats import load_lossless
    from vocab.prune import BoundRequest, Limits, run_bound_request
    from vocab.threads import n_cores
    from vocab.writing import check_file, write_bytes

    if certificate:
        check_file(certificate, force=force)
    whole = load_lossless(source)
    request = BoundRequest(
        source=whole,
        target=target,
        candidates=candidates_of(candidates, min_documents, candidates_min_count, candidates_most),
        prior=prior,
        keep=tokens_to_keep(keep),
        special=special or [],
        drop_special=drop_special or [],
        limits=Limits(gap / 100, seconds),
        n_threads=threads,
    )
    options = read_options(column, documents, encoding_errors, on_error)
    counted = corpus_of(corpus, counts, whole.pattern, options, threads or n_cores(), min_count)
    with progress() as bar:
        proof = run_bound_request(replace(request, corpus=counted), stages(bar))
    show_certificate(proof.claims)
    if certificate:
        write_bytes(certificate, proof.as_zip())
        say(f"Wrote {certificate}")
    return Result(proof.claims)
