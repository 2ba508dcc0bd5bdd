"""The section of a report on scale: the cost of a vocabulary as the model grows, and its best size."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from vocab.experiments.loss.loss_analysis import analyse_loss, step_seconds
from vocab.experiments.loss.loss_spec import LossStudy
from vocab.experiments.report.scaling import TAO_POWER, TAO_SOURCE, head_cost, predicted_size
from vocab.experiments.rows import StudyRow
from vocab.experiments.section import Section, table
from vocab.model.network.config import PRESETS
from vocab.shown_text import in_markdown

# Tokens whose logits are held at once in the table of memory.
_LOGIT_TOKENS = 16_384


def scaling_section(study: LossStudy, rows: Sequence[StudyRow]) -> Section:
    """What a study measured beside a published law, and tables of costs from the shapes of presets."""
    parts = ["## As the model grows", "", _law(study, rows), "", _presets(), "", _costs(), "", _times(study, rows)]
    return Section("\n".join(parts))


def _law(study: LossStudy, rows: Sequence[StudyRow]) -> str:
    finding = analyse_loss(rows, study)
    sizes = [a for a in finding.arms if a.arm == finding.baseline[0] and not math.isnan(a.loss["flops"].mean)]
    best = min(sizes, key=lambda arm: arm.loss["flops"].mean)
    config = PRESETS[study.preset]
    predicted = predicted_size(config.n_parameters_without_embeddings, config.width)
    tried = ", ".join(f"{arm.n_ids:,}" for arm in sorted(sizes, key=lambda arm: arm.n_ids))
    return (
        f"{TAO_SOURCE}, find that parameters of the best embedding grow as the power {TAO_POWER} of the others. For "
        f"`{study.preset}` that means {predicted:,.0f} ids. Measured at equal FLOPs, {in_markdown(best.arm)} is best "
        f"with {best.n_ids:,} ids of {tried}. The law was fitted to models of 33 M to 3 B parameters trained on data "
        "that grow with them, so that a small model on little text lies outside of it."
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


def _times(study: LossStudy, rows: Sequence[StudyRow]) -> str:
    """The share of embedding, head and loss in a measured step: the slope of a straight line through its times."""
    seconds = step_seconds(rows, study)
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
        f"Time of a step of `{study.preset}` ({study.batch * study.seq_len:,} tokens) where it was "
        "measured; "
        f"the rest of the model takes {1e3 * rest:,.1f} ms, where a straight line through the times meets 0 ids:"
    )
    return f"{about}\n\n{table(head, shown)}"
