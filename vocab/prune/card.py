"""The model card: README.md of a result, for a person who finds the folder."""

from __future__ import annotations

from vocab.choices import CHARACTER_METHODS
from vocab.formats.frame import carried_frame
from vocab.formats.sentencepiece_model import normalizer_of
from vocab.prune.report import (
    Report,
    ReportRow,
    candidates_sentences,
    certificate_sentence,
    inference_sentences,
    unknown_sentences,
    unused_sentences,
)
from vocab.shown_text import in_markdown
from vocab.vocabulary import Vocabulary

_SENTENCEPIECE_ALONE = """\
SentencePiece, and whatever reads its models:

    import sentencepiece
    processor = sentencepiece.SentencePieceProcessor(model_file="tokenizer.model")
"""
_SENTENCEPIECE = f"""\
Hugging Face:

    from transformers import AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")

{_SENTENCEPIECE_ALONE}"""

_LOADING = {
    "merges": """\
Hugging Face:

    from transformers import AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")

tiktoken, from the two files:

    import base64, json, tiktoken
    encoding = tiktoken.Encoding(mergeable_ranks={{base64.b64decode(t): int(r) for t, r in map(str.split, open("{name}.tiktoken"))}}, **json.load(open("{name}.json")))
""",
    "ungreedy": """\
TokenMonster, which is the only one to run `ungreedy`; no tokenizer.json or .tiktoken file can say it:

    import tokenmonster
    vocabulary = tokenmonster.new(open("{name}.tokenmonster.yaml").read())

TokenMonster does not split text before it cuts it, so its tokens may differ from the figures above where those stop at
the edge of a pre-token; it leaves out ordinary tokens of more than 40 bytes, which `ungreedy` never produces either.
`vocab.load("path/to/this/folder")` splits first, as the figures do.
""",
    "scored-merges": _SENTENCEPIECE,
    "unigram": _SENTENCEPIECE,
    "other": """\
Hugging Face:

    from transformers import AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")

There is no .tiktoken file, because tiktoken cannot run this vocabulary: {no_tiktoken}.
""",
}


def model_card(report: Report, vocabulary: Vocabulary, name: str) -> str:
    """README.md in Markdown."""
    loading, no_tiktoken = _loading(report, vocabulary), in_markdown(report.no_tiktoken or "")
    notes = "\n".join(f"{in_markdown(note)}\n" for note in report.corpus["notes"])
    source = in_markdown(report.source["name"])
    told = candidates_sentences(report.candidates, report.source["name"])
    candidates = "".join(f"{in_markdown(sentence)}\n" for sentence in told)
    candidates += "\n" if candidates and notes else ""
    unknown = [in_markdown(sentence) for sentence in unknown_sentences(report)]
    spread = "".join(f"{text}\n\n" for text in [*inference_sentences(report), *unused_sentences(report), *unknown])
    proof = (
        f"{in_markdown(certificate_sentence(report.certificate))} `certificate.zip` is the proof.\n\n"
        if report.certificate
        else ""
    )
    return f"""\
# {name}

{report.target:,} token ids, pruned from {source} ({report.source["n_ids"]:,} ids) by `vocab prune` with the method
`{report.method}`, to be run with the inference method `{report.inference}`. Ids {vocabulary.first_id:,} to {vocabulary.first_id + report.n_ordinary - 1:,} are ordinary tokens{_order(report)},
the others are {report.added_tokens}. `id_map.json` leads from old ids to new ones.

{candidates}{notes}
## Tokens

Change is in tokens against the whole source; held-out documents were not used to choose the vocabulary.

{markdown_table(report.rows)}
{spread}{proof}Tokens that no text produces: {report.n_unreachable}. Figures by part of the corpus are in `report.json`.

## Loading

{loading.format(name=name, no_tiktoken=no_tiktoken)}"""


def _runtimes(report: Report, vocabulary: Vocabulary) -> str:
    """Which of the texts of `_LOADING` fits the files that are written."""
    is_for_tiktoken = report.inference == "merges" and report.no_tiktoken is None
    is_for_sentencepiece = report.inference in CHARACTER_METHODS and not carried_frame(vocabulary)
    if is_for_tiktoken or is_for_sentencepiece or report.inference == "ungreedy":
        return report.inference
    return "other"


def _loading(report: Report, vocabulary: Vocabulary) -> str:
    """How the files are loaded."""
    if normalizer_of(vocabulary):
        return _SENTENCEPIECE_ALONE
    return _LOADING[_runtimes(report, vocabulary)]


def _order(report: Report) -> str:
    """Say in what order the ordinary tokens are."""
    name, n_new = in_markdown(report.source["name"]), report.candidates["n_new_in_result"]
    if report.ranks == "reorder":
        return f" in an order of their own, {n_new:,} of them not in {name}" if n_new else " in an order of their own"
    new = f"; {n_new:,} of them are not in {name} and stand after those that are" if n_new else ""
    return f" in the source's rank order{new}"


def markdown_table(rows: list[ReportRow]) -> str:
    """The rows of a report as a Markdown table."""
    head = (
        "| vocabulary | inference | ids | bytes a token | change | held-out bytes a token | held-out change | unused |\n"
        "|---|---|--:|--:|--:|--:|--:|--:|\n"
    )
    lines = [
        f"| {in_markdown(row.name)} | {row.inference} | {row.n_ids:,} | {row.train.bytes_per_token:.3f} | {row.train_change:+.2%} "
        f"| {_held_out(row)} | {row.n_unused:,} |\n"
        for row in rows
    ]
    return head + "".join(lines)


def _held_out(row: ReportRow) -> str:
    if not row.held_out.n_bytes:
        return "none held out | –"
    return f"{row.held_out.bytes_per_token:.3f} | {row.held_out_change:+.2%}"
