"""Mixtures: each part gives its share of the bytes, in an order that is a pure function of the position."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.models import SETTINGS, TOKEN_BYTES, curve, stream, trainer

from vocab.errors import TrainingError
from vocab.model.data.mixing import MixedSampler, shares_of_bytes
from vocab.model.data.sampling import Sampler
from vocab.model.training.logs import read_log
from vocab.model.training.training_data import DataPart, TrainingData


def mixture(shares=(0.7, 0.3)):
    samplers = tuple(Sampler(stream(n, seed), 16) for n, seed in ((120, 0), (30, 5)))
    return MixedSampler(samplers, shares)


def test_each_part_gives_its_share_of_the_bytes():
    sampler = mixture()
    n_bytes = np.zeros(2)
    for first in range(0, 2048, 256):
        batch = sampler.batch(first, 256, seed=3)
        n_bytes += batch.by_part(TOKEN_BYTES[batch.targets].astype(np.int64), 2)[:, 1]
    assert n_bytes[0] / n_bytes.sum() == pytest.approx(0.7, abs=0.01)


@pytest.mark.parametrize("shares", [(0.7, 0.3), (0.05, 0.95), (0.5, 0.5)])
def test_parts_go_round_evenly_and_each_takes_its_sequences_in_order(shares):
    sampler = mixture(shares)
    given = [0, 0]
    longer = [one.stream.bytes_per_token for one in sampler.samplers]
    wanted = np.array(shares) / longer / (np.array(shares) / longer).sum()
    for position in range(9000):
        part, before = sampler.place(position)
        assert before == given[part]
        given[part] += 1
        assert abs(given[0] - wanted[0] * (position + 1)) <= 1 + position // 4096
    assert sampler.batch(100, 5, 0).parts.tolist() == [sampler.place(k)[0] for k in range(100, 105)]


def test_a_used_up_part_begins_anew_in_another_order():
    sampler = mixture()
    few = sampler.samplers[1].n_sequences
    of_part = [k for k in range(4096) if sampler.place(k)[0] == 1][: 2 * few]
    epochs = [[sampler.sequence(k, 0)[1] for k in of_part[:few]], [sampler.sequence(k, 0)[1] for k in of_part[few:]]]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(few))
    assert epochs[0] != epochs[1]


def test_weights_are_shares_and_without_any_parts_keep_theirs():
    assert shares_of_bytes([100, 300], [7.0, 3.0]) == [0.7, 0.3]
    assert shares_of_bytes([100, 300], [None, 3.0]) == [0.25, 0.75]
    assert shares_of_bytes([100, 300], [None, None]) == [0.25, 0.75]
    with pytest.raises(TrainingError, match="must be above 0, like the 7 of web/:7"):
        shares_of_bytes([100, 300], [0.0, 1.0])
    with pytest.raises(TrainingError, match="less than one in 4,096 sequences"):
        mixture((1 - 1e-6, 1e-6))


@pytest.mark.slow
def test_a_mixture_is_trained_on_logged_and_resumed_to_the_bit(tmp_path):
    parts = (DataPart("web", 0.7, stream(), stream(20, 1)), DataPart("code", 0.3, stream(30, 5), stream(20, 6)))
    given = TrainingData(parts, TOKEN_BYTES, "a mixture")
    whole = trainer(tmp_path / "whole", given=given)
    whole.run()
    tokens, n_bytes = np.array(whole.state.by_part).T
    assert tokens.sum() == int(SETTINGS.plan.firsts[-1]) * 16
    assert n_bytes.sum() == whole.state.n_bytes
    assert n_bytes[0] / n_bytes.sum() == pytest.approx(0.7, abs=0.05)
    last = read_log(tmp_path / "whole", "eval")[-1]
    assert [(part["name"], part["bytes"]) for part in last["parts"]] == [("web", n_bytes[0]), ("code", n_bytes[1])]
    assert last["held_out_bytes"] >= 200

    def stop(kind, figures):
        if kind == "step" and figures["step"] == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "killed", given=given, on_record=stop).run()
    trainer(tmp_path / "killed", given=given).run()
    assert curve(tmp_path / "killed") == curve(tmp_path / "whole")
    with pytest.raises(TrainingError, match="the shards are of other text"):
        trainer(tmp_path / "whole", given=replace(given, fingerprint="other shares")).run()
