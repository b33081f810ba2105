-- One row per event. Columns of fixed length first: no padding between them.
CREATE TABLE IF NOT EXISTS {schema}.events (
    event_key   uuid PRIMARY KEY,      -- the event's id, or a UUID made from an id that is none
    start_time  double precision,      -- seconds of the producer's clock
    end_time    double precision,
    duration_ms double precision,
    created_at  timestamptz,           -- cut to the microsecond, ...
    created_ns  smallint,              -- ... and the nanoseconds that are left over
    event_id    text,                  -- NULL where the key says it all
    run_id      text NOT NULL,
    test_id     text NOT NULL,
    event_type  text NOT NULL,
    framework   text NOT NULL,
    step_name   text,
    metadata    jsonb NOT NULL,
    exact       text                   -- the event as it was, where the columns cannot hold it
);
-- A number of the metadata, NULL where somebody wrote something else: a view must not fail over one row.
CREATE OR REPLACE FUNCTION {schema}.as_number(value jsonb) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN jsonb_typeof(value) = 'number' THEN value::numeric END $$;

CREATE INDEX IF NOT EXISTS idx_events_run ON {schema}.events (run_id, event_type);
CREATE INDEX IF NOT EXISTS idx_events_test ON {schema}.events (test_id, created_at) WHERE event_type = 'test_end';

CREATE OR REPLACE VIEW {schema}.profiling_events AS
SELECT coalesce(event_id, event_key::text) AS event_id, run_id, test_id, event_type, framework, step_name,
       duration_ms,
       -- A monotonic clock cannot have come to a thousand million seconds: then it is the time of day.
       CASE WHEN start_time >= 1e9 THEN to_timestamp(start_time) END AS started_at,
       created_at, metadata, start_time, end_time
FROM {schema}.events;

CREATE OR REPLACE VIEW {schema}.runs AS
SELECT run_id, min(created_at) AS started_at, max(metadata ->> 'environment') AS environment,
       min(framework) AS framework, min(created_at) AS created_at, count(*) AS events
FROM {schema}.events GROUP BY run_id;

CREATE OR REPLACE VIEW {schema}.tests AS
SELECT event_key AS id, run_id, test_id, duration_ms,
       coalesce(metadata ->> 'status', 'unknown') AS status, framework, created_at,
       coalesce({schema}.as_number(metadata -> 'attempts'), 1) AS attempts,
       coalesce(metadata ->> 'flaky', 'false') IN ('true', '1') AS flaky,
       metadata ->> 'message' AS message
FROM {schema}.events WHERE event_type = 'test_end';

CREATE OR REPLACE VIEW {schema}.steps AS
SELECT event_key AS id, run_id, test_id, step_name, duration_ms, event_type, framework, created_at
FROM {schema}.events WHERE event_type IN ('step_end', 'setup_end', 'teardown_end');

CREATE OR REPLACE VIEW {schema}.http_calls AS
SELECT event_key AS id, run_id, test_id, metadata ->> 'endpoint' AS endpoint,
       metadata ->> 'method' AS method, {schema}.as_number(metadata -> 'status_code') AS status_code,
       duration_ms, created_at
FROM {schema}.events WHERE event_type IN ('http_request', 'api_call');

CREATE OR REPLACE VIEW {schema}.driver_commands AS
SELECT event_key AS id, run_id, test_id, metadata ->> 'command' AS command, duration_ms,
       coalesce({schema}.as_number(metadata -> 'retry_count'), 0) AS retry_count, created_at
FROM {schema}.events WHERE event_type = 'driver_command';

CREATE OR REPLACE VIEW {schema}.system_metrics AS
SELECT event_key AS id, run_id, test_id,
       {schema}.as_number(metadata -> 'cpu_percent')::double precision AS cpu_percent,
       {schema}.as_number(metadata -> 'memory_mb')::double precision AS memory_mb, created_at
FROM {schema}.events WHERE event_type = 'resource_usage'
