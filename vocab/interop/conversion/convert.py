"""`convert`: a vocabulary in another format, exactly or with measured differences.

Exact means that every id keeps its token and every text gets the same ids. The files are read back, and compared in
every runtime that is installed, before the folder takes its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vocab.analysis.segmentation import TextDifferences, text_differences
from vocab.choices import CHARACTER_METHODS, VocabularyFormat
from vocab.environment import versions
from vocab.errors import SourceError
from vocab.formats import load_lossless
from vocab.formats.folder import safe_name, write_hugging_face
from vocab.formats.frame import carried_frame
from vocab.formats.sentencepiece_model import FILE_NAME as SENTENCEPIECE
from vocab.formats.sentencepiece_model import write_sentencepiece
from vocab.formats.tekken import FILE_NAME as TEKKEN
from vocab.formats.tekken import can_hold, write_tekken
from vocab.formats.tiktoken_file import obstacle as obstacle_to_tiktoken
from vocab.formats.tiktoken_file import write_tiktoken
from vocab.formats.tokenizer_json import is_token_text
from vocab.formats.tokenmonster_yaml import ENDING, write_tokenmonster_yaml
from vocab.interop.conversion.id_mapping import id_map
from vocab.interop.conversion.reshape import (
    as_byte_level,
    as_scored_pieces,
    numbered,
    unused_ids,
    with_bytes_first,
    with_holes_named,
    without_frame,
)
from vocab.interop.conversion.trial_texts import trial_texts
from vocab.interop.conversion.verify import Verification, verify
from vocab.utf8 import is_utf8
from vocab.vocabulary import Vocabulary
from vocab.writing import staged_folder, with_digest, write_json

_VERIFIED_BYTES = 200_000  # of the profile's words, beside hard texts and every token
_WRITERS: dict[VocabularyFormat, Callable[[Vocabulary, Path, str], object]] = {
    "tiktoken": write_tiktoken,
    "tokenizer.json": lambda vocabulary, folder, name: write_hugging_face(vocabulary, folder),
    "sentencepiece": lambda vocabulary, folder, name: write_sentencepiece(vocabulary, folder / SENTENCEPIECE),
    "tekken": lambda vocabulary, folder, name: write_tekken(vocabulary, folder / TEKKEN),
    "tokenmonster": lambda vocabulary, folder, name: write_tokenmonster_yaml(vocabulary, folder / (name + ENDING)),
}


@dataclass(frozen=True)
class Conversion:
    """The files that `convert` wrote.

    Attributes:
        source: the vocabulary that was converted.
        vocabulary: the vocabulary in the files, as it was read back.
        format: the format of the files.
        obstacle: why the format cannot hold the source exactly; None where it does.
        measured: differences on the texts given; None for an exact conversion.
        verification: the runtimes that load the folder. They all agree.
        map_of_ids: the content of id_map.json; empty for an exact conversion.
        paths: the files.
    """

    source: Vocabulary
    vocabulary: Vocabulary
    format: VocabularyFormat
    obstacle: str | None
    measured: TextDifferences | None
    verification: Verification
    map_of_ids: Mapping[str, Any]
    paths: list[Path]

    @property
    def named_holes(self) -> int:
        """Number of unused ids that got a name in the files, since the format allows no holes."""
        return len(unused_ids(self.source)) if self.obstacle is None and self.format == "tokenizer.json" else 0


def obstacle(vocabulary: Vocabulary, target: VocabularyFormat) -> str | None:
    """Why a format cannot hold a vocabulary exactly, as the end of a sentence; None where it can."""
    method = vocabulary.inference
    if target in ("tiktoken", "tekken") and (reason := obstacle_to_tiktoken(vocabulary)):
        return reason
    if target == "tokenmonster":
        return _obstacle_to_tokenmonster(vocabulary)
    if target == "sentencepiece" and method not in CHARACTER_METHODS:
        n = sum(not is_utf8(token) for token in vocabulary.tokens())
        return f"it has no split pattern, and {n:,} tokens are no text (not UTF-8)"
    if target == "sentencepiece" and carried_frame(vocabulary):
        return "it merges or prepares text as only Hugging Face tokenizers does"
    if target == "tokenizer.json" and method == "ungreedy":
        return "none of its models looks ahead, as ungreedy does"
    if target == "tekken" and unused_ids(vocabulary):
        return "it allows no holes in the ids"
    if target == "tekken" and not can_hold(vocabulary):
        return "there the first ids are those of the special tokens, then of the 256 bytes in order"
    return None


def _obstacle_to_tokenmonster(vocabulary: Vocabulary) -> str | None:
    if vocabulary.inference != "ungreedy":
        return f"TokenMonster only runs ungreedy, and this vocabulary is for {vocabulary.inference}"
    if vocabulary.pattern.steps:
        return "its split is one regular expression, before which nothing is done to text"
    return (
        "there ordinary tokens have the first ids"
        if vocabulary.first_id or vocabulary.ids is not None or unused_ids(vocabulary)
        else None
    )


def fitted(vocabulary: Vocabulary, target: VocabularyFormat) -> Vocabulary:
    """The vocabulary as the format can hold it; the same where that is exact."""
    if obstacle(vocabulary, target) is None:
        return with_holes_named(vocabulary) if target == "tokenizer.json" else vocabulary
    vocabulary = vocabulary if target == "tokenizer.json" else without_frame(vocabulary)
    if target == "sentencepiece":
        return as_scored_pieces(vocabulary)
    if target == "tokenizer.json":
        return with_holes_named(as_byte_level(vocabulary, "least-tokens"))
    if target == "tiktoken":
        return numbered(as_byte_level(vocabulary, "merges"), special_first=False)
    if target == "tokenmonster":
        return numbered(as_byte_level(vocabulary, "ungreedy"), special_first=False)
    return numbered(with_bytes_first(as_byte_level(vocabulary, "merges")), special_first=True)


def convert(
    source: Vocabulary,
    target: VocabularyFormat,
    directory: str | Path,
    *,
    approximate: bool = False,
    texts: Iterable[str] = (),
    force: bool = False,
) -> Conversion:
    """Write a vocabulary to a folder in another format, with a report.json, all or nothing.

    The files are read back and compared in every runtime that is installed, before the folder appears.

    Args:
        source: the vocabulary to convert.
        target: the format to write.
        directory: folder to write; a conversion that is not exact writes an id_map.json there as well.
        approximate: whether to write the nearest vocabulary where the format cannot hold the source exactly.
        texts: texts to compare besides the usual ones. On them the differences of an approximate conversion are
            measured.
        force: whether to replace an earlier result in the folder.

    Raises:
        SourceError: the format cannot hold the source exactly and `approximate` is not set, or a runtime gives other
            ids than intended, or the source cannot be pruned.
        OutputError: the folder may not be written.
    """
    source, directory = load_lossless(source), Path(directory)
    reason = obstacle(source, target)
    _check(source, target, reason, approximate=approximate)
    intended = fitted(source, target)
    name, texts = safe_name(source.name), list(texts)
    with staged_folder(directory, force=force) as staging:
        _WRITERS[target](intended, staging, name)
        read = load_lossless(staging)
        tried = [*trial_texts(read, _VERIFIED_BYTES), *texts]
        verification = _verified(source if reason is None else intended, read, staging, target, tried)
        ids = id_map(source, read) if reason else {}
        measured = text_differences(source, read, texts) if reason else None
        if reason:
            write_json(staging / "id_map.json", with_digest(ids), None)
        result = Conversion(source, read, target, reason, measured, verification, ids, [])
        write_json(staging / "report.json", report_of(result), 2)
        names = sorted(path.name for path in staging.iterdir())
    result.paths.extend(directory / file_name for file_name in names)
    return result


def _check(source: Vocabulary, target: VocabularyFormat, reason: str | None, *, approximate: bool) -> None:
    if reason and not approximate:
        raise SourceError(
            f"{target} cannot hold {source.name} exactly: {reason}; pass `approximate` to convert it all the "
            "same and have the differences measured"
        )
    if not source.special_tokens and target == "tekken":
        raise SourceError(f"tekken.json needs special tokens, and {source.name} has none")
    clash = (text for text in source.special_tokens if target == "tokenizer.json" and is_token_text(source, text))
    if taken := next(clash, None):
        raise SourceError(
            f"the special token {taken!r} reads like an ordinary token in tokenizer.json, and would lose its id"
        )


def _verified(
    intended: Vocabulary, read: Vocabulary, folder: Path, target: VocabularyFormat, texts: Sequence[str]
) -> Verification:
    """Check the folder: what is read back is the intended vocabulary, and every runtime gives its ids.

    For an exact conversion the intended vocabulary is the source itself.
    """
    _check_same(intended, read, texts)
    verification = verify(folder, texts, with_chat=False)  # the source's template, right or wrong
    if differing := [check for check in verification.checks if not check.agrees]:
        first = differing[0]
        what = first.failure or f"other ids for {first.n_different:,} of {first.n_texts:,} texts"
        raise SourceError(f"{target} was not written, since {first.runtime} {first.version} differs: {what}")
    return verification


def _check_same(source: Vocabulary, read: Vocabulary, texts: Sequence[str]) -> None:
    """The same tokens by the same ids, and the same ids for the same texts; raises SourceError naming what differs."""
    if read.tokens_by_id != source.tokens_by_id:
        raise SourceError(f"{read.name} would not have the tokens that were meant: please report this")
    moved = [text for text, id_ in source.special_tokens.items() if read.special_tokens.get(text) != id_]
    encoded = zip(texts, source.encode_batch(texts), read.encode_batch(texts), strict=True)
    differing = [*moved, *(text for text, ours, theirs in encoded if ours != theirs)]
    if differing:
        raise SourceError(f"{read.name} would have other ids than were meant for {differing[0][:80]!r}")


def report_of(result: Conversion) -> dict[str, Any]:
    """The content of report.json."""
    measured, ids = result.measured, result.map_of_ids
    report: dict[str, Any] = {
        "source": {"name": result.source.name, "sha256": result.source.provenance.sha256},
        "format": result.format,
        "is_exact": result.obstacle is None,
        "obstacle": result.obstacle,
        "inference_before": result.source.inference,
        "inference": result.vocabulary.inference,
        "n_ids_before": result.source.n_ids,
        "n_ids": result.vocabulary.n_ids,
        "n_named_holes": result.named_holes,
        "n_tokens_dropped": len(ids.get("dropped", {})),
        "n_tokens_added": len(ids.get("added", {})),
        "n_unreachable": result.verification.n_unreachable,
    }
    if measured:
        shares = {"more_tokens": measured.more_tokens, "boundaries_kept": measured.boundaries_kept}
        report["differences"] = {**asdict(measured), **shares}
    checks = result.verification.checks
    report["runtimes"] = [
        {"name": c.runtime, "version": c.version, "n_texts": c.n_texts, "n_bytes": c.n_bytes} for c in checks
    ]
    return report | {"versions": dict(versions())}
