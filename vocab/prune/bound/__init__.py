"""The lower bound for all vocabularies of a size, the search for a vocabulary near it, and the certificate."""
