"""The study that compares vocabularies: its settings, and its file in TOML."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vocab.errors import StudyError
from vocab.experiments.loss.arms import load_source
from vocab.experiments.loss.loss_spec import Arm, LossStudy
from vocab.experiments.ngram.ngram_spec import NgramStudy
from vocab.formats.folder import safe_name
from vocab.vocabulary import Vocabulary

_ORDER = 5
# MB of text for vocabularies and held-out text beside what models train on.
_LEAST_SAMPLE = 8.0
_TRAINING: Mapping[str, Any] = {
    "held_out_megabytes": 0.03,
    "marks": 8,
    "batch": 8,
    "seq_len": 64,
    "learning_rate": 0.003,
    "cycles": 12,
}
_SHOWN_DIGEST = 16


def arms_of(sources: Sequence[str]) -> tuple[Arm, ...]:
    """An arm for each vocabulary, with the last part of its name; equal ones are numbered.

    Raises:
        StudyError: there are fewer than two.
    """
    if len(set(sources)) < 2:
        raise StudyError("a comparison needs two vocabularies or more, each another one")
    names: list[str] = []
    for source in sources:
        name = safe_name(Path(source).name)
        n_before = sum(other == name or other.startswith(f"{name} (") for other in names)
        names.append(f"{name} ({n_before + 1})" if n_before else name)
    return tuple(Arm(name=name, build="whole", source=source) for name, source in zip(names, sources, strict=True))


def counting_study(name: str, arms: tuple[Arm, ...], megabytes: float) -> NgramStudy:
    """A study of counts of whole vocabularies; the first is the baseline."""
    words = {"question": _question(arms), "notes": _notes(arms)}
    return NgramStudy(name=name, **words, arms=arms, baseline=arms[0].name, order=_ORDER, megabytes=megabytes)


def training_study(
    name: str, arms: tuple[Arm, ...], megabytes: float, available: float, preset: str, n_seeds: int
) -> LossStudy:
    """A study of losses of whole vocabularies; the first is the baseline. `available` is in MB of text."""
    sample = min(available, max(_LEAST_SAMPLE, 2 * megabytes))
    return LossStudy(
        name=name,
        question=_question(arms),
        notes=_notes(arms),
        arms=arms,
        baseline=(arms[0].name, load_source(arms[0].source).max_id + 1),
        seeds=tuple(range(n_seeds)),
        preset=preset,
        choosing_megabytes=sample,
        megabytes=min(megabytes, sample / 2),
        **_TRAINING,
    )


def _question(arms: Sequence[Arm]) -> str:
    return f"Which vocabulary is better for a model: {', '.join(arm.name for arm in arms)}?"


def _notes(arms: Sequence[Arm]) -> str:
    """Digests of the vocabularies, so that another one under the same name is another study."""
    digests = (f"{arm.name} {_digest(load_source(arm.source))[:_SHOWN_DIGEST]}" for arm in arms)
    return f"Digests of the vocabularies: {', '.join(digests)}."


def _digest(vocabulary: Vocabulary) -> str:
    """Digest of all that encodes."""
    words = [vocabulary.inference, vocabulary.pattern.sha256, sorted(vocabulary.special_tokens.items())]
    digest = hashlib.sha256(json.dumps(words).encode())
    arrays = (vocabulary.blob, vocabulary.starts, vocabulary.rank_ids, vocabulary.scores, vocabulary.pair_order)
    for array in arrays:
        digest.update(b"|" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def study_toml(study: NgramStudy | LossStudy) -> str:
    """The file of a study, which `load_spec` reads back."""
    [(kind, values)] = study.settings.items()
    words = {"name": study.name, "question": study.question, "notes": study.notes}
    plain = {key: value for key, value in values.items() if key != "arms"}
    arms = [f"\n[[{kind}.arms]]\n{_lines(arm)}" for arm in values["arms"]]
    return f"{_lines(words)}\n[{kind}]\n{_lines(plain)}{''.join(arms)}"


def _lines(values: Mapping[str, Any]) -> str:
    """Keys and values; text and lists are the same in JSON and in TOML."""
    shown = {key: value for key, value in values.items() if value not in ("", [], None)}
    return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in shown.items())
