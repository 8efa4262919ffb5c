"""Optional packages: whether they are installed, and what to do where they are not."""

from importlib.metadata import PackageNotFoundError, version

from domain.errors import Place, fail


def require_package(package: str, *, extra: str, field: str, name: str) -> None:
    """Raise HextuneError with the install line where a distribution is missing.

    `field` and `name` are the key of the spec and its value that ask for the package.
    """
    try:
        version(package)
    except PackageNotFoundError:
        raise fail(
            "package-missing",
            Place(field=field),
            feature=f"{field}={name}",
            package=package,
            install=f"pip install 'hextune[{extra}]'",
        ) from None
