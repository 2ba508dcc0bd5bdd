"""Every error a user can cause, as one tree.

VocabError                 base: one clear sentence, shown without a traceback, exit code 2
├── SourceError            a vocabulary cannot be found, read or trusted
├── CorpusError            a corpus cannot be read, or holds nothing to count
├── TargetError            a size or an option that no vocabulary can satisfy
├── OutputError            a result cannot be written where it was asked for
├── CertificateError       a certificate does not prove what it claims
├── StudyError             a study cannot be run as it is specified, or its rows contradict each other
├── TrainingError          a model cannot be built, trained, resumed or run as asked
└── MissingExtraError      an optional package is not installed
"""

from __future__ import annotations


class VocabError(Exception):
    """Base of all errors with a message meant for the person at the keyboard."""


class SourceError(VocabError):
    """A vocabulary cannot be found, read or trusted."""


class CorpusError(VocabError):
    """A corpus cannot be read, or holds nothing to count."""


class TargetError(VocabError):
    """A size or an option that no vocabulary can satisfy."""


class OutputError(VocabError):
    """A result cannot be written where it was asked for."""


class CertificateError(VocabError):
    """A certificate does not prove what it claims."""


class StudyError(VocabError):
    """A study cannot be run as it is specified, or its rows contradict each other."""


class TrainingError(VocabError):
    """A model cannot be built, trained, resumed or run as asked."""


class MissingExtraError(VocabError):
    """An optional package is not installed."""

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(f"{what} needs the package {package}, which is not installed: pip install 'vocabkit[{extra}]'")
