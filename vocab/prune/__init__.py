"""Pruning: `from vocab.prune import prune`."""

from vocab.choices import Method
from vocab.prune.bound.certificate import Certificate
from vocab.prune.bound.optimal import Limits
from vocab.prune.candidates.pool import Candidates
from vocab.prune.frontier.payoff import Decoder
from vocab.prune.frontier.trace import FRONTIER_METHODS, Frontier, trace_frontier
from vocab.prune.methods.baselines import METHODS
from vocab.prune.pruning import best_possible, prune
from vocab.prune.report import Report, Row
from vocab.prune.request import check_request
from vocab.prune.result import PruneResult

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
