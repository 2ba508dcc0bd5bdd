"""Output vocabularies: the head of a model cut to some ids, which stay as they are."""
