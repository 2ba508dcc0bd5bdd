"""`python -m vocab`: the `vocab` command."""

from vocab.cli.entry import main

main()
