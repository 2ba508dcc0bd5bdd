"""Where the `vocab` command begins: signals and standard streams first, then everything that takes time to import."""

from __future__ import annotations

import errno
import sys

from vocab.cli import interrupts, standard_streams

_INTERRUPTED, _NO_READER, _REFUSED = 130, 141, 2


def main() -> None:
    """Run the command. Ctrl-C is exit code 130; 141, and no word, says that nobody reads on, as after `| head`."""
    interrupts.install()
    standard_streams.prepare()
    try:
        try:
            from vocab.cli.app import main as run

            run()
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stderr.write("vocab: stopped; nothing was written\n")
        sys.exit(_INTERRUPTED)
    except standard_streams.StandardOutputError as error:
        standard_streams.give_up()
        if error.number == errno.EPIPE:
            sys.exit(_NO_READER)
        sys.stderr.write(f"vocab: {error}\n")
        sys.exit(_REFUSED)
