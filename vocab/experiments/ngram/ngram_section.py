"""The section of a report on n-gram models: bits per byte by vocabulary and size, and what differs."""

from __future__ import annotations

from collections.abc import Sequence

from vocab.experiments.ngram.ngram_analysis import NgramFinding, analyse_ngrams
from vocab.experiments.ngram.ngram_charts import change_chart
from vocab.experiments.ngram.ngram_spec import NgramStudy
from vocab.experiments.rows import StudyRow
from vocab.experiments.section import Section, made_on, table
from vocab.shown_text import in_code, in_markdown

_HEAD = ["vocabulary", "ids", "inference", "bytes a token", "bits per byte", "change", "95% interval", "p (Holm)"]


def ngram_section(study: NgramStudy, rows: Sequence[StudyRow]) -> Section:
    """Design, a table, a figure, and sentences on what differs from the baseline."""
    head = [f"## {in_markdown(study.name)}", "", in_markdown(study.question), "", _design(study), ""]
    if not rows:
        return Section("\n".join([*head, "**Not measured yet**: there are no rows of this study."]))
    findings = analyse_ngrams(rows, study)
    sentences = [_sentence(study, [one for one in findings if one.size == size]) for size in _sizes(findings)]
    chart = f"{study.name}-changes.svg"
    charts = {chart: change_chart(findings)} if any(one.change is not None for one in findings) else {}
    pictures = [f"![Change of bits per byte with 95% intervals]({chart})", ""] if charts else []
    shown = table(_HEAD, [_cells(one) for one in findings])
    listed = [f"- {in_markdown(sentence)}" for sentence in sentences]
    body = [made_on(rows), "", _text(rows[0]), "", shown, "", *pictures, *listed, "", *_missing(study, findings)]
    return Section("\n".join([*head, *body]), charts, sentences)


def _sizes(findings: Sequence[NgramFinding]) -> list[int]:
    return sorted({one.size for one in findings})


def _design(study: NgramStudy) -> str:
    is_made = any(arm.sizes for arm in study.arms)
    chosen = "Vocabularies were chosen on the text that was counted. " if is_made else ""
    against = f"Changes are against {in_markdown(study.baseline)}{' of the same size' if is_made else ''}. "
    return (
        f"For each vocabulary, n-grams of up to {study.order} tokens are counted in the same text, with modified "
        "Kneser-Ney smoothing (Chen and Goodman 1998). Loss is bits per byte of the same held-out documents, ends of "
        f"documents included. There are no seeds: counts give the same loss each time. {chosen}{against}Intervals come "
        "from resampling held-out documents. p-values are adjusted for all comparisons of this table (Holm). An n-gram "
        f"of {study.order} tokens sees more text where tokens are longer, as a model with a fixed context does."
    )


def _text(row: StudyRow) -> str:
    n_held_out = sum(row.result["document_bytes"])
    files = " and ".join(in_code(str(name)) for name in row.origin["corpus"])
    return (
        f"Text: {row.result['n_train_bytes']:,} bytes of {files} are counted; {n_held_out:,} bytes in "
        f"{len(row.result['document_bytes']):,} other documents are held out."
    )


def _missing(study: NgramStudy, findings: Sequence[NgramFinding]) -> list[str]:
    """A sentence that names the vocabularies without a row."""
    done = {(one.arm, one.size) for one in findings}
    sizes = ((arm.name, size) for arm in study.arms for size in arm.sizes or (0,))
    names = [f"{name} {size:,}" if size else name for name, size in sizes if (name, size) not in done]
    return [in_markdown(f"Not measured yet: {', '.join(names)}.")] if names else []


def _cells(one: NgramFinding) -> list[str]:
    about = [one.arm, f"{one.n_ids:,}", one.inference, f"{one.bytes_per_token:.3f}", f"{one.bits_per_byte:.4f}"]
    if one.change is None:
        return [*about, "baseline", "", ""]
    p_value = f"{one.p_value:.3f}" if one.p_value >= 0.001 else "below 0.001"
    return [*about, f"{one.change:+.2%}", f"{one.low:+.2%} … {one.high:+.2%}", p_value]


def _sentence(study: NgramStudy, findings: Sequence[NgramFinding]) -> str:
    """What is better, worse, and not told apart from the baseline at one size."""
    groups: dict[str, list[str]] = {"better": [], "worse": [], "not told apart": []}
    for one in findings:
        if one.change is not None:
            verdict = ("better" if one.change < 0 else "worse") if one.differs else "not told apart"
            groups[verdict].append(f"{one.arm} ({one.change:+.2%})")
    listed = "; ".join(f"{verdict}: {', '.join(names)}" for verdict, names in groups.items() if names)
    where = f"At {findings[0].size:,} ids" if findings[0].size else "Whole vocabularies"
    return f"{where}, bits per byte beside {study.baseline}: {listed or 'nothing to compare'}."
