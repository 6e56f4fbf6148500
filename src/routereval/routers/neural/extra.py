"""The extra ``neural``: whether it is installed, and what to say where it is not."""

from __future__ import annotations

from importlib.util import find_spec

from routereval.errors import MissingDataError

INSTALL = "pip install 'routereval[neural]'"
NEEDED = ("torch", "transformers", "safetensors")


def installed() -> bool:
    """Whether the extra is there; nothing is imported to find out."""
    return all(find_spec(name) is not None for name in NEEDED)


def require_extra(who: str) -> None:
    """Refuse to go on without the extra.

    Parameters
    ----------
    who : the router that asks, as it is named in the catalogue.

    Raises
    ------
    MissingDataError : it is not installed; the message is the command that installs it.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise MissingDataError(f"{who} needs {', '.join(missing)}, which the core does without; {INSTALL}")
