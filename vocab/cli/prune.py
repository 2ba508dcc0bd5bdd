"""`vocab prune`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vocab.choices import ByteInferenceMethod, Method, Ranks
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
    read_options,
)
from vocab.cli.fit_hint import fit_sentences, saved_by_own_tokens
from vocab.cli.grouped_help import CHOOSING, PROOF
from vocab.cli.options_file import given_options
from vocab.cli.proofs import DEFAULT_GAP_PER_CENT, GapOption, TimeOption, show_certificate
from vocab.cli.screen import console, progress, ratio_cells, stages, table
from vocab.cli.shared_options import Result
from vocab.cli.superwords import (
    BarriersOption,
    SuperwordDocumentsOption,
    SuperwordsOption,
    SuperwordWordsOption,
    TextBytesOption,
    superwords_of,
    with_text,
)
from vocab.cli.whole_numbers import TargetOption

if TYPE_CHECKING:
    from vocab.cli.tables import ShownTable
    from vocab.corpus.counting import CorpusCounts
    from vocab.prune import PruneResult, Report
    from vocab.vocabulary import Vocabulary


def prune(
    context: typer.Context,
    target: TargetOption,
    source: Annotated[
        str,
        typer.Option(
            "--source",
            help="Vocabulary to prune: a tiktoken name, a Hugging Face repository, a file (.tiktoken, tokenizer.json, "
            "tokenizer.model, tekken.json, vocab.txt, .gguf, RWKV's list, TokenMonster YAML) or a folder with one.",
        ),
    ] = "cl100k_base",
    corpus: CorpusOption = None,
    counts: CountsOption = None,
    min_count: MinCountOption = 1,
    candidates: CandidatesOption = None,
    min_documents: MinDocumentsOption = None,
    candidates_min_count: MinCandidateCountOption = None,
    candidates_most: MostCandidatesOption = 1_000_000,
    superwords: SuperwordsOption = False,
    superword_words: SuperwordWordsOption = 4,
    superword_documents: SuperwordDocumentsOption = 2,
    superword_barrier: BarriersOption = None,
    superword_text: TextBytesOption = "200MB",
    prior: PriorOption = None,
    method: Annotated[
        Method,
        typer.Option(
            "--method",
            rich_help_panel=CHOOSING,
            help="How tokens are chosen. optimal searches longest and proves how near it is to the best possible; "
            "tokenmonster is that tool's search among random vocabularies, to compare with.",
        ),
    ] = "distill",
    seed: Annotated[
        int,
        typer.Option(
            "--seed", rich_help_panel=CHOOSING, min=0, help="Random seed. Only --method tokenmonster uses one."
        ),
    ] = 0,
    inference: Annotated[
        ByteInferenceMethod | None,
        typer.Option(
            "--inference",
            rich_help_panel=CHOOSING,
            help="How text is cut into tokens with the result. merges runs everywhere; least-tokens needs fewer "
            "tokens and runs in Hugging Face tokenizers; ungreedy is TokenMonster's look-ahead, and only that runs it. "
            "[default: merges; sources of SentencePiece, WordPiece and longest-prefix keep their own]",
        ),
    ] = None,
    ranks: Annotated[
        Ranks | None,
        typer.Option(
            "--ranks",
            rich_help_panel=CHOOSING,
            help="With merges: keep the source's order of ranks, or put them in the order that merging needs fewest "
            "tokens with, which takes several times as long (distill and optimal). [default: reorder with optimal, "
            "else source]",
        ),
    ] = None,
    closed: Annotated[
        bool,
        typer.Option(
            "--closed",
            rich_help_panel=CHOOSING,
            help="With merges: keep only tokens that one merge of two kept tokens of lower rank makes. Runtimes that "
            "read just a list of merges, such as llama.cpp, then give the same ids.",
        ),
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder to write. [default: ./SOURCE-TARGET]")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier result in the folder.")] = False,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep",
            rich_help_panel=CHOOSING,
            help="File of tokens never to drop, one a line; a line in double quotes is a JSON string.",
        ),
    ] = None,
    special: Annotated[
        list[str] | None,
        typer.Option(
            "--special",
            rich_help_panel=CHOOSING,
            metavar="NAME",
            help="Special token to add; may be given several times.",
        ),
    ] = None,
    drop_special: Annotated[
        list[str] | None,
        typer.Option(
            "--drop-special",
            rich_help_panel=CHOOSING,
            metavar="PATTERN",
            help="Special token of the source to leave out; * stands for any characters. May be given several times.",
        ),
    ] = None,
    character_coverage: Annotated[
        float | None,
        typer.Option(
            "--character-coverage",
            rich_help_panel=CHOOSING,
            min=0.0,
            max=1.0,
            metavar="SHARE",
            help="With a source that has an unknown token (XLM-R, T5): keep the most frequent characters that "
            "make up this share of the text, as 0.9995, and leave out all others. [default: keep every character]",
        ),
    ] = None,
    pad_to_multiple_of: Annotated[
        int,
        typer.Option(
            "--pad-to-multiple-of",
            rich_help_panel=CHOOSING,
            min=1,
            help="Report how many embedding rows this multiple needs. No ids are added.",
        ),
    ] = 1,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit/--no-refit",
            rich_help_panel=CHOOSING,
            help="With a Unigram source: fit the kept pieces' scores to the corpus by EM, or keep the source's scores, "
            "with which text becomes fewer tokens.",
        ),
    ] = False,
    certify: Annotated[
        bool,
        typer.Option(
            "--certify",
            rich_help_panel=PROOF,
            help="Prove how far the result is above the best possible, in certificate.zip.",
        ),
    ] = False,
    gap: GapOption = DEFAULT_GAP_PER_CENT,
    seconds: TimeOption = None,
    column: ColumnOption = "text",
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    on_error: OnErrorOption = "stop",
    threads: ThreadsOption = None,
) -> Result:
    """Prune a vocabulary to exactly TARGET ids and write it for what runs it: tiktoken, Hugging Face, TokenMonster."""
    from vocab.prune import Limits, PruneRequest, run_request

    whole = _loaded(source, beside_profile=not corpus and not counts and threads != 1)
    directory = _checked_folder(out, whole.name, target, force=force)
    runs = superwords_of(superword_words, superword_documents, superword_barrier) if superwords else None
    request = PruneRequest(
        source=whole,
        target=target,
        method=method,
        inference=inference,
        ranks=ranks,
        seed=seed,
        candidates=candidates_of(candidates, min_documents, candidates_min_count, candidates_most, runs),
        prior=prior,
        keep=tokens_to_keep(keep),
        special=special or [],
        drop_special=drop_special or [],
        character_coverage=character_coverage,
        pad_to_multiple_of=pad_to_multiple_of,
        refit=refit,
        closed=closed,
        certify=certify,
        limits=Limits(gap / 100, seconds),
        n_threads=threads,
    )
    options = read_options(column, documents, encoding_errors, on_error)
    request = with_text(request, corpus, counts, options, min_count, superword_text)
    with progress() as bar:
        result = run_request(request, stages(bar))
    return _saved(result, request.corpus, directory, given_options(context), force=force)


def _saved(
    result: PruneResult, corpus: CorpusCounts | None, directory: Path, options: dict[str, Any], *, force: bool
) -> Result:
    """Write a result, with the command's options and the fit of its source in its report, and show it."""
    takes_own = not {"candidates", "superwords"} & options.keys()
    saved = saved_by_own_tokens(result.vocabulary, corpus) if corpus and takes_own else None
    report = replace(result.report, options=options, saved_from_scratch=saved)
    _show(report, replace(result, report=report).save(directory, force=force))
    return Result(report.as_json())


def _loaded(source: str, *, beside_profile: bool) -> Vocabulary:
    """The vocabulary to prune; meanwhile a child compiles kernels, and a thread reads the profile if that is wanted."""
    from vocab.formats import load_lossless
    from vocab.prune.first_kernels import compile_ahead

    compile_ahead()
    if beside_profile:
        from vocab.corpus.profile import read_ahead

        read_ahead()
    return load_lossless(source)


def _checked_folder(out: Path | None, source: str, target: int, *, force: bool) -> Path:
    """The folder to write, by default ./SOURCE-TARGET; raises OutputError where it may not be written."""
    from vocab.formats.folder import safe_name
    from vocab.writing import check_target

    directory = out or Path(f"{safe_name(source)}-{target}")
    check_target(directory, force=force)
    return directory


def tokens_to_keep(path: Path | None) -> list[bytes]:
    """Read the tokens of a --keep file; none without a file."""
    from vocab.errors import TargetError

    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        quoted = (json.loads(line) if line[:1] == '"' == line[-1:] and len(line) > 1 else line for line in lines)
        return [token.encode() for token in quoted if token]
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise TargetError(f"the tokens to keep cannot be read from {path}: {reason}") from None


def _show(report: Report, paths: list[Path]) -> None:
    """Print a report and the files written: the tables, then sentences."""
    from vocab.prune.report import candidates_sentences, inference_sentences, unknown_sentences, unused_sentences

    screen = console()
    screen.print(_rows_table(report))
    if len(report.corpus["parts"]) > 1 and not report.corpus["is_builtin_profile"]:
        screen.print(_parts_table(report))
    candidates = candidates_sentences(report.candidates, report.source["name"])
    made = [*inference_sentences(report), *unused_sentences(report), *unknown_sentences(report)]
    for sentence in [*_held_out_sentences(report), *made, *candidates, *report.corpus["notes"]]:
        screen.print(sentence, markup=False)
    if report.certificate:
        show_certificate(report.certificate)
    for sentence in _size_sentences(report):
        screen.print(sentence)
    if report.no_tiktoken and report.inference != "ungreedy":
        screen.print(f"No .tiktoken file, because tiktoken cannot run this: {report.no_tiktoken}.")
    for sentence in fit_sentences(report):
        screen.print(sentence)
    screen.print(f"Wrote {paths[0].parent}: {', '.join(path.name for path in paths)}", soft_wrap=False)
    _note_ungreedy(report)


def _rows_table(report: Report) -> ShownTable:
    """The source, the result and the baselines on the corpus."""
    methods = {row.inference for row in report.rows}
    runs = f", run with {methods.pop()}" if len(methods) == 1 else ""
    on = ", on the built-in profile" if report.corpus["is_builtin_profile"] else ""
    title = f"{report.source['name']} → {report.target:,} ids by {report.method}{runs}{on}"
    names = ["vocabulary"] if runs else ["vocabulary", "inference"]
    columns = [*names, "ids", "bytes/token", "change", "held-out b/t", "change", "unused"]
    shown = table(title, columns, n_text=len(names))
    for row in report.rows:
        style = "bold" if row is report.result else None
        cells = [
            row.name,
            *([] if runs else [row.inference]),
            f"{row.n_ids:,}",
            *ratio_cells(row.train, row.train_change),
        ]
        cells += [*ratio_cells(row.held_out, row.held_out_change), f"{row.n_unused:,}"]
        shown.add_row(*cells, style=style)
    return shown


def _parts_table(report: Report) -> ShownTable:
    """The parts of a mixture, with the result's tokens on each."""
    shown = table("Parts of the corpus", ["part", "share", "MB", "bytes/token", "change", "held-out b/t", "change"])
    for part in report.corpus["parts"]:
        figures = report.result.parts[part["name"]]
        cells = [part["name"], f"{part['share']:.1%}", f"{part['n_bytes_read'] / 1e6:,.1f}"]
        for side in ("train", "held_out"):
            ratio = figures[f"{side}_bytes"] / max(1, figures[f"{side}_tokens"])
            cells += [f"{ratio:.3f}", f"{figures[f'{side}_change']:+.2%}"] if figures[f"{side}_bytes"] else ["–", "–"]
        shown.add_row(*cells)
    return shown


def _held_out_sentences(report: Report) -> list[str]:
    """What the columns of change mean, and how held-out text differs."""
    legend = "Change: tokens against the whole source. Held-out text was not used to choose tokens."
    if report.held_out_gap is None:
        return [legend, "No document was held out: the corpus is too small, so no held-out figure can be given."]
    points = 100 * report.held_out_gap
    return [legend, f"Held-out: {points:+.2f} points against the text that tokens were chosen on."]


def _size_sentences(report: Report) -> list[str]:
    """Embedding rows, and the ids of the result by kind."""
    from vocab.sizes import padded, size_facts

    sentences = []
    if report.multiple_of > 1:
        rows = padded(report.target, report.multiple_of)
        unused = rows - report.target
        sentences.append(f"Embedding rows for a multiple of {report.multiple_of}: {rows:,} ({unused} unused).")
    size, n_new = size_facts(report.target), report.candidates["n_new_in_result"]
    new = f", {n_new:,} of them new," if n_new else ""
    if report.not_carried:
        sentences.append(f"Not carried from tokenizer_config.json: {'; '.join(report.not_carried)}.")
    if gone := report.dropped_special:
        shown = ", ".join(gone[:3]) + (f", … {gone[-1]}" if len(gone) > 3 else "")
        sentences.append(f"Special tokens dropped: {len(gone):,} ({shown}); report.json lists them.")
    sentences.append(
        f"{report.n_ordinary:,} ordinary{new} + {report.added_tokens}; {report.n_unreachable} unreachable; "
        f"Hamming weight {size.hamming_weight}, divisible by {size.largest_power_of_two_divisor}."
    )
    return sentences


def _note_ungreedy(report: Report) -> None:
    """Say which files are missing for ungreedy and why, or that TokenMonster's method is meant for it."""
    if report.method == "tokenmonster" and report.inference != "ungreedy":
        console().print(
            f"TokenMonster chooses tokens for its own look-ahead (--inference ungreedy). Under {report.inference} its "
            "method is at a disadvantage."
        )
    if report.inference == "ungreedy":
        console().print(
            "No tokenizer.json and no .tiktoken: neither runs ungreedy. TokenMonster reads the YAML file; it does not "
            "split text first, so its tokens may differ where ours stop at the edge of a pre-token."
        )
