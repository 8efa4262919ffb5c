"""Which rows a rank gets: together the ranks have the batches of one process."""

from typing import Any

import pytest

ROWS = [{"row": number} for number in range(13)]
SEED = 7


def rank_batches(rank: int, epoch: int, skip: int = 0) -> list[list[int]]:
    """What rank 0 or 1 trains on in an epoch, two rows at a time; -1 is a blank row."""
    from accelerate.data_loader import prepare_data_loader, skip_first_batches
    from torch.utils.data import DataLoader

    from adapters.parallel.rank_trainer import PaddedRows, SeededOrder

    padded = PaddedRows(ROWS, -len(ROWS) % 4, {"row": -1})
    loader: Any = prepare_data_loader(
        DataLoader(padded, batch_size=2, sampler=SeededOrder(padded, SEED)),
        num_processes=2,
        process_index=rank,
    )
    if skip:
        loader = skip_first_batches(loader, skip)
    loader.set_epoch(epoch)
    return [batch["row"].tolist() for batch in loader]


def one_process(epoch: int) -> list[list[int]]:
    """The batches of four that accelerate gives one process."""
    from accelerate.data_loader import prepare_data_loader
    from torch.utils.data import DataLoader, RandomSampler

    loader: Any = prepare_data_loader(
        DataLoader(ROWS, batch_size=4, sampler=RandomSampler(ROWS)),
        num_processes=1,
        process_index=0,
        use_seedable_sampler=True,
        data_seed=SEED,
    )
    loader.set_epoch(epoch)
    return [batch["row"].tolist() for batch in loader]


@pytest.mark.parametrize("epoch", [0, 1, 3])
@pytest.mark.parametrize("skip", [0, 1, 2])
def test_ranks_together_have_the_batches_of_one_process(epoch: int, skip: int) -> None:
    """Also where a run resumes in the middle of an epoch."""
    first, second = (rank_batches(rank, epoch, skip) for rank in (0, 1))
    joined = [[*a, *b] for a, b in zip(first, second, strict=True)]
    whole = one_process(epoch)[skip:]
    assert [[row for row in batch if row >= 0] for batch in joined] == whole
    assert sum(row < 0 for batch in joined for row in batch) == 3


def test_epochs_differ() -> None:
    assert rank_batches(0, 0) != rank_batches(0, 1)
