"""Training BPE by Hugging Face's trainer, and by its slow, obvious twin with whole numbers of any size."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import pairwise

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from vocab.splitting import SplitPattern
from vocab.splitting.byte_alphabet import BYTE_TO_CHARACTER, to_bytes

Merge = tuple[int, int]


def by_tokenizers(pattern: SplitPattern, texts: Iterable[str], n_tokens: int) -> tuple[list[bytes], list[Merge]]:
    """Tokens and merges by Hugging Face's trainer; of a pair that is merged twice it keeps the last."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(pattern.portable), behavior="isolated")
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, as_bytes])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=n_tokens, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    ids = model["vocab"]
    tokens = [to_bytes(piece) for piece in sorted(ids, key=ids.__getitem__)]
    return tokens, [(ids[first], ids[second]) for first, second in model["merges"]]


def last_of_each(merges: Iterable[Merge]) -> list[Merge]:
    """Merges without those whose pair is merged again later."""
    last = {merge: k for k, merge in enumerate(merges)}
    return sorted(last, key=last.__getitem__)


class SlowTrainer:
    """What `BpeTrainer::do_train` of tokenizers does, word by word and with a plain list for its queue."""

    def __init__(self, counts: Mapping[bytes, int]) -> None:
        self.tokens = [bytes([b]) for b in sorted(range(256), key=BYTE_TO_CHARACTER.__getitem__)]
        self.merges: list[Merge] = []
        self.words = [[self.tokens.index(bytes([b])) for b in word] for word in counts]
        self.counts = list(counts.values())
        self.pair_counts: dict[Merge, int] = {}
        self.queue: list[tuple[int, Merge, int, set[int]]] = []
        self.n_entries = 0
        found: dict[Merge, set[int]] = {}
        for k, word in enumerate(self.words):
            for pair in pairwise(word):
                self._change(pair, self.counts[k], k, found)
        self._queue(found)

    def _change(self, pair: Merge, count: int, word: int, found: dict[Merge, set[int]]) -> None:
        self.pair_counts[pair] = self.pair_counts.get(pair, 0) + count
        if count > 0:
            found.setdefault(pair, set()).add(word)

    def _queue(self, found: dict[Merge, set[int]]) -> None:
        for pair, words in found.items():
            if self.pair_counts[pair] > 0:
                self.queue.append((-self.pair_counts[pair], pair, self.n_entries, words))
                self.n_entries += 1

    def train(self, n_tokens: int) -> None:
        """Merge until there are `n_tokens` tokens or no pair is left."""
        while len(self.tokens) < n_tokens and self.queue:
            entry = min(self.queue, key=lambda entry: entry[:3])
            self.queue.remove(entry)
            count, pair, number, words = entry
            if -count != self.pair_counts[pair]:
                self.queue.append((-self.pair_counts[pair], pair, number, words))
            elif count == 0:
                return
            else:
                self._merge(pair, words)

    def _merge(self, pair: Merge, words: set[int]) -> None:
        token = self.tokens[pair[0]] + self.tokens[pair[1]]
        if token not in self.tokens:
            self.tokens.append(token)
        self.merges.append(pair)
        found: dict[Merge, set[int]] = {}
        for k in sorted(words):
            self._merge_word(k, pair, self.tokens.index(token), found)
        self._queue(found)

    def _merge_word(self, k: int, pair: Merge, new: int, found: dict[Merge, set[int]]) -> None:
        word, count, i = self.words[k], self.counts[k], 0
        while i < len(word) - 1:
            if (word[i], word[i + 1]) == pair:
                word[i : i + 2] = [new]
                if i > 0:
                    self._change((word[i - 1], pair[0]), -count, k, found)
                    self._change((word[i - 1], new), count, k, found)
                if i + 1 < len(word):
                    self._change((pair[1], word[i + 1]), -count, k, found)
                    self._change((new, word[i + 1]), count, k, found)
            i += 1
