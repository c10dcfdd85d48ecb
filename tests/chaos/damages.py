"""For each claim a deed that breaks it, done to a history that holds: a check that misses its deed is worth nothing."""

COMMIT = "seq = (SELECT max(seq) FROM chaos.scope WHERE commits > commits_before AND holder IS NOT NULL)"
TAKEN = "seq = (SELECT max(seq) FROM chaos.scope WHERE epoch > epoch_before)"
LAST_RUN = "id = (SELECT max(id) FROM comporta.cmp_run WHERE state = 'succeeded')"
RECORDED = """
    INSERT INTO chaos.run(xid, run, scope, epoch, state_before, state,
    read, inserted, updated, unchanged, rejected, deleted)"""

DAMAGES = {
    "the commits of a scope chain without gap or repetition": f"""
        UPDATE chaos.scope SET commits = commits + 1 WHERE {COMMIT}""",
    "epochs never fall, rise by one, and never in a commit": f"UPDATE chaos.scope SET epoch = epoch - 2 WHERE {TAKEN}",
    "a scope changes hands only with a new epoch": f"UPDATE chaos.scope SET holder = 'thief' WHERE {COMMIT}",
    "a lease is taken away only after it ran out": f"""
        UPDATE chaos.scope SET holder_before = 'robbed', expires_before = at + interval '1 s' WHERE {TAKEN}""",
    "the ledger stands where its history ends": """
        ALTER TABLE comporta.cmp_scope DISABLE TRIGGER chaos_scope;
        UPDATE comporta.cmp_scope SET commits = commits + 1""",
    "each batch is committed by a running run that holds its scope in its own epoch": f"""
        UPDATE chaos.run SET epoch = epoch - 1 WHERE xid = (SELECT xid FROM chaos.scope WHERE {COMMIT})""",
    "no batch carries the counts of a run that does not hold the scope": f"""
        {RECORDED} SELECT xid, 'zombie', scope, epoch, 'running', 'running', 0, 0, 0, 0, 0, 0
        FROM chaos.scope WHERE {COMMIT}""",
    "counts change only in a batch": f"""
        {RECORDED} VALUES ('1', 'zombie', 'matriz/sale.order', 1, 'running', 'running', 1, 0, 0, 1, 0, 0)""",
    "rows are written only by the run whose batch it is": """
        UPDATE mirror.fake_res_partner SET name = 'by hand' WHERE id = 1""",
    "the counts of a batch are its rows": "DELETE FROM chaos.row WHERE seq = (SELECT max(seq) FROM chaos.row)",
    "the counts of a run add up and are the sum of its batches": f"""
        ALTER TABLE comporta.cmp_run DISABLE TRIGGER chaos_run;
        UPDATE comporta.cmp_run SET read = read + 1, unchanged = unchanged + 1 WHERE {LAST_RUN}""",
    "no batch is applied twice": "INSERT INTO chaos.mark(run, mark) SELECT run, mark FROM chaos.mark LIMIT 1",
    "each commit is one batch": "DELETE FROM chaos.mark WHERE mark = (SELECT min(mark) FROM chaos.mark)",
    "what a worker was told is committed stays committed": "INSERT INTO chaos.acknowledged VALUES ('in vain')",
    "coverage grows only in the batch that ends a run well": """
        INSERT INTO chaos.coverage(scope, since, until) VALUES ('matriz/sale.order', now(), now())""",
    "intervals of coverage neither overlap nor touch": """
        INSERT INTO comporta.cmp_coverage SELECT scope, until, until + interval '1 s', ''
        FROM comporta.cmp_coverage LIMIT 1""",
    "coverage is the union of the windows that ended well, since the last that was whole": """
        UPDATE comporta.cmp_coverage SET until = until + interval '1 s' WHERE scope = 'matriz/sale.order'""",
    "two runs of a scope never have one epoch": "UPDATE comporta.cmp_run SET epoch = 1 WHERE epoch = 2",
    "at most one run of a scope is running": """
        DROP INDEX comporta.cmp_one_running; UPDATE comporta.cmp_run SET state = 'running'""",
    "who is running holds the scope, and who holds it is running": f"""
        UPDATE comporta.cmp_run SET state = 'running' WHERE {LAST_RUN}""",
    "runs end only for what the chaos explains": f"""
        UPDATE comporta.cmp_run SET error = '{{"code": "CMP-BUG-001"}}' WHERE {LAST_RUN}""",
    "nothing is running, queued or held": f"UPDATE comporta.cmp_run SET state = 'queued' WHERE {LAST_RUN}",
    "coverage has no hole, and begins at the beginning": """
        INSERT INTO comporta.cmp_coverage
        VALUES ('matriz/sale.order', now() + interval '1 h', now() + interval '2 h', '')""",
    "the rows of a table are those that its runs inserted": "DELETE FROM mirror.fake_res_partner WHERE id = 1",
    "no transaction was left open or prepared": "SELECT 1",
}
