"""Every choice by name that a user makes, once: the library checks these names and the command line offers them."""

from __future__ import annotations

from typing import Literal, get_args

# How text becomes tokens; the last three are those of files from SentencePiece, and of BERT.
InferenceMethod = Literal[
    "merges", "least-tokens", "longest-prefix", "ungreedy", "scored-merges", "unigram", "wordpiece"
]
# Those that go from characters, as SentencePiece and BERT have it; all others go from single bytes.
CHARACTER_METHODS: frozenset[InferenceMethod] = frozenset({"scored-merges", "unigram", "wordpiece"})
# Those of every vocabulary whose tokens are bytes.
ByteInferenceMethod = Literal["merges", "least-tokens", "longest-prefix", "ungreedy"]

# How tokens are chosen.
Method = Literal["rank", "frequency", "leaf", "tokenmonster", "distill", "optimal"]
FrontierMethod = Literal["distill", "frequency", "leaf", "rank"]
# What becomes of the order of merge ranks.
Ranks = Literal["source", "reorder"]

# What a superword may not hold.
Barrier = Literal["digits", "punctuation", "line-ends"]

# What one document of a text file is.
DocumentUnit = Literal["block", "file", "blank-line"]
# What becomes of documents that are not UTF-8.
EncodingErrors = Literal["replace", "skip", "refuse"]
# What a row or file that cannot be read does to the reading of a corpus.
OnError = Literal["stop", "skip"]

VocabularyFormat = Literal["tiktoken", "tokenizer.json", "sentencepiece", "tekken", "tokenmonster"]
# What the row of a token new to a model begins as: the mean of the rows that spell it, or the first of them.
RowInit = Literal["mean", "first"]
DraftFormat = Literal["eagle3", "sglang", "gguf"]
FigureFormat = Literal["png", "svg"]
# Whose tokenizer one trained from scratch is like.
Style = Literal["llama2", "cl100k"]

Position = Literal["rope", "alibi"]
Schedule = Literal["cosine", "wsd"]
Precision = Literal["float32", "bfloat16", "fp8"]
Optimizer = Literal["adamw", "muon"]
# Who gets the figures of a run.
TrackerName = Literal["tensorboard", "wandb", "trackio"]
# What the products of a model of another program are computed in.
ProductPrecision = Literal["float32", "bfloat16"]
# "auto" is bfloat16 on a GPU and float32 elsewhere.
PrecisionOrAuto = Literal["auto", "float32", "bfloat16", "fp8"]
# Built-in shapes of the decoder.
Preset = Literal["micro", "nano", "gpt2-124m-class", "tinyllama-1.1b", "lokilm-1.4b"]
# Which documents: those trained on, or those held out.
Side = Literal["train", "held_out"]
# What is timed: a whole training step, or the output head with its loss.
TimedPart = Literal["step", "head"]
# How a study times a step: "compiled-unpadded" is compiled without inductor's padding of shapes.
TimingMode = Literal["eager", "compiled", "compiled-unpadded"]
# The heads that a study times, by their names in `vocab.model.network.head`.
TimingHead = Literal["plain", "compiled", "chunked"]
# How a study trains.
RunMode = Literal["eager", "compiled"]
# What a study measures: losses by counts, losses of trained models, or times.
StudyKind = Literal["ngram", "loss", "speed"]
# Where a study's vocabulary comes from: pruned, pruned with superwords, trained from scratch, or the source as it is.
VocabularyBuild = Literal["prune", "superwords", "scratch", "whole"]

METHODS: tuple[Method, ...] = get_args(Method)
FRONTIER_METHODS: tuple[FrontierMethod, ...] = get_args(FrontierMethod)
RANKS: tuple[Ranks, ...] = get_args(Ranks)
VOCABULARY_FORMATS: tuple[VocabularyFormat, ...] = get_args(VocabularyFormat)
BARRIERS: tuple[Barrier, ...] = get_args(Barrier)
STYLES: tuple[Style, ...] = get_args(Style)
