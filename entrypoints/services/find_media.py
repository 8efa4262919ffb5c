"""Find media: the files a row shows or plays are looked at before anything is encoded."""

from dataclasses import replace
from os.path import dirname, join

from domain.dataset import DataSource, LocatedRow, RowFault, StandardRow
from domain.media import MediaFile, MediaKind
from domain.run_spec import DataSection
from ports.datasets import RowReader


def with_media(
    reader: RowReader,
    row: LocatedRow,
    outcome: StandardRow | RowFault,
    source: DataSource,
    data: DataSection,
) -> StandardRow | RowFault:
    """The aligned row with what its files' headers say, or the column and reason of a fault."""
    if isinstance(outcome, RowFault) or not outcome.media:
        return outcome
    columns = {
        MediaKind.IMAGE: source.columns.images,
        MediaKind.VIDEO: source.columns.videos,
        MediaKind.AUDIO: source.columns.audios,
    }
    text = "".join(message.content for message in outcome.messages)
    folder = dirname(row.file) if data.media_root is None else data.media_root
    files: list[MediaFile] = []
    for kind, paths in outcome.media.paths.items():
        found = text.count(kind.placeholder)
        if found != len(paths):
            reason = f"the text has {found} {kind.placeholder} and there are {len(paths)} files"
            return RowFault(field=columns[kind], reason=reason)
        for number, path in enumerate(paths):
            file = reader.media(join(folder, path), kind)
            if isinstance(file, str):
                return RowFault(field=f"{columns[kind]}[{number}]", reason=file)
            files.append(file)
    return replace(outcome, media=replace(outcome.media, files=tuple(files)))
