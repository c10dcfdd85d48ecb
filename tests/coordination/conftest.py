"""The same workshop as the engine's stories: a real database, a fake source, a fake clock."""

from tests.engine.conftest import migrated, path, workshop

__all__ = ["migrated", "path", "workshop"]
