-- The ledger as the migrations leave it, for a database that has none yet; see sqlite_schema.sql. A test compares it
-- with the migrations. Schema and clock stand in postgres_schema.py: an older ledger has them already.

CREATE TABLE comporta.cmp_schema_version (
  version_num VARCHAR(32) NOT NULL,
  CONSTRAINT cmp_schema_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE comporta.cmp_scope (
  scope TEXT NOT NULL,
  epoch BIGINT DEFAULT '0' NOT NULL,
  holder TEXT,
  expires_at TIMESTAMP WITH TIME ZONE,
  commits BIGINT DEFAULT '0' NOT NULL,
  PRIMARY KEY (scope)
);

CREATE TABLE comporta.cmp_coverage (
  scope TEXT NOT NULL,
  since TIMESTAMP WITH TIME ZONE NOT NULL,
  until TIMESTAMP WITH TIME ZONE NOT NULL,
  query_fingerprint TEXT NOT NULL,
  PRIMARY KEY (scope, since)
);

CREATE TABLE comporta.cmp_pass (
  id TEXT NOT NULL,
  scope TEXT NOT NULL,
  request TEXT NOT NULL,
  kind TEXT NOT NULL,
  since TIMESTAMP WITH TIME ZONE NOT NULL,
  until TIMESTAMP WITH TIME ZONE NOT NULL,
  query_fingerprint TEXT NOT NULL,
  position TEXT,
  read BIGINT DEFAULT '0' NOT NULL,
  started_at TIMESTAMP WITH TIME ZONE NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (scope, request)
);

CREATE TABLE comporta.cmp_hint (
  scope TEXT NOT NULL,
  parent TEXT NOT NULL,
  times BIGINT DEFAULT '1' NOT NULL,
  told_at TIMESTAMP WITH TIME ZONE,
  tries INTEGER DEFAULT '0' NOT NULL,
  not_before TIMESTAMP WITH TIME ZONE,
  PRIMARY KEY (scope, parent)
);

CREATE TABLE comporta.cmp_run (
  id TEXT NOT NULL,
  scope TEXT NOT NULL,
  account TEXT NOT NULL,
  stream TEXT NOT NULL,
  epoch BIGINT,
  state TEXT NOT NULL CHECK (state IN ('queued','running','succeeded','failed','timed_out','cancelled','interrupted','lost','skipped')),
  "trigger" TEXT NOT NULL,
  request TEXT NOT NULL,
  scheduled_for TIMESTAMP WITH TIME ZONE,
  not_before TIMESTAMP WITH TIME ZONE,
  priority INTEGER DEFAULT '0' NOT NULL,
  attempt INTEGER DEFAULT '1' NOT NULL,
  dry_run BOOLEAN NOT NULL,
  partial BOOLEAN DEFAULT false NOT NULL,
  window_kind TEXT,
  window_since TIMESTAMP WITH TIME ZONE,
  window_until TIMESTAMP WITH TIME ZONE,
  queued_at TIMESTAMP WITH TIME ZONE,
  started_at TIMESTAMP WITH TIME ZONE,
  finished_at TIMESTAMP WITH TIME ZONE,
  progress_at TIMESTAMP WITH TIME ZONE,
  deadline_at TIMESTAMP WITH TIME ZONE,
  cancel_requested BOOLEAN DEFAULT false NOT NULL,
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

CREATE UNIQUE INDEX cmp_one_running ON comporta.cmp_run (scope) WHERE state='running';

CREATE UNIQUE INDEX cmp_one_queued ON comporta.cmp_run (scope, request) WHERE state='queued';

CREATE UNIQUE INDEX cmp_one_tick ON comporta.cmp_run (scope, scheduled_for) WHERE scheduled_for IS NOT NULL;

CREATE INDEX cmp_run_queued_at ON comporta.cmp_run (queued_at);

CREATE INDEX cmp_run_stream ON comporta.cmp_run (account, stream, queued_at);

CREATE TABLE comporta.cmp_log (
  run TEXT NOT NULL,
  seq BIGINT NOT NULL,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  level TEXT NOT NULL,
  step TEXT NOT NULL,
  message TEXT NOT NULL,
  fields TEXT NOT NULL,
  PRIMARY KEY (run, seq)
);

CREATE TABLE comporta.cmp_stream (
  scope TEXT NOT NULL,
  query_fingerprint TEXT,
  identity TEXT,
  clock_offset_s FLOAT,
  reconciled_at TIMESTAMP WITH TIME ZONE,
  reconcile_result TEXT,
  PRIMARY KEY (scope)
);

CREATE TABLE comporta.cmp_quarantine (
  scope TEXT NOT NULL,
  "key" TEXT NOT NULL,
  code TEXT NOT NULL,
  reason TEXT NOT NULL,
  payload TEXT NOT NULL,
  run TEXT NOT NULL,
  first_seen TIMESTAMP WITH TIME ZONE NOT NULL,
  last_seen TIMESTAMP WITH TIME ZONE NOT NULL,
  times INTEGER DEFAULT '1' NOT NULL,
  PRIMARY KEY (scope, "key")
);

CREATE TABLE comporta.cmp_account (
  name TEXT NOT NULL,
  source TEXT NOT NULL,
  settings TEXT NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
  PRIMARY KEY (name)
);

CREATE TABLE comporta.cmp_secret (
  id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  nonce BYTEA NOT NULL,
  ciphertext BYTEA NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
  PRIMARY KEY (id)
);

CREATE UNLOGGED TABLE comporta.cmp_budget (
  key TEXT NOT NULL,
  version BIGINT NOT NULL,
  state BYTEA NOT NULL,
  PRIMARY KEY (key)
);

CREATE TABLE comporta.cmp_login (
  account TEXT NOT NULL,
  state TEXT NOT NULL,
  user_id TEXT,
  issued_at TIMESTAMP WITH TIME ZONE,
  expires_at TIMESTAMP WITH TIME ZONE,
  token TEXT,
  attempt TEXT,
  attempted_at TIMESTAMP WITH TIME ZONE,
  attempts INTEGER DEFAULT '0' NOT NULL,
  reason TEXT,
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
  PRIMARY KEY (account)
);

CREATE TABLE comporta.cmp_notification (
  source TEXT NOT NULL,
  user_id TEXT NOT NULL,
  topic TEXT NOT NULL,
  resource TEXT NOT NULL,
  application_id TEXT,
  sent_at TIMESTAMP WITH TIME ZONE,
  received_at TIMESTAMP WITH TIME ZONE NOT NULL,
  times BIGINT DEFAULT '1' NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (source, user_id, topic, resource)
);

CREATE INDEX cmp_notification_waiting ON comporta.cmp_notification (source, user_id, received_at) WHERE state = 'waiting';

CREATE INDEX cmp_notification_received ON comporta.cmp_notification (received_at);

CREATE TABLE comporta.cmp_instance (
  instance TEXT NOT NULL,
  roles TEXT NOT NULL,
  version TEXT NOT NULL,
  started_at TIMESTAMP WITH TIME ZONE NOT NULL,
  seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
  ended_at TIMESTAMP WITH TIME ZONE,
  PRIMARY KEY (instance)
);

CREATE TABLE comporta.cmp_pause (
  account TEXT NOT NULL,
  paused_at TIMESTAMP WITH TIME ZONE NOT NULL,
  PRIMARY KEY (account)
);

CREATE TABLE comporta.cmp_alert (
  "key" TEXT NOT NULL,
  kind TEXT NOT NULL,
  account TEXT,
  stream TEXT,
  level TEXT NOT NULL,
  message TEXT NOT NULL,
  next_step TEXT NOT NULL,
  fields TEXT NOT NULL,
  opened_at TIMESTAMP WITH TIME ZONE NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
  closed_at TIMESTAMP WITH TIME ZONE,
  muted_until TIMESTAMP WITH TIME ZONE,
  told_at TIMESTAMP WITH TIME ZONE,
  told_closed_at TIMESTAMP WITH TIME ZONE,
  times BIGINT DEFAULT '1' NOT NULL,
  PRIMARY KEY ("key")
);

CREATE INDEX cmp_alert_open ON comporta.cmp_alert (closed_at, opened_at);
