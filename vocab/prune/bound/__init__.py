"""The lower bound on the tokens of every vocabulary of a size, the search beside it, and its certificate."""
