"""Other formats of a vocabulary, and the check that every runtime gives the same ids."""
