"""A release's wheel or sdist, fetched by the address in the list of releases and checked by its sha256."""

import hashlib
from pathlib import Path

from matrix.errors import CaliperError
from matrix.files import atomic_write

TIMEOUT = 60


class DownloadError(CaliperError):
    """A file that could not be fetched, or is not what the list of releases says."""


def fetch(url: str, sha256: str, folder: Path) -> Path:
    """Return the file of that digest from the cache in ``folder``; fetch it where it is not there.

    A cached file is checked too, and fetched again if it is damaged.

    Raises:
        DownloadError: the index does not answer, or gives another file than the list of releases says.
    """
    path = folder / sha256 / url.rpartition("/")[2]
    if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
        return path
    import requests  # noqa: PLC0415 # takes 0.1 s, and all may be there already

    try:
        response = requests.get(url, timeout=TIMEOUT)
        response.raise_for_status()
    except requests.RequestException as error:
        message = f"{url} cannot be fetched ({error}): check the network and run the command again"
        raise DownloadError(message) from error
    found = hashlib.sha256(response.content).hexdigest()
    if found != sha256:
        message = f"{url} has sha256 {found}, the list of releases says {sha256}: run `caliper-matrix releases`"
        raise DownloadError(message)
    atomic_write(path, response.content)
    return path
