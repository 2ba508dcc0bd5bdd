"""`PruneResult`: the smaller vocabulary, the way from old ids to new ones, and the report; and its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vocab.formats.folder import safe_name, write_files
from vocab.formats.staging import staged_folder
from vocab.prune.card import model_card
from vocab.prune.certificate import FILE_NAME, Certificate
from vocab.prune.report import Report
from vocab.vocabulary import Vocabulary


@dataclass(frozen=True)
class PruneResult:
    """What `prune` made.

    Attributes:
        vocabulary: the new vocabulary, ids 0 … target - 1.
        source: the vocabulary it came from.
        kept_ids: old id of each ordinary new token, int64, rising.
        report: figures, as written to report.json.
        certificate: the proof of how near to the best possible it is, where one was asked for.
    """

    vocabulary: Vocabulary
    source: Vocabulary
    kept_ids: npt.NDArray[np.int64]
    report: Report
    certificate: Certificate | None = None

    @property
    def id_map(self) -> dict[int, int]:
        """New id of every kept old id, special tokens included."""
        ordinary = {old: new for new, old in enumerate(self.kept_ids.tolist(), self.vocabulary.first_id)}
        special = {id_: self.vocabulary.special_tokens[text] for text, id_ in self.source.special_tokens.items()}
        return ordinary | special

    @property
    def dropped_ids(self) -> npt.NDArray[np.int64]:
        """Old ids of the ordinary tokens that are gone, int64, rising."""
        return np.setdiff1d(np.arange(self.source.n_tokens) + self.source.first_id, self.kept_ids)

    def id_map_json(self) -> dict[str, Any]:
        """The id map as JSON types: `kept` old → new, and `dropped` old → new ids that spell the token."""
        dropped = self.dropped_ids
        ids, sizes = self._spelling(dropped)
        starts = np.concatenate([[0], np.cumsum(self.source.lengths[dropped - self.source.first_id])])[:-1].tolist()
        spelt = [ids[a : a + n].tolist() for a, n in zip(starts, sizes.tolist(), strict=True)]
        return {
            "source": self.source.source.name,
            "n_old": self.source.max_id + 1,
            "n_new": self.vocabulary.n_ids,
            "kept": {str(old): new for old, new in self.id_map.items()},
            "dropped": {str(old): new for old, new in zip(dropped.tolist(), spelt, strict=True)},
        }

    def _spelling(self, dropped: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """New tokens of each dropped old token, in the layout of `Encoder.encode_pretokens`."""
        blob = np.frombuffer(b"".join(self.source[k] for k in dropped.tolist()), dtype=np.uint8)
        starts = np.zeros(dropped.size + 1, dtype=np.int64)
        np.cumsum(self.source.lengths[dropped - self.source.first_id], out=starts[1:])
        ids, sizes = self.vocabulary.encoder.encode_pretokens(blob, starts)
        return ids + np.int32(self.vocabulary.first_id), sizes

    def save(self, directory: str | Path, *, force: bool = False) -> list[Path]:
        """Write the tokenizer files, id_map.json, report.json and README.md to a folder, all or nothing.

        A certificate.zip is there as well where the result has a certificate.

        Raises OutputError when the folder holds something else, or an earlier result and not `force`.
        """
        directory = Path(directory)
        name = safe_name(self.vocabulary.source.name)
        with staged_folder(directory, force=force) as staging:
            names = [path.name for path in write_files(self.vocabulary, staging, name)]
            texts = {
                "id_map.json": _json(self.id_map_json(), None),
                "report.json": _json(self.report.as_json(), 2),
                "README.md": model_card(self.report, self.vocabulary, name),
            }
            for file_name, text in texts.items():
                (staging / file_name).write_text(text, encoding="utf-8")
            names += [FILE_NAME] if self.certificate else []
            if self.certificate:
                (staging / FILE_NAME).write_bytes(self.certificate.as_zip())
        return [directory / file_name for file_name in [*names, *texts]]


def _json(content: dict[str, Any], indent: int | None) -> str:
    return json.dumps(content, indent=indent, ensure_ascii=False) + "\n"
