"""Packing: several rows in one sequence, so that little is padded (Krell et al. 2021).

Best fit, longest first: each row goes where it leaves the least room. Rows in a pack do not see
each other: their positions start anew, and the attention kernel honours that.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence


def pack(lengths: Sequence[int], limit: int) -> list[list[int]]:
    """Packs as lists of row numbers, each at most `limit` tokens; every row stands in one pack.

    Raises ValueError for a row longer than `limit`.
    """
    packs: list[list[int]] = []
    rooms: list[tuple[int, int]] = []  # (room left, pack number), sorted
    for row in sorted(range(len(lengths)), key=lambda number: (-lengths[number], number)):
        length = lengths[row]
        if length > limit:
            raise ValueError(f"row {row} has {length} tokens, more than {limit}")
        at = bisect_left(rooms, (length, -1))
        if at == len(rooms):
            packs.append([row])
            insort(rooms, (limit - length, len(packs) - 1))
        else:
            room, number = rooms.pop(at)
            packs[number].append(row)
            insort(rooms, (room - length, number))
    return packs
