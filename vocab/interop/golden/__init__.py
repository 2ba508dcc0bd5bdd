"""Golden ids: what each installed runtime gives for hostile texts, in one small file that a test compares again."""
