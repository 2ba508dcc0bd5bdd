"""`heal`: a model with a pruned vocabulary learns from the unpruned model on the same text."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vocab.corpus.document_corpus import DocumentCorpus
from vocab.corpus.sampled_documents import sample_notes, sampled_documents
from vocab.errors import CorpusError, OutputError, TrainingError
from vocab.formats import load_lossless
from vocab.formats.id_map import FILE_NAME, IdMap, read_id_map
from vocab.model.hardware.freed_memory import keep_freed_memory
from vocab.model.hardware.machine import hardware, training_versions
from vocab.model.hardware.parallel import join
from vocab.model.healing.aligned_pieces import Aligner, Piece
from vocab.model.healing.heal_loss import Pair
from vocab.model.healing.healed_folder import write_healed
from vocab.model.healing.healer import Healer, HealSettings, figures_of, sums_of
from vocab.model.pretrained.causal_model import CausalModel, load_causal_model, start_of
from vocab.model.training.distillation import MovedMass, first_pieces_of
from vocab.model.training.run_folder import MODEL, REPORT, run_folder
from vocab.model.training.trainer import OnRecord
from vocab.progress import OnProgress, silent
from vocab.vocabulary import Vocabulary
from vocab.writing import json_text, publish, staging_folder, write_text

_BYTES_A_TOKEN = 8  # of text to read for each token to train on, at most
_HELD_OUT_BYTES = 50_000


@dataclass(frozen=True)
class Healed:
    """A healed model.

    Attributes:
        directory: folder of the run; the model is in its folder `model`.
        report: the content of report.json.
    """

    directory: Path
    report: dict[str, Any]


def heal(
    model: str | Path,
    teacher: str | Path,
    corpus: str | Path | Iterable[str | Path] | DocumentCorpus,
    out: str | Path,
    settings: HealSettings | None = None,
    *,
    teacher_tokenizer: str | Path | None = None,
    held_out_bytes: int = _HELD_OUT_BYTES,
    checkpoint_steps: int = 50,
    device: str = "auto",
    force: bool = False,
    on_record: OnRecord | None = None,
    on_progress: OnProgress | None = None,
) -> Healed:
    """Train embedding and head of a pruned model, or all of it, towards the unpruned model and the text.

    Both models read the same text, each in its own ids. Where both begin a token at the same byte, the student learns
    the teacher's probabilities, moved to its ids by the id map of the pruning (`vocab.model.healing.heal_loss`). A
    tenth of the documents is held out, by hash. An interrupted run goes on exactly, with the same arguments.

    Args:
        model: folder that `vocab transplant` wrote.
        teacher: the unpruned model, as `score_model` takes one.
        corpus: what `vocab.count` takes; text is taken from its parts in the ratio of their shares.
        out: folder of the run, as `train` has one.
        settings: what decides the weights.
        teacher_tokenizer: what `vocab.load` takes; the teacher's own by default.
        held_out_bytes: bytes of held-out text to score before and after.
        checkpoint_steps: steps between checkpoints.
        device: "auto", "cpu" or "cuda".
        force: whether an earlier run in `out` is replaced.
        on_record: is called with each record of the log: "step" and its figures.
        on_progress: is called while held-out text is scored, with the stage, pieces done and pieces in all.

    Raises:
        TrainingError: the models do not belong together, cannot be loaded, or the text is too short.
        SourceError: a tokenizer or the id map cannot be read.
        CorpusError: the corpus cannot be read.
        OutputError: `out` holds a finished run or other files.
        Stopped: after a signal, once a checkpoint is written.
    """
    settings, out, model = settings or HealSettings(), Path(out), Path(model)
    if not force:
        _check_unfinished(out)
    started = time.perf_counter()
    workers = join(device)
    if workers.device.type == "cpu":
        keep_freed_memory()
    job = _Job(model, str(teacher), str(teacher_tokenizer or teacher), settings, workers.device)
    documents = corpus if isinstance(corpus, DocumentCorpus) else DocumentCorpus(corpus)
    pieces, held_out = job.text(documents, held_out_bytes)
    show = on_progress or silent
    with run_folder(out, force=force):
        before = job.figures(held_out, "score before", show)
        healer = Healer(
            job.pair, pieces, settings, out, workers, checkpoint_steps=checkpoint_steps, on_record=on_record
        )
        healer.run()
        job.round_weights()
        after = job.figures(held_out, "score after", show)
        report = job.report(before, after) | {
            "corpus": [part.name for part in documents.parts],
            "n_steps": healer.step,
            "n_bytes": healer.n_bytes,
            "n_pieces": len(pieces),
            "n_texts_left_out": job.aligner.n_unaligned,
            "notes": sample_notes("held-out text", int(before["n_bytes"]), held_out_bytes),
            "seconds_of_this_process": time.perf_counter() - started,
            "cpu_seconds_of_this_process": time.process_time(),
        }
        write_healed(job.pair.student, model, out / MODEL)
        _write_report(report, out)
    return Healed(out, report)


def _check_unfinished(out: Path) -> None:
    if (out / REPORT).exists():
        raise OutputError(f"{out} holds a finished run: name another folder with `out`, or pass `force`")


def _write_report(report: dict[str, Any], out: Path) -> None:
    with staging_folder(out / REPORT) as hidden:
        write_text(hidden / REPORT, json_text(report, 1, ensure_ascii=True))
        publish({REPORT: hidden / REPORT}, out, "run")


class _Job:
    """Both models, their tokenizers and the id map. Its constructor checks that they belong together."""

    def __init__(
        self, model: Path, teacher: str, teacher_tokenizer: str, settings: HealSettings, device: torch.device
    ) -> None:
        self.settings = settings
        vocabularies = load_lossless(model), load_lossless(teacher_tokenizer)
        ids = _id_map(model, *vocabularies)
        student, unpruned = load_causal_model(model, device), load_causal_model(teacher, device)
        student.network.float()
        for loaded, vocabulary in zip((student, unpruned), vocabularies, strict=True):
            loaded.check_ids(vocabulary)
            _check_length(loaded, settings.seq_len)
        starts = [start_of(*both).id for both in zip((student, unpruned), vocabularies, strict=True)]
        answers = MovedMass(first_pieces_of(ids).to(device), student.n_rows)
        self.pair = Pair(student, unpruned, answers, (starts[0], starts[1]), settings.precision)
        self.aligner = Aligner(*vocabularies, settings.seq_len, np.array(sorted(ids.added), dtype=np.int64))

    def text(self, corpus: DocumentCorpus, held_out_bytes: int) -> tuple[list[Piece], list[Piece]]:
        """Pieces to train on, as much text as the steps can use, and pieces held out."""
        wanted = self.settings.n_steps * self.settings.batch * self.settings.seq_len * _BYTES_A_TOKEN
        total = sum(part.share or 1.0 for part in corpus.parts)
        pieces: tuple[list[Piece], list[Piece]] = ([], [])
        for part in corpus.parts:
            share = (part.share or 1.0) / total
            for found, most, side in zip(pieces, (wanted, held_out_bytes), ("train", "held_out"), strict=True):
                found += self.aligner.pieces(sampled_documents(part, int(most * share), side))  # type: ignore[arg-type]
        if not pieces[1]:
            raise CorpusError("no document of the corpus is held out, so nothing can be measured: give more text")
        return pieces

    def figures(self, pieces: Sequence[Piece], stage: str, on_progress: OnProgress) -> dict[str, float]:
        """Bits per byte, divergence and speed on held-out pieces."""
        sums: dict[str, float] = {}
        size = self.settings.micro_batch
        with torch.inference_mode():
            for first in range(0, len(pieces), size):
                for name, value in sums_of(self.pair.nats(pieces[first : first + size])).items():
                    sums[name] = sums.get(name, 0.0) + value
                on_progress(stage, min(first + size, len(pieces)), len(pieces))
        speeds = {f"{who}_bytes_per_second": sums["n_bytes"] / sums[f"{who}_seconds"] for who in ("student", "teacher")}
        return figures_of(sums) | speeds | {name: int(sums[name]) for name in ("n_tokens", "n_aligned", "n_bytes")}

    def round_weights(self) -> None:
        """Round the student's weights as they will be stored, so that what is scored is what is written."""
        with torch.no_grad():
            for weight in self.pair.student.network.parameters():
                weight.copy_(weight.to(self.pair.student.dtype))

    def report(self, before: dict[str, float], after: dict[str, float]) -> dict[str, Any]:
        """Figures before and after, as JSON types."""
        student, teacher = self.pair.student, self.pair.teacher
        whole = before["teacher_bits_per_byte"]
        return {
            "model": student.name,
            "teacher": teacher.name,
            "settings": asdict(self.settings),
            "n_parameters": {"teacher": teacher.n_parameters, "student": student.n_parameters},
            "n_trained": sum(w.numel() for w in student.network.parameters() if w.requires_grad),
            "held_out": {"before": before, "after": after},
            "above_teacher": {
                name: row["bits_per_byte"] / whole - 1 if whole else math.nan
                for name, row in (("before", before), ("after", after))
            },
            "hardware": hardware(student.device),
            "versions": training_versions(),
        }


def _check_length(model: CausalModel, seq_len: int) -> None:
    if model.max_positions is not None and seq_len >= model.max_positions:
        raise TrainingError(f"{model.name} reads {model.max_positions:,} tokens at most: lower `seq_len`")


def _id_map(model: Path, student: Vocabulary, teacher: Vocabulary) -> IdMap:
    """The id map beside a pruned model; raises TrainingError where there is none or it is of other vocabularies."""
    if not (model / FILE_NAME).is_file():
        raise TrainingError(
            f"{model} has no {FILE_NAME}, so the teacher's ids are unknown there: name a folder that vocab "
            "transplant wrote"
        )
    ids = read_id_map(model)
    ours, theirs = student.tokens_by_id, teacher.tokens_by_id
    wrong = next((old for old, new in ids.kept.items() if old in theirs and ours.get(new) != theirs[old]), None)
    if ids.n_old <= teacher.max_id or wrong is not None:
        which = f"id {wrong} is another token" if wrong is not None else f"it has ids up to {teacher.max_id:,}"
        raise TrainingError(
            f"{model} was pruned from another vocabulary ({ids.source}) than the teacher's: {which} in {teacher.name}"
        )
    return ids
