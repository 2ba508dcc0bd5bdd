"""A page that cuts text by vocabularies in the browser and lists their tokens: one file, without network."""
