"""Plain text: one document in a row."""

from domain.aligners.fields import FaultError, Values, faults_returned, text_of
from domain.dataset import DatasetKind, DataSource, StandardRow


@faults_returned
def align(values: Values, source: DataSource) -> StandardRow:
    """The document of a row."""
    column = source.columns.text
    text = text_of(values, column)
    if not text.strip():
        raise FaultError(column, "the text is empty")
    return StandardRow(kind=DatasetKind.TEXT, text=text)
