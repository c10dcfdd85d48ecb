-- What the history must not hold: each query is named for the claim that its rows break.

-- name: the commits of a scope chain without gap or repetition
SELECT * FROM (SELECT *, lag(commits) OVER w AS left_at FROM chaos.scope WINDOW w AS (PARTITION BY scope ORDER BY seq))
WHERE (left_at IS NULL AND commits <> 0) OR (left_at IS NOT NULL AND (commits_before <> left_at OR commits - commits_before NOT IN (0, 1)));

-- name: epochs never fall, rise by one, and never in a commit
SELECT * FROM (SELECT *, lag(epoch) OVER w AS left_at FROM chaos.scope WINDOW w AS (PARTITION BY scope ORDER BY seq))
WHERE left_at IS NOT NULL AND (epoch_before <> left_at OR epoch - epoch_before NOT IN (0, 1)
  OR (epoch <> epoch_before AND commits <> commits_before));

-- name: a scope changes hands only with a new epoch
SELECT * FROM chaos.scope WHERE holder IS NOT NULL AND epoch = epoch_before AND holder IS DISTINCT FROM holder_before;

-- name: a lease is taken away only after it ran out
SELECT * FROM chaos.scope WHERE epoch <> epoch_before AND holder_before IS NOT NULL AND expires_before > at;

-- name: the ledger stands where its history ends
SELECT s.*, h.* FROM comporta.cmp_scope s LEFT JOIN LATERAL (
  SELECT epoch, commits, holder FROM chaos.scope WHERE scope = s.scope ORDER BY seq DESC LIMIT 1) h ON true
WHERE (s.epoch, s.commits, s.holder) IS DISTINCT FROM (h.epoch, h.commits, h.holder);

-- name: each batch is committed by a running run that holds its scope in its own epoch
SELECT s.* FROM chaos.scope s WHERE s.commits > s.commits_before AND NOT EXISTS (
  SELECT FROM chaos.run r WHERE r.xid = s.xid AND r.run = s.holder_before AND r.scope = s.scope AND r.epoch = s.epoch
    AND r.state_before = 'running');

-- name: no batch carries the counts of a run that does not hold the scope
SELECT r.*, s.holder_before, s.epoch FROM chaos.run r JOIN chaos.scope s ON s.xid = r.xid AND s.commits > s.commits_before
WHERE r.state_before = 'running' AND (r.run, r.scope, r.epoch) IS DISTINCT FROM (s.holder_before, s.scope, s.epoch);

-- name: counts change only in a batch
SELECT * FROM chaos.run r WHERE (r.read, r.inserted, r.updated, r.unchanged, r.rejected, r.deleted) <> (0, 0, 0, 0, 0, 0)
  AND NOT EXISTS (SELECT FROM chaos.scope s WHERE s.xid = r.xid AND s.commits > s.commits_before);

-- name: rows are written only by the run whose batch it is
SELECT * FROM chaos.row w WHERE NOT EXISTS (SELECT FROM chaos.scope s
  WHERE s.xid = w.xid AND s.commits > s.commits_before AND (w.act = 'delete' OR s.holder_before = w.run));

-- name: the counts of a batch are its rows
SELECT * FROM (
  SELECT xid, coalesce(sum(inserted), 0) AS inserted, coalesce(sum(updated), 0) AS updated, coalesce(sum(deleted), 0) AS deleted
  FROM chaos.run GROUP BY xid) c
FULL JOIN (
  SELECT xid, count(*) FILTER (WHERE act = 'insert') AS rows_inserted, count(*) FILTER (WHERE act = 'update') AS rows_updated,
    count(*) FILTER (WHERE act = 'mark') AS rows_marked FROM chaos.row GROUP BY xid) w USING (xid)
WHERE (coalesce(c.inserted, 0), coalesce(c.updated, 0), coalesce(c.deleted, 0))
  <> (coalesce(w.rows_inserted, 0), coalesce(w.rows_updated, 0), coalesce(w.rows_marked, 0));

-- name: the counts of a run add up and are the sum of its batches
SELECT r.id, r.state, r.read, r.inserted, r.updated, r.unchanged, r.rejected, r.deleted, h.* FROM comporta.cmp_run r JOIN (
  SELECT run, sum(read) AS reads, sum(inserted) AS inserts, sum(updated) AS updates, sum(unchanged) AS unchangeds,
    sum(rejected) AS rejects, sum(deleted) AS deletes FROM chaos.run GROUP BY run) h ON h.run = r.id
WHERE r.read <> r.inserted + r.updated + r.unchanged + r.rejected
  OR (r.read, r.inserted, r.updated, r.unchanged, r.rejected, r.deleted) <> (reads, inserts, updates, unchangeds, rejects, deletes);

-- name: no batch is applied twice
SELECT mark, count(*), array_agg(run) FROM chaos.mark GROUP BY mark HAVING count(*) > 1;

-- name: each commit is one batch
SELECT s.*, m.mark FROM (SELECT * FROM chaos.scope WHERE commits > commits_before) s FULL JOIN chaos.mark m USING (xid)
WHERE s.seq IS NULL OR m.mark IS NULL;

-- name: what a worker was told is committed stays committed
SELECT a.mark FROM chaos.acknowledged a WHERE NOT EXISTS (SELECT FROM chaos.mark m WHERE m.mark = a.mark);

-- name: coverage grows only in the batch that ends a run well
SELECT c.* FROM chaos.coverage c WHERE NOT EXISTS (
  SELECT FROM chaos.run r JOIN chaos.scope s ON s.xid = r.xid AND s.commits > s.commits_before AND s.scope = c.scope
  WHERE r.xid = c.xid AND r.scope = c.scope AND r.state_before = 'running' AND r.state = 'succeeded');

-- name: intervals of coverage neither overlap nor touch
SELECT a.*, b.since AS other_since, b.until AS other_until FROM comporta.cmp_coverage a JOIN comporta.cmp_coverage b
ON a.scope = b.scope AND a.since < b.since AND b.since <= a.until;

-- name: coverage is the union of the windows that ended well, since the last that was whole
WITH ended AS (
  SELECT s.scope, s.seq, c.window_kind IN ('full', 'clear_first') AS is_whole, tstzrange(c.window_since, c.window_until) AS stretch
  FROM chaos.run r JOIN chaos.scope s ON s.xid = r.xid AND s.commits > s.commits_before JOIN comporta.cmp_run c ON c.id = r.run
  WHERE r.state_before = 'running' AND r.state = 'succeeded' AND c.window_since < c.window_until),
claimed AS (
  SELECT scope, range_agg(stretch) AS stretches FROM ended e
  WHERE seq >= (SELECT max(seq) FROM ended w WHERE w.scope = e.scope AND is_whole) GROUP BY scope),
covered AS (SELECT scope, range_agg(tstzrange(since, until)) AS stretches FROM comporta.cmp_coverage GROUP BY scope)
SELECT scope, claimed.stretches AS claimed, covered.stretches AS covered FROM claimed FULL JOIN covered USING (scope)
WHERE claimed.stretches IS DISTINCT FROM covered.stretches;

-- name: two runs of a scope never have one epoch
SELECT scope, epoch, array_agg(id) FROM comporta.cmp_run WHERE epoch IS NOT NULL GROUP BY 1, 2 HAVING count(*) > 1;

-- name: at most one run of a scope is running
SELECT scope, array_agg(id) FROM comporta.cmp_run WHERE state = 'running' GROUP BY 1 HAVING count(*) > 1;

-- name: who is running holds the scope, and who holds it is running
SELECT r.id, r.state, r.epoch, s.* FROM (SELECT * FROM comporta.cmp_run WHERE state = 'running') r
FULL JOIN (SELECT * FROM comporta.cmp_scope WHERE holder IS NOT NULL) s ON s.holder = r.id AND s.epoch = r.epoch AND s.scope = r.scope
WHERE r.id IS NULL OR s.scope IS NULL;

-- name: runs end only for what the chaos explains
SELECT id, scope, state, error FROM comporta.cmp_run WHERE error IS NOT NULL
  AND NOT (error::jsonb ->> 'code' = ANY (%(explained)s));
