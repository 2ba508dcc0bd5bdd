"""Pruning: `from vocab.prune import prune`."""

from vocab.prune.certificate import Certificate
from vocab.prune.frontier import FRONTIER_METHODS, Frontier, trace_frontier
from vocab.prune.optimal import Limits
from vocab.prune.payoff import Decoder
from vocab.prune.pool import Candidates
from vocab.prune.report import Report, Row
from vocab.prune.request import check_request
from vocab.prune.result import PruneResult
from vocab.prune.run import best_possible, prune
from vocab.prune.selection import METHODS, Method

__all__ = [
    "FRONTIER_METHODS",
    "METHODS",
    "Candidates",
    "Certificate",
    "Decoder",
    "Frontier",
    "Limits",
    "Method",
    "PruneResult",
    "Report",
    "Row",
    "best_possible",
    "check_request",
    "prune",
    "trace_frontier",
]
