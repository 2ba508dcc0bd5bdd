"""How WordPiece writes its tokens: `hello` begins a word, `##ing` goes on within one. Here they are " hello", "ing"."""

from __future__ import annotations

from vocab.errors import SourceError
from vocab.formats.frame import carried_frame
from vocab.vocabulary import Vocabulary


def text_of(piece: str, prefix: str) -> str:
    """A piece as prepared text spells it, where each word has a space before it."""
    return piece[len(prefix) :] if piece.startswith(prefix) and piece != prefix else f" {piece}"


def written_pieces(vocabulary: Vocabulary) -> list[str]:
    """The ordinary tokens by rank as the file writes them, the unknown one first."""
    frame = carried_frame(vocabulary)
    if frame is None:
        raise SourceError(f"{vocabulary.name} has lost how it cuts words, so that its pieces cannot be written")
    prefix = frame["model"]["continuing_subword_prefix"]
    texts = [token.decode() for token in vocabulary.tokens()]
    return [*texts[:1], *(text[1:] if text.startswith(" ") else prefix + text for text in texts[1:])]
