"""Pruning: `from vocab.prune import prune`. Names are imported when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocab.lazy import lazy_exports

if TYPE_CHECKING:
    from vocab.analysis.evaluation import Compression
    from vocab.choices import FRONTIER_METHODS, METHODS, FrontierMethod, InferenceMethod, Method, Ranks
    from vocab.prune.bound.certificate import Certificate
    from vocab.prune.bound.limits import Limits
    from vocab.prune.candidates.pool import Candidates
    from vocab.prune.candidates.superwords import Superwords
    from vocab.prune.check_certificate import check
    from vocab.prune.frontier.neighbours import MeasuredSize, measure_sizes
    from vocab.prune.frontier.payoff import ComputeModel, Payoff
    from vocab.prune.frontier.trace import Curve, Frontier, trace_frontier
    from vocab.prune.methods.worth import token_worth
    from vocab.prune.pruning import best_possible, prune, run_bound_request, run_request
    from vocab.prune.report import Report, ReportRow
    from vocab.prune.request import BoundRequest, PruneRequest
    from vocab.prune.result import PruneResult

__all__ = [
    "FRONTIER_METHODS",
    "METHODS",
    "BoundRequest",
    "Candidates",
    "Certificate",
    "Compression",
    "ComputeModel",
    "Curve",
    "Frontier",
    "FrontierMethod",
    "InferenceMethod",
    "Limits",
    "MeasuredSize",
    "Method",
    "Payoff",
    "PruneRequest",
    "PruneResult",
    "Ranks",
    "Report",
    "ReportRow",
    "Superwords",
    "best_possible",
    "check",
    "measure_sizes",
    "prune",
    "run_bound_request",
    "run_request",
    "token_worth",
    "trace_frontier",
]

_HOMES = {
    "FRONTIER_METHODS": "vocab.choices",
    "METHODS": "vocab.choices",
    "BoundRequest": "vocab.prune.request",
    "Candidates": "vocab.prune.candidates.pool",
    "Certificate": "vocab.prune.bound.certificate",
    "Compression": "vocab.analysis.evaluation",
    "ComputeModel": "vocab.prune.frontier.payoff",
    "Curve": "vocab.prune.frontier.trace",
    "Frontier": "vocab.prune.frontier.trace",
    "FrontierMethod": "vocab.choices",
    "InferenceMethod": "vocab.choices",
    "Limits": "vocab.prune.bound.limits",
    "Method": "vocab.choices",
    "Payoff": "vocab.prune.frontier.payoff",
    "PruneRequest": "vocab.prune.request",
    "PruneResult": "vocab.prune.result",
    "Ranks": "vocab.choices",
    "Report": "vocab.prune.report",
    "ReportRow": "vocab.prune.report",
    "Superwords": "vocab.prune.candidates.superwords",
    "MeasuredSize": "vocab.prune.frontier.neighbours",
    "measure_sizes": "vocab.prune.frontier.neighbours",
    "best_possible": "vocab.prune.pruning",
    "check": "vocab.prune.check_certificate",
    "prune": "vocab.prune.pruning",
    "run_bound_request": "vocab.prune.pruning",
    "run_request": "vocab.prune.pruning",
    "token_worth": "vocab.prune.methods.worth",
    "trace_frontier": "vocab.prune.frontier.trace",
}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
