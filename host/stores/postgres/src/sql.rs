//! The statements. [`fill`] puts the tables' names in.

use crate::url::Table;

/// First number of the advisory locks: "kvfs". The second one is the table's.
const LOCK_CLASS: &str = "1802921587";

/// Makes both tables. The lock keeps two makers apart, since `IF NOT EXISTS` does not. Values are
/// not compressed: what is worth it the file system's users have compressed, and sealed ones cannot
/// be.
const CREATE: &str = "
    SELECT pg_advisory_xact_lock($CLASS, 0);
    CREATE TABLE IF NOT EXISTS $TABLE (key bytea PRIMARY KEY, value bytea NOT NULL);
    ALTER TABLE $TABLE ALTER COLUMN value SET STORAGE EXTERNAL;
    CREATE TABLE IF NOT EXISTS $SESSIONS (
        session bytea PRIMARY KEY,
        applies bigint NOT NULL,
        burned bigint NOT NULL,
        used timestamptz NOT NULL
    );";

/// What a session of the server is set to, and what the store must know of the server.
///
/// Plans are made once, and for tables of any size: a plan that reads the whole table, as is best
/// while the table is empty, would stay when it is not. The penalties that keep the planner from
/// those count as costs, so compiling plans would begin.
const SET_UP: &str = "
    SELECT set_config('lock_timeout', '10s', false),
        set_config('idle_in_transaction_session_timeout', '60s', false),
        set_config('tcp_keepalives_idle', '10', false),
        set_config('tcp_keepalives_interval', '5', false),
        set_config('tcp_keepalives_count', '3', false),
        set_config('plan_cache_mode', 'force_generic_plan', false),
        set_config('enable_seqscan', 'off', false),
        set_config('enable_bitmapscan', 'off', false),
        set_config('enable_hashjoin', 'off', false),
        set_config('enable_mergejoin', 'off', false),
        set_config('jit', 'off', false),
        set_config('client_min_messages', 'warning', false),
        set_config('synchronous_commit', CASE current_setting('synchronous_commit')
            WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false);
    SELECT current_setting('server_version_num'), version(), pg_is_in_recovery(),
        current_setting('fsync'),
        (SELECT relpersistence FROM pg_class WHERE oid = to_regclass('$TABLE_TEXT'));";

const GET: &str = "
    SELECT asked.number, entry.value
    FROM unnest($1::bytea[]) WITH ORDINALITY AS asked (key, number) JOIN $TABLE AS entry USING (key)";

/// The sums stop no reading, but sizes are known without the values.
const SCAN: &str = "
    SELECT key, value
    FROM (
        SELECT key, value, row_number() OVER page AS number,
            sum(octet_length(key) + octet_length(value)) OVER page AS total
        FROM (
            SELECT key, value FROM $TABLE WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3::bigint
        ) AS entries
        WINDOW page AS (ORDER BY key ROWS UNBOUNDED PRECEDING)
    ) AS entries
    WHERE number = 1 OR total <= $4::bigint
    ORDER BY key";

/// Held until the end of the transaction.
const LOCK: &str = "SELECT pg_advisory_xact_lock($CLASS, '$TABLE_TEXT'::regclass::oid::int)";

/// Checks guards and then makes changes, if this is the apply that the session expects. No key is
/// among both the removed and the put ones, and none is put twice.
const APPLY: &str = "
    WITH held AS MATERIALIZED (
        SELECT NOT EXISTS (
            SELECT FROM unnest($1::bytea[], $2::bytea[]) AS guard (key, expected)
            WHERE (SELECT value FROM $TABLE AS entry WHERE entry.key = guard.key)
                IS DISTINCT FROM guard.expected
        ) AS held
    ), marked AS (
        UPDATE $SESSIONS SET applies = $6::bigint, used = now()
        WHERE session = $5 AND applies = $6::bigint - 1 AND (SELECT held FROM held)
        RETURNING true
    ), removed AS (
        DELETE FROM $TABLE WHERE key = ANY ($3::bytea[]) AND EXISTS (SELECT FROM marked)
    ), put AS (
        INSERT INTO $TABLE (key, value)
        SELECT key, value FROM unnest($4::bytea[], $7::bytea[]) AS entry (key, value)
        WHERE EXISTS (SELECT FROM marked)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value
    )
    SELECT held, EXISTS (SELECT FROM marked) FROM held";

/// Writes to the log, so that committing waits for the disk up to there.
const FLUSH: &str = "SELECT pg_logical_emit_message(true, 'kvfs', '')";

const BEGIN_SESSION: &str = "
    WITH old AS (DELETE FROM $SESSIONS WHERE used < now() - interval '30 days')
    INSERT INTO $SESSIONS (session, applies, burned, used) VALUES ($1, 0, 0, now())";

const END_SESSION: &str = "DELETE FROM $SESSIONS WHERE session = $1";

const LOOK_AT_SESSION: &str = "SELECT applies, burned FROM $SESSIONS WHERE session = $1";

/// Takes the number of an apply that was not made, so that it never will be.
const BURN: &str = "
    UPDATE $SESSIONS SET applies = $2::bigint, burned = $2::bigint, used = now()
    WHERE session = $1 AND applies = $2::bigint - 1";

/// Ends connections of the same session that the server still has.
const END_OTHERS: &str = "
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = $1 AND usename = current_user AND pid <> pg_backend_pid()";

/// The statements for a table.
pub(crate) struct Sql {
    pub(crate) create: String,
    pub(crate) set_up: String,
    pub(crate) get: String,
    pub(crate) scan: String,
    pub(crate) lock: String,
    pub(crate) apply: String,
    pub(crate) flush: &'static str,
    pub(crate) begin_session: String,
    pub(crate) end_session: String,
    pub(crate) look_at_session: String,
    pub(crate) burn: String,
    pub(crate) end_others: &'static str,
}

impl Sql {
    pub(crate) fn new(table: &Table) -> Self {
        let fill = |text: &str| fill(text, table);
        let schema = table.quoted_schema().map(|name| format!("CREATE SCHEMA IF NOT EXISTS {name};"));
        Self {
            create: schema.unwrap_or_default() + &fill(CREATE),
            set_up: fill(SET_UP),
            get: fill(GET),
            scan: fill(SCAN),
            lock: fill(LOCK),
            apply: fill(APPLY),
            flush: FLUSH,
            begin_session: fill(BEGIN_SESSION),
            end_session: fill(END_SESSION),
            look_at_session: fill(LOOK_AT_SESSION),
            burn: fill(BURN),
            end_others: END_OTHERS,
        }
    }
}

fn fill(text: &str, table: &Table) -> String {
    text.replace("$CLASS", LOCK_CLASS)
        // Inside of a text, in which an apostrophe is doubled.
        .replace("$TABLE_TEXT", &table.quoted().replace('\'', "''"))
        .replace("$TABLE", &table.quoted())
        .replace("$SESSIONS", &table.quoted_sessions())
}
