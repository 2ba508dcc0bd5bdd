"""Characters of tokens, where an inference method goes from characters."""

from __future__ import annotations

from vocab.choices import InferenceMethod


def characters_of(text: str, inference: InferenceMethod) -> list[str]:
    """The tokens of one character that a token is made of; a space of WordPiece belongs to the one after it."""
    is_first = inference == "wordpiece" and text.startswith(" ")
    return [text[:2], *text[2:]] if is_first else list(text)
