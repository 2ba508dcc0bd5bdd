"""Losses by counts: n-gram models of text through different vocabularies, without seeds or training."""
