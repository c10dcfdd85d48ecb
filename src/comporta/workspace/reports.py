"""Where everything stands, as the JSON that the command line and the API of runs both show.

One function for each object, so that a script may read either; docs/reference/http.md has their shapes.
"""

from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

from comporta.core.coverage import Interval
from comporta.core.instant import short_text
from comporta.core.login import LoginState, Standing
from comporta.core.rate import duration_text
from comporta.core.run import Run, RunState
from comporta.errors import LoginNeeded
from comporta.ports.store import LeaseRow

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from comporta.workspace.stream_status import StreamStatus, Waiting
    from comporta.workspace.workspace import Workspace


NOT_SCHEDULED = "restart comporta serve: it does not schedule this (an account just connected takes some seconds)"


def is_paused(workspace: "Workspace", each: "StreamStatus", accounts: "Collection[str]") -> bool:
    """Say whether a stream, or its account, is left alone."""
    told = workspace.settings.accounts.get(each.account)
    return each.account in accounts or told is None or told.stream(each.stream).paused


def _status_json(each: "StreamStatus", *, paused: bool) -> dict[str, object]:
    """Return one stream's status as JSON."""
    return {
        "account": each.account,
        "stream": each.stream,
        "state": state_word(each, paused=paused),
        "freshness_s": seconds(each.freshness),
        "clock_offset_s": each.facts.clock_offset_s,
        "holes": [interval_json(part) for part in holes(each)],
        "quarantined": each.quarantined,
        "last_run": each.last.as_json() if each.last else None,
        "next_step": next_step(each, paused=paused),
    }


def state_word(each: "StreamStatus", *, paused: bool) -> str:
    """Return the state people see; who pauses an account does not end what is at work there."""
    if paused and (each.last is None or each.last.state is not RunState.RUNNING):
        return "paused"
    if each.last is None:
        return "never"
    if each.last.state is RunState.RUNNING and not each.is_responding:
        return "not responding"
    return each.last.state.value


def next_step(each: "StreamStatus", *, paused: bool) -> str:
    """Say what a person may do about it; nothing when all is well."""
    word = state_word(each, paused=paused)
    if word == "never":
        return f"comporta sync {each.account}/{each.stream}"
    if word == "not responding":
        return "nothing: the next sync goes on where it stopped"
    if each.waiting is not None and each.last is not None and not paused:
        return waiting_step(each.last, each.waiting)
    if each.last is not None and each.last.error and not paused:
        return each.last.error.get("next_step", "")
    if each.quarantined:
        return f"{each.quarantined} in quarantine: comporta quarantine"
    return "the next sync fills the holes" if holes(each) else ""


def waiting_step(run: Run, waiting: "Waiting") -> str:
    """Say what a queued run waits for, which is a person's business only where nobody does what is queued."""
    if not waiting.has_workers:
        return f"nobody works: comporta serve, or comporta sync {run.account}/{run.stream}"
    if waiting.held_by is not None:
        return f"nothing: it begins when run {waiting.held_by} ends"
    if waiting.begins_in is not None:
        whole_s = timedelta(seconds=ceil(waiting.begins_in.total_seconds()))
        why = f"; comporta runs --account {run.account} says why" if run.attempt > 1 else ""
        return f"nothing: attempt {run.attempt} begins in {duration_text(whole_s)}{why}"
    return f"nothing: the next free worker does it; comporta log {run.id} says what it waits for, if it does"


def login_json(account: str, state: LoginState) -> dict[str, object]:
    """Return how a login stands as JSON, with what a person has to do."""
    is_needed = state.standing is Standing.NEEDS_LOGIN
    return {
        "state": state.standing.value,
        "user_id": state.user_id,
        "expires_at": short_text(state.expires_at),
        "reason": state.reason,
        "next_step": f"comporta connect mercadolivre {account}" if is_needed else "",
    }


def _with_login(line: dict[str, object], login: dict[str, object] | None) -> dict[str, object]:
    """Return a stream's status with its account's login, which comes before whatever else a person could do.

    >>> failed = {"last_run": {"error": {"code": "CMP-AUTH-005"}}, "next_step": "Grant access again."}
    >>> line = {"account": "loja", "stream": "orders", **failed}
    >>> _with_login(line, {"state": "good", "next_step": ""})["next_step"]
    'comporta sync loja/orders'
    """
    if login is None:
        return line
    step = login["next_step"] or line["next_step"]
    if not login["next_step"] and _was_refused_login(line):  # a person has been there since
        step = f"comporta sync {line['account']}/{line['stream']}"
    return {**line, "next_step": step, "login": login}


def status_lines(
    found: "Sequence[StreamStatus]",
    paused: "Sequence[bool]",
    logins: "Mapping[str, dict[str, object]]",
    *,
    is_scheduled: bool,
) -> list[dict[str, object]]:
    """Return the whole status of streams as JSON; ``paused`` are those that are left alone, in the same order."""
    return [
        _with_next(
            _with_login(_status_json(each, paused=rests), logins.get(each.account)),
            each,
            is_scheduled=is_scheduled,
            paused=rests,
        )
        for each, rests in zip(found, paused, strict=True)
    ]


def _with_next(line: dict[str, object], each: "StreamStatus", *, is_scheduled: bool, paused: bool) -> dict[str, object]:
    """Return a stream's status with when its next run begins, ``None`` where nobody would begin it.

    A server at work that does not know the stream begins nothing of it, and a person hears that, unless there is an
    error to mend first.
    """
    is_due = is_scheduled and not paused
    if is_due and not each.is_offered:
        is_first = not (each.last is not None and each.last.error) and not _needs_login(line)
        return {**line, "next_run_at": None, "next_step": NOT_SCHEDULED if is_first else line["next_step"]}
    return {**line, "next_run_at": short_text(each.next_at) if is_due else None}


def _needs_login(line: "Mapping[str, object]") -> bool:
    login = line.get("login")
    return isinstance(login, dict) and bool(login["next_step"])


def _was_refused_login(line: "Mapping[str, object]") -> bool:
    last = line["last_run"]
    error = last["error"] if isinstance(last, dict) else None
    return error is not None and error["code"] == LoginNeeded.code


def holes(each: "StreamStatus") -> tuple[Interval, ...]:
    """Return what is missing between the beginning and the end of a stream's coverage."""
    return each.coverage.holes(each.origin)


def coverage_json(each: "StreamStatus") -> dict[str, object]:
    """Return what is covered of a stream; ``gaps`` adds what is not, and why."""
    return {
        "intervals": [interval_json(part) for part in each.coverage.intervals],
        "origin": short_text(each.origin),
        "end": short_text(each.coverage.end),
        "freshness_s": seconds(each.freshness),
    }


def interval_json(part: Interval) -> dict[str, str | None]:
    """Return an interval as JSON; ``null`` is the beginning."""
    return {"since": short_text(part.since), "until": short_text(part.until)}


def lease_json(row: LeaseRow, now: datetime) -> dict[str, object]:
    """Return one line of the leases as JSON."""
    return {
        "scope": row.scope,
        "holder": row.holder,
        "epoch": row.epoch,
        "since": short_text(row.since),
        "expires_at": short_text(row.expires_at),
        "instance": row.instance,
        "alive": is_alive(row, now),
    }


def is_alive(row: LeaseRow, now: datetime) -> bool:
    """Say whether somebody holds it whose lease has not run out."""
    return row.holder is not None and row.expires_at is not None and row.expires_at > now


def seconds(age: timedelta | None) -> float | None:
    """Return an age for JSON."""
    return round(age.total_seconds(), 3) if age is not None else None
