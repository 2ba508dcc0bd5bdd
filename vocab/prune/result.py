"""`PruneResult`: the smaller vocabulary, the map from old ids to new ones and the report, and how they are saved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vocab.analysis.spelling import spellings
from vocab.formats.folder import safe_name, write_files
from vocab.prune.card import model_card
from vocab.prune.report import Report
from vocab.vocabulary import Vocabulary
from vocab.writing import staged_folder, with_digest, write_bytes, write_json, write_text

if TYPE_CHECKING:
    from vocab.prune.bound.certificate import Certificate


@dataclass(frozen=True)
class PruneResult:
    """A pruned vocabulary.

    Attributes:
        vocabulary: the new vocabulary, ids 0 … target - 1.
        source: the vocabulary it came from.
        kept_ids: old id of each ordinary new token, int64[n_tokens], -1 for one that the source lacks. With the
            source's order of ranks, old ids come first and rise.
        report: the figures in report.json.
        certificate: the proof of how near the best possible the result is, or None.
    """

    vocabulary: Vocabulary
    source: Vocabulary
    kept_ids: npt.NDArray[np.int64]
    report: Report
    certificate: Certificate | None = None

    @property
    def id_map(self) -> dict[int, int]:
        """New id of every kept old id, special tokens included."""
        first = self.vocabulary.first_id
        ordinary = {old: new for new, old in enumerate(self.kept_ids.tolist(), first) if old >= 0}
        new = self.vocabulary.special_tokens
        return ordinary | {id_: new[text] for text, id_ in self.source.special_tokens.items() if text in new}

    @property
    def dropped_special(self) -> dict[int, str]:
        """Text of each special token of the source that was dropped, by its old id."""
        new = self.vocabulary.special_tokens
        return {id_: text for text, id_ in self.source.special_tokens.items() if text not in new}

    @property
    def dropped_ids(self) -> npt.NDArray[np.int64]:
        """Old ids of the ordinary tokens that were dropped, int64, rising."""
        return np.setdiff1d(self.source.rank_ids, self.kept_ids)

    @property
    def new_ids(self) -> npt.NDArray[np.int64]:
        """New ids of the ordinary tokens that the source lacks, int64, rising."""
        return np.flatnonzero(self.kept_ids < 0) + self.vocabulary.first_id

    @property
    def _crosses_words(self) -> bool:
        """Whether tokens may cross the edges of the source's pre-tokens."""
        return self.vocabulary.pattern.sha256 != self.source.pattern.sha256

    def id_map_json(self) -> dict[str, Any]:
        """The id map as JSON types.

        `kept`: old → new; `dropped`: old → new ids that spell the token; `added`: new → old ids that spell a token
        which the source lacks. Each spelling is that of the vocabulary's own encoder, of a special token that of its
        text. Superwords are spelt as text of several pre-tokens.
        """
        dropped, added = self.dropped_ids.tolist(), self.new_ids.tolist()
        old_tokens = self.source.tokens_by_id
        gone = {old: text.encode() for old, text in self.dropped_special.items()}
        return {
            "source": self.source.name,
            "n_old": self.source.max_id + 1,
            "n_new": self.vocabulary.n_ids,
            "kept": {str(old): new for old, new in self.id_map.items()},
            "dropped": spellings(self.vocabulary, {old: old_tokens[old] for old in dropped} | gone),
            "added": spellings(self.source, {new: self.vocabulary[new] for new in added}, splits=self._crosses_words),
        }

    def save(self, directory: str | Path, *, force: bool = False) -> list[Path]:
        """Write the tokenizer files, id_map.json, report.json and README.md to a folder, all or nothing.

        A result with a certificate has a certificate.zip as well.

        Args:
            directory: the folder; it is created.
            force: whether to replace an earlier result in it.

        Returns:
            The files written.

        Raises:
            OutputError: the folder holds other files, or an earlier result without `force`, or cannot be written.
        """
        directory = Path(directory)
        name = safe_name(self.vocabulary.name)
        with staged_folder(directory, force=force) as staging:
            names = [path.name for path in write_files(self.vocabulary, staging, name)]
            if self.certificate:
                from vocab.prune.bound.certificate import FILE_NAME

                names.append(FILE_NAME)
                write_bytes(staging / FILE_NAME, self.certificate.as_zip())
            write_json(staging / "id_map.json", with_digest(self.id_map_json()), None)
            write_json(staging / "report.json", self.report.as_json())
            write_text(staging / "README.md", model_card(self.report, self.vocabulary, name))
        return [directory / file_name for file_name in [*names, "id_map.json", "report.json", "README.md"]]
