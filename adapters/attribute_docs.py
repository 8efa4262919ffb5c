"""Attribute docstrings: the text under a dataclass field, read from the class's source."""

import ast
import inspect
import textwrap
from collections.abc import Mapping
from functools import cache
from itertools import pairwise


@cache
def attribute_docs(cls: type) -> Mapping[str, str]:
    """Field name to the docstring under it, for the fields of `cls` and of what it extends."""
    inherited: dict[str, str] = {}
    for base in reversed(cls.__mro__[1:-1]):
        inherited |= attribute_docs(base)
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    return inherited | {
        field.target.id: inspect.cleandoc(doc.value.value)
        for field, doc in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(doc, ast.Expr)
        and isinstance(doc.value, ast.Constant)
        and isinstance(doc.value.value, str)
    }
