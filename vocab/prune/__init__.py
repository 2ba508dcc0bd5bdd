"""Pruning: `from vocab.prune import prune`."""

from vocab.prune.certificate import Certificate
from vocab.prune.optimal import Limits
from vocab.prune.pool import Candidates
from vocab.prune.report import Report, Row
from vocab.prune.request import check_request
from vocab.prune.result import PruneResult
from vocab.prune.run import best_possible, prune
from vocab.prune.selection import METHODS, Method

__all__ = [
    "METHODS",
    "Candidates",
    "Certificate",
    "Limits",
    "Method",
    "PruneResult",
    "Report",
    "Row",
    "best_possible",
    "check_request",
    "prune",
]
