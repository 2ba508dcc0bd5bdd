"""Models of other programs: loaded, and scored on text."""
