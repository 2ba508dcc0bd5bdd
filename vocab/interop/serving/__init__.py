"""Files for inference engines: draft vocabularies and GGUF."""
