"""What a vocabulary is and does: its composition, its tokens on a corpus, and differences between two."""
