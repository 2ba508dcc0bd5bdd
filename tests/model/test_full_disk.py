"""A disk that takes no more while a model is trained: one sentence, and nothing half-written."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from helpers.cli import entries
from safetensors.torch import save_file

from vocab.errors import OutputError
from vocab.model.hardware.parallel import join
from vocab.model.training.checkpoint import Checkpoints
from vocab.writing import staged_folder


@contextmanager
def files_of(n_bytes: int) -> Iterator[None]:
    """No file may grow beyond a size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_checkpoint_without_room_is_one_sentence_and_the_one_before_stays(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c", join("cpu"))
    checkpoints.save(1, {"weight.x": torch.zeros(1000)}, {"step": 1})
    checkpoints.finish()
    before = entries(tmp_path)
    with files_of(2000):
        checkpoints.save(2, {"weight.x": torch.zeros(1000)}, {"step": 2})
        with pytest.raises(OutputError, match=r"c cannot be written: [^\n]*File too large[^\n]*$"):
            checkpoints.finish()
    assert entries(tmp_path) == before
    assert checkpoints.newest()[1] == {"step": 1}


def test_what_a_kill_left_of_a_checkpoint_is_removed(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c", join("cpu"))
    checkpoints.save(1, {"weight.x": torch.zeros(10)}, {"step": 1})
    checkpoints.finish()
    before = entries(tmp_path)
    (tmp_path / "c" / ".part-unfinished" / "part").mkdir(parents=True)
    (tmp_path / "c" / ".part-unfinished" / ".vocab-lock").touch()
    (tmp_path / "c" / ".part-unfinished" / "part" / "state.json").write_text("half")
    assert checkpoints.newest()[1] == {"step": 1}
    assert entries(tmp_path) == before


def test_tensors_without_room_are_one_sentence(tmp_path):
    with (
        files_of(2000),
        pytest.raises(OutputError, match=r"model cannot be written: [^\n]*File too large[^\n]*$"),
        staged_folder(tmp_path / "model") as staging,
    ):
        save_file({"x": torch.zeros(1000)}, staging / "model.safetensors")
    assert entries(tmp_path) == {}
