-- The ledger's statements on PostgreSQL, by name; the same names as in sqlite.sql, and the same protocol
-- (docs/explanation/coordination.md). Leases go by the server's clock as it is when the row is locked: cmp_now() is
-- clock_timestamp(), because now() stands still from the beginning of the transaction. Every name carries its schema:
-- behind a pooler nobody knows the search_path. What is done to many at once (Session.each) takes lists.

-- name: queue_run
INSERT INTO comporta.cmp_run AS r(id, scope, account, stream, state, trigger, request, not_before, priority, attempt, dry_run, partial, queued_at)
VALUES (:id, :scope, :account, :stream, 'queued', :trigger, :request, :not_before, :priority, :attempt, :dry_run, :partial, :now)
ON CONFLICT(scope, request) WHERE state = 'queued' DO UPDATE
SET priority = greatest(r.priority, excluded.priority), not_before = CASE WHEN excluded.not_before IS NULL OR r.not_before IS NULL THEN NULL
    WHEN excluded.trigger = 'manual' THEN least(r.not_before, excluded.not_before) ELSE r.not_before END,
  trigger = CASE WHEN excluded.trigger = 'manual' THEN 'manual' ELSE r.trigger END
RETURNING *;

-- name: take_lease
INSERT INTO comporta.cmp_scope AS s(scope, epoch, holder, expires_at) VALUES (:scope, 1, :run, comporta.cmp_now() + :ttl)
ON CONFLICT(scope) DO UPDATE SET epoch = s.epoch + 1, holder = excluded.holder, expires_at = comporta.cmp_now() + :ttl
WHERE s.holder IS NULL OR s.expires_at <= comporta.cmp_now()
RETURNING epoch, commits, comporta.cmp_now() AS at;

-- name: mark_lost
UPDATE comporta.cmp_run SET state = 'lost', finished_at = :now, error = :error WHERE scope = :scope AND state = 'running' RETURNING *;

-- name: start_run
UPDATE comporta.cmp_run SET state = 'running', epoch = :epoch, started_at = :now, progress_at = :now, deadline_at = :deadline_at, instance = :instance
WHERE id = :run AND state = 'queued' RETURNING *;

-- name: put_off_run
UPDATE comporta.cmp_run SET not_before = :not_before WHERE id = :run AND state = 'queued' AND not_before IS NOT NULL;

-- name: skip_run
UPDATE comporta.cmp_run SET state = 'skipped', finished_at = :now, error = :error WHERE id = :run AND state = 'queued' RETURNING *;

-- name: holder
SELECT s.scope, s.epoch, s.holder, s.expires_at, s.commits, r.started_at, r.instance
FROM comporta.cmp_scope s LEFT JOIN comporta.cmp_run r ON r.id = s.holder WHERE s.scope = :scope;

-- name: lock_scope
SELECT epoch, holder, commits FROM comporta.cmp_scope WHERE scope = :scope FOR UPDATE;

-- name: leases
SELECT s.scope, s.epoch, s.holder, s.expires_at, r.started_at, r.instance
FROM comporta.cmp_scope s LEFT JOIN comporta.cmp_run r ON r.id = s.holder WHERE s.holder IS NOT NULL OR s.scope NOT LIKE 'dry/%' ORDER BY s.scope;

-- name: renew
UPDATE comporta.cmp_scope SET expires_at = comporta.cmp_now() + :ttl WHERE scope = :scope AND epoch = :epoch AND holder = :run;

-- name: fence
UPDATE comporta.cmp_scope SET commits = commits + 1, expires_at = comporta.cmp_now() + :ttl
WHERE scope = :scope AND epoch = :epoch AND holder = :run AND commits = :commits;

-- name: fence_and_release
UPDATE comporta.cmp_scope SET commits = commits + 1, holder = NULL, expires_at = NULL
WHERE scope = :scope AND epoch = :epoch AND holder = :run AND commits = :commits;

-- name: release
UPDATE comporta.cmp_scope SET holder = NULL, expires_at = NULL WHERE scope = :scope AND epoch = :epoch AND holder = :run;

-- name: seize_expired
UPDATE comporta.cmp_scope SET epoch = epoch + 1, holder = NULL, expires_at = NULL
WHERE scope IN (
  SELECT scope FROM comporta.cmp_scope WHERE holder IS NOT NULL AND (expires_at <= comporta.cmp_now() OR expires_at > :never)
  ORDER BY scope FOR UPDATE SKIP LOCKED
) RETURNING scope, comporta.cmp_now() AS at;

-- name: seize_one
UPDATE comporta.cmp_scope SET epoch = epoch + 1, holder = NULL, expires_at = NULL WHERE scope = :scope AND holder IS NOT NULL
RETURNING scope, comporta.cmp_now() AS at;

-- name: has_expired
SELECT EXISTS(SELECT 1 FROM comporta.cmp_scope WHERE holder IS NOT NULL AND (expires_at <= comporta.cmp_now() OR expires_at > :never)) AS found;

-- name: end_run
UPDATE comporta.cmp_run SET state = :state, finished_at = :now, progress_at = :now, error = :error,
  requests_sent = greatest(requests_sent, :sent), requests_retried = greatest(requests_retried, :retried),
  requests_throttled = greatest(requests_throttled, :throttled), waited_s = greatest(waited_s, :waited_s),
  rate_limit = coalesce(:rate_limit, rate_limit), limit_used = coalesce(:limit_used, limit_used), failures = coalesce(:failures, failures)
WHERE id = :run AND state = 'running' AND epoch = :epoch RETURNING *;

-- name: count_batch
UPDATE comporta.cmp_run SET read = read + :read, inserted = inserted + :inserted, updated = updated + :updated,
  unchanged = unchanged + :unchanged, rejected = rejected + :rejected, deleted = deleted + :deleted, progress_at = :now,
  requests_sent = greatest(requests_sent, :sent), requests_retried = greatest(requests_retried, :retried),
  requests_throttled = greatest(requests_throttled, :throttled), waited_s = greatest(waited_s, :waited_s),
  rate_limit = coalesce(:rate_limit, rate_limit), limit_used = coalesce(:limit_used, limit_used), failures = coalesce(:failures, failures)
WHERE id = :run AND state = 'running';

-- name: cancel_queued
UPDATE comporta.cmp_run SET state = 'cancelled', finished_at = :now, error = :error WHERE id = :run AND state = 'queued' RETURNING *;

-- name: ask_to_cancel
UPDATE comporta.cmp_run SET cancel_requested = true WHERE id = :run AND state = 'running' RETURNING *;

-- name: cancel_requested
SELECT cancel_requested FROM comporta.cmp_run WHERE id = :run;

-- name: set_window
UPDATE comporta.cmp_run SET window_kind = :kind, window_since = :since, window_until = :until WHERE id = :run AND state = 'running';

-- name: run
SELECT * FROM comporta.cmp_run WHERE id = :run;

-- name: runs
SELECT * FROM comporta.cmp_run
WHERE (CAST(:account AS text) IS NULL OR account = :account) AND (CAST(:stream AS text) IS NULL OR stream = :stream) AND (CAST(:state AS text) IS NULL OR state = :state)
  AND (CAST(:dry_run AS boolean) IS NULL OR dry_run = :dry_run)
ORDER BY queued_at DESC, id DESC LIMIT :limit;

-- name: runs_of_stream
SELECT * FROM comporta.cmp_run
WHERE account = :account AND stream = :stream AND (CAST(:state AS text) IS NULL OR state = :state) AND (CAST(:dry_run AS boolean) IS NULL OR dry_run = :dry_run)
ORDER BY queued_at DESC, id DESC LIMIT :limit;

-- name: failures_of_stream
SELECT failures FROM comporta.cmp_run
WHERE account = :account AND stream = :stream AND queued_at > :since AND failures IS NOT NULL;

-- name: runs_afoot
SELECT * FROM comporta.cmp_run WHERE state = 'queued'
UNION ALL SELECT * FROM comporta.cmp_run WHERE state = 'running'
UNION ALL SELECT * FROM comporta.cmp_run WHERE queued_at >= :since AND state NOT IN ('queued', 'running')
ORDER BY queued_at, id LIMIT :limit;

-- name: queued
SELECT * FROM comporta.cmp_run WHERE scope = :scope AND state = 'queued' ORDER BY queued_at, id LIMIT :limit;

-- name: coverage
SELECT since, until, query_fingerprint FROM comporta.cmp_coverage WHERE scope = :scope ORDER BY since;

-- name: forget_coverage
DELETE FROM comporta.cmp_coverage WHERE scope = :scope;

-- name: forget_coverage_of_stream
DELETE FROM comporta.cmp_coverage WHERE substr(scope, strpos(scope, '/') + 1) = :stream;

-- name: forget_passes_of_stream
DELETE FROM comporta.cmp_pass WHERE position IS NOT NULL AND substr(scope, strpos(scope, '/') + 1) = :stream;

-- name: add_coverage
INSERT INTO comporta.cmp_coverage(scope, since, until, query_fingerprint) VALUES (:scope, :since, :until, :fingerprint);

-- name: put_pass
INSERT INTO comporta.cmp_pass AS p(id, scope, request, kind, since, until, query_fingerprint, started_at)
VALUES (:id, :scope, :request, :kind, :since, :until, :fingerprint, :now)
ON CONFLICT(scope, request) DO UPDATE SET id = excluded.id, kind = excluded.kind, since = excluded.since, until = excluded.until,
  query_fingerprint = excluded.query_fingerprint, position = NULL, read = 0, started_at = excluded.started_at
WHERE p.id <> excluded.id;

-- name: open_pass
SELECT * FROM comporta.cmp_pass WHERE scope = :scope AND request = :request;

-- name: advance_pass
UPDATE comporta.cmp_pass SET position = coalesce(:position, position), read = read + :read WHERE id = :pass;

-- name: end_pass
DELETE FROM comporta.cmp_pass WHERE id = :pass;

-- name: forget_passes
DELETE FROM comporta.cmp_pass WHERE scope = :scope;

-- name: facts
SELECT * FROM comporta.cmp_stream WHERE scope = :scope;

-- name: learn
INSERT INTO comporta.cmp_stream AS s(scope, query_fingerprint, identity, clock_offset_s, reconciled_at, reconcile_result)
VALUES (:scope, :fingerprint, :identity, :clock_offset_s, :reconciled_at, :reconcile_result)
ON CONFLICT(scope) DO UPDATE SET query_fingerprint = coalesce(excluded.query_fingerprint, s.query_fingerprint),
  identity = coalesce(excluded.identity, s.identity), clock_offset_s = coalesce(excluded.clock_offset_s, s.clock_offset_s),
  reconciled_at = coalesce(excluded.reconciled_at, s.reconciled_at), reconcile_result = coalesce(excluded.reconcile_result, s.reconcile_result);

-- name: hint
INSERT INTO comporta.cmp_hint AS h(scope, parent, told_at)
SELECT * FROM unnest(CAST(:scope AS text[]), CAST(:parent AS text[]), CAST(:told_at AS timestamptz[])) AS told(scope, parent, told_at) ORDER BY 1, 2
ON CONFLICT(scope, parent) DO UPDATE SET times = h.times + 1, tries = 0, not_before = NULL,
  told_at = CASE WHEN h.told_at IS NULL OR excluded.told_at IS NULL THEN NULL ELSE greatest(h.told_at, excluded.told_at) END;

-- name: refer
INSERT INTO comporta.cmp_hint(scope, parent)
SELECT * FROM unnest(CAST(:scope AS text[]), CAST(:parent AS text[])) AS named(scope, parent) ORDER BY 1, 2
ON CONFLICT(scope, parent) DO UPDATE SET told_at = NULL;

-- name: wake_hints
UPDATE comporta.cmp_hint SET not_before = NULL WHERE scope = :scope AND told_at IS NULL;

-- name: vain_hints
SELECT parent FROM comporta.cmp_hint WHERE scope = :scope AND told_at IS NULL AND tries > 0 ORDER BY parent;

-- name: let_hint_go
DELETE FROM comporta.cmp_hint WHERE (scope, parent) IN (SELECT * FROM unnest(CAST(:scope AS text[]), CAST(:parent AS text[])))
  AND told_at IS NULL AND tries > 0;

-- name: hints
SELECT * FROM (SELECT parent, times, told_at, tries FROM comporta.cmp_hint
  WHERE scope = :scope AND tries = 0 AND (not_before IS NULL OR not_before <= :due OR not_before > :never)
  ORDER BY parent LIMIT :limit) AS new
UNION ALL SELECT * FROM (SELECT parent, times, told_at, tries FROM comporta.cmp_hint
  WHERE scope = :scope AND tries > 0 AND (not_before IS NULL OR not_before <= :due OR not_before > :never)
  ORDER BY tries, parent LIMIT :limit) AS again
LIMIT :limit;

-- name: forget_hint
DELETE FROM comporta.cmp_hint WHERE (scope, parent, times) IN
  (SELECT * FROM unnest(CAST(:scope AS text[]), CAST(:parent AS text[]), CAST(:times AS bigint[])));

-- name: postpone_hint
UPDATE comporta.cmp_hint AS h SET tries = vain.tries, not_before = vain.not_before
FROM unnest(CAST(:scope AS text[]), CAST(:parent AS text[]), CAST(:times AS bigint[]), CAST(:tries AS integer[]),
  CAST(:not_before AS timestamptz[])) AS vain(scope, parent, times, tries, not_before)
WHERE h.scope = vain.scope AND h.parent = vain.parent AND h.times = vain.times;

-- name: forget_hints
DELETE FROM comporta.cmp_hint WHERE scope = :scope AND told_at IS NULL;

-- name: put_notification
INSERT INTO comporta.cmp_notification AS n(source, user_id, topic, resource, application_id, sent_at, received_at, times, state)
SELECT source, user_id, topic, resource, application_id, sent_at, at, times, 'waiting'
FROM unnest(CAST(:source AS text[]), CAST(:user_id AS text[]), CAST(:topic AS text[]), CAST(:resource AS text[]), CAST(:application_id AS text[]),
    CAST(:sent_at AS timestamptz[]), CAST(:now AS timestamptz[]), CAST(:times AS bigint[]))
  AS told(source, user_id, topic, resource, application_id, sent_at, at, times) ORDER BY 1, 2, 3, 4
ON CONFLICT(source, user_id, topic, resource) DO UPDATE SET times = n.times + excluded.times, received_at = excluded.received_at,
  application_id = coalesce(excluded.application_id, n.application_id),
  state = CASE WHEN excluded.sent_at <= n.sent_at AND n.sent_at <= excluded.received_at THEN n.state ELSE 'waiting' END,
  sent_at = CASE WHEN n.sent_at IS NULL OR excluded.sent_at IS NULL OR n.sent_at > excluded.received_at THEN NULL
    ELSE greatest(n.sent_at, excluded.sent_at) END;

-- name: has_waiting_notifications
SELECT EXISTS(SELECT 1 FROM comporta.cmp_login l
  JOIN comporta.cmp_notification n ON n.user_id = l.user_id AND n.source = :source AND n.state = 'waiting') AS found;

-- name: login_users
SELECT account, user_id FROM comporta.cmp_login WHERE user_id IS NOT NULL ORDER BY account;

-- name: waiting_notifications
SELECT topic, resource, sent_at FROM comporta.cmp_notification
WHERE source = :source AND user_id = :user_id AND state = 'waiting' ORDER BY received_at LIMIT :limit FOR UPDATE SKIP LOCKED;

-- name: notification_state
UPDATE comporta.cmp_notification AS n SET state = looked.state
FROM unnest(CAST(:source AS text[]), CAST(:user_id AS text[]), CAST(:topic AS text[]), CAST(:resource AS text[]), CAST(:state AS text[]))
  AS looked(source, user_id, topic, resource, state)
WHERE n.source = looked.source AND n.user_id = looked.user_id AND n.topic = looked.topic AND n.resource = looked.resource;

-- name: forget_notifications
DELETE FROM comporta.cmp_notification WHERE (source, user_id, topic, resource) IN (
  SELECT source, user_id, topic, resource FROM comporta.cmp_notification WHERE received_at < :before ORDER BY received_at LIMIT :limit);

-- name: forget_alerts
DELETE FROM comporta.cmp_alert WHERE "key" IN (SELECT "key" FROM comporta.cmp_alert WHERE closed_at < :before ORDER BY closed_at LIMIT :limit);

-- name: forget_instances
DELETE FROM comporta.cmp_instance WHERE instance IN (
  SELECT instance FROM comporta.cmp_instance WHERE coalesce(ended_at, seen_at) < :before ORDER BY instance LIMIT :limit);

-- name: due_scopes
SELECT DISTINCT h.scope FROM comporta.cmp_hint h
WHERE (h.not_before IS NULL OR h.not_before <= :now OR h.not_before > :never)
  AND EXISTS(SELECT 1 FROM comporta.cmp_coverage c WHERE c.scope = h.scope)
  AND NOT EXISTS(SELECT 1 FROM comporta.cmp_scope s WHERE s.scope = h.scope AND s.holder IS NOT NULL AND s.expires_at > :now)
  AND NOT EXISTS(SELECT 1 FROM comporta.cmp_pause p WHERE p.account = split_part(h.scope, '/', 1)) ORDER BY h.scope;

-- name: put_in_quarantine
INSERT INTO comporta.cmp_quarantine AS q(scope, key, code, reason, payload, run, first_seen, last_seen)
SELECT scope, key, code, reason, payload, run, at, at
FROM unnest(CAST(:scope AS text[]), CAST(:key AS text[]), CAST(:code AS text[]), CAST(:reason AS text[]), CAST(:payload AS text[]),
    CAST(:run AS text[]), CAST(:now AS timestamptz[])) AS waiting(scope, key, code, reason, payload, run, at) ORDER BY 1, 2
ON CONFLICT(scope, key) DO UPDATE SET code = excluded.code, reason = excluded.reason, payload = excluded.payload,
  run = excluded.run, last_seen = excluded.last_seen, times = q.times + 1;

-- name: quarantine
SELECT * FROM comporta.cmp_quarantine WHERE CAST(:scope AS text) IS NULL OR scope = :scope ORDER BY scope, key;

-- name: quarantined_keys
SELECT key FROM comporta.cmp_quarantine WHERE scope = :scope;

-- name: leave_quarantine
DELETE FROM comporta.cmp_quarantine WHERE scope = (CAST(:scope AS text[]))[1] AND key = ANY(CAST(:key AS text[]));

-- name: lock_run
SELECT id FROM comporta.cmp_run WHERE id = :run FOR UPDATE;

-- name: append_log
INSERT INTO comporta.cmp_log(run, seq, at, level, step, message, fields)
SELECT line.run, last.seq + line.n, line.at, line.level, line.step, line.message, line.fields
FROM unnest(CAST(:run AS text[]), CAST(:now AS timestamptz[]), CAST(:level AS text[]), CAST(:step AS text[]), CAST(:message AS text[]),
    CAST(:fields AS text[])) WITH ORDINALITY AS line(run, at, level, step, message, fields, n),
  (SELECT coalesce(max(seq), 0) AS seq FROM comporta.cmp_log WHERE run = (CAST(:run AS text[]))[1]) AS last;

-- name: log
SELECT seq, at, level, step, message, fields FROM comporta.cmp_log WHERE run = :run AND seq > :after ORDER BY seq LIMIT 1000;

-- name: log_end
SELECT coalesce(max(seq), 0) AS seq FROM comporta.cmp_log WHERE run = :run;

-- name: has_expired_history
SELECT EXISTS(SELECT 1 FROM comporta.cmp_run r WHERE r.queued_at < :before AND r.state NOT IN ('queued', 'running')
  AND (r.scheduled_for IS NULL OR EXISTS(SELECT 1 FROM comporta.cmp_run later WHERE later.scope = r.scope AND later.scheduled_for > r.scheduled_for)))
  OR EXISTS(SELECT 1 FROM comporta.cmp_run WHERE queued_at < :stale AND state = 'queued' AND dry_run)
  OR EXISTS(SELECT 1 FROM comporta.cmp_notification WHERE received_at < :before)
  OR EXISTS(SELECT 1 FROM comporta.cmp_alert WHERE closed_at < :before)
  OR EXISTS(SELECT 1 FROM comporta.cmp_instance WHERE coalesce(ended_at, seen_at) < :before) AS found;

-- name: skip_stale_dry_runs
UPDATE comporta.cmp_run SET state = 'skipped', finished_at = :now, error = :error WHERE queued_at < :stale AND state = 'queued' AND dry_run;

-- name: expired_history
SELECT r.id, r.scope FROM comporta.cmp_run r WHERE r.queued_at < :before AND r.state NOT IN ('queued', 'running')
  AND (r.scheduled_for IS NULL OR EXISTS(SELECT 1 FROM comporta.cmp_run later WHERE later.scope = r.scope AND later.scheduled_for > r.scheduled_for))
ORDER BY r.queued_at LIMIT :limit;

-- name: forget_log
DELETE FROM comporta.cmp_log WHERE run = ANY(:run);

-- name: forget_run
DELETE FROM comporta.cmp_run WHERE id = ANY(:run);

-- name: forget_dry_scope
DELETE FROM comporta.cmp_scope WHERE scope = ANY(:scope) AND scope LIKE 'dry/%' AND holder IS NULL;

-- name: end_restored_runs
UPDATE comporta.cmp_run SET state = CASE WHEN state = 'running' THEN 'lost' ELSE 'cancelled' END, finished_at = :now, error = :error
WHERE state IN ('queued', 'running');

-- name: free_restored_scopes
UPDATE comporta.cmp_scope SET epoch = epoch + 1, holder = NULL, expires_at = NULL WHERE holder IS NOT NULL;

-- name: forget_all_passes
DELETE FROM comporta.cmp_pass;

-- name: end_restored_instances
UPDATE comporta.cmp_instance SET ended_at = :now WHERE ended_at IS NULL;

-- name: doubt_all_streams
UPDATE comporta.cmp_stream SET reconciled_at = NULL;

-- name: put_account
INSERT INTO comporta.cmp_account(name, source, settings, updated_at) VALUES (:name, :source, :settings, :now)
ON CONFLICT(name) DO UPDATE SET source = excluded.source, settings = excluded.settings, updated_at = excluded.updated_at;

-- name: accounts
SELECT name, source, settings, updated_at FROM comporta.cmp_account ORDER BY name;

-- name: put_pause
INSERT INTO comporta.cmp_pause(account, paused_at) VALUES (:account, :now) ON CONFLICT(account) DO NOTHING;

-- name: end_pause
DELETE FROM comporta.cmp_pause WHERE account = :account;

-- name: pauses
SELECT account, paused_at FROM comporta.cmp_pause ORDER BY account;

-- name: put_secret
INSERT INTO comporta.cmp_secret(id, key_id, nonce, ciphertext, updated_at) VALUES (:id, :key_id, :nonce, :ciphertext, :now)
ON CONFLICT(id) DO UPDATE SET key_id = excluded.key_id, nonce = excluded.nonce, ciphertext = excluded.ciphertext, updated_at = excluded.updated_at;

-- name: secret
SELECT key_id, nonce, ciphertext FROM comporta.cmp_secret WHERE id = :id;

-- name: secrets
SELECT id, key_id, nonce, ciphertext FROM comporta.cmp_secret WHERE id LIKE :ending;

-- name: secret_keys
SELECT id, key_id FROM comporta.cmp_secret ORDER BY id;

-- name: login
SELECT * FROM comporta.cmp_login WHERE account = :account;

-- name: logins
SELECT * FROM comporta.cmp_login ORDER BY account;

-- name: put_login
INSERT INTO comporta.cmp_login(account, state, user_id, issued_at, expires_at, token, attempt, attempted_at, attempts, reason, updated_at)
VALUES (:account, :state, :user_id, :issued_at, :expires_at, :token, :attempt, :attempted_at, :attempts, NULL, :now)
ON CONFLICT(account) DO UPDATE SET state = excluded.state, user_id = excluded.user_id, issued_at = excluded.issued_at,
  expires_at = excluded.expires_at, token = excluded.token, attempt = excluded.attempt, attempted_at = excluded.attempted_at,
  attempts = excluded.attempts, reason = NULL, updated_at = excluded.updated_at;

-- name: begin_login
UPDATE comporta.cmp_login SET state = 'renewing', attempt = :token, attempted_at = :now, attempts = attempts + 1, updated_at = :now
WHERE account = :account AND token = :token AND state <> 'needs_login';

-- name: keep_login
UPDATE comporta.cmp_login SET state = 'good', user_id = coalesce(:user_id, user_id), issued_at = :issued_at, expires_at = :expires_at, token = :token,
  attempt = NULL, attempted_at = NULL, attempts = 0, reason = NULL, updated_at = :now
WHERE account = :account AND token = :used;

-- name: end_login_attempt
UPDATE comporta.cmp_login SET state = :state, attempt = CASE WHEN CAST(:state AS text) = 'good' THEN NULL ELSE attempt END, reason = :reason, updated_at = :now
WHERE account = :account AND token = :used AND state = 'renewing';

-- name: free_coming_ticks
UPDATE comporta.cmp_run SET scheduled_for = NULL WHERE scope = :scope AND scheduled_for > :now AND queued_at > :ahead;

-- name: free_postponed
UPDATE comporta.cmp_run SET not_before = NULL WHERE scope = :scope AND state = 'queued' AND not_before > :now AND queued_at > :ahead;

-- name: queue_tick
INSERT INTO comporta.cmp_run(id, scope, account, stream, state, trigger, request, scheduled_for, not_before, priority, attempt, dry_run, partial, queued_at)
SELECT CAST(:id AS text), CAST(:scope AS text), CAST(:account AS text), CAST(:stream AS text), 'queued', CAST(:trigger AS text),
  CAST(:request AS text), CAST(:tick AS timestamptz), CAST(:not_before AS timestamptz), CAST(:priority AS integer), 1, false, false, CAST(:now AS timestamptz)
WHERE NOT EXISTS (SELECT 1 FROM comporta.cmp_run WHERE scope = :scope AND scheduled_for >= :tick AND scheduled_for <= :now)
ON CONFLICT DO NOTHING
RETURNING *;

-- name: join_tick
UPDATE comporta.cmp_run SET scheduled_for = :tick
WHERE scope = :scope AND request = :request AND state = 'queued' AND (scheduled_for IS NULL OR scheduled_for < :tick)
  AND NOT EXISTS (SELECT 1 FROM comporta.cmp_run WHERE scope = :scope AND scheduled_for >= :tick AND scheduled_for <= :now);

-- name: voided
SELECT l.run, l.at, l.message, r.request FROM comporta.cmp_log l JOIN (
  SELECT id, request FROM comporta.cmp_run WHERE account = :account AND stream = :stream AND scope = :scope ORDER BY queued_at DESC LIMIT :limit
) r ON r.id = l.run
WHERE l.step = 'coverage_voided' ORDER BY l.at DESC, l.seq DESC LIMIT 1;

-- name: due
SELECT * FROM comporta.cmp_run WHERE state = 'queued' AND (not_before IS NULL OR not_before <= :now)
  AND (CAST(:accounts AS jsonb) IS NULL OR account IN (SELECT jsonb_array_elements_text(CAST(:accounts AS jsonb))))
  AND (trigger = 'manual' OR account NOT IN (SELECT account FROM comporta.cmp_pause))
ORDER BY priority DESC, queued_at, id LIMIT :limit;

-- name: stranded
SELECT * FROM comporta.cmp_run AS r WHERE state = 'queued' AND trigger <> 'manual' AND coalesce(not_before, queued_at) < :before
  AND account NOT IN (SELECT jsonb_array_elements_text(CAST(:accounts AS jsonb)))
  AND account NOT IN (SELECT name FROM comporta.cmp_account) AND account NOT IN (SELECT account FROM comporta.cmp_pause)
  AND NOT EXISTS (SELECT 1 FROM comporta.cmp_run AS f WHERE f.id = split_part(r.id, '.', 1) AND f.trigger = 'manual')
LIMIT :limit;

-- name: beat
INSERT INTO comporta.cmp_instance(instance, roles, version, started_at, seen_at) VALUES (:instance, :roles, :version, :now, :now)
ON CONFLICT(instance) DO UPDATE SET seen_at = excluded.seen_at, ended_at = NULL;

-- name: leave
UPDATE comporta.cmp_instance SET ended_at = :now, seen_at = :now WHERE instance = :instance;

-- name: instances
SELECT * FROM comporta.cmp_instance ORDER BY started_at, instance;

-- name: alerts_at_hand
SELECT * FROM comporta.cmp_alert
WHERE closed_at IS NULL OR (told_at IS NOT NULL AND (told_closed_at IS NULL OR fields LIKE '%"_sending": true%')) ORDER BY key FOR UPDATE;

-- name: open_alerts
SELECT * FROM comporta.cmp_alert WHERE closed_at IS NULL ORDER BY opened_at DESC, key;

-- name: alerts
SELECT * FROM comporta.cmp_alert ORDER BY closed_at IS NOT NULL, opened_at DESC, key;

-- name: open_alert
INSERT INTO comporta.cmp_alert AS a(key, kind, account, stream, level, message, next_step, fields, opened_at, updated_at, told_at)
VALUES (:key, :kind, :account, :stream, :level, :message, :next_step, :fields, :opened_at, :updated_at, :told_at)
ON CONFLICT(key) DO UPDATE SET kind = excluded.kind, account = excluded.account, stream = excluded.stream, level = excluded.level,
  message = excluded.message, next_step = excluded.next_step, fields = excluded.fields, opened_at = excluded.opened_at,
  updated_at = excluded.updated_at, closed_at = NULL, told_at = excluded.told_at, told_closed_at = NULL, times = a.times + 1
WHERE a.closed_at IS NOT NULL;

-- name: change_alert
UPDATE comporta.cmp_alert SET account = :account, stream = :stream, message = :message, next_step = :next_step, fields = :fields,
  updated_at = :updated_at, closed_at = :closed_at, told_closed_at = :told_closed_at
WHERE key = :key AND opened_at = :opened_at AND closed_at IS NULL;

-- name: claim_alert
UPDATE comporta.cmp_alert SET told_at = :told_at, told_closed_at = :told_closed_at, fields = :fields
WHERE key = :key AND opened_at = :opened_at AND told_at IS NOT DISTINCT FROM CAST(:was_told_at AS timestamptz)
  AND told_closed_at IS NOT DISTINCT FROM CAST(:was_told_closed_at AS timestamptz);

-- name: mute_alert
UPDATE comporta.cmp_alert SET muted_until = :muted_until WHERE key = :key RETURNING *;

-- name: newest_runs
SELECT s.value AS scope, (SELECT r.id FROM comporta.cmp_run r
  WHERE r.account = split_part(s.value, '/', 1) AND r.stream = substr(s.value, strpos(s.value, '/') + 1)
    AND NOT r.dry_run AND r.state NOT IN ('queued', 'running') AND r.queued_at <= :now ORDER BY r.queued_at DESC, r.id DESC LIMIT 1) AS newest
FROM jsonb_array_elements_text(CAST(:scopes AS jsonb)) AS s(value);

-- name: past_runs
SELECT r.* FROM jsonb_array_elements_text(CAST(:scopes AS jsonb)) AS s(value) CROSS JOIN LATERAL (
  SELECT * FROM comporta.cmp_run p WHERE p.account = split_part(s.value, '/', 1) AND p.stream = substr(s.value, strpos(s.value, '/') + 1) AND NOT p.dry_run
  AND p.queued_at <= :now ORDER BY p.queued_at DESC, p.id DESC LIMIT :limit) AS r
ORDER BY r.account, r.stream, r.queued_at DESC, r.id DESC;

-- name: have_brought
SELECT s.value AS scope FROM jsonb_array_elements_text(CAST(:scopes AS jsonb)) AS s(value) WHERE EXISTS(SELECT 1 FROM comporta.cmp_run
  WHERE account = split_part(s.value, '/', 1) AND stream = substr(s.value, strpos(s.value, '/') + 1) AND NOT dry_run AND read > 0);

-- name: living_runs
SELECT r.* FROM comporta.cmp_scope s JOIN comporta.cmp_run r ON r.id = s.holder
WHERE s.expires_at > :now AND r.state = 'running' AND NOT r.dry_run;

-- name: latest_runs
SELECT r.* FROM jsonb_array_elements_text(CAST(:scopes AS jsonb)) AS s(value) CROSS JOIN LATERAL (
  SELECT * FROM comporta.cmp_run l WHERE l.account = split_part(s.value, '/', 1) AND l.stream = substr(s.value, strpos(s.value, '/') + 1) AND NOT l.dry_run
  AND l.queued_at <= :now ORDER BY l.queued_at DESC, l.id DESC LIMIT 1) AS r;

-- name: latest_ticks
SELECT s.value AS scope, (SELECT max(scheduled_for) FROM comporta.cmp_run WHERE scope = s.value AND scheduled_for <= :now) AS tick
FROM jsonb_array_elements_text(CAST(:scopes AS jsonb)) AS s(value);

-- name: coverage_of_streams
SELECT scope, since, until FROM comporta.cmp_coverage
WHERE scope IN (SELECT s.value FROM jsonb_array_elements_text(CAST(:scopes AS jsonb)) AS s(value)) ORDER BY scope, since;

-- name: facts_of_streams
SELECT * FROM comporta.cmp_stream WHERE scope IN (SELECT s.value FROM jsonb_array_elements_text(CAST(:scopes AS jsonb)) AS s(value));

-- name: quarantine_counts
SELECT scope, count(*) AS waiting, count(*) FILTER (
  WHERE first_seen > CAST(:since AS timestamptz) AND (code <> :absent OR first_seen < CAST(:late AS timestamptz))) AS lately
FROM comporta.cmp_quarantine GROUP BY scope;

-- name: paused_accounts
SELECT account FROM comporta.cmp_pause;

-- name: newest_instance
SELECT instance, seen_at, ended_at FROM comporta.cmp_instance WHERE roles LIKE :role ORDER BY seen_at DESC LIMIT 1;
