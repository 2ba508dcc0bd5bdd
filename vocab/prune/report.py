"""What a pruning did, in figures: one record, from which report.json, the model card and the screen are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vocab.analysis.evaluation import Compression, Evaluation
from vocab.environment import versions
from vocab.sizes import padded, size_facts


@dataclass(frozen=True, kw_only=True)
class Row:
    """One vocabulary in the table of a report; changes are against the whole source."""

    name: str
    inference: str
    n_ids: int
    train: Compression
    held_out: Compression
    train_change: float
    held_out_change: float
    parts: dict[str, dict[str, float]]  # name: bytes, tokens and change, trained on and held out
    n_unused: int


def make_row(name: str, inference: str, n_ids: int, figures: Evaluation, source: Evaluation, n_unused: int) -> Row:
    """A row from an evaluation and that of the whole source."""
    return Row(
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
    """Tokens more than the base's as a share, negative for fewer; 0 where there is no text."""
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
    """Everything that `report.json` says. `seconds` is wall time by stage, `seed` None for methods without chance."""

    source: dict[str, Any]
    target: int
    n_ordinary: int
    n_special: int
    method: str
    inference: str
    ranks: str  # whether kept tokens have the source's order or were put in another
    # tokens more than the same vocabulary needs under least-tokens, as a share; None where that cannot be
    above_least_tokens: dict[str, float] | None
    corpus: dict[str, Any]
    candidates: dict[str, Any]  # what could be chosen from, and how many of the result's tokens the source lacks
    rows: list[Row]  # the whole source first, then the result, then the baselines
    n_unreachable: int
    multiple_of: int
    seconds: dict[str, float]
    seed: int | None = None
    scores: str | None = None  # of unigram: the source's, or fitted to the corpus
    certificate: dict[str, Any] | None = None  # claims of certificate.zip, with digests

    @property
    def result(self) -> Row:
        """The row of the vocabulary that was made."""
        return self.rows[1]

    @property
    def held_out_gap(self) -> float | None:
        """How much more the result loses on held-out text than on the text it was chosen by; None without the former.

        Both losses are shares of the whole source's tokens there. A large gap means too little text for the target.
        """
        result = self.result
        return result.held_out_change - result.train_change if result.held_out.n_bytes else None

    def as_json(self) -> dict[str, Any]:
        """The report as JSON types."""
        rows = []
        for row in self.rows:
            content = asdict(row)
            for key, text in (("train", row.train), ("held_out", row.held_out)):
                content[key]["bytes_per_token"] = text.bytes_per_token
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
    """What is left between the inference method and least-tokens, and whose order the ranks are in, for people."""
    if report.scores:
        whose = "Scores were fitted to the corpus" if report.scores == "refitted" else "Scores are the source's"
        return [f"{whose}, in steps of 1/128, which every runtime adds up alike."]
    above = report.above_least_tokens
    if report.inference == "least-tokens" or above is None:
        return []
    held_out = f" ({above['held_out']:.2%} on held-out text)" if report.result.held_out.n_bytes else ""
    sentences = [
        f"{report.inference} needs {above['train']:.2%} more tokens than least-tokens would with them{held_out}."
    ]
    if report.ranks == "reorder":
        sentences.append("Ranks were put in the order that merging needs fewest tokens with, not the source's.")
    return sentences


def candidates_sentences(candidates: Mapping[str, Any], source: str) -> list[str]:
    """What could be chosen from, for people; nothing where that was the source's tokens alone."""
    sentences = []
    if candidates["others"]:
        origins = [f"{_origin(other)} ({other['n_new']:,} of {other['n_found']:,})" for other in candidates["others"]]
        sentences.append(
            f"{candidates['n_of_source']:,} candidates were tokens of {source}; new ones came from "
            f"{', '.join(origins)}: {candidates['n_candidates']:,} in all."
        )
    if candidates["min_documents"] > 1:
        sentences.append(
            f"Each is in {candidates['min_documents']} documents or more, single bytes and tokens to keep aside; "
            f"{candidates['n_of_source_left_out']:,} tokens of {source} are not."
        )
    return sentences


def _origin(other: Mapping[str, Any]) -> str:
    if other["min_count"] is None:
        return str(other["name"])
    documents = f" in {other['min_documents']} documents or more" if other["min_documents"] > 1 else ""
    return f"substrings of the corpus that occur {other['min_count']:,} times or more{documents}"


def sentence_of(claims: Mapping[str, Any]) -> str:
    """What a certificate claims, for people."""
    return (
        f"At most {claims['gap']:.4%} above the best possible {claims['n_keep']:,} tokens: no choice of so many of the "
        f"{claims['n_candidates']:,} candidates, single bytes and tokens to keep among them, needs fewer than "
        f"{claims['bound_tokens']:,} tokens for {claims['objective']}; these need {claims['tokens']:,} under "
        f"{claims['inference']}."
    )
