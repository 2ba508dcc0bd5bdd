"""Reports of studies, made from rows alone."""
