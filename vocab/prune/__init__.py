"""Pruning: `from vocab.prune import prune`."""

from vocab.prune.report import Report, Row
from vocab.prune.result import PruneResult
from vocab.prune.run import check_request, prune
from vocab.prune.selection import METHODS, Method

__all__ = ["METHODS", "Method", "PruneResult", "Report", "Row", "check_request", "prune"]
