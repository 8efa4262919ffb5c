"""Data on the terminal: media tokens are collapsed, media files are accounted for."""

import pytest

from domain.data_report import DataReport
from domain.media import MediaAccount
from entrypoints.cli.data_view import show_report, show_row
from entrypoints.services.inspect_data import ShownRow

PADS = [("<|image_pad|>", 5, False)] * 64


def test_media_tokens_are_shown_as_one_with_their_number(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pieces = [("Look: ", 1, False), *PADS, ("Red", 2, True), ("!", 3, True)]
    show_row(ShownRow("rows.json", 7, pieces), ids=False)
    assert capsys.readouterr().out == (
        "rows.json:7  67 tokens, 2 trained\nLook: <image_pad x 64>⟦Red!⟧\n"
    )
    show_row(ShownRow("rows.json", 7, pieces), ids=True)
    assert "<image_pad x 64>·5 ⟦Red·2 " in capsys.readouterr().out


@pytest.mark.parametrize("piece", ["a", "<", "< >", "<b> <b>"])
def test_text_that_repeats_stays_as_it_is(piece: str, capsys: pytest.CaptureFixture[str]) -> None:
    show_row(ShownRow("rows.json", 1, [(piece, 1, False)] * 8), ids=False)
    assert capsys.readouterr().out.endswith("\n" + piece * 8 + "\n")


def test_a_report_accounts_for_media(capsys: pytest.CaptureFixture[str]) -> None:
    report = DataReport(
        rows_read=2, kinds={"conversation": 2}, formats={}, dropped=(), too_long=(), refused=(),
        duplicates=(), untrained=(), limit=100, lengths=(9, 9), trained=(3, 3), compared=0, equal=0,
        media={
            "image": MediaAccount(
                files=3, sizes=["1x1", "2x2", "3x3"], seconds=(), tokens={"p50": 4}
            ),
            "audio": MediaAccount(files=1, sizes=(), seconds=[2.5, 2.5, 2.5], tokens={}),
        },
    )  # fmt: skip
    show_report(report)
    shown = capsys.readouterr().out
    assert "images      3 files; 1x1 / 2x2 / 3x3; tokens each p50 4\n" in shown
    assert "audios      1 files; 2.5 / 2.5 / 2.5 s\n" in shown
