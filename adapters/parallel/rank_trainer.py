"""What a transformers Trainer does otherwise where several ranks train.

A step takes the rows that one process with all ranks' `per_device` would take: they are shuffled by
the seed alone, and each rank takes its `per_device` of every batch in turn. Where the last batch of
an epoch is not full, rows that count nothing fill it up, so that no row is seen twice. Held-out
rows are measured whole by every rank, so that their figures are a single process's.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from torch.utils.data import Dataset, Sampler

BLANK_TOKENS = 2
"""Tokens of a row that fills up a batch; they are counted among the tokens seen."""


class RankTrainer:
    """Put it before a Trainer class; with one process it changes nothing."""

    args: Any
    accelerator: Any
    train_dataset: Any
    eval_dataset: Any
    data_collator: Any
    model: Any
    _save: Any
    optimizer: Any
    is_fsdp_enabled: bool
    asked_optimizer: Any = None
    """The spec's: DeepSpeed's integration takes the trainer's own away and asks for a new one."""

    def blank(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row like this one that counts nothing."""
        raise NotImplementedError

    def create_accelerator_and_postprocess(self) -> None:
        """As ever; and where accelerate passed over FSDP, as it does on a CPU, turn it on."""
        super().create_accelerator_and_postprocess()  # type: ignore[misc]
        if self.args.fsdp and not self.is_fsdp_enabled:
            from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

            state = self.accelerator.state
            state.distributed_type = DistributedType.FSDP
            state.fsdp_plugin = FullyShardedDataParallelPlugin(**self.args.fsdp_plugin_args)
            self.is_fsdp_enabled = True

    def create_optimizer(self, model: Any = None) -> Any:
        """The spec's optimizer, whoever asks."""
        if self.optimizer is None:
            self.optimizer = self.asked_optimizer
        return super().create_optimizer(model)  # type: ignore[misc]

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """As ever; of divided weights the whole ones, and none in a checkpoint, which has its own.

        They are gathered here, as accelerate leaves them divided on a CPU.
        """
        if not self.is_fsdp_enabled:
            super().save_model(output_dir, _internal_call)  # type: ignore[misc]
        elif not _internal_call:
            self._save(output_dir, state_dict=_whole(self.model.state_dict()))

    def get_train_dataloader(self) -> Any:
        """Batches of this rank."""
        from torch.utils.data import DataLoader

        if self.args.world_size == 1:
            return super().get_train_dataloader()  # type: ignore[misc]
        rows, size = self.train_dataset, self.args.train_batch_size
        padded = PaddedRows(rows, -len(rows) % (size * self.args.world_size), self.blank(rows[0]))
        return self.accelerator.prepare(
            DataLoader(
                padded,
                batch_size=size,
                sampler=SeededOrder(padded, self.args.data_seed),
                collate_fn=self.data_collator,
                pin_memory=self.args.dataloader_pin_memory,
            )
        )

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """All held-out rows."""
        from torch.utils.data import DataLoader

        if self.args.world_size == 1:
            return super().get_eval_dataloader(eval_dataset)  # type: ignore[misc]
        named = isinstance(eval_dataset, str)
        rows = self.eval_dataset[eval_dataset] if named else eval_dataset
        return DataLoader(
            self.eval_dataset if rows is None else rows,
            batch_size=self.args.eval_batch_size,
            collate_fn=self.data_collator,
        )


def _whole(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Weights of which each rank holds a part, put together in the machine's memory."""
    from torch.distributed.tensor import DTensor

    return {
        name: (weight.full_tensor() if isinstance(weight, DTensor) else weight).cpu()
        for name, weight in weights.items()
    }


class PaddedRows(Dataset):  # type: ignore[misc]
    """Rows, then blank ones."""

    def __init__(self, rows: Any, blanks: int, blank: dict[str, Any]) -> None:
        self.rows = rows
        self.blanks = blanks
        self.epoch = 0
        self._blank = blank

    def set_epoch(self, epoch: int) -> None:
        """Told here, as accelerate does not reach the sampler of ranks that resume in an epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.rows) + self.blanks

    def __getitem__(self, number: int) -> dict[str, Any]:
        row: dict[str, Any] = self.rows[number] if number < len(self.rows) else self._blank
        return row


class SeededOrder(Sampler):  # type: ignore[misc]
    """The order one process has in the rows' epoch, by accelerate's sampler; then blank rows."""

    def __init__(self, padded: PaddedRows, seed: int) -> None:
        from accelerate.data_loader import SeedableRandomSampler

        self._rows = SeedableRandomSampler(data_source=padded.rows, data_seed=seed)
        self._padded = padded

    def __len__(self) -> int:
        return len(self._padded)

    def __iter__(self) -> Iterator[int]:
        self._rows.set_epoch(self._padded.epoch)
        yield from self._rows
        yield from range(len(self._padded.rows), len(self._padded))
