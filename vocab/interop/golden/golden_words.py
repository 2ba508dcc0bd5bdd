"""What is said of a check of golden ids: which runtime, which text, which ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vocab.interop.golden.golden_file import Answer
from vocab.interop.golden.golden_ids import GoldenDifference, LockCheck
from vocab.shown_text import one_line

_MOST_SHOWN, _MOST_IDS, _MOST_CHARACTERS = 10, 12, 60


def sentences(check: LockCheck, runtime: str) -> list[str]:
    """What differs of a runtime, most of it; empty where nothing does."""
    now = shown_versions(check.found.get(runtime, {}))
    locked = shown_versions(check.golden.runtimes[runtime].versions)
    if runtime in check.failed:
        return [f"{runtime} ({now}, locked with {locked}) does not load the folder: {one_line(check.failed[runtime])}"]
    found = check.of(runtime)
    if not found:
        return []
    first = f"{runtime} ({now}, locked with {locked}) gives other ids for {len(found):,} of {_n_texts(check)} texts:"
    shown = [_sentence(one) for one in found[:_MOST_SHOWN]]
    rest = len(found) - len(shown)
    return [first, *shown, *([f"and {rest:,} more"] if rest else [])]


def notes(check: LockCheck) -> Iterator[str]:
    """What should be known beside differences, as sentences."""
    if check.changed_files:
        yield f"Other content than when locked: {', '.join(check.changed_files)}."
    if check.missing:
        yield f"Not compared, because not installed or without a file here: {', '.join(check.missing)}."
    if check.added:
        yield f"Not locked: {', '.join(check.added)}. Write the lock again to have them in it."


def shown_versions(versions: Mapping[str, str]) -> str:
    """Versions of packages in one line."""
    return ", ".join(f"{name} {one_line(version)}" for name, version in versions.items())


def _n_texts(check: LockCheck) -> str:
    return f"{len(check.golden.texts):,}"


def _sentence(one: GoldenDifference) -> str:
    text = repr(one.text if len(one.text) <= _MOST_CHARACTERS else one.text[:_MOST_CHARACTERS] + "…")
    start = _first_other(one.locked, one.found)
    where = f" (from token {start})" if start else ""
    return f"  {one_line(text)}{where}: {_shown(one.locked, start)} became {_shown(one.found, start)}"


def _first_other(locked: Answer, found: Answer) -> int:
    """Where two answers begin to differ, a little before so that what is there can be told."""
    if isinstance(locked, str) or isinstance(found, str):
        return 0
    same = next(
        (k for k, (a, b) in enumerate(zip(locked, found, strict=False)) if a != b), min(len(locked), len(found))
    )
    return 0 if same < _MOST_IDS // 2 else same - 2


def _shown(answer: Answer, start: int) -> str:
    if isinstance(answer, str):
        return f"refused with {one_line(answer)}"
    ids = answer[start : start + _MOST_IDS]
    return f"[{' '.join(map(str, ids))}{' …' if start + _MOST_IDS < len(answer) else ''}]"
