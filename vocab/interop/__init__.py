"""What a vocabulary is to other programs: the same ids in every runtime, other formats, and models that follow it."""
