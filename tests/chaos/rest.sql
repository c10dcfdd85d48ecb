-- What must be so once everything has come to rest: each query is named for the claim that its rows break.

-- name: nothing is running, queued or held
SELECT r.id, r.scope, r.state, r.attempt, r.request, r.not_before FROM comporta.cmp_run r WHERE state IN ('queued', 'running')
UNION ALL SELECT holder, scope, 'held', epoch::int, NULL, expires_at FROM comporta.cmp_scope WHERE holder IS NOT NULL;

-- name: coverage has no hole, and begins at the beginning
SELECT scope, count(*), min(since) FROM comporta.cmp_coverage GROUP BY scope HAVING count(*) <> 1 OR min(since) > '0001-01-02';

-- name: the rows of a table are those that its runs inserted
SELECT * FROM (SELECT stream, sum(inserted) AS inserted FROM comporta.cmp_run WHERE NOT dry_run GROUP BY 1) c
JOIN (SELECT 'sale.order' AS stream, count(*) AS here FROM mirror.fake_sale_order
  UNION ALL SELECT 'sale.order.line', count(*) FROM mirror.fake_sale_order_line
  UNION ALL SELECT 'res.partner', count(*) FROM mirror.fake_res_partner) t USING (stream)
WHERE c.inserted <> t.here;

-- name: no transaction was left open or prepared
SELECT gid, transaction::text, NULL AS query FROM pg_prepared_xacts
UNION ALL SELECT application_name, state, query FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%%';
