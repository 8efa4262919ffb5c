"""TRL's SFTTrainer, for one rank or several."""

from typing import Any

from trl import SFTTrainer

from adapters.parallel.rank_trainer import BLANK_TOKENS, RankTrainer
from domain.masking import IGNORED


class SftTrainer(RankTrainer, SFTTrainer):  # type: ignore[misc]
    """TRL divides a step's loss by the tokens of all ranks that carry one."""

    def blank(self, row: dict[str, Any]) -> dict[str, Any]:
        """Its first tokens without a label."""
        ids = row["input_ids"][:BLANK_TOKENS]
        lengths = {"seq_lengths": [len(ids)]} if "seq_lengths" in row else {}
        return {**row, "input_ids": ids, "labels": [IGNORED] * len(ids), **lengths}
