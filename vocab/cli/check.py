"""`vocab check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vocab.cli.screen import say
from vocab.cli.shared_options import Result


def check(
    certificate: Annotated[Path, typer.Argument(help="A certificate.zip, or a folder that holds one.")],
    report: Annotated[
        Path | None, typer.Option("--report", help="The report.json that must state the same claims and digests.")
    ] = None,
) -> Result:
    """Verify a certificate from its file alone, in plain Python: what it proves, or why it proves nothing."""
    from vocab.errors import CertificateError
    from vocab.prune import check_certificate

    if certificate.is_dir():
        certificate /= "certificate.zip"
        if not certificate.is_file():
            raise CertificateError(f"{certificate} is not there: make one with vocab prune --certify")
    try:
        claims = check_certificate.check(str(certificate), str(report) if report else None)
    except check_certificate.RejectedError as error:
        raise CertificateError(f"{certificate} is rejected: {error}") from None
    say(f"Proven: {check_certificate.claims_sentence(claims)}.")
    return Result(claims)
