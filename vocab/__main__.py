"""`python -m vocab`: the `vocab` command."""

from vocab.cli.entry import main

if __name__ == "__main__":
    main()
