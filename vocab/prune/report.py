"""The figures of a pruning: one record, from which report.json, the model card and the screen are written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from vocab.analysis.evaluation import Compression, Evaluation
from vocab.environment import versions
from vocab.prune.candidates.pool import SUPERWORDS
from vocab.sizes import padded, size_facts


@dataclass(frozen=True, kw_only=True)
class ReportRow:
    """One vocabulary in the table of a report.

    Attributes:
        name: the method, or the name of the source.
        inference: how text is cut into tokens.
        n_ids: ids, special tokens included.
        train: tokens of the text that tokens were chosen by.
        held_out: tokens of the text held out.
        train_change: training tokens above those of the whole source, as a share.
        held_out_change: held-out tokens above those of the whole source, as a share.
        parts: by name of a part: bytes, tokens and change, trained on and held out.
        n_unused: tokens that the corpus does not use.
    """

    name: str
    inference: str
    n_ids: int
    train: Compression
    held_out: Compression
    train_change: float
    held_out_change: float
    parts: dict[str, dict[str, float]]
    n_unused: int


def make_row(
    name: str, inference: str, n_ids: int, figures: Evaluation, source: Evaluation, n_unused: int
) -> ReportRow:
    """Make a row from an evaluation and that of the whole source."""
    return ReportRow(
        name=name,
        inference=inference,
        n_ids=n_ids,
        train=figures.train,
        held_out=figures.held_out,
        train_change=change(figures.train, source.train),
        held_out_change=change(figures.held_out, source.held_out),
        parts={part: _part(figures, source, part) for part in figures.parts},
        n_unused=n_unused,
    )


def change(ours: Compression, base: Compression) -> float:
    """Tokens above the base's, as a share of them: negative for fewer, 0 for empty text."""
    return ours.n_tokens / base.n_tokens - 1 if base.n_tokens else 0.0


def _part(figures: Evaluation, source: Evaluation, part: str) -> dict[str, float]:
    (train, held_out), (source_train, source_held_out) = figures.parts[part], source.parts[part]
    return {
        "train_bytes": train.n_bytes,
        "train_tokens": train.n_tokens,
        "train_change": change(train, source_train),
        "held_out_bytes": held_out.n_bytes,
        "held_out_tokens": held_out.n_tokens,
        "held_out_change": change(held_out, source_held_out),
    }


@dataclass(frozen=True, kw_only=True)
class Report:
    """The content of report.json.

    Attributes:
        source: name, sha256, ids and split pattern of the source.
        target: ids of the result, special tokens included.
        n_ordinary: ordinary tokens of the result.
        n_special: special and other added tokens of the result.
        n_added_texts: those of them that are text themselves, and not special.
        method: how tokens were chosen.
        inference: how text is cut into tokens with the result.
        ranks: "source" or "reorder": whose order the ranks have.
        above_least_tokens: tokens above those of the same vocabulary under least-tokens, as shares, on "train" and on
            "held_out"; None where least-tokens is not defined.
        corpus: what was counted.
        candidates: what could be chosen from, and how many tokens of the result the source lacks.
        rows: the whole source, then the result, then the baselines.
        n_unreachable: tokens of the result that no text produces.
        multiple_of: multiple for which embedding rows are stated.
        seconds: wall time by stage.
        seed: random seed; None for methods that use none.
        scores: under unigram "source" or "refitted", else None.
        certificate: the claims of certificate.zip, with digests; None without one.
        dropped_special: special tokens of the source that were left out, by their texts.
        not_carried: settings of the source's folder that the result does not have, in words.
        unknown: the token for text that no token spells; None where every text is spelt.
        character_coverage: share of the text's characters that had to stay known; None for all that the source spells.
        saved_from_scratch: share of the result's tokens that byte-level BPE as large, trained on the same text,
            would save, on the text's most frequent pre-tokens; None where the command did not measure it.
        options: the options of the command that made the result, by their names; empty for a call of the library.
        no_tiktoken: why tiktoken cannot run the result, as the end of a sentence; None where it can.
        closed: whether each token of two bytes or more is one merge of two tokens of lower rank; None except under
            merges.
    """

    source: dict[str, Any]
    target: int
    n_ordinary: int
    n_special: int
    method: str
    inference: str
    ranks: str
    above_least_tokens: dict[str, float] | None
    corpus: dict[str, Any]
    candidates: dict[str, Any]
    rows: list[ReportRow]
    n_unreachable: int
    multiple_of: int
    seconds: dict[str, float]
    seed: int | None = None
    scores: str | None = None
    certificate: dict[str, Any] | None = None
    dropped_special: list[str] = field(default_factory=list)
    not_carried: list[str] = field(default_factory=list)
    saved_from_scratch: float | None = None
    options: dict[str, Any] = field(default_factory=dict)
    unknown: str | None = None
    character_coverage: float | None = None
    n_added_texts: int = 0
    no_tiktoken: str | None = None
    closed: bool | None = None

    @property
    def result(self) -> ReportRow:
        """The row of the new vocabulary."""
        return self.rows[1]

    @property
    def added_tokens(self) -> str:
        """How many special tokens there are, and how many added tokens that are text, in words."""
        texts = f" and {self.n_added_texts:,} added tokens that are text" if self.n_added_texts else ""
        return f"{self.n_special - self.n_added_texts:,} special tokens{texts}"

    @property
    def held_out_gap(self) -> float | None:
        """The change on held-out text less that on the text that tokens were chosen by; None without held-out text.

        Both changes are shares of the whole source's tokens. A large gap means too little text for the target.
        """
        result = self.result
        return result.held_out_change - result.train_change if result.held_out.n_bytes else None

    def as_json(self) -> dict[str, Any]:
        """The report as JSON types."""
        rows = []
        for row in self.rows:
            content = asdict(row)
            for key, text in (("train", row.train), ("held_out", row.held_out)):
                content[key] |= {"bytes_per_token": text.bytes_per_token, "unknown_share": text.unknown_share}
            rows.append(content)
        size = asdict(size_facts(self.target))
        return {
            **{k: v for k, v in asdict(self).items() if k not in ("rows", "multiple_of")},
            "held_out_gap": self.held_out_gap,
            "size": size | {"multiple_of": self.multiple_of, "padded_rows": padded(self.target, self.multiple_of)},
            "rows": rows,
            "versions": versions(),
        }


def inference_sentences(report: Report) -> list[str]:
    """Say how far the inference method is from least-tokens, and whose order or scores the tokens have."""
    if report.scores:
        whose = "Scores were fitted to the corpus" if report.scores == "refitted" else "Scores are the source's"
        return [f"{whose}, in steps of 1/128, which every runtime adds up alike."]
    above = report.above_least_tokens
    if report.inference == "least-tokens" or above is None:
        return []
    held_out = f" ({above['held_out']:.2%} on held-out text)" if report.result.held_out.n_bytes else ""
    sentences = [
        f"With this vocabulary, {report.inference} needs {above['train']:.2%} more tokens than the fewest "
        f"possible{held_out}."
    ]
    if report.ranks == "reorder":
        sentences.append("Ranks were put into a new order, by which merging needs fewer tokens than by the source's.")
    if report.closed:
        sentences.append("Closed: runtimes that read only merges, and look up no whole words, give the same ids.")
    return sentences


def unused_sentences(report: Report) -> list[str]:
    """Say that most tokens are not in the text, where it is too short to choose so many by."""
    n_unused = report.rows[1].n_unused
    if 2 * n_unused <= report.n_ordinary:
        return []
    return [
        f"{n_unused:,} of the {report.n_ordinary:,} ordinary tokens are nowhere in the text, which is too short for so "
        "many: give more of it, or a smaller target."
    ]


def unknown_sentences(report: Report) -> list[str]:
    """Say what share of the text becomes the unknown token, before and after; no sentence where nothing does."""
    if report.unknown is None:
        return []
    before, after = report.rows[0], report.result
    held_out = (
        f" (held-out text: {before.held_out.unknown_share:.4%} and {after.held_out.unknown_share:.4%})"
        if after.held_out.n_bytes
        else ""
    )
    return [
        f"Text that becomes {report.unknown}: {before.train.unknown_share:.4%} of bytes with the source, "
        f"{after.train.unknown_share:.4%} with the result{held_out}."
    ]


def candidates_sentences(candidates: Mapping[str, Any], source: str) -> list[str]:
    """Say what could be chosen from; no sentence where that was the source's tokens alone."""
    sentences = []
    if candidates["others"]:
        origins = [f"{_origin(other)} ({other['n_new']:,} of {other['n_found']:,})" for other in candidates["others"]]
        sentences.append(
            f"{candidates['n_of_source']:,} candidates were tokens of {source}; new ones came from "
            f"{', '.join(origins)}: {candidates['n_candidates']:,} in all."
        )
    if candidates["min_documents"] > 1:
        sentences.append(
            f"Each is in {candidates['min_documents']} documents or more, except single bytes and tokens to keep; "
            f"{candidates['n_of_source_left_out']:,} tokens of {source} are not."
        )
    if superwords := candidates.get("superwords"):
        sentences.append(_superwords_sentence(superwords))
    return sentences


def _superwords_sentence(superwords: Mapping[str, Any]) -> str:
    """Say how many superwords there are, and name frequent ones, as code of Markdown."""
    shown = [text for text in superwords["most_frequent"] if "`" not in text]
    most = ", ".join(f"`{json.dumps(text, ensure_ascii=False)}`" for text in shown)
    return (
        f"{superwords['n_in_result']:,} tokens are superwords, which make {superwords['share_of_tokens']:.1%} of the "
        f"tokens of the training text; the most frequent: {most}."
    )


def _origin(other: Mapping[str, Any]) -> str:
    if other["min_count"] is None:
        return str(other["name"])
    if other["name"] == SUPERWORDS:
        least = f"{other['min_count']:,} times or more, in {other['min_documents']} documents or more"
        return f"superwords that occur {least}"
    documents = f" in {other['min_documents']} documents or more" if other["min_documents"] > 1 else ""
    return f"substrings of the corpus that occur {other['min_count']:,} times or more{documents}"


def certificate_sentence(claims: Mapping[str, Any]) -> str:
    """Say what a certificate claims."""
    n_repeated, n_put_in = claims.get("n_repeated", 0), claims.get("n_put_in", 0)
    aside = f" {n_repeated} byte pieces that repeat one of them are in every choice besides." if n_repeated else ""
    aside += f" {n_put_in} of both are single bytes that no token is, and that none needs." if n_put_in else ""
    return (
        f"At most {claims['gap']:.4%} above the best possible {claims['n_keep']:,} tokens: no choice of so many of the "
        f"{claims['n_candidates']:,} candidates (with single bytes and tokens to keep) needs fewer than "
        f"{claims['bound_tokens']:,} tokens for {claims['objective']}; these need {claims['tokens']:,} under "
        f"{claims['inference']}.{aside} {settled_sentence(claims)}"
    )


def settled_sentence(claims: Mapping[str, Any]) -> str:
    """Say how many tokens a certificate proves to be in every choice as good as the result, and how many in none."""
    n_in = claims["n_always_kept"] + claims["n_in_every"]
    return (
        f"{n_in:,} of the {claims['n_keep']:,} tokens are in every choice at least this good, "
        f"{claims['n_always_kept']:,} of them because they are always kept. {claims['n_in_none']:,} candidates are "
        "ruled out."
    )
