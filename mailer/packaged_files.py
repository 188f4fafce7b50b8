"""Finds the folders that are shipped with the code: `templates` and `migrations`.

In a checkout they are beside the package, in an installed wheel inside it.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_folder(name: str) -> Path:
    """Return the shipped folder called `name`.

    Raises:
        FileNotFoundError: the installation is broken.
    """
    for place in (_PACKAGE / name, _PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise FileNotFoundError(
        f"the folder {name!r} is missing beside the package; install the mailer again"
    )
