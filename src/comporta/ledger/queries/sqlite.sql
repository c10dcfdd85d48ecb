-- The ledger's statements on SQLite, by name. docs/explanation/coordination.md is the protocol; the order of the
-- statements inside a transaction is in the Python that names them.

-- name: queue_run
INSERT INTO cmp_run(id, scope, account, stream, state, trigger, request, not_before, priority, attempt, dry_run, partial, queued_at)
VALUES (:id, :scope, :account, :stream, 'queued', :trigger, :request, :not_before, :priority, :attempt, :dry_run, :partial, :now)
ON CONFLICT(scope, request) WHERE state = 'queued' DO UPDATE
SET priority = max(priority, excluded.priority), not_before = CASE WHEN excluded.not_before IS NULL OR not_before IS NULL THEN NULL
    WHEN excluded.trigger = 'manual' THEN min(not_before, excluded.not_before) ELSE not_before END,
  trigger = CASE WHEN excluded.trigger = 'manual' THEN 'manual' ELSE trigger END
RETURNING *;

-- name: take_lease
INSERT INTO cmp_scope AS s(scope, epoch, holder, expires_at) VALUES (:scope, 1, :run, :expires_at)
ON CONFLICT(scope) DO UPDATE SET epoch = s.epoch + 1, holder = excluded.holder, expires_at = excluded.expires_at
WHERE s.holder IS NULL OR s.expires_at <= :now
RETURNING epoch, commits, :now AS at;

-- name: mark_lost
UPDATE cmp_run SET state = 'lost', finished_at = :now, error = :error WHERE scope = :scope AND state = 'running' RETURNING *;

-- name: start_run
UPDATE cmp_run SET state = 'running', epoch = :epoch, started_at = :now, progress_at = :now, deadline_at = :deadline_at, instance = :instance
WHERE id = :run AND state = 'queued' RETURNING *;

-- name: put_off_run
UPDATE cmp_run SET not_before = :not_before WHERE id = :run AND state = 'queued' AND not_before IS NOT NULL;

-- name: skip_run
UPDATE cmp_run SET state = 'skipped', finished_at = :now, error = :error WHERE id = :run AND state = 'queued' RETURNING *;

-- name: holder
SELECT s.scope, s.epoch, s.holder, s.expires_at, s.commits, r.started_at, r.instance
FROM cmp_scope s LEFT JOIN cmp_run r ON r.id = s.holder WHERE s.scope = :scope;

-- name: lock_scope
SELECT epoch, holder, commits FROM cmp_scope WHERE scope = :scope;

-- name: leases
SELECT s.scope, s.epoch, s.holder, s.expires_at, r.started_at, r.instance
FROM cmp_scope s LEFT JOIN cmp_run r ON r.id = s.holder WHERE s.holder IS NOT NULL OR s.scope NOT LIKE 'dry/%' ORDER BY s.scope;

-- name: renew
UPDATE cmp_scope SET expires_at = :expires_at WHERE scope = :scope AND epoch = :epoch AND holder = :run;

-- name: fence
UPDATE cmp_scope SET commits = commits + 1, expires_at = :expires_at
WHERE scope = :scope AND epoch = :epoch AND holder = :run AND commits = :commits;

-- name: fence_and_release
UPDATE cmp_scope SET commits = commits + 1, holder = NULL, expires_at = NULL
WHERE scope = :scope AND epoch = :epoch AND holder = :run AND commits = :commits;

-- name: release
UPDATE cmp_scope SET holder = NULL, expires_at = NULL WHERE scope = :scope AND epoch = :epoch AND holder = :run;

-- name: seize_expired
UPDATE cmp_scope SET epoch = epoch + 1, holder = NULL, expires_at = NULL
WHERE holder IS NOT NULL AND (expires_at <= :now OR expires_at > :never) RETURNING scope, :now AS at;

-- name: seize_one
UPDATE cmp_scope SET epoch = epoch + 1, holder = NULL, expires_at = NULL WHERE scope = :scope AND holder IS NOT NULL
RETURNING scope, :now AS at;

-- name: has_expired
SELECT EXISTS(SELECT 1 FROM cmp_scope WHERE holder IS NOT NULL AND (expires_at <= :now OR expires_at > :never)) AS found;

-- name: end_run
UPDATE cmp_run SET state = :state, finished_at = :now, progress_at = :now, error = :error,
  requests_sent = max(requests_sent, :sent), requests_retried = max(requests_retried, :retried),
  requests_throttled = max(requests_throttled, :throttled), waited_s = max(waited_s, :waited_s),
  rate_limit = coalesce(:rate_limit, rate_limit), limit_used = coalesce(:limit_used, limit_used), failures = coalesce(:failures, failures)
WHERE id = :run AND state = 'running' AND epoch = :epoch RETURNING *;

-- name: count_batch
UPDATE cmp_run SET read = read + :read, inserted = inserted + :inserted, updated = updated + :updated,
  unchanged = unchanged + :unchanged, rejected = rejected + :rejected, deleted = deleted + :deleted, progress_at = :now,
  requests_sent = max(requests_sent, :sent), requests_retried = max(requests_retried, :retried),
  requests_throttled = max(requests_throttled, :throttled), waited_s = max(waited_s, :waited_s),
  rate_limit = coalesce(:rate_limit, rate_limit), limit_used = coalesce(:limit_used, limit_used), failures = coalesce(:failures, failures)
WHERE id = :run AND state = 'running';

-- name: cancel_queued
UPDATE cmp_run SET state = 'cancelled', finished_at = :now, error = :error WHERE id = :run AND state = 'queued' RETURNING *;

-- name: ask_to_cancel
UPDATE cmp_run SET cancel_requested = 1 WHERE id = :run AND state = 'running' RETURNING *;

-- name: cancel_requested
SELECT cancel_requested FROM cmp_run WHERE id = :run;

-- name: set_window
UPDATE cmp_run SET window_kind = :kind, window_since = :since, window_until = :until WHERE id = :run AND state = 'running';

-- name: run
SELECT * FROM cmp_run WHERE id = :run;

-- name: runs
SELECT * FROM cmp_run
WHERE (:account IS NULL OR account = :account) AND (:stream IS NULL OR stream = :stream) AND (:state IS NULL OR state = :state)
  AND (:dry_run IS NULL OR dry_run = :dry_run)
ORDER BY queued_at DESC, id DESC LIMIT :limit;

-- name: runs_of_stream
SELECT * FROM cmp_run
WHERE account = :account AND stream = :stream AND (:state IS NULL OR state = :state) AND (:dry_run IS NULL OR dry_run = :dry_run)
ORDER BY queued_at DESC, id DESC LIMIT :limit;

-- name: failures_of_stream
SELECT failures FROM cmp_run
WHERE account = :account AND stream = :stream AND queued_at > :since AND failures IS NOT NULL;

-- name: runs_afoot
SELECT * FROM cmp_run WHERE state = 'queued'
UNION ALL SELECT * FROM cmp_run WHERE state = 'running'
UNION ALL SELECT * FROM cmp_run WHERE queued_at >= :since AND state NOT IN ('queued', 'running')
ORDER BY queued_at, id LIMIT :limit;

-- name: queued
SELECT * FROM cmp_run WHERE scope = :scope AND state = 'queued' ORDER BY queued_at, id LIMIT :limit;

-- name: coverage
SELECT since, until, query_fingerprint FROM cmp_coverage WHERE scope = :scope ORDER BY since;

-- name: forget_coverage
DELETE FROM cmp_coverage WHERE scope = :scope;

-- name: forget_coverage_of_stream
DELETE FROM cmp_coverage WHERE substr(scope, instr(scope, '/') + 1) = :stream;

-- name: forget_passes_of_stream
DELETE FROM cmp_pass WHERE position IS NOT NULL AND substr(scope, instr(scope, '/') + 1) = :stream;

-- name: add_coverage
INSERT INTO cmp_coverage(scope, since, until, query_fingerprint) VALUES (:scope, :since, :until, :fingerprint);

-- name: put_pass
INSERT INTO cmp_pass(id, scope, request, kind, since, until, query_fingerprint, started_at)
VALUES (:id, :scope, :request, :kind, :since, :until, :fingerprint, :now)
ON CONFLICT(scope, request) DO UPDATE SET id = excluded.id, kind = excluded.kind, since = excluded.since, until = excluded.until,
  query_fingerprint = excluded.query_fingerprint, position = NULL, read = 0, started_at = excluded.started_at
WHERE cmp_pass.id <> excluded.id;

-- name: open_pass
SELECT * FROM cmp_pass WHERE scope = :scope AND request = :request;

-- name: advance_pass
UPDATE cmp_pass SET position = coalesce(:position, position), read = read + :read WHERE id = :pass;

-- name: end_pass
DELETE FROM cmp_pass WHERE id = :pass;

-- name: forget_passes
DELETE FROM cmp_pass WHERE scope = :scope;

-- name: facts
SELECT * FROM cmp_stream WHERE scope = :scope;

-- name: learn
INSERT INTO cmp_stream(scope, query_fingerprint, identity, clock_offset_s, reconciled_at, reconcile_result)
VALUES (:scope, :fingerprint, :identity, :clock_offset_s, :reconciled_at, :reconcile_result)
ON CONFLICT(scope) DO UPDATE SET query_fingerprint = coalesce(excluded.query_fingerprint, query_fingerprint),
  identity = coalesce(excluded.identity, identity), clock_offset_s = coalesce(excluded.clock_offset_s, clock_offset_s),
  reconciled_at = coalesce(excluded.reconciled_at, reconciled_at), reconcile_result = coalesce(excluded.reconcile_result, reconcile_result);

-- name: hint
INSERT INTO cmp_hint(scope, parent, told_at) VALUES (:scope, :parent, :told_at)
ON CONFLICT(scope, parent) DO UPDATE SET times = times + 1, tries = 0, not_before = NULL,
  told_at = CASE WHEN told_at IS NULL OR excluded.told_at IS NULL THEN NULL ELSE max(told_at, excluded.told_at) END;

-- name: refer
INSERT INTO cmp_hint(scope, parent) VALUES (:scope, :parent) ON CONFLICT(scope, parent) DO UPDATE SET told_at = NULL;

-- name: wake_hints
UPDATE cmp_hint SET not_before = NULL WHERE scope = :scope AND told_at IS NULL;

-- name: vain_hints
SELECT parent FROM cmp_hint WHERE scope = :scope AND told_at IS NULL AND tries > 0 ORDER BY parent;

-- name: let_hint_go
DELETE FROM cmp_hint WHERE scope = :scope AND parent = :parent AND told_at IS NULL AND tries > 0;

-- name: hints
SELECT * FROM (SELECT parent, times, told_at, tries FROM cmp_hint
  WHERE scope = :scope AND tries = 0 AND (not_before IS NULL OR not_before <= :due OR not_before > :never)
  ORDER BY parent LIMIT :limit) AS new
UNION ALL SELECT * FROM (SELECT parent, times, told_at, tries FROM cmp_hint
  WHERE scope = :scope AND tries > 0 AND (not_before IS NULL OR not_before <= :due OR not_before > :never)
  ORDER BY tries, parent LIMIT :limit) AS again
LIMIT :limit;

-- name: forget_hint
DELETE FROM cmp_hint WHERE scope = :scope AND parent = :parent AND times = :times;

-- name: postpone_hint
UPDATE cmp_hint SET tries = :tries, not_before = :not_before WHERE scope = :scope AND parent = :parent AND times = :times;

-- name: forget_hints
DELETE FROM cmp_hint WHERE scope = :scope AND told_at IS NULL;

-- name: put_notification
INSERT INTO cmp_notification(source, user_id, topic, resource, application_id, sent_at, received_at, times, state)
VALUES (:source, :user_id, :topic, :resource, :application_id, :sent_at, :now, :times, 'waiting')
ON CONFLICT(source, user_id, topic, resource) DO UPDATE SET times = times + excluded.times, received_at = excluded.received_at,
  application_id = coalesce(excluded.application_id, application_id),
  state = CASE WHEN excluded.sent_at <= sent_at AND sent_at <= excluded.received_at THEN state ELSE 'waiting' END,
  sent_at = CASE WHEN sent_at IS NULL OR excluded.sent_at IS NULL OR sent_at > excluded.received_at THEN NULL
    ELSE max(sent_at, excluded.sent_at) END;

-- name: has_waiting_notifications
SELECT EXISTS(SELECT 1 FROM cmp_login l JOIN cmp_notification n ON n.user_id = l.user_id AND n.source = :source AND n.state = 'waiting') AS found;

-- name: login_users
SELECT account, user_id FROM cmp_login WHERE user_id IS NOT NULL ORDER BY account;

-- name: waiting_notifications
SELECT topic, resource, sent_at FROM cmp_notification
WHERE source = :source AND user_id = :user_id AND state = 'waiting' ORDER BY received_at LIMIT :limit;

-- name: notification_state
UPDATE cmp_notification SET state = :state
WHERE source = :source AND user_id = :user_id AND topic = :topic AND resource = :resource;

-- name: forget_notifications
DELETE FROM cmp_notification WHERE (source, user_id, topic, resource) IN (
  SELECT source, user_id, topic, resource FROM cmp_notification WHERE received_at < :before ORDER BY received_at LIMIT :limit);

-- name: forget_alerts
DELETE FROM cmp_alert WHERE "key" IN (SELECT "key" FROM cmp_alert WHERE closed_at < :before ORDER BY closed_at LIMIT :limit);

-- name: forget_instances
DELETE FROM cmp_instance WHERE instance IN (
  SELECT instance FROM cmp_instance WHERE coalesce(ended_at, seen_at) < :before ORDER BY instance LIMIT :limit);

-- name: due_scopes
SELECT DISTINCT h.scope FROM cmp_hint h
WHERE (h.not_before IS NULL OR h.not_before <= :now OR h.not_before > :never)
  AND EXISTS(SELECT 1 FROM cmp_coverage c WHERE c.scope = h.scope)
  AND NOT EXISTS(SELECT 1 FROM cmp_scope s WHERE s.scope = h.scope AND s.holder IS NOT NULL AND s.expires_at > :now)
  AND NOT EXISTS(SELECT 1 FROM cmp_pause p WHERE p.account = substr(h.scope, 1, instr(h.scope, '/') - 1)) ORDER BY h.scope;

-- name: put_in_quarantine
INSERT INTO cmp_quarantine(scope, key, code, reason, payload, run, first_seen, last_seen)
VALUES (:scope, :key, :code, :reason, :payload, :run, :now, :now)
ON CONFLICT(scope, key) DO UPDATE SET code = excluded.code, reason = excluded.reason, payload = excluded.payload,
  run = excluded.run, last_seen = excluded.last_seen, times = times + 1;

-- name: quarantine
SELECT * FROM cmp_quarantine WHERE :scope IS NULL OR scope = :scope ORDER BY scope, key;

-- name: quarantined_keys
SELECT key FROM cmp_quarantine WHERE scope = :scope;

-- name: leave_quarantine
DELETE FROM cmp_quarantine WHERE scope = :scope AND key = :key;

-- name: lock_run
SELECT id FROM cmp_run WHERE id = :run;

-- name: append_log
INSERT INTO cmp_log(run, seq, at, level, step, message, fields)
SELECT :run, coalesce(max(seq), 0) + 1, :now, :level, :step, :message, :fields FROM cmp_log WHERE run = :run;

-- name: log
SELECT seq, at, level, step, message, fields FROM cmp_log WHERE run = :run AND seq > :after ORDER BY seq LIMIT 1000;

-- name: log_end
SELECT coalesce(max(seq), 0) AS seq FROM cmp_log WHERE run = :run;

-- name: has_expired_history
SELECT EXISTS(SELECT 1 FROM cmp_run r WHERE r.queued_at < :before AND r.state NOT IN ('queued', 'running')
  AND (r.scheduled_for IS NULL OR EXISTS(SELECT 1 FROM cmp_run later WHERE later.scope = r.scope AND later.scheduled_for > r.scheduled_for)))
  OR EXISTS(SELECT 1 FROM cmp_run WHERE queued_at < :stale AND state = 'queued' AND dry_run)
  OR EXISTS(SELECT 1 FROM cmp_notification WHERE received_at < :before)
  OR EXISTS(SELECT 1 FROM cmp_alert WHERE closed_at < :before)
  OR EXISTS(SELECT 1 FROM cmp_instance WHERE coalesce(ended_at, seen_at) < :before) AS found;

-- name: skip_stale_dry_runs
UPDATE cmp_run SET state = 'skipped', finished_at = :now, error = :error WHERE queued_at < :stale AND state = 'queued' AND dry_run;

-- name: expired_history
SELECT r.id, r.scope FROM cmp_run r WHERE r.queued_at < :before AND r.state NOT IN ('queued', 'running')
  AND (r.scheduled_for IS NULL OR EXISTS(SELECT 1 FROM cmp_run later WHERE later.scope = r.scope AND later.scheduled_for > r.scheduled_for))
ORDER BY r.queued_at LIMIT :limit;

-- name: forget_log
DELETE FROM cmp_log WHERE run = :run;

-- name: forget_run
DELETE FROM cmp_run WHERE id = :run;

-- name: forget_dry_scope
DELETE FROM cmp_scope WHERE scope = :scope AND scope LIKE 'dry/%' AND holder IS NULL;

-- name: end_restored_runs
UPDATE cmp_run SET state = CASE WHEN state = 'running' THEN 'lost' ELSE 'cancelled' END, finished_at = :now, error = :error
WHERE state IN ('queued', 'running');

-- name: free_restored_scopes
UPDATE cmp_scope SET epoch = epoch + 1, holder = NULL, expires_at = NULL WHERE holder IS NOT NULL;

-- name: forget_all_passes
DELETE FROM cmp_pass;

-- name: end_restored_instances
UPDATE cmp_instance SET ended_at = :now WHERE ended_at IS NULL;

-- name: doubt_all_streams
UPDATE cmp_stream SET reconciled_at = NULL;

-- name: put_account
INSERT INTO cmp_account(name, source, settings, updated_at) VALUES (:name, :source, :settings, :now)
ON CONFLICT(name) DO UPDATE SET source = excluded.source, settings = excluded.settings, updated_at = excluded.updated_at;

-- name: accounts
SELECT name, source, settings, updated_at FROM cmp_account ORDER BY name;

-- name: put_pause
INSERT INTO cmp_pause(account, paused_at) VALUES (:account, :now) ON CONFLICT(account) DO NOTHING;

-- name: end_pause
DELETE FROM cmp_pause WHERE account = :account;

-- name: pauses
SELECT account, paused_at FROM cmp_pause ORDER BY account;

-- name: put_secret
INSERT INTO cmp_secret(id, key_id, nonce, ciphertext, updated_at) VALUES (:id, :key_id, :nonce, :ciphertext, :now)
ON CONFLICT(id) DO UPDATE SET key_id = excluded.key_id, nonce = excluded.nonce, ciphertext = excluded.ciphertext, updated_at = excluded.updated_at;

-- name: secret
SELECT key_id, nonce, ciphertext FROM cmp_secret WHERE id = :id;

-- name: secrets
SELECT id, key_id, nonce, ciphertext FROM cmp_secret WHERE id LIKE :ending;

-- name: secret_keys
SELECT id, key_id FROM cmp_secret ORDER BY id;

-- name: login
SELECT * FROM cmp_login WHERE account = :account;

-- name: logins
SELECT * FROM cmp_login ORDER BY account;

-- name: put_login
INSERT INTO cmp_login(account, state, user_id, issued_at, expires_at, token, attempt, attempted_at, attempts, reason, updated_at)
VALUES (:account, :state, :user_id, :issued_at, :expires_at, :token, :attempt, :attempted_at, :attempts, NULL, :now)
ON CONFLICT(account) DO UPDATE SET state = excluded.state, user_id = excluded.user_id, issued_at = excluded.issued_at,
  expires_at = excluded.expires_at, token = excluded.token, attempt = excluded.attempt, attempted_at = excluded.attempted_at,
  attempts = excluded.attempts, reason = NULL, updated_at = excluded.updated_at;

-- name: begin_login
UPDATE cmp_login SET state = 'renewing', attempt = :token, attempted_at = :now, attempts = attempts + 1, updated_at = :now
WHERE account = :account AND token = :token AND state <> 'needs_login';

-- name: keep_login
UPDATE cmp_login SET state = 'good', user_id = coalesce(:user_id, user_id), issued_at = :issued_at, expires_at = :expires_at, token = :token,
  attempt = NULL, attempted_at = NULL, attempts = 0, reason = NULL, updated_at = :now
WHERE account = :account AND token = :used;

-- name: end_login_attempt
UPDATE cmp_login SET state = :state, attempt = CASE WHEN :state = 'good' THEN NULL ELSE attempt END, reason = :reason, updated_at = :now
WHERE account = :account AND token = :used AND state = 'renewing';

-- name: free_coming_ticks
UPDATE cmp_run SET scheduled_for = NULL WHERE scope = :scope AND scheduled_for > :now AND queued_at > :ahead;

-- name: free_postponed
UPDATE cmp_run SET not_before = NULL WHERE scope = :scope AND state = 'queued' AND not_before > :now AND queued_at > :ahead;

-- name: queue_tick
INSERT INTO cmp_run(id, scope, account, stream, state, trigger, request, scheduled_for, not_before, priority, attempt, dry_run, partial, queued_at)
SELECT :id, :scope, :account, :stream, 'queued', :trigger, :request, :tick, :not_before, :priority, 1, 0, 0, :now
WHERE NOT EXISTS (SELECT 1 FROM cmp_run WHERE scope = :scope AND scheduled_for >= :tick AND scheduled_for <= :now)
ON CONFLICT DO NOTHING
RETURNING *;

-- name: join_tick
UPDATE cmp_run SET scheduled_for = :tick
WHERE scope = :scope AND request = :request AND state = 'queued' AND (scheduled_for IS NULL OR scheduled_for < :tick)
  AND NOT EXISTS (SELECT 1 FROM cmp_run WHERE scope = :scope AND scheduled_for >= :tick AND scheduled_for <= :now);

-- name: voided
SELECT l.run, l.at, l.message, r.request FROM cmp_log l JOIN (
  SELECT id, request FROM cmp_run WHERE account = :account AND stream = :stream AND scope = :scope ORDER BY queued_at DESC LIMIT :limit
) r ON r.id = l.run
WHERE l.step = 'coverage_voided' ORDER BY l.at DESC, l.seq DESC LIMIT 1;

-- name: due
SELECT * FROM cmp_run WHERE state = 'queued' AND (not_before IS NULL OR not_before <= :now)
  AND (:accounts IS NULL OR account IN (SELECT value FROM json_each(:accounts)))
  AND (trigger = 'manual' OR account NOT IN (SELECT account FROM cmp_pause))
ORDER BY priority DESC, queued_at, id LIMIT :limit;

-- name: stranded
SELECT * FROM cmp_run AS r WHERE state = 'queued' AND trigger <> 'manual' AND coalesce(not_before, queued_at) < :before
  AND account NOT IN (SELECT value FROM json_each(:accounts)) AND account NOT IN (SELECT name FROM cmp_account)
  AND account NOT IN (SELECT account FROM cmp_pause)
  AND NOT EXISTS (SELECT 1 FROM cmp_run AS f WHERE f.id = substr(r.id, 1, instr(r.id || '.', '.') - 1) AND f.trigger = 'manual')
LIMIT :limit;

-- name: beat
INSERT INTO cmp_instance(instance, roles, version, started_at, seen_at) VALUES (:instance, :roles, :version, :now, :now)
ON CONFLICT(instance) DO UPDATE SET seen_at = excluded.seen_at, ended_at = NULL;

-- name: leave
UPDATE cmp_instance SET ended_at = :now, seen_at = :now WHERE instance = :instance;

-- name: instances
SELECT * FROM cmp_instance ORDER BY started_at, instance;

-- name: alerts_at_hand
SELECT * FROM cmp_alert WHERE closed_at IS NULL OR (told_at IS NOT NULL AND (told_closed_at IS NULL OR fields LIKE '%"_sending": true%')) ORDER BY key;

-- name: open_alerts
SELECT * FROM cmp_alert WHERE closed_at IS NULL ORDER BY opened_at DESC, key;

-- name: alerts
SELECT * FROM cmp_alert ORDER BY closed_at IS NOT NULL, opened_at DESC, key;

-- name: open_alert
INSERT INTO cmp_alert(key, kind, account, stream, level, message, next_step, fields, opened_at, updated_at, told_at)
VALUES (:key, :kind, :account, :stream, :level, :message, :next_step, :fields, :opened_at, :updated_at, :told_at)
ON CONFLICT(key) DO UPDATE SET kind = excluded.kind, account = excluded.account, stream = excluded.stream, level = excluded.level,
  message = excluded.message, next_step = excluded.next_step, fields = excluded.fields, opened_at = excluded.opened_at,
  updated_at = excluded.updated_at, closed_at = NULL, told_at = excluded.told_at, told_closed_at = NULL, times = times + 1
WHERE closed_at IS NOT NULL;

-- name: change_alert
UPDATE cmp_alert SET account = :account, stream = :stream, message = :message, next_step = :next_step, fields = :fields,
  updated_at = :updated_at, closed_at = :closed_at, told_closed_at = :told_closed_at
WHERE key = :key AND opened_at = :opened_at AND closed_at IS NULL;

-- name: claim_alert
UPDATE cmp_alert SET told_at = :told_at, told_closed_at = :told_closed_at, fields = :fields
WHERE key = :key AND opened_at = :opened_at AND told_at IS :was_told_at AND told_closed_at IS :was_told_closed_at;

-- name: mute_alert
UPDATE cmp_alert SET muted_until = :muted_until WHERE key = :key RETURNING *;

-- name: newest_runs
SELECT s.value AS scope, (SELECT r.id FROM cmp_run r
  WHERE r.account = substr(s.value, 1, instr(s.value, '/') - 1) AND r.stream = substr(s.value, instr(s.value, '/') + 1)
    AND r.dry_run = 0 AND r.state NOT IN ('queued', 'running') AND r.queued_at <= :now ORDER BY r.queued_at DESC, r.id DESC LIMIT 1) AS newest
FROM json_each(:scopes) AS s;

-- name: past_runs
SELECT r.* FROM json_each(:scopes) AS s JOIN cmp_run r ON r.id IN (SELECT p.id FROM cmp_run p
  WHERE p.account = substr(s.value, 1, instr(s.value, '/') - 1) AND p.stream = substr(s.value, instr(s.value, '/') + 1) AND p.dry_run = 0
  AND p.queued_at <= :now ORDER BY p.queued_at DESC, p.id DESC LIMIT :limit)
ORDER BY r.account, r.stream, r.queued_at DESC, r.id DESC;

-- name: have_brought
SELECT s.value AS scope FROM json_each(:scopes) AS s WHERE EXISTS(SELECT 1 FROM cmp_run
  WHERE account = substr(s.value, 1, instr(s.value, '/') - 1) AND stream = substr(s.value, instr(s.value, '/') + 1) AND dry_run = 0 AND read > 0);

-- name: living_runs
SELECT r.* FROM cmp_scope s JOIN cmp_run r ON r.id = s.holder WHERE s.expires_at > :now AND r.state = 'running' AND r.dry_run = 0;

-- name: latest_runs
SELECT r.* FROM json_each(:scopes) AS s JOIN cmp_run r ON r.id = (SELECT l.id FROM cmp_run l
  WHERE l.account = substr(s.value, 1, instr(s.value, '/') - 1) AND l.stream = substr(s.value, instr(s.value, '/') + 1) AND l.dry_run = 0
  AND l.queued_at <= :now ORDER BY l.queued_at DESC, l.id DESC LIMIT 1);

-- name: latest_ticks
SELECT s.value AS scope, (SELECT max(scheduled_for) FROM cmp_run WHERE scope = s.value AND scheduled_for <= :now) AS tick
FROM json_each(:scopes) AS s;

-- name: coverage_of_streams
SELECT scope, since, until FROM cmp_coverage WHERE scope IN (SELECT value FROM json_each(:scopes)) ORDER BY scope, since;

-- name: facts_of_streams
SELECT * FROM cmp_stream WHERE scope IN (SELECT value FROM json_each(:scopes));

-- name: quarantine_counts
SELECT scope, count(*) AS waiting, sum(first_seen > :since AND (code <> :absent OR first_seen < :late)) AS lately
FROM cmp_quarantine GROUP BY scope;

-- name: paused_accounts
SELECT account FROM cmp_pause;

-- name: newest_instance
SELECT instance, seen_at, ended_at FROM cmp_instance WHERE roles LIKE :role ORDER BY seen_at DESC LIMIT 1;
