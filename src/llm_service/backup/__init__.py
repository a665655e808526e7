"""Backups: one archive of all that must not be lost, made beside a running service, and put in place again."""

from llm_service.backup.archive import CONFIGURATION, HASH_KEY, opened
from llm_service.backup.make import Made, Origin, make_backup
from llm_service.backup.manifest import DamagedArchive, Manifest, as_object
from llm_service.backup.restore import CutOff, RestoreRefused, Restoring, Target
from llm_service.backup.shelf import archive_name, keep_newest
from llm_service.backup.staging import LookedThrough, NewerSchema, staged

__all__ = [
    "CONFIGURATION",
    "HASH_KEY",
    "CutOff",
    "DamagedArchive",
    "LookedThrough",
    "Made",
    "Manifest",
    "NewerSchema",
    "Origin",
    "RestoreRefused",
    "Restoring",
    "Target",
    "archive_name",
    "as_object",
    "keep_newest",
    "make_backup",
    "opened",
    "staged",
]
