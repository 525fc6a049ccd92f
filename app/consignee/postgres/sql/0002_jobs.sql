-- Unfinished jobs beside their documents, the lanes that they wait in, and what may be done to a job.
--
-- A job at rest has no row in `jobs`: the table is as small as what is to be done, whatever the history. `turn` orders the jobs
-- of a lane: when one is due or, if that is at once, when it came. A lease ends at `lease`, which says so much until others
-- claim the job: `waiting` is whether it can be claimed, for it has none or its end was noticed. `token` differs after each write.
CREATE TABLE jobs (
    kind text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    lane text COLLATE "C" NOT NULL,
    due double precision NOT NULL,
    turn double precision NOT NULL,
    attempt integer NOT NULL,
    crashes integer NOT NULL,
    lease double precision,
    waiting boolean NOT NULL,
    worker uuid,
    token uuid NOT NULL,
    PRIMARY KEY (id, account, kind) -- in this order, so that nobody walks it where an index below is meant
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX jobs_waiting ON jobs (kind, account, lane, turn, number) WHERE waiting;
CREATE INDEX jobs_leased ON jobs (kind, account, lane) WHERE NOT waiting;
CREATE INDEX jobs_ending ON jobs (kind, lease) WHERE NOT waiting;

-- A lane is ready, if it may have something to give, or sleeps until `wake`; one with neither jobs nor a hold has no row.
-- `hold` is until when it rests, infinite if that takes a word; `probe` the one job that it gave since.
CREATE TABLE lanes (
    kind text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    lane text COLLATE "C" NOT NULL,
    ready boolean NOT NULL,
    wake double precision NOT NULL,
    hold double precision,
    probe text COLLATE "C",
    PRIMARY KEY (lane, account, kind) -- for the same reason
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX lanes_ready ON lanes (kind, account, lane) WHERE ready;
CREATE INDEX lanes_asleep ON lanes (kind, wake) WHERE NOT ready;

-- Who claims holds the row of the kind; the account is the one that had the last turn.
CREATE TABLE turns (
    kind text COLLATE "C" PRIMARY KEY,
    account text COLLATE "C" NOT NULL DEFAULT ''
) WITH (fillfactor = 10);

-- The lane of each account that had the last turn.
CREATE TABLE cursors (
    kind text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    lane text COLLATE "C" NOT NULL,
    PRIMARY KEY (kind, account)
) WITH (fillfactor = 50);

-- Who claims jobs of a kind, and when that was seen last.
CREATE TABLE workers (
    kind text COLLATE "C" NOT NULL,
    worker uuid NOT NULL,
    seen double precision NOT NULL,
    PRIMARY KEY (kind, worker)
) WITH (fillfactor = 50);

-- Return that time or, if it is not given, the database's: seconds since 1970.
CREATE FUNCTION moment(at double precision) RETURNS double precision LANGUAGE sql AS $$
    SELECT coalesce(at, extract(epoch FROM clock_timestamp())::double precision)
$$;

-- See to it that a lane is looked at then. Its row stays locked until the change is there for others to see, so that nobody
-- lets the lane sleep in between; as many as like may hold that lock at once.
CREATE FUNCTION wake_lane(of_kind text, of_account text, of_lane text, at double precision) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    known record;
BEGIN
    LOOP
        SELECT ready, wake INTO known FROM lanes
            WHERE kind = of_kind AND account = of_account AND lane = of_lane FOR KEY SHARE;
        IF NOT FOUND THEN
            INSERT INTO lanes (kind, account, lane, ready, wake) VALUES (of_kind, of_account, of_lane, at = 0, at)
                ON CONFLICT DO NOTHING;
        ELSIF known.ready OR known.wake <= at THEN
            RETURN;
        ELSE
            UPDATE lanes SET wake = least(wake, at) WHERE kind = of_kind AND account = of_account AND lane = of_lane;
        END IF;
        IF FOUND THEN
            RETURN;
        END IF;
    END LOOP;
END
$$;

-- Have a job's row as it is to be: none if it is not due. Whoever works on it goes on if it has a lease and the same attempt.
CREATE FUNCTION keep_job(
    of_kind text, of_account text, of_id text, in_lane text, is_due double precision, attempts integer, crashed integer,
    until double precision, at double precision = NULL, by_token uuid = gen_random_uuid()
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    its_turn double precision := CASE WHEN is_due = 0 THEN moment(at) ELSE is_due END;
BEGIN
    IF is_due IS NULL THEN
        DELETE FROM jobs WHERE kind = of_kind AND account = of_account AND id = of_id;
        RETURN;
    END IF;
    INSERT INTO jobs AS known (kind, account, id, lane, due, turn, attempt, crashes, lease, waiting, token)
        VALUES (of_kind, of_account, of_id, in_lane, is_due, its_turn, attempts, crashed, until, true, by_token)
        ON CONFLICT (kind, account, id) DO UPDATE SET
            lane = in_lane, due = is_due, turn = its_turn, attempt = attempts, crashes = crashed, lease = until,
            waiting = until IS NULL OR known.attempt <> attempts OR known.waiting,
            worker = CASE WHEN until IS NOT NULL AND known.attempt = attempts THEN known.worker END,
            token = by_token;
    PERFORM wake_lane(of_kind, of_account, in_lane, is_due);
END
$$;

-- Add a job and its document; return whether there was none of that id.
CREATE FUNCTION add_job(
    of_kind text, of_account text, of_id text, in_lane text, is_due double precision, its_data text, by_token uuid,
    at double precision
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO documents (kind, account, id, revision, data, written)
        VALUES (of_kind, of_account, of_id, 1, its_data, by_token) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN EXISTS (SELECT FROM documents
            WHERE kind = of_kind AND account = of_account AND id = of_id AND written = by_token);
    END IF;
    IF is_due IS NOT NULL THEN
        PERFORM keep_job(of_kind, of_account, of_id, in_lane, is_due, 0, 0, NULL, at, by_token);
    END IF;
    RETURN true;
END
$$;

-- Save what a job's document says now.
CREATE FUNCTION save_job(of_kind text, of_account text, of_id text, its_data text, by_token uuid) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE documents SET data = its_data, revision = revision + 1, written = by_token
        WHERE kind = of_kind AND account = of_account AND id = of_id;
END
$$;

-- Return whether it was this write that was there before: its first answer was lost.
CREATE FUNCTION was_said(of_kind text, of_account text, of_id text, by_token uuid) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    RETURN EXISTS (SELECT FROM documents
            WHERE kind = of_kind AND account = of_account AND id = of_id AND written = by_token)
        OR EXISTS (SELECT FROM jobs WHERE kind = of_kind AND account = of_account AND id = of_id AND token = by_token);
END
$$;

-- End an attempt, if it has a say: with a document or, if none is given, with the one that is there; the job is at rest if it
-- is not due. `told` says that the outcome tells something of the lane, which then waits for what follows from that.
CREATE FUNCTION end_attempt(
    of_kind text, of_account text, of_id text, its_attempt integer, by_worker uuid, its_data text,
    is_due double precision, told boolean, by_token uuid, at double precision
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    its_lane text;
BEGIN
    IF is_due IS NULL THEN
        DELETE FROM jobs WHERE kind = of_kind AND account = of_account AND id = of_id
            AND attempt = its_attempt AND worker = by_worker AND lease IS NOT NULL RETURNING lane INTO its_lane;
    ELSE
        UPDATE jobs SET due = is_due, turn = CASE WHEN is_due = 0 THEN moment(at) ELSE is_due END,
                crashes = 0, lease = NULL, waiting = true, worker = NULL, token = by_token
            WHERE kind = of_kind AND account = of_account AND id = of_id
            AND attempt = its_attempt AND worker = by_worker AND lease IS NOT NULL RETURNING lane INTO its_lane;
    END IF;
    IF NOT FOUND THEN
        RETURN was_said(of_kind, of_account, of_id, by_token);
    END IF;
    IF its_data IS NOT NULL THEN
        PERFORM save_job(of_kind, of_account, of_id, its_data, by_token);
    END IF;
    IF told THEN
        UPDATE lanes SET hold = 'infinity', probe = NULL
            WHERE kind = of_kind AND account = of_account AND lane = its_lane AND probe = of_id;
    END IF;
    IF is_due IS NOT NULL THEN
        PERFORM wake_lane(of_kind, of_account, its_lane, is_due);
    END IF;
    RETURN true;
END
$$;

-- Return until when the lease lasts that begins now, if the attempt has a say.
CREATE FUNCTION extend_job(
    of_kind text, of_account text, of_id text, its_attempt integer, by_worker uuid, its_data text,
    lasting double precision, by_token uuid, at double precision
) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE
    until double precision;
BEGIN
    UPDATE jobs SET lease = moment(at) + lasting, waiting = false, token = by_token
        WHERE kind = of_kind AND account = of_account AND id = of_id
        AND attempt = its_attempt AND worker = by_worker AND lease IS NOT NULL RETURNING lease INTO until;
    IF FOUND AND its_data IS NOT NULL THEN
        PERFORM save_job(of_kind, of_account, of_id, its_data, by_token);
    END IF;
    RETURN until;
END
$$;

-- Change a job, if it and its document are as they were seen (no token: at rest); return whether they were.
CREATE FUNCTION change_job(
    of_kind text, of_account text, of_id text, seen_revision bigint, seen_token uuid, in_lane text,
    is_due double precision, attempts integer, its_data text, by_token uuid, at double precision
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM jobs WHERE kind = of_kind AND account = of_account AND id = of_id AND token = seen_token FOR UPDATE;
    IF FOUND OR seen_token IS NULL THEN
        UPDATE documents SET data = its_data, revision = revision + 1, written = by_token
            WHERE kind = of_kind AND account = of_account AND id = of_id AND revision = seen_revision;
    END IF;
    IF NOT FOUND THEN
        RETURN was_said(of_kind, of_account, of_id, by_token);
    END IF;
    PERFORM keep_job(of_kind, of_account, of_id, in_lane, is_due, attempts, 0, NULL, at, by_token);
    RETURN true;
END
$$;

-- Let a lane rest until then; NULL lifts the hold.
CREATE FUNCTION hold_lane(of_kind text, of_account text, of_lane text, until double precision) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF until IS NULL THEN
        UPDATE lanes SET hold = NULL, probe = NULL, wake = 0
            WHERE kind = of_kind AND account = of_account AND lane = of_lane;
    ELSE
        INSERT INTO lanes (kind, account, lane, ready, wake, hold) VALUES (of_kind, of_account, of_lane, false, 0, until)
            ON CONFLICT (kind, account, lane) DO UPDATE SET hold = until, probe = NULL, wake = 0;
    END IF;
END
$$;
