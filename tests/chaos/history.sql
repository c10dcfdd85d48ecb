-- A history kept by triggers inside the transactions that write, so that nothing can be left out of it, and what
-- is rolled back takes its history with it. A row's xid says which transaction it belongs to. The rows of one
-- scope are in the order of their commits, because its row in cmp_scope stays locked from the trigger to COMMIT.

CREATE SCHEMA chaos;

CREATE TABLE chaos.scope(
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(), scope text NOT NULL,
  epoch_before bigint, epoch bigint, commits_before bigint, commits bigint,
  holder_before text, holder text, expires_before timestamptz
);
CREATE INDEX ON chaos.scope(xid);

CREATE TABLE chaos.run(
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(), run text NOT NULL, scope text NOT NULL, epoch bigint,
  state_before text, state text,
  read bigint, inserted bigint, updated bigint, unchanged bigint, rejected bigint, deleted bigint
);
CREATE INDEX ON chaos.run(xid);

CREATE TABLE chaos.row(
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(), place text NOT NULL, key text NOT NULL, act text NOT NULL, run text
);
CREATE INDEX ON chaos.row(xid);

CREATE TABLE chaos.coverage(
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(), scope text NOT NULL, since timestamptz, until timestamptz
);

CREATE TABLE chaos.mark(xid xid8 NOT NULL DEFAULT pg_current_xact_id(), run text NOT NULL, mark text NOT NULL);

-- What the workers were told is committed: loaded from their diaries before the claims are checked.
CREATE TABLE chaos.acknowledged(mark text NOT NULL);

CREATE FUNCTION chaos.note_scope() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO chaos.scope(scope, epoch, commits, holder) VALUES (NEW.scope, NEW.epoch, NEW.commits, NEW.holder);
  ELSIF (OLD.epoch, OLD.commits, OLD.holder) IS DISTINCT FROM (NEW.epoch, NEW.commits, NEW.holder) THEN
    INSERT INTO chaos.scope(scope, epoch_before, epoch, commits_before, commits, holder_before, holder, expires_before)
    VALUES (NEW.scope, OLD.epoch, NEW.epoch, OLD.commits, NEW.commits, OLD.holder, NEW.holder, OLD.expires_at);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION chaos.note_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO chaos.run(run, scope, state, read, inserted, updated, unchanged, rejected, deleted)
    VALUES (NEW.id, NEW.scope, NEW.state, 0, 0, 0, 0, 0, 0);
  ELSE
    INSERT INTO chaos.run(run, scope, epoch, state_before, state, read, inserted, updated, unchanged, rejected, deleted)
    VALUES (NEW.id, NEW.scope, NEW.epoch, OLD.state, NEW.state, NEW.read - OLD.read, NEW.inserted - OLD.inserted,
      NEW.updated - OLD.updated, NEW.unchanged - OLD.unchanged, NEW.rejected - OLD.rejected, NEW.deleted - OLD.deleted);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION chaos.note_coverage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO chaos.coverage(scope, since, until) VALUES (NEW.scope, NEW.since, NEW.until);
  RETURN NULL;
END $$;

CREATE FUNCTION chaos.note_mark() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO chaos.mark(run, mark) VALUES (NEW.run, NEW.message);
  RETURN NULL;
END $$;

CREATE FUNCTION chaos.note_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    INSERT INTO chaos.row(place, key, act) VALUES (TG_TABLE_NAME, OLD.id, 'delete');
  ELSIF TG_OP = 'UPDATE' AND OLD._cmp_deleted_at IS NULL AND NEW._cmp_deleted_at IS NOT NULL THEN
    INSERT INTO chaos.row(place, key, act, run) VALUES (TG_TABLE_NAME, NEW.id, 'mark', NEW._cmp_run);
  ELSE
    INSERT INTO chaos.row(place, key, act, run) VALUES (TG_TABLE_NAME, NEW.id, lower(TG_OP), NEW._cmp_run);
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER chaos_scope AFTER INSERT OR UPDATE ON comporta.cmp_scope FOR EACH ROW EXECUTE FUNCTION chaos.note_scope();
CREATE TRIGGER chaos_run AFTER INSERT OR UPDATE ON comporta.cmp_run FOR EACH ROW EXECUTE FUNCTION chaos.note_run();
CREATE TRIGGER chaos_coverage AFTER INSERT ON comporta.cmp_coverage FOR EACH ROW EXECUTE FUNCTION chaos.note_coverage();
CREATE TRIGGER chaos_mark AFTER INSERT ON comporta.cmp_log FOR EACH ROW WHEN (NEW.step = 'chaos_batch')
EXECUTE FUNCTION chaos.note_mark();

-- The mirrored tables are made by the first run that writes: each is watched from its first row on.
CREATE FUNCTION chaos.watch_tables() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE made record;
BEGIN
  FOR made IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE command_tag = 'CREATE TABLE' AND schema_name = 'mirror'
  LOOP
    EXECUTE format('CREATE TRIGGER chaos_row AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW'
      ' EXECUTE FUNCTION chaos.note_row()', made.object_identity);
  END LOOP;
END $$;

CREATE EVENT TRIGGER chaos_tables ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION chaos.watch_tables();
