"""Every reader that is fuzzed, by name."""

from __future__ import annotations

from fuzzing import archives, kept, tables
from fuzzing.reader import Reader

READERS: dict[str, Reader] = {reader.name: reader for module in (tables, archives, kept) for reader in module.READERS}
