"""The part of a report on scale: what a vocabulary costs as the model grows, and how large it should be."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from vocab.experiments.loss.loss_section import finding_of, step_seconds
from vocab.experiments.report.scaling import TAO_POWER, TAO_SOURCE, head_cost, predicted_size
from vocab.experiments.report.section import Section, table
from vocab.experiments.rows import Row
from vocab.experiments.spec import Spec
from vocab.model.network.config import PRESETS

# Tokens whose logits are held at once in the table of memory.
_LOGIT_TOKENS = 16_384


def scaling_section(spec: Spec, rows: Sequence[Row]) -> Section:
    """Tables from the shapes of presets, with what a study measured beside the published law and the arithmetic."""
    parts = ["## As the model grows", "", _law(spec, rows), "", _presets(), "", _costs(), "", _times(spec, rows)]
    return Section("\n".join(parts))


def _law(spec: Spec, rows: Sequence[Row]) -> str:
    assert spec.loss is not None
    finding = finding_of(spec, rows)
    sizes = [a for a in finding.arms if a.arm == finding.baseline[0] and not math.isnan(a.loss["flops"].mean)]
    best = min(sizes, key=lambda arm: arm.loss["flops"].mean)
    config = PRESETS[spec.loss.preset]
    predicted = predicted_size(config.n_parameters_without_embeddings, config.width)
    tried = ", ".join(f"{arm.n_ids:,}" for arm in sorted(sizes, key=lambda arm: arm.n_ids))
    return (
        f"{TAO_SOURCE}, find that parameters of the best embedding grow as the power {TAO_POWER} of the others. For "
        f"`{spec.loss.preset}` that means {predicted:,.0f} ids. Measured at equal FLOPs, {best.arm} is best with "
        f"{best.n_ids:,} ids of {tried}. The law was fitted to models of 33 M to 3 B parameters trained on data that "
        "grow with them, so that a small model on little text lies outside of it."
    )


def _presets() -> str:
    rows = []
    for name, config in PRESETS.items():
        body = config.n_parameters_without_embeddings
        rows.append([name, f"{body / 1e6:,.1f} M", f"{config.width:,}", f"{predicted_size(body, config.width):,.0f}"])
    return table(["preset", "parameters without embeddings", "width", "best ids by the law"], rows)


def _costs() -> str:
    head = ["preset, ids", "embedding and head", "of all parameters", "head's share of products"]
    head += ["memory of weights and AdamW", f"logits of {_LOGIT_TOKENS:,} tokens"]
    rows = []
    for name, config in PRESETS.items():
        for n_ids in (8_192, 32_000, 65_536, 100_277):
            body = config.n_parameters_without_embeddings
            cost = head_cost(n_ids, config.width, body, _LOGIT_TOKENS, tied=config.tied)
            rows.append(
                [
                    f"{name}, {n_ids:,}",
                    f"{cost.n_parameters / 1e6:,.1f} M",
                    f"{cost.share_of_parameters:.0%}",
                    f"{cost.share_of_flops:.0%}",
                    f"{cost.weight_bytes / 1e9:.2f} GB",
                    f"{cost.logit_bytes / 1e9:.2f} GB",
                ]
            )
    return "Memory in float32, by arithmetic:\n\n" + table(head, rows)


def _times(spec: Spec, rows: Sequence[Row]) -> str:
    """What embedding, head and loss take of a measured step: the part that grows with the size, by a straight line."""
    assert spec.loss is not None
    seconds = step_seconds(spec.loss, rows)
    if len(seconds) < 3:
        return "Time was not measured at three sizes or more."
    n_ids = sorted(seconds)
    slope, rest = np.polyfit(n_ids, [seconds[n] for n in n_ids], 1, w=[1 / seconds[n] for n in n_ids])
    shown = [
        [f"{n:,}", f"{1e3 * seconds[n]:,.1f}", f"{1e3 * slope * n:,.1f}", f"{slope * n / seconds[n]:.0%}"]
        for n in n_ids
    ]
    head = ["ids", "ms a step", "ms for embedding, head and loss", "of the step"]
    about = (
        f"Time of a step of `{spec.loss.preset}` ({spec.loss.batch * spec.loss.seq_len:,} tokens) where it was "
        "measured; "
        f"the rest of the model takes {1e3 * rest:,.1f} ms, where a straight line through the times meets 0 ids:"
    )
    return f"{about}\n\n{table(head, shown)}"
