"""The closed list of events: whatever a run's log or the program's log says is one of these.

A name is in past tense and says what happened; values stand in fields, never in the name. The list with
its meanings is also docs/reference/events.md, and a test compares the two.
"""

from types import MappingProxyType

EVENTS = MappingProxyType(
    {
        "run_queued": "A run was queued for a tick of its stream, or waits for the run that holds it.",
        "scheduling_failed": "The database could not take what is due; it is offered again.",
        "dispatching_failed": "A queued run could not be taken, or what follows it not queued; it is tried again.",
        "beat_failed": "A server could not say that it is alive; what it does goes on.",
        "accounts_changed": "Accounts came, changed or went in the database, and a server goes by that.",
        "accounts_not_read": "The accounts of the database could not be read; a server goes on with those it knows.",
        "run_started": "A run holds its lease and begins.",
        "run_succeeded": "A run ended well; its window is covered, but for what claims none, as a dry run.",
        "run_failed": "A run ended with an error; run_retrying follows if it is tried again.",
        "run_interrupted": "A run was handed over at a shutdown.",
        "run_cancelled": "A person cancelled a run.",
        "run_timed_out": "A run took longer than its timeout, or made no progress for longer than stall_timeout.",
        "run_skipped": "A run had nothing to do, found its stream held, or may not run without Redis.",
        "run_retrying": "A run ended without success and is tried again after a pause.",
        "lease_acquired": "A run may write its stream, under a new epoch.",
        "lease_released": "A run gave its stream back, in the transaction that ended it.",
        "lease_lost": "Another run took over, or may have: this one writes nothing more.",
        "end_not_written": "A run's end could not be written: it stands as running until its lease runs out.",
        "legacy_lock_awaited": "A run waits until the key of an older program is free, or Redis answers.",
        "legacy_lock_unreachable": "Redis does not answer, and a run goes on with the lease in the database alone.",
        "window_planned": "Which slice of source time the run reads, and why.",
        "window_verified": "The source confirms that what was read is everything.",
        "window_closed": "Coverage gained the window, in the transaction of the last row.",
        "pass_started": "A window is read from its beginning.",
        "pass_resumed": "A window is read on from where an earlier run stopped.",
        "request_retried": "A request went wrong or came too early and is sent again.",
        "prices_missing": "Items came without the price that is asked for by itself; the one that is here stays.",
        "login_renewed": "The account has a new pair of tokens, and it is stored.",
        "login_not_renewed": "A pair of tokens could not be renewed now; the present one still holds and is used.",
        "page_read": "One answer of the source was read.",
        "batch_committed": "Rows, counts and resume point were committed.",
        "batch_compared": "A dry run compared rows with the table, and wrote nothing.",
        "records_rejected": "Records that cannot be written went to quarantine.",
        "records_untold": "Records came without a part that the source should tell; what is known of it stays.",
        "records_deleted": "Rows that are gone at the source were marked deleted.",
        "children_relisted": "What belongs to changed records, as an order's lines, was listed again.",
        "sweep_chosen": "So many records changed that their whole stream is read instead of what belongs to each.",
        "hints_handled": "Single records that were told of, by a notification or by another stream, were read by key.",
        "hints_let_go": "What was told of or looked for in vain, and no record of ours names, is let go.",
        "hints_wait": "More was told of that is not here than may be looked for in an hour; the rest waits.",
        "schema_changed": "A table or view was made or widened to fit the source's fields.",
        "coverage_voided": "What was covered counts no more: another query, a table gone, a clock that was ahead.",
        "reconcile_compared": "Table and source were compared.",
        "reconcile_repaired": "What differed was read again and written.",
        "server_started": "A server is at work, and listens if that is its role.",
        "server_stopped": "The server was told to end, handed over what ran, and ended.",
        "log_lines_dropped": "Nobody took the program's log for a while; so many lines are missing here.",
        "library_warned": "A library that Comporta uses says that something is amiss.",
        "missed_notifications_read": "The source was asked for the notifications that it could not deliver.",
        "notifications_failed": "Something about notifications went wrong; it is done again by itself.",
        "alert_opened": "Something is wrong that matters to a person.",
        "alert_closed": "What was wrong is over.",
        "alerts_told": "A channel took a letter about alerts.",
        "alerts_not_told": "No channel took the letter; it is written again at a later look.",
        "alerts_not_kept": "The database could not be asked for alerts, or took none; the next look tries again.",
        "stale_rows_ahead": "Rows are stamped later than the source's own clock.",
    }
)
"""Each event and what it means."""
