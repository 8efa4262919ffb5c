"""Curves in terminal cells: braille dots, and ticks at round values.

A cell holds 2 by 4 dots; bit i of a braille character (U+2800 + bits) is one of them, as in the
Unicode standard, section 21.1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from domain.metrics import Point

DOTS_X, DOTS_Y = 2, 4
BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bit of the dot in each row and column of a cell."""
BLANK = 0x2800
ROUND = (1.0, 2.0, 5.0, 10.0)
"""First digits of round steps."""
ROUND_ON_LOG = ((1, 2, 5), (1,))
"""First digits of round values on a log scale: all of these where they have room, or decades."""


@dataclass(frozen=True, slots=True)
class Axes:
    """A window on step and value, `columns` by `rows` cells large."""

    columns: int
    rows: int
    first: float
    last: float
    low: float
    high: float
    log: bool = False

    def dot(self, point: Point) -> tuple[int, int]:
        """Dot column from the left and dot row from the top, inside the window."""
        across = (point.step - self.first) / ((self.last - self.first) or 1)
        low, high = self._place(self.low), self._place(self.high)
        up = (self._place(point.value) - low) / ((high - low) or 1)
        x = round(across * (self.columns * DOTS_X - 1))
        y = round((1 - up) * (self.rows * DOTS_Y - 1))
        return min(max(x, 0), self.columns * DOTS_X - 1), min(max(y, 0), self.rows * DOTS_Y - 1)

    def ticks(self) -> dict[int, str]:
        """Round values within the window, by cell row; no two in neighbouring rows."""
        found: dict[int, str] = {}
        for value, text in self._round_values(max(2, self.rows // 3)):
            row = self.dot(Point(0, value))[1] // DOTS_Y
            if not {row - 1, row, row + 1} & found.keys():
                found[row] = text
        return found

    def _place(self, value: float) -> float:
        return math.log10(max(value, self.low)) if self.log else value

    def _round_values(self, count: int) -> list[tuple[float, str]]:
        for digits in ROUND_ON_LOG if self.log else ():
            inside = self._decimals(digits)
            if 3 <= len(inside) <= self.rows // 2:
                return [(value, f"{value:g}") for value in inside]
        rough = (self.high - self.low) / count
        size = 10.0 ** math.floor(math.log10(rough))
        step = next(size * digit for digit in ROUND if size * digit >= rough * 0.999)
        places = max(0, -math.floor(math.log10(step)))
        start, end = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [(at * step, f"{at * step:.{places}f}") for at in range(start, end + 1)]

    def _decimals(self, digits: Sequence[int]) -> list[float]:
        """The values within the window that are one of `digits` and zeros."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        values = [digit * 10.0**decade for decade in decades for digit in digits]
        return [value for value in values if self.low <= value <= self.high]


def fitting_axes(
    series: Sequence[Sequence[Point]], columns: int, rows: int, *, log: bool
) -> Axes | None:
    """Axes around all finite points (all positive ones on a log scale); None for no points."""
    points = [p for one in series for p in one if math.isfinite(p.value)]
    points = [p for p in points if p.value > 0] if log else points
    if not points:
        return None
    low, high = min(p.value for p in points), max(p.value for p in points)
    if high - low < 1e-12 + 1e-6 * abs(high):
        low, high = low - 0.1 * (abs(low) or 1), high + 0.1 * (abs(high) or 1)
    first, last = min(p.step for p in points), max(p.step for p in points)
    return Axes(columns, rows, first, last, low, high, log)


class Braille:
    """A grid of cells to draw lines in."""

    def __init__(self, columns: int, rows: int) -> None:
        self._cells = [[0] * columns for _ in range(rows)]

    def dot(self, x: int, y: int) -> None:
        """Set one dot."""
        self._cells[y // DOTS_Y][x // DOTS_X] |= BITS[y % DOTS_Y][x % DOTS_X]

    def line(self, dots: Sequence[tuple[int, int]]) -> None:
        """Join dots, in order, by straight lines."""
        for x, y in dots[:1]:
            self.dot(x, y)
        for (x0, y0), (x1, y1) in pairwise(dots):
            count = max(abs(x1 - x0), abs(y1 - y0), 1)
            for at in range(count + 1):
                self.dot(round(x0 + (x1 - x0) * at / count), round(y0 + (y1 - y0) * at / count))

    def character(self, column: int, row: int) -> str:
        """The character of a cell; empty where no dot is set."""
        bits = self._cells[row][column]
        return chr(BLANK + bits) if bits else ""
