"""Bound and certificate of SentencePiece's BPE and Unigram: below every choice, and accepted only if true."""

import hashlib
import json
import random
import zipfile
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from helpers import oracles
from helpers.cli import run
from helpers.counts import count_documents_of
from helpers.files import mistral_file
from helpers.piece_tokenizers import random_bpe, random_texts, written
from helpers.unigram_models import trained, vocabulary_of
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

import vocab
from vocab.corpus.counting import CorpusCounts
from vocab.formats import load_lossless
from vocab.pretokens.counts import PretokenCounts
from vocab.prune import PruneRequest, best_possible, prune
from vocab.prune.bound.by_bytes import ByBytes
from vocab.prune.bound.certificate import Certificate
from vocab.prune.check_certificate import RejectedError, check, count_tokens
from vocab.splitting import SplitPattern
from vocab.vocabulary import Vocabulary

KINDS = ("listed merges", "scored-merges", "unigram")
N_DROPPED = 3


def a_source(kind: str, seed: int, folder: Path) -> Vocabulary:
    """A vocabulary of few pieces; of some characters only the byte pieces spell the text."""
    rng = random.Random(seed)
    if kind == "listed merges":
        return load_lossless(written(random_bpe(rng), folder))
    pieces = [*dict.fromkeys([*" abé語", *("".join(rng.choices("abé語 ", k=rng.randint(2, 5))) for _ in range(12))])]
    scores = [rng.randint(-30, 0) / 8 for _ in pieces]
    vocabulary = vocabulary_of(pieces, scores, SplitPattern.of_sentencepiece(pieces, dummy_prefix=bool(seed % 2)))
    return vocabulary if kind == "unigram" else replace(vocabulary, inference="scored-merges")


def a_corpus(source: Vocabulary, seed: int) -> CorpusCounts:
    return count_documents_of(random_texts(random.Random(seed), 60), source.pattern)


def known(source: Vocabulary, corpus: CorpusCounts) -> PretokenCounts:
    """The training pre-tokens of which nothing is the unknown token."""
    counts = corpus.train.without_added()
    if source.n_stand_ins != 1:
        return counts
    ids, sizes = source.encoder.encode_pretokens(counts.blob, counts.starts)
    rows = zip(counts.starts.tolist(), sizes.tolist(), strict=False)
    return counts.chosen(np.array([0 not in ids[start : start + size].tolist() for start, size in rows]))


def n_tokens(vocabulary: Vocabulary, counts: PretokenCounts) -> int:
    _, sizes = vocabulary.encoder.encode_pretokens(counts.blob, counts.starts)
    return int((counts.counts.astype(np.int64) * sizes).sum())


def fewest(source: Vocabulary, counts: PretokenCounts, n_dropped: int, rng: random.Random, most: int = 150) -> int:
    """Tokens of the best choice among all, or as many as are tried, by the source's own encoder."""
    others = np.flatnonzero(~PruneRequest(source=source, target=source.n_ids - n_dropped).protected).tolist()
    choices = [*combinations(others, n_dropped)]
    special = sorted(source.special_tokens, key=source.special_tokens.__getitem__)
    everything = np.arange(source.n_tokens)

    def tokens_without(choice: tuple[int, ...]) -> int:
        kept = np.setdiff1d(everything, choice)
        return n_tokens(source.subset(kept, special, source.inference, source.provenance), counts)

    return min(map(tokens_without, rng.sample(choices, min(most, len(choices)))))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_no_choice_needs_fewer_tokens_than_the_bound(kind, seed, tmp_path):
    source = a_source(kind, seed, tmp_path / "source")
    corpus = a_corpus(source, seed)
    train = known(source, corpus)
    result = prune(source, source.n_ids - N_DROPPED, corpus=corpus, certify=True, n_threads=1)
    result.save(tmp_path / "out")
    claims = check(str(tmp_path / "out/certificate.zip"), str(tmp_path / "out/report.json"))
    assert claims["tokens"] == n_tokens(result.vocabulary, train)
    assert claims["bound_tokens"] <= fewest(source, train, N_DROPPED, random.Random(seed)) <= claims["tokens"] * 1.2
    doubles = sum(len(token) == 1 for token in source.tokens()) - 256
    assert claims["n_repeated"] == doubles > 0
    assert claims["n_candidates"] == source.n_tokens - doubles
    assert claims["n_keep"] == result.vocabulary.n_tokens - doubles
    proof = best_possible(source, source.n_ids - N_DROPPED, corpus=corpus, n_threads=1)
    assert proof.bound_tokens == claims["bound_tokens"]
    assert proof.claims["inference"] == "least-tokens"
    (tmp_path / "bound.zip").write_bytes(proof.as_zip())
    assert check(str(tmp_path / "bound.zip")) == proof.claims


def a_proof(kind: str, folder: Path) -> Certificate:
    source = a_source(kind, 1, folder)
    made = prune(source, source.n_ids - N_DROPPED, corpus=a_corpus(source, 1), certify=True, n_threads=1).certificate
    assert made is not None
    return made


@pytest.fixture(scope="module", params=KINDS)
def proof(request, tmp_path_factory) -> Certificate:
    return a_proof(request.param, tmp_path_factory.mktemp("source"))


def zipped(certificate: Certificate, folder: Path, candidates: str, **claims: object) -> str:
    """The certificate with other candidates.txt, whose digest is right."""
    text = candidates.encode()
    header = certificate.claims | {"candidates_sha256": hashlib.sha256(text).hexdigest()} | claims
    with zipfile.ZipFile(folder / "c.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps(header))
        for name, content in (certificate.texts | {"candidates": text}).items():
            archive.writestr(f"{name}.txt", content)
    return str(folder / "c.zip")


def rows(certificate: Certificate) -> list[list[str]]:
    return [line.split(" ") for line in certificate.texts["candidates"].decode().splitlines()]


def joined(changed: list[list[str]]) -> str:
    return "".join(" ".join(row) + "\n" for row in changed)


@pytest.mark.slow
def test_a_certificate_without_its_rules_is_rejected(proof, tmp_path):
    plain = [row[:2] for row in rows(proof)]
    with pytest.raises(RejectedError, match=r"as many tokens as claimed|a character that is not kept"):
        check(zipped(proof, tmp_path, joined(plain)))
    with pytest.raises(RejectedError, match="merges goes by no orders or scores, which are there"):
        check(zipped(proof, tmp_path, joined(rows(proof)), inference="merges"))
    first = next(row for row in rows(proof) if len(row) == 3)
    for rule in ("x", "1:", "-", "1:2:3", ""):
        with pytest.raises(RejectedError, match=r"of candidates\.txt cannot be read"):
            check(zipped(proof, tmp_path, joined([[*first[:2], rule]])))


@pytest.mark.slow
def test_a_token_of_dropped_characters_is_rejected(proof, tmp_path):
    accent = "é".encode().hex()
    changed = [[*row[:1], "dropped"] if row[0] == accent else row for row in rows(proof)]
    with pytest.raises(RejectedError, match="a kept token has a character that is not kept"):
        check(zipped(proof, tmp_path, joined(changed)))


@pytest.mark.slow
def test_other_scores_need_other_tokens(tmp_path):
    proof = a_proof("unigram", tmp_path)
    characters = {c.encode().hex() for c in " abé語"}
    changed = [[*row[:2], "-1" if row[0] in characters else "-100"] if len(row) == 3 else row for row in rows(proof)]
    with pytest.raises(RejectedError, match="as many tokens as claimed"):
        check(zipped(proof, tmp_path, joined(changed)))
    pairs = [[*row[:2], "1:2"] if len(row) == 3 else row for row in rows(proof)]
    with pytest.raises(RejectedError, match="a score is not a single number"):
        check(zipped(proof, tmp_path, joined(pairs)))


PIECES = st.lists(st.text("ab é語", min_size=1, max_size=5), max_size=12)
TEXT = st.text("ab é語x", min_size=1, max_size=25)


@given(pieces=PIECES, text=TEXT, scores=st.randoms(use_true_random=False))
def test_the_checker_merges_and_scores_as_slow_searches_do(pieces, text, scores):
    """Of equal scores, and with characters that have no token; orders of merging are scores the other way round."""
    tokens = dict.fromkeys([*(c for piece in pieces for c in piece), *pieces])
    found = {token: scores.randint(-6, 0) for token in tokens}
    kept = [*(bytes([k]) for k in range(256)), *(token.encode() for token in tokens if len(token.encode()) > 1)]
    each = {"scored-merges": -1, "unigram": 1}
    n_tokens = {
        method: count_tokens(
            method, kept, {t.encode(): {0: sign * s} for t, s in found.items()}, {}, {text.encode(): 1}
        )
        for method, sign in each.items()
    }
    assert n_tokens["scored-merges"] == len(oracles.encode_scored_merges(found, text))
    assert n_tokens["unigram"] == len(oracles.encode_unigram(found, text))


def test_byte_pieces_that_repeat_a_character_are_one_string(tmp_path):
    source = a_source("listed merges", 0, tmp_path)
    strings = ByBytes.of(source)
    assert len(set(strings.vocabulary.tokens())) == strings.vocabulary.n_tokens
    assert set(strings.vocabulary.tokens()) == set(source.tokens())
    tokens = list(strings.vocabulary.tokens())
    assert [tokens[number] for number in strings.numbers.tolist()] == list(source.tokens())


def test_bytes_alone_are_as_they_are(cl100k):
    strings = ByBytes.of(cl100k)
    assert strings.vocabulary is cl100k
    assert strings.n_repeated == 0


WORDS = "an old man and the old sea, and a new sand in the sea of an hour as on any other"
UNKNOWN = [WORDS, WORDS.upper() + " ☃☃ sea☃", "a☃an <unk> sand☃", "[UNK] the sea", "onandon " * 3, "x" * 101 + "and"]


def bert(texts: list[str], folder: Path) -> Path:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=60, special_tokens=["[UNK]"], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["unigram", "bpe", "wordpiece"])
def test_text_without_unknown_parts_has_a_bound(kind, tmp_path):
    """Without bytes, or with words that are unknown as a whole; every character is kept."""
    path = tmp_path / "x.model"
    if kind == "wordpiece":
        path = bert([WORDS] * 30, tmp_path)
    else:
        path.write_bytes(trained([WORDS] * 30, 60, byte_fallback=False, model_type=kind))
    source = vocab.load(path)
    corpus = count_documents_of(UNKNOWN * 9, source.pattern)
    train = known(source, corpus)
    assert 0 < train.n_occurrences < corpus.train.n_occurrences
    result = prune(source, source.n_ids - N_DROPPED, corpus=corpus, certify=True, n_threads=1)
    result.save(tmp_path / "out")
    claims = check(str(tmp_path / "out/certificate.zip"), str(tmp_path / "out/report.json"))
    assert "pre-tokens with text that is unknown in any case" in claims["objective"]
    assert claims["n_put_in"] > 200
    assert claims["n_candidates"] == source.n_tokens - 1 + claims["n_put_in"]
    best = fewest(source, train, N_DROPPED, random.Random(1))
    assert claims["bound_tokens"] <= best <= claims["tokens"] * 1.2
    assert claims["tokens"] <= n_tokens(result.vocabulary, train)  # words with the text of <unk> are left out too
    assert best_possible(source, source.n_ids - N_DROPPED, corpus=corpus).bound_tokens == claims["bound_tokens"]


@pytest.mark.slow
def test_a_released_model_is_certified(real_text, tmp_path):
    """Mistral's first vocabulary, at an eighth of its size, on real text."""
    source = vocab.load(mistral_file("tokenizer.model.v1"))
    (tmp_path / "text.txt").write_text(real_text[:400_000], encoding="utf-8")
    source.save(tmp_path / "source")
    options = ("--source", "source", "--target", 4000, "--corpus", "text.txt")
    made = run("prune", *options, "--certify", "--time", 5, "--out", "out", where=tmp_path)
    assert made.returncode == 0, made.stderr
    said = " ".join(made.stdout.split())
    assert "byte pieces that repeat one of them are in every choice besides" in said
    checked = run("check", "out/certificate.zip", "--report", "out/report.json", where=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert "tokens under scored-merges" in " ".join(checked.stdout.split())
    assert "repeated byte pieces aside" in " ".join(checked.stdout.split())
    claims = json.loads((tmp_path / "out/report.json").read_text())["certificate"]
    assert claims["gap"] < 0.2
    small = vocab.load(tmp_path / "out")
    assert claims["tokens"] == n_tokens(small, vocab.count([tmp_path / "text.txt"], small.pattern).train)
