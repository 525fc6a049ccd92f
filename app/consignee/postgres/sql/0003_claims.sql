-- Which jobs are next: accounts take turns, then the lanes of an account, then what is due first.
--
-- Nothing here looks at all jobs, all lanes or all accounts: only at lanes that are ready, as many as can be of use, and at
-- the accounts of what is leased, which are no more than there are places.

-- Take in what time has brought: leases that ended, and lanes that are to be looked at.
CREATE FUNCTION ripen_lanes(of_kind text, now double precision) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT account, lane, id FROM jobs WHERE kind = of_kind AND NOT waiting AND lease <= now FOR UPDATE SKIP LOCKED
    LOOP
        UPDATE jobs SET waiting = true WHERE kind = of_kind AND account = one.account AND id = one.id;
        INSERT INTO lanes AS known (kind, account, lane, ready, wake) VALUES (of_kind, one.account, one.lane, true, 0)
            ON CONFLICT (kind, account, lane) DO UPDATE SET ready = true, probe = nullif(known.probe, one.id);
    END LOOP;
    FOR one IN
        SELECT account, lane FROM lanes WHERE kind = of_kind AND NOT ready AND wake <= now
            ORDER BY wake LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        UPDATE lanes SET ready = true WHERE kind = of_kind AND account = one.account AND lane = one.lane;
    END LOOP;
END
$$;

-- Let a lane sleep until it has something to give; return whether it sleeps or gives something now: not if somebody is about
-- to give it a job.
CREATE FUNCTION park_lane(of_kind text, of_account text, of_lane text, now double precision) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    its_hold double precision;
    soonest double precision;
    its_due double precision;
    hastened boolean := false;
BEGIN
    SELECT hold INTO its_hold FROM lanes
        WHERE kind = of_kind AND account = of_account AND lane = of_lane FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    SELECT turn, due INTO soonest, its_due FROM jobs
        WHERE kind = of_kind AND account = of_account AND lane = of_lane AND waiting ORDER BY turn, number LIMIT 1;
    IF its_due = 0 AND soonest > now THEN -- the clock was set back: it need not wait for that
        UPDATE jobs SET turn = now WHERE kind = of_kind AND account = of_account AND id IN (
            SELECT id FROM jobs WHERE kind = of_kind AND account = of_account AND lane = of_lane AND waiting
                AND due = 0 AND turn > now FOR UPDATE SKIP LOCKED);
        hastened := FOUND;
        soonest := now;
    END IF;
    IF soonest IS NULL AND its_hold IS NULL THEN
        DELETE FROM lanes WHERE kind = of_kind AND account = of_account AND lane = of_lane;
        RETURN true;
    END IF;
    soonest := greatest(coalesce(soonest, 'infinity'), its_hold);
    IF soonest > now THEN
        UPDATE lanes SET ready = false, wake = soonest WHERE kind = of_kind AND account = of_account AND lane = of_lane;
    END IF;
    RETURN soonest > now OR hastened;
END
$$;

-- Return how many of an account may be leased: so many for each process that claims.
CREATE FUNCTION share_of_account(of_kind text, of_account integer, now double precision, lasting double precision)
RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE WHEN of_account IS NULL THEN 1000000000 ELSE of_account * greatest(1,
        (SELECT count(*)::integer FROM workers WHERE kind = of_kind AND seen > now - lasting)) END;
END
$$;

-- Choose and lock jobs, at most so many; return them in their order, then the lanes that have nothing to give, without an id,
-- then the accounts that could not give all that they might, or have a job that somebody is at, without a lane: they are to be
-- left out the next time. `without` are such accounts, `unless` lanes that somebody is about to give a job.
--
-- No table is joined but by LATERAL, so that each is searched by a key whatever the planner takes its size to be.
--
-- `ring` are the accounts with ready lanes, in the order of their turns; `quotas` how many each gets if all have enough: those
-- that have least are filled up to one level. In an account, `places` are its lanes in the order of their turns, and `found`
-- the jobs that each can give. Leases are counted before lanes and jobs are looked at, so that what ends meanwhile counts still.
CREATE FUNCTION choose_jobs(
    of_kind text, wanted integer, each integer, of_account integer, now double precision, without text[], unless text[]
) RETURNS TABLE (account text, lane text, id text, hold double precision) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
RETURN QUERY WITH RECURSIVE
busy (account) AS (
    (SELECT account FROM jobs WHERE kind = of_kind AND NOT waiting ORDER BY account LIMIT 1)
    UNION ALL
    SELECT (SELECT jobs.account FROM jobs WHERE kind = of_kind AND NOT waiting AND jobs.account > busy.account
        ORDER BY jobs.account LIMIT 1) FROM busy WHERE busy.account IS NOT NULL
),
bounds AS MATERIALIZED (
    SELECT (SELECT account FROM turns WHERE kind = of_kind) AS last, wanted + (SELECT count(account) FROM busy) AS most
),
behind (account) AS (
    (SELECT account FROM lanes WHERE kind = of_kind AND ready AND account > (SELECT last FROM bounds)
        ORDER BY account LIMIT 1)
    UNION ALL
    SELECT (SELECT lanes.account FROM lanes WHERE kind = of_kind AND ready AND lanes.account > behind.account
        ORDER BY lanes.account LIMIT 1) FROM behind WHERE behind.account IS NOT NULL
),
before (account) AS (
    (SELECT account FROM lanes WHERE kind = of_kind AND ready ORDER BY account LIMIT 1)
    UNION ALL
    SELECT (SELECT lanes.account FROM lanes WHERE kind = of_kind AND ready AND lanes.account > before.account
        ORDER BY lanes.account LIMIT 1) FROM before WHERE before.account <= (SELECT last FROM bounds)
),
ring AS MATERIALIZED (
    SELECT account, row_number() OVER () AS place FROM (
        SELECT account FROM behind WHERE account IS NOT NULL AND account <> ALL (without)
        UNION ALL SELECT account FROM before WHERE account <= (SELECT last FROM bounds) AND account <> ALL (without)
        LIMIT (SELECT most FROM bounds)
    ) AS cycle
),
able AS (
    SELECT * FROM (
        SELECT account, place, (SELECT count(*)::integer FROM jobs
            WHERE kind = of_kind AND account = ring.account AND NOT waiting) AS has
        FROM ring OFFSET 0
    ) AS counted WHERE has < of_account
),
sums AS (
    SELECT *, row_number() OVER filled AS nth, sum(has) OVER filled - has AS others
    FROM able WINDOW filled AS (ORDER BY has, place)
),
filled AS MATERIALIZED (
    SELECT * FROM sums WHERE (nth - 1) * has - others < wanted AND nth <= wanted
),
levels AS MATERIALIZED (
    SELECT ceil((wanted + sum(has)) / count(*)::double precision)::integer AS level FROM filled
),
quotas AS MATERIALIZED (
    SELECT account, place, has, least(of_account, (SELECT level FROM levels)) - has AS quota,
        coalesce((SELECT lane FROM cursors WHERE kind = of_kind AND account = filled.account), '') AS last
    FROM filled
),
places AS MATERIALIZED (
    SELECT quotas.*, open.lane, open.hold, open.leased,
        row_number() OVER (PARTITION BY quotas.account ORDER BY open.side, open.lane) AS seat,
        CASE WHEN open.hold IS NULL THEN each - open.leased WHEN open.hold <= now THEN 1 ELSE 0 END AS room
    FROM quotas
    CROSS JOIN LATERAL (
        (SELECT 1 AS side, lane, hold, 0 AS leased FROM lanes
            WHERE kind = of_kind AND account = quotas.account AND ready AND lane > quotas.last
            AND (unless = '{}' OR account || chr(1) || lane <> ALL (unless))
            AND (SELECT true FROM jobs WHERE kind = of_kind AND account = quotas.account AND lane = lanes.lane
                AND NOT waiting LIMIT 1) IS NULL ORDER BY lane LIMIT quotas.quota)
        UNION ALL
        (SELECT 2, lane, hold, 0 FROM lanes
            WHERE kind = of_kind AND account = quotas.account AND ready AND lane <= quotas.last
            AND (unless = '{}' OR account || chr(1) || lane <> ALL (unless))
            AND (SELECT true FROM jobs WHERE kind = of_kind AND account = quotas.account AND lane = lanes.lane
                AND NOT waiting LIMIT 1) IS NULL ORDER BY lane LIMIT quotas.quota)
        UNION ALL
        (SELECT 3, lane, hold, leased FROM (
            SELECT lane, count(*)::integer AS leased FROM jobs
                WHERE kind = of_kind AND account = quotas.account AND NOT waiting GROUP BY lane HAVING count(*) < each
            ) AS begun
            CROSS JOIN LATERAL (SELECT hold FROM lanes
                WHERE kind = of_kind AND account = quotas.account AND lane = begun.lane AND ready AND hold IS NULL
                AND (unless = '{}' OR account || chr(1) || lane <> ALL (unless)) OFFSET 0
            ) AS its_lane ORDER BY leased, lane LIMIT quotas.quota)
        LIMIT quotas.quota
    ) AS open
),
found AS MATERIALIZED (
    SELECT places.*, next.id, row_number() OVER (
        PARTITION BY places.account ORDER BY leased + next.nth, seat) AS rank
    FROM places LEFT JOIN LATERAL (
        SELECT id, row_number() OVER (ORDER BY turn, number) AS nth FROM (
            SELECT id, turn, number FROM jobs
            WHERE kind = of_kind AND account = places.account AND lane = places.lane AND waiting AND turn <= now
            ORDER BY turn, number LIMIT least(room, quota)
        ) AS due
    ) AS next ON true
),
chosen AS MATERIALIZED (
    SELECT account, lane, id, hold, rank, row_number() OVER (ORDER BY has + rank, place) AS nth
    FROM found WHERE id IS NOT NULL AND rank <= quota ORDER BY has + rank, place LIMIT wanted
),
locked AS (
    SELECT chosen.* FROM chosen CROSS JOIN LATERAL (
        SELECT FROM jobs WHERE kind = of_kind AND account = chosen.account AND id = chosen.id AND waiting IS NOT FALSE
            AND turn <= now FOR UPDATE SKIP LOCKED -- it may have been put off since
    ) AS its_row
)
SELECT account, lane, id, hold FROM (
    SELECT account, lane, id, hold, nth FROM locked
    UNION ALL SELECT account, lane, NULL, hold, wanted + 1 FROM found WHERE id IS NULL AND (room > 0 OR hold > now)
    UNION ALL SELECT account, NULL, NULL, NULL, wanted + 2 FROM quotas WHERE account NOT IN (
        SELECT account FROM found GROUP BY account
        HAVING count(id) >= min(quota) OR bool_or(id IS NULL AND (room > 0 OR hold > now)))
    UNION ALL SELECT account, NULL, NULL, NULL, wanted + 2 FROM chosen WHERE nth NOT IN (SELECT nth FROM locked)
) AS all_of_them ORDER BY nth;
END
$$;

-- Claim jobs for a worker: at most so many, `each` at most of a lane, `of_account` at most of an account for each worker.
CREATE FUNCTION claim_jobs(
    of_kind text, wanted integer, each integer, of_account integer, by_worker uuid, by_token uuid,
    lasting double precision, at double precision
) RETURNS TABLE (account text, id text, attempt integer, crashes integer, due double precision, lease double precision, data text)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    now double precision := moment(at);
    share integer;
    claimed integer := 0;
    moved boolean := true;
    without text[] := '{}';
    unless text[] := '{}';
    accounts text[] := '{}';
    lanes_of_them text[] := '{}';
    one record;
BEGIN
    IF NOT EXISTS (SELECT FROM lanes WHERE kind = of_kind AND ready)
        AND NOT EXISTS (SELECT FROM lanes WHERE kind = of_kind AND NOT ready AND wake <= now)
        AND NOT EXISTS (SELECT FROM jobs WHERE kind = of_kind AND NOT waiting AND lease <= now)
    THEN
        RETURN;
    END IF;
    PERFORM FROM turns WHERE kind = of_kind FOR UPDATE;
    now := moment(at);
    PERFORM ripen_lanes(of_kind, now);
    share := share_of_account(of_kind, of_account, now, lasting);
    WHILE moved AND claimed < wanted LOOP
        moved := false;
        FOR one IN SELECT * FROM choose_jobs(of_kind, wanted - claimed, each, share, now, without, unless) LOOP
            moved := true;
            IF one.id IS NOT NULL THEN
                UPDATE jobs SET attempt = attempt + 1, crashes = CASE WHEN lease IS NULL THEN 0 ELSE crashes + 1 END,
                        lease = now + lasting, waiting = false, worker = by_worker, token = by_token
                    WHERE kind = of_kind AND account = one.account AND id = one.id
                    RETURNING attempt, crashes, due, lease INTO claim_jobs.attempt, claim_jobs.crashes, claim_jobs.due, claim_jobs.lease;
                claim_jobs.data := (SELECT data FROM documents WHERE kind = of_kind AND account = one.account AND id = one.id);
                claim_jobs.account := one.account;
                claim_jobs.id := one.id;
                RETURN NEXT;
                claimed := claimed + 1;
                accounts := accounts || one.account;
                lanes_of_them := lanes_of_them || one.lane;
                IF one.hold IS NOT NULL THEN
                    UPDATE lanes SET probe = one.id
                        WHERE kind = of_kind AND account = one.account AND lane = one.lane AND hold = one.hold;
                END IF;
            ELSIF one.lane IS NULL THEN
                without := without || one.account;
            ELSIF NOT park_lane(of_kind, one.account, one.lane, now) THEN
                unless := unless || (one.account || chr(1) || one.lane);
            END IF;
        END LOOP;
    END LOOP;
    IF claimed > 0 THEN
        UPDATE turns SET account = accounts[claimed] WHERE kind = of_kind;
        INSERT INTO cursors (kind, account, lane)
            SELECT DISTINCT ON (account) of_kind, account, lane
            FROM unnest(accounts, lanes_of_them) WITH ORDINALITY AS turns (account, lane, nth) ORDER BY account, nth DESC
            ON CONFLICT (kind, account) DO UPDATE SET lane = excluded.lane;
    END IF;
END
$$;

-- Return the seconds until a lease ends or a lane is to be looked at; none if nothing will.
CREATE FUNCTION until_next(of_kind text, at double precision) RETURNS double precision LANGUAGE sql AS $$
    SELECT nullif(least(
        (SELECT wake FROM lanes WHERE kind = of_kind AND NOT ready ORDER BY wake LIMIT 1),
        (SELECT lease FROM jobs WHERE kind = of_kind AND NOT waiting ORDER BY lease LIMIT 1)
    ), 'infinity') - moment(at)
$$;
