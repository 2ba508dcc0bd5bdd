"""Unigram models: some that sentencepiece trains, random ones, and texts to try them with."""

import io
from dataclasses import replace

import numpy as np
import sentencepiece
from hypothesis import strategies as st

from helpers.texts import ODD, drawn_texts
from vocab.splitting import SplitPattern
from vocab.vocabulary import Provenance, Vocabulary

USER_DEFINED = ["<user>", "[INST]", "[[INST]"]
NESTED = ["x<user>y", "<user> y", "[INST][INST]<user", "[[INST] [[[INST]", "a [INST]", "<user>"]
BYTE_PIECES = ["<0x41>", "a<0x0A>b", "x <0xE2><0x96><0x81> y"]
TEXT = st.text("ab é語x\n", max_size=30)


def trained(texts: list[str], n_pieces: int, **more) -> bytes:
    """A model that sentencepiece trains in a second or two."""
    settings = {
        "vocab_size": n_pieces,
        "model_type": "unigram",
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "allow_whitespace_only_pieces": True,
        "hard_vocab_limit": False,
        "num_threads": 2,
        "minloglevel": 2,
    }
    written = io.BytesIO()
    lines = (line[:1000] for text in texts for line in text.split("\n") if line.strip())
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=lines, model_writer=written, **settings | more)
    return written.getvalue()


def some_texts(vocabulary: Vocabulary, real_text: str, nasty: list[str]) -> list[str]:
    """The last is so long that sums of scores start over."""
    documents = real_text[:300_000].split("\n\n")
    drawn = drawn_texts(vocabulary, 3000)
    return [*nasty, *ODD, *NESTED, *BYTE_PIECES, *drawn, *documents, real_text[-800_000:]]


@st.composite
def models(draw, steps: int = 8) -> Vocabulary:
    """Pieces of which each character is a piece, and scores in eighths, so that sums are exact and often equal."""
    pieces = draw(st.lists(st.text("ab é語", min_size=1, max_size=5), max_size=25))
    pattern = SplitPattern.of_sentencepiece(pieces, dummy_prefix=draw(st.booleans()))
    texts = [*dict.fromkeys([" ", *(c for piece in pieces for c in piece), *pieces])]
    scores = draw(st.lists(st.integers(-30, 0), min_size=len(texts), max_size=len(texts)))
    return vocabulary_of(texts, [score / steps for score in scores], pattern)


def vocabulary_of(texts: list[str], scores: list[float], pattern: SplitPattern) -> Vocabulary:
    tokens = [bytes([k]) for k in range(256)] + [text.encode() for text in texts]
    special = {"<unk>": 0, "<s>": 1, "</s>": 2}
    provenance = Provenance("random", format="sentencepiece")
    vocabulary = Vocabulary.from_tokens(tokens, pattern, special, "unigram", provenance, 3)
    return replace(vocabulary, scores=np.array([0.0] * 256 + scores, np.float32), byte_fallback=True, unknown="<unk>")
