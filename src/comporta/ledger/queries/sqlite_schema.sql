-- The ledger as the migrations leave it, for a database that has none yet: loading Alembic to make the
-- tables takes longer than a sync of ten records. A test compares it with the migrations.

CREATE TABLE cmp_schema_version (
  version_num VARCHAR(32) NOT NULL,
  CONSTRAINT cmp_schema_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE cmp_scope (
  scope TEXT NOT NULL,
  epoch BIGINT DEFAULT '0' NOT NULL,
  holder TEXT,
  expires_at TEXT,
  commits BIGINT DEFAULT '0' NOT NULL,
  PRIMARY KEY (scope)
);

CREATE TABLE cmp_coverage (
  scope TEXT NOT NULL,
  since TEXT NOT NULL,
  until TEXT NOT NULL,
  query_fingerprint TEXT NOT NULL,
  PRIMARY KEY (scope, since)
);

CREATE TABLE cmp_pass (
  id TEXT NOT NULL,
  scope TEXT NOT NULL,
  request TEXT NOT NULL,
  kind TEXT NOT NULL,
  since TEXT NOT NULL,
  until TEXT NOT NULL,
  query_fingerprint TEXT NOT NULL,
  position TEXT,
  read BIGINT DEFAULT '0' NOT NULL,
  started_at TEXT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (scope, request)
);

CREATE TABLE cmp_hint (
  scope TEXT NOT NULL,
  parent TEXT NOT NULL,
  times BIGINT DEFAULT '1' NOT NULL,
  told_at TEXT,
  tries INTEGER DEFAULT '0' NOT NULL,
  not_before TEXT,
  PRIMARY KEY (scope, parent)
);

CREATE TABLE cmp_run (
  id TEXT NOT NULL,
  scope TEXT NOT NULL,
  account TEXT NOT NULL,
  stream TEXT NOT NULL,
  epoch BIGINT,
  state TEXT NOT NULL CHECK (state IN ('queued','running','succeeded','failed','timed_out','cancelled','interrupted','lost','skipped')),
  "trigger" TEXT NOT NULL,
  request TEXT NOT NULL,
  scheduled_for TEXT,
  not_before TEXT,
  priority INTEGER DEFAULT '0' NOT NULL,
  attempt INTEGER DEFAULT '1' NOT NULL,
  dry_run BOOLEAN NOT NULL,
  partial BOOLEAN DEFAULT 0 NOT NULL,
  window_kind TEXT,
  window_since TEXT,
  window_until TEXT,
  queued_at TEXT,
  started_at TEXT,
  finished_at TEXT,
  progress_at TEXT,
  deadline_at TEXT,
  cancel_requested BOOLEAN DEFAULT 0 NOT NULL,
  instance TEXT,
  read BIGINT DEFAULT '0' NOT NULL,
  inserted BIGINT DEFAULT '0' NOT NULL,
  updated BIGINT DEFAULT '0' NOT NULL,
  unchanged BIGINT DEFAULT '0' NOT NULL,
  rejected BIGINT DEFAULT '0' NOT NULL,
  deleted BIGINT DEFAULT '0' NOT NULL,
  requests_sent BIGINT DEFAULT '0' NOT NULL,
  requests_retried BIGINT DEFAULT '0' NOT NULL,
  requests_throttled BIGINT DEFAULT '0' NOT NULL,
  waited_s FLOAT DEFAULT '0' NOT NULL,
  error TEXT,
  rate_limit TEXT,
  limit_used FLOAT,
  failures TEXT,
  PRIMARY KEY (id)
);

CREATE UNIQUE INDEX cmp_one_running ON cmp_run (scope) WHERE state='running';

CREATE UNIQUE INDEX cmp_one_queued ON cmp_run (scope, request) WHERE state='queued';

CREATE UNIQUE INDEX cmp_one_tick ON cmp_run (scope, scheduled_for) WHERE scheduled_for IS NOT NULL;

CREATE INDEX cmp_run_queued_at ON cmp_run (queued_at);

CREATE INDEX cmp_run_stream ON cmp_run (account, stream, queued_at);

CREATE TABLE cmp_log (
  run TEXT NOT NULL,
  seq BIGINT NOT NULL,
  at TEXT NOT NULL,
  level TEXT NOT NULL,
  step TEXT NOT NULL,
  message TEXT NOT NULL,
  fields TEXT NOT NULL,
  PRIMARY KEY (run, seq)
);

CREATE TABLE cmp_stream (
  scope TEXT NOT NULL,
  query_fingerprint TEXT,
  identity TEXT,
  clock_offset_s FLOAT,
  reconciled_at TEXT,
  reconcile_result TEXT,
  PRIMARY KEY (scope)
);

CREATE TABLE cmp_quarantine (
  scope TEXT NOT NULL,
  "key" TEXT NOT NULL,
  code TEXT NOT NULL,
  reason TEXT NOT NULL,
  payload TEXT NOT NULL,
  run TEXT NOT NULL,
  first_seen TEXT NOT NULL,
  last_seen TEXT NOT NULL,
  times INTEGER DEFAULT '1' NOT NULL,
  PRIMARY KEY (scope, "key")
);

CREATE TABLE cmp_account (
  name TEXT NOT NULL,
  source TEXT NOT NULL,
  settings TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  PRIMARY KEY (name)
);

CREATE TABLE cmp_secret (
  id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  nonce BLOB NOT NULL,
  ciphertext BLOB NOT NULL,
  updated_at TEXT NOT NULL,
  PRIMARY KEY (id)
);

CREATE TABLE cmp_login (
  account TEXT NOT NULL,
  state TEXT NOT NULL,
  user_id TEXT,
  issued_at TEXT,
  expires_at TEXT,
  token TEXT,
  attempt TEXT,
  attempted_at TEXT,
  attempts INTEGER DEFAULT '0' NOT NULL,
  reason TEXT,
  updated_at TEXT NOT NULL,
  PRIMARY KEY (account)
);

CREATE TABLE cmp_notification (
  source TEXT NOT NULL,
  user_id TEXT NOT NULL,
  topic TEXT NOT NULL,
  resource TEXT NOT NULL,
  application_id TEXT,
  sent_at TEXT,
  received_at TEXT NOT NULL,
  times BIGINT DEFAULT '1' NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (source, user_id, topic, resource)
);

CREATE INDEX cmp_notification_waiting ON cmp_notification (source, user_id, received_at) WHERE state = 'waiting';

CREATE INDEX cmp_notification_received ON cmp_notification (received_at);

CREATE TABLE cmp_instance (
  instance TEXT NOT NULL,
  roles TEXT NOT NULL,
  version TEXT NOT NULL,
  started_at TEXT NOT NULL,
  seen_at TEXT NOT NULL,
  ended_at TEXT,
  PRIMARY KEY (instance)
);

CREATE TABLE cmp_pause (
  account TEXT NOT NULL,
  paused_at TEXT NOT NULL,
  PRIMARY KEY (account)
);

CREATE TABLE cmp_alert (
  "key" TEXT NOT NULL,
  kind TEXT NOT NULL,
  account TEXT,
  stream TEXT,
  level TEXT NOT NULL,
  message TEXT NOT NULL,
  next_step TEXT NOT NULL,
  fields TEXT NOT NULL,
  opened_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  closed_at TEXT,
  muted_until TEXT,
  told_at TEXT,
  told_closed_at TEXT,
  times BIGINT DEFAULT '1' NOT NULL,
  PRIMARY KEY ("key")
);

CREATE INDEX cmp_alert_open ON cmp_alert (closed_at, opened_at);
