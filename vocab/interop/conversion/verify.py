"""`verify`: the same ids and the same text back in every runtime that loads a folder.

What `vocab.load` reads from the folder is compared with each runtime that is installed and finds its file there. Texts
that hold a special token go to default calls alone, because runtimes differ on purpose in whether they recognise it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from vocab.analysis.reachable import unreachable
from vocab.formats import load_lossless
from vocab.interop.conversion.chat import verify_chat
from vocab.interop.conversion.default_calls import compare_default_calls, default_texts
from vocab.interop.conversion.installed_runtimes import installed_runtimes
from vocab.interop.conversion.peer_runtime import Decode, PeerRuntime
from vocab.interop.conversion.runtime_check import RuntimeCheck, reason_of
from vocab.reading import read_json
from vocab.splitting.preparation import MARK
from vocab.vocabulary import Vocabulary


@dataclass(frozen=True)
class _Expected:
    """Texts, with our ids and what these ids give back."""

    texts: list[str]
    ids: list[list[int]]
    restored: list[str]

    @classmethod
    def of(cls, vocabulary: Vocabulary, texts: list[str]) -> _Expected:
        return cls(texts, vocabulary.encode_batch(texts), [vocabulary.restored(text) for text in texts])


@dataclass(frozen=True)
class Verification:
    """All checks of a folder.

    Attributes:
        vocabulary: the vocabulary as `vocab.load` reads it from the folder.
        checks: one for each runtime, ours first.
        n_unreachable: tokens of 2 bytes or more for which no text was found.
        n_with_special: texts given that hold a special token, which only default calls were compared on.
        notes: sentences on what the files do to texts by default, such as cutting them off.
        chat: the check of the chat template; None where there is none, or with `with_chat=False`.
    """

    vocabulary: Vocabulary
    checks: list[RuntimeCheck]
    n_unreachable: int
    n_with_special: int = 0
    notes: tuple[str, ...] = ()
    chat: RuntimeCheck | None = None

    @property
    def has_contiguous_ids(self) -> bool:
        """Whether ids have no holes."""
        return self.vocabulary.max_id == self.vocabulary.n_ids - 1

    @property
    def agrees(self) -> bool:
        """Whether every runtime gives the same ids and texts, rendered chats too, and ids have no holes."""
        checks = [*self.checks, self.chat] if self.chat else self.checks
        return all(check.agrees for check in checks) and self.has_contiguous_ids


def verify(directory: str | Path, texts: Sequence[str], *, with_chat: bool = True) -> Verification:
    """Compare every runtime that is installed and can load a folder.

    Args:
        directory: a folder that `vocab.load` takes, or a GGUF file.
        texts: texts to encode and decode; those that hold a special token are compared by default calls alone.
        with_chat: whether transformers renders the folder's chat template, in its sandbox, on some conversations.

    Raises:
        SourceError: `vocab.load` cannot read the folder, or what is in it cannot be pruned.
    """
    directory = Path(directory)
    vocabulary = load_lossless(directory)
    plain: list[str] = []
    with_special: list[str] = []
    for text in texts:
        (with_special if vocabulary.has_special(text) else plain).append(text)
    expected = _Expected.of(vocabulary, plain)
    checks = [_our_check(vocabulary, expected)]
    by_default = default_texts(vocabulary, with_special)
    for name, package, runtime in installed_runtimes(directory):
        checks.append(_checked(name, package, runtime, vocabulary, expected, by_default))
    produced = np.zeros(vocabulary.n_tokens, dtype=np.bool_)
    ranks = vocabulary.ranks_of(list({id_ for ids in expected.ids for id_ in ids}))
    produced[ranks[ranks >= 0]] = True
    never_produced = unreachable(vocabulary, np.flatnonzero(~produced & (vocabulary.lengths > 1)))
    chat = verify_chat(directory, vocabulary) if with_chat else None
    return Verification(vocabulary, checks, int(never_produced.size), len(with_special), _notes(directory), chat)


def _notes(directory: Path) -> tuple[str, ...]:
    """What a tokenizer.json does to texts by default beside giving ids."""
    path = directory / "tokenizer.json"
    if not path.is_file():
        return ()
    settings = read_json(path)
    cut, padded = settings.get("truncation"), settings.get("padding")
    notes = [f"tokenizer.json cuts texts off after {cut.get('max_length')} tokens (truncation)."] if cut else []
    return (*notes, *(["tokenizer.json pads texts to one length (padding)."] if padded else []))


def _our_check(vocabulary: Vocabulary, expected: _Expected) -> RuntimeCheck:
    check = RuntimeCheck("vocab", version("vocabkit"), vocabulary.n_ids)
    return _compare(check, expected.ids, expected, vocabulary.decode, vocabulary)


def _checked(
    name: str,
    package: str,
    load_runtime: Callable[[], PeerRuntime],
    vocabulary: Vocabulary,
    expected: _Expected,
    by_default: Sequence[str],
) -> RuntimeCheck:
    check = RuntimeCheck(name, version(package))
    try:
        runtime = load_runtime()
        check.n_ids = runtime.n_ids
        theirs = runtime.encode(list(expected.texts))
        _compare(check, theirs, expected, runtime.decode, vocabulary)
        for text, id_ in vocabulary.special_tokens.items():
            check.n_special_different += runtime.special_id(text) != id_
        if runtime.default_calls:
            compare_default_calls(check, runtime.default_calls, vocabulary, by_default)
    except Exception as error:  # noqa: BLE001 - a runtime may raise anything
        check.failure = reason_of(error)
    if check.n_ids != vocabulary.n_ids and not check.failure:
        check.failure = f"has {check.n_ids:,} ids, not {vocabulary.n_ids:,}"
    return check


def _compare(
    check: RuntimeCheck, ids: Sequence[list[int]], expected: _Expected, decode: Decode, vocabulary: Vocabulary
) -> RuntimeCheck:
    for text, theirs, ours, restored in zip(expected.texts, ids, expected.ids, expected.restored, strict=True):
        check.n_texts += 1
        check.n_bytes += len(text.encode())
        if theirs != ours:
            check.n_different += 1
            check.first_different = check.first_different or text
        is_kept = not (vocabulary.pattern.is_sentencepiece and MARK in text)  # there ▁ is a space
        check.n_not_restored += is_kept and decode(theirs) != restored
    return check
