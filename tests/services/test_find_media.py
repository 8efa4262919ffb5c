"""Rows with media: files are found and judged before anything is encoded, cut or packed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from domain.cutting import CUTS, shorten
from domain.dataset import DataSource, LocatedRow, RowFault, StandardRow
from domain.errors import HextuneError
from domain.masking import EncodedRow, TrainOn, label_everything
from domain.media import (
    MediaConversation,
    MediaFile,
    MediaKind,
    MediaLoading,
    ShownMedia,
    account,
)
from domain.run_spec import DataSection
from entrypoints.services.encode_rows import shortened
from entrypoints.services.find_media import with_media
from entrypoints.services.inspect_data import InspectData
from entrypoints.services.prepare_data import PrepareData
from tests.fakes.models import FakeEncodedCache, FakeEncoder, FakeRowReader
from tests.services.preparing import asking


class Shelf(FakeRowReader):
    """Rows, and only the media files named."""

    def __init__(self, rows: Sequence[Mapping[str, object]], *names: str) -> None:
        super().__init__({"data/rows.jsonl": list(rows)})
        self.names = names

    def media(self, path: str, kind: MediaKind) -> MediaFile | str:
        if path not in self.names:
            return f"there is no file {path}"
        return super().media(path, kind)


class ShowingEncoder(FakeEncoder):
    """A FakeEncoder that takes media: each file is four tokens."""

    def encode_media(
        self, rows: Sequence[MediaConversation], train_on: TrainOn, loading: MediaLoading
    ) -> Sequence[EncodedRow]:
        return [
            EncodedRow(
                (7,) * 4 * len(row.files),
                (-100,) * 4 * len(row.files),
                media=ShownMedia(
                    text="", files=row.files, loading=loading, tokens={"image": 4 * len(row.files)}
                ),
            )
            for row in rows
        ]


def row(text: str, *images: str) -> dict[str, object]:
    return {"instruction": text, "output": "red", "images": list(images)}


def section(**changes: Any) -> DataSection:
    return DataSection(train=(DataSource(path="data/rows.jsonl"),), **changes)


def test_paths_start_from_the_data_files_folder_or_the_one_named() -> None:
    rows = [row("<image>?", "1.png")]
    near = PrepareData(Shelf(rows, "data/1.png")).align(section(), 0)[0]
    (file,) = near.rows[0].row.media.files
    assert (file.path, near.rows[0].row.media.images) == ("data/1.png", ("1.png",))
    far = PrepareData(Shelf(rows, "/media/1.png")).align(section(media_root="/media"), 0)[0]
    assert far.rows[0].row.media.files[0].path == "/media/1.png"


def test_a_missing_file_is_a_faulty_row_with_line_column_and_path() -> None:
    rows = [row("<image> <image>?", "1.png", "2.png"), row("no file")]
    reader = Shelf(rows, "data/1.png")
    with pytest.raises(HextuneError) as raised:
        PrepareData(reader).align(section(), 0)
    (problem,) = raised.value.problems
    assert (problem.code, str(problem.place)) == ("data-bad-row", "data/rows.jsonl:1 images[1]")
    assert "there is no file data/2.png" in problem.message
    kept, _ = PrepareData(reader).align(section(on_bad_row="drop"), 0)
    assert kept.dropped == ["data/rows.jsonl:1 images[1]: there is no file data/2.png"]
    assert len(kept.rows) == 1


def test_a_stream_finds_its_missing_files_too() -> None:
    reader = Shelf([row("<image>?", "1.png"), row("no file")])
    prepared = PrepareData(reader)(
        section(streaming=True, on_bad_row="drop"), ShowingEncoder(), asking()
    )
    assert prepared.dropped == ["data/rows.jsonl:1 images[0]: there is no file data/1.png"]


@pytest.mark.parametrize(("text", "found"), [("<image><image>", 2), ("none", 0)])
def test_placeholders_and_files_must_be_equally_many(text: str, found: int) -> None:
    from domain.alignment import align

    located = LocatedRow(values=row(text, "1.png"), file="data/rows.jsonl", line=1)
    source = DataSource(path="data/rows.jsonl")
    outcome = align(located.values, source, "alpaca")
    fault = with_media(Shelf([], "data/1.png"), located, outcome, source, section())
    reason = f"the text has {found} <image> and there are 1 files"
    assert fault == RowFault(field="images", reason=reason)


def test_a_text_model_refuses_rows_with_media() -> None:
    reader = Shelf([row("<image>?", "1.png")], "data/1.png")
    with pytest.raises(HextuneError) as raised:
        PrepareData(reader)(section(), FakeEncoder(), asking())
    assert raised.value.problems[0].code == "data-media-unsupported"


def test_preferences_with_media_are_refused_by_name() -> None:
    from domain.dataset import DatasetKind

    pair = {"instruction": "<image>?", "chosen": "a", "rejected": "b", "images": ["1.png"]}
    source = DataSource(path="data/rows.jsonl", ranking=True)
    with pytest.raises(HextuneError) as raised:
        PrepareData(Shelf([pair], "data/1.png"))(
            DataSection(train=(source,)), ShowingEncoder(), asking(eats=DatasetKind.PREFERENCE)
        )
    assert raised.value.problems[0].code == "data-media-stage"


def test_rows_keep_their_order_among_rows_with_media() -> None:
    rows = [row("one"), row("<image>?", "1.png"), row("two")]
    cache = FakeEncodedCache()
    prepared = PrepareData(Shelf(rows, "data/1.png"), cache)(section(), ShowingEncoder(), asking())
    assert [each.media is not None for each in prepared.train] == [False, True, False]


@pytest.mark.parametrize("policy", CUTS)
def test_rows_with_media_are_dropped_whole_whatever_the_policy(policy: str) -> None:
    shown = ShownMedia(text="", files=(), loading=MediaLoading(), tokens={})
    long = EncodedRow((1,) * 20, (1,) * 20, media=shown)
    assert shorten(long, 10, policy) == []
    assert shorten(label_everything((1,) * 20), 10, policy) or policy == "drop"


def test_a_dropped_row_with_media_says_that_it_is_not_cut() -> None:
    aligned = PrepareData(Shelf([row("<image>?", "1.png")], "data/1.png")).align(section(), 0)[0]
    shown = ShownMedia(text="", files=(), loading=MediaLoading(), tokens={})
    long = EncodedRow((1,) * 20, (1,) * 20, media=shown)
    kept, lines = shortened(aligned.rows, [long], section(over_long="cut_left"), 10)
    assert kept == []
    assert lines == ["data/rows.jsonl:1 20 tokens, dropped: rows with media are not cut"]


def test_what_a_row_shows_survives_a_column_of_text() -> None:
    file = MediaFile(kind=MediaKind.IMAGE, path="ä.png", width=3, height=4)
    shown = ShownMedia(
        text="<image>", files=(file,), loading=MediaLoading(video_frames=3), tokens={"image": 4}
    )
    assert ShownMedia.from_text(shown.as_text()) == shown


def test_an_account_names_sizes_lengths_and_tokens() -> None:
    sizes = [(30, 10), (10, 10), (20, 10)]
    files = [MediaFile(kind=MediaKind.IMAGE, path="", width=w, height=h) for w, h in sizes]
    found = account(files, [5, 1, 3])
    assert found.sizes == ["10x10", "20x10", "30x10"]
    assert (found.files, found.seconds, found.tokens) == (3, [], {"p50": 3, "p90": 5, "p100": 5})
    sounds = [MediaFile(kind=MediaKind.AUDIO, path="", seconds=s) for s in (2.0, 1.0)]
    assert (account(sounds, []).sizes, account(sounds, []).seconds) == ([], [1.0, 1.0, 2.0])


def test_the_report_counts_files_and_the_tokens_they_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dependency_injector import providers

    from ports.spec_reader import SpecText
    from tests.fakes.container import fake_container

    container = fake_container()
    reader = Shelf([row("<image> <image>", "1.png", "1.png"), row("text")], "data/1.png")
    container.rows.override(providers.Object(reader))
    monkeypatch.setattr("tests.fakes.models.FakeEncoder", ShowingEncoder)
    text = "model: {name: fake}\ndata: {train: [{path: data/rows.jsonl}]}"
    spec = container.spec_reader().read(SpecText(text=text, format="yaml", source="t")).spec
    inspect: InspectData = container.inspect_data()
    report = inspect.report(spec)
    assert list(report.media) == ["image"]
    assert (report.media["image"].files, report.media["image"].tokens["p50"]) == (2, 4)
    assert report.media["image"].sizes == ["4x3"] * 3
    assert (report.compared, report.equal) == (1, 1)


def test_a_plan_says_what_its_rows_show() -> None:
    from tests.domain.builders import plan

    reader = Shelf([row("<image> <image>", "1.png", "1.png"), row("text")], "data/1.png")
    prepared = PrepareData(reader)(section(), ShowingEncoder(), asking())
    made = plan(data=replace(prepared, formats={"rows.jsonl": "alpaca"}))
    (decision,) = (each for each in made.decisions if each.key == "data.media")
    assert decision.value == "2 image"
    assert "data.media" not in {each.key for each in plan().decisions}


def test_standard_rows_hold_paths_as_they_were_written() -> None:
    reader = Shelf([row("<image>?", "1.png")], "data/1.png")
    standard: StandardRow = PrepareData(reader).align(section(), 0)[0].rows[0].row
    assert standard.as_json()["images"] == ["1.png"]
