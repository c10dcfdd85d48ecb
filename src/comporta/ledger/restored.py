"""A ledger that comes from a backup: what in it is not true any more, and is taken back.

Rows and coverage are of one moment, so coverage stands. But whoever ran or waited then does not now; where a run had
got to in a source's list means nothing days later; and what was deleted since, or changed without its stamp, only a
comparison with the source finds: so every stream counts as never compared, which its next run makes up for.
"""

import json

from comporta.errors import RunLost
from comporta.ledger.rows import text_of
from comporta.ledger.session import Session


def doubt(session: Session) -> int:
    """Take back what a backup cannot know; return how many streams will be compared."""
    error = RunLost("the database was restored from a backup that was made while this run was not at its end")
    values = {"now": text_of(session.now), "error": json.dumps(error.as_json())}
    session.run("end_restored_runs", values)
    session.run("free_restored_scopes", {})
    session.run("forget_all_passes", {})
    session.run("end_restored_instances", values)
    return session.run("doubt_all_streams", {})
