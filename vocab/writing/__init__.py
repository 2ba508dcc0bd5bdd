"""Writing: files and folders appear whole or not at all, one process at a time, and only in place of our own.

What is written grows in a hidden, locked folder beside its target, `.NAME-unfinished`, and takes its name when it is
whole. An error, Ctrl-C or a kill leaves the target as it was. The next run with this target removes what a killed one
left. docs/reliability.md says what is promised.
"""

from vocab.writing.json_files import (
    DIGEST,
    check_digest,
    json_text,
    with_digest,
    write_json,
    write_json_lines,
)
from vocab.writing.locks import hold_file, locked_folder
from vocab.writing.result_mark import MARK, foreign_files, is_empty, publish, write_mark
from vocab.writing.staged_files import check_file, staged_file, write_bytes, write_text
from vocab.writing.staged_folders import check_foreign, check_target, staged_folder
from vocab.writing.staging import check_owner, hidden_path, is_leftover, place, staging_folder
from vocab.writing.write_errors import first_line, write_errors_named

__all__ = [
    "DIGEST",
    "MARK",
    "check_digest",
    "check_file",
    "check_foreign",
    "check_owner",
    "check_target",
    "first_line",
    "foreign_files",
    "hidden_path",
    "hold_file",
    "is_empty",
    "is_leftover",
    "json_text",
    "locked_folder",
    "place",
    "publish",
    "staged_file",
    "staged_folder",
    "staging_folder",
    "with_digest",
    "write_bytes",
    "write_errors_named",
    "write_json",
    "write_json_lines",
    "write_mark",
    "write_text",
]
