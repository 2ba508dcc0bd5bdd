"""A decoder with its head: ids and targets to nats."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from vocab.model.network.decoder import Decoder
from vocab.model.network.head import Nats, TeacherOfPart, distilled, head_loss


class LanguageModel(nn.Module):
    """A decoder and the loss of its head.

    Args:
        decoder: initialised, and prepared before the first call.
        head: name of the head, a key of `vocab.model.network.head.HEADS`.
    """

    def __init__(self, decoder: Decoder, head: str = "chunked") -> None:
        super().__init__()
        self.decoder = decoder
        self.loss = head_loss(head)

    def forward(
        self,
        ids: Tensor,
        targets: Tensor,
        documents: Tensor | None = None,
        teachers: Sequence[TeacherOfPart] = (),
    ) -> Nats:
        """Nats of the tokens that follow.

        Args:
            ids: (B, T) int64.
            targets: (B, T) int64, the token after each of `ids`; IGNORED counts for nothing.
            documents: (B, T) int32, the document of each token, when attention must stay inside documents.
            teachers: from a part of the B · T positions to a teacher's probabilities; with any, the sum is that of
                `distilled`.
        """
        hidden = self.decoder(ids, documents).flatten(0, 1)
        if teachers:
            return distilled(hidden, self.decoder.head_weight, targets.flatten(), teachers)
        return self.loss(hidden, self.decoder.head_weight, targets.flatten())
