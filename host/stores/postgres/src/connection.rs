//! A connection that is ready for the store's statements.

use std::error::Error as _;

use futures_util::future::{join3, join4, try_join5};
use kvfs_contract::{StoreError, in_a_line};
use tokio::time::timeout;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage, Statement};

use crate::connect_error::OpenError;
use crate::error::words;
use crate::sql::Sql;
use crate::tls;
use crate::url::Config;

/// The oldest version that is taken: older ones get no fixes any more.
const OLDEST_VERSION: u32 = 140_000;

/// A connection with its prepared statements.
pub struct Connection {
    pub(crate) client: Client,
    pub(crate) get: Statement,
    pub(crate) scan: Statement,
    pub(crate) lock: Statement,
    pub(crate) apply: Statement,
    pub(crate) flush: Statement,
    pub(crate) begin_session: Statement,
    pub(crate) look_at_session: Statement,
    pub(crate) burn: Statement,
    pub(crate) end_others: Statement,
    /// Whether what the server calls durable survives a crash of its machine.
    pub(crate) durable: bool,
}

/// Connects, without looking at the server. The connection works in a task of its own.
pub(crate) async fn connect(config: &Config, application: &str) -> Result<Client, OpenError> {
    let place = config.place();
    let tls = match tls::connector(&config.tls) {
        Ok(tls) => tls,
        Err(why) => return Err(OpenError::Tls { place, why }),
    };
    let mut postgres = config.postgres.clone();
    postgres.application_name(application);
    if !config.read_only {
        // Of several hosts, the one that takes changes.
        postgres.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    let Ok(connected) = timeout(config.part_patience(), postgres.connect(tls)).await else {
        let why = format!("no answer within {} s", config.part_patience().as_secs_f32());
        return Err(OpenError::Unreachable { place, why });
    };
    let (client, connection) = connected.map_err(|error| match refusal(&error, place) {
        // Of several servers, one may be about to take over.
        OpenError::Server { place, why } if config.postgres.get_hosts().len() > 1 => {
            OpenError::Unreachable { place, why }
        }
        other => other,
    })?;
    tokio::spawn(async move {
        // Each call that waits for an answer is told too.
        if let Err(error) = connection.await {
            tracing::debug!("a connection to PostgreSQL ended: {}", words(&error));
        }
    });
    Ok(client)
}

impl Connection {
    /// Connects, and prepares all statements in one round.
    ///
    /// `application` is the name that the server shows, at most 63 bytes.
    pub(crate) async fn open(config: &Config, sql: &Sql, application: &str) -> Result<Self, OpenError> {
        let client = connect(config, application).await?;
        let prepare = |text| client.prepare(text);
        let (set_up, own, sessions) = join3(
            client.simple_query(&sql.set_up),
            try_join5(
                prepare(&sql.get),
                prepare(&sql.scan),
                prepare(&sql.lock),
                prepare(&sql.apply),
                prepare(sql.flush),
            ),
            join4(
                prepare(&sql.begin_session),
                prepare(&sql.look_at_session),
                prepare(&sql.burn),
                prepare(sql.end_others),
            ),
        )
        .await;
        let place = || config.place();
        let refused = |error| refused_statement(&error, config);
        let said = set_up.map_err(|error| refusal(&error, place()))?;
        let durable = look(columns(&said)).map_err(|why| OpenError::Server { place: place(), why })?;
        let (get, scan, lock, apply, flush) = own.map_err(refused)?;
        let (begin_session, look_at_session, burn, end_others) = sessions;
        Ok(Self {
            get,
            scan,
            lock,
            apply,
            flush,
            begin_session: begin_session.map_err(refused)?,
            look_at_session: look_at_session.map_err(refused)?,
            burn: burn.map_err(refused)?,
            end_others: end_others.map_err(refused)?,
            durable,
            client,
        })
    }
}

/// Returns what the server said of itself, from the last row.
fn columns(answers: &[SimpleQueryMessage]) -> Option<[&str; 5]> {
    let rows = answers.iter().filter_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let row = rows.last()?;
    (row.len() == 5).then(|| std::array::from_fn(|number| row.get(number).unwrap_or_default()))
}

/// Checks what the server said of itself, and returns whether it keeps what it promises to.
fn look(columns: Option<[&str; 5]>) -> Result<bool, String> {
    let [number, version, follows, fsync, persistence] = columns.ok_or("it does not say what it is")?;
    for (sign, name) in [("CockroachDB", "CockroachDB"), ("-YB-", "YugabyteDB")] {
        if version.contains(sign) {
            return Err(format!(
                "{name} speaks PostgreSQL's protocol, but its locks and snapshots are others, and the \
                 store was not tested on it; use PostgreSQL"
            ));
        }
    }
    if number.parse().is_ok_and(|number: u32| number < OLDEST_VERSION) {
        return Err(format!("{} is too old; use PostgreSQL 14 or newer", first_words(version)));
    }
    if follows == "t" {
        return Err("it follows another server and may be behind; connect to the primary".to_owned());
    }
    Ok(fsync == "on" && persistence != "u")
}

fn first_words(version: &str) -> String {
    in_a_line(&version.split(' ').take(2).collect::<Vec<_>>().join(" "))
}

/// Returns why a connection was not made.
pub(crate) fn refusal(error: &tokio_postgres::Error, place: String) -> OpenError {
    let why = words(error);
    match error.code() {
        Some(code) => match *code {
            SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION
                if why.contains("no encryption") || why.contains("SSL") =>
            {
                OpenError::Tls { place, why }
            }
            SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                OpenError::Credentials { place, why }
            }
            SqlState::UNDEFINED_DATABASE => OpenError::NoDatabase { place, why },
            SqlState::INSUFFICIENT_PRIVILEGE => OpenError::Denied { place, why },
            SqlState::DISK_FULL => OpenError::Full { place, why, source: StoreError::QuotaExceeded },
            ref code if code.code().starts_with("57P") || code.code().starts_with("53") => {
                OpenError::Unreachable { place, why }
            }
            _ => OpenError::Other { place, why },
        },
        None if why.contains("TLS") || why.contains("certificate") => OpenError::Tls { place, why },
        None if why.contains("password missing") || why.contains("authentication") => {
            OpenError::Credentials { place, why }
        }
        None if why.contains("does not allow writes") => OpenError::Server {
            place,
            why: "it takes no changes: it follows another server, or default_transaction_read_only is on; \
                  connect to the primary"
                .to_owned(),
        },
        // Settings that the library finds wrong while it connects.
        None if error.source().is_none() && !error.is_closed() => OpenError::Other { place, why },
        None => OpenError::Unreachable { place, why },
    }
}

/// Returns why a statement cannot be prepared.
fn refused_statement(error: &tokio_postgres::Error, config: &Config) -> OpenError {
    let (place, table, why) = (config.place(), config.table.quoted(), words(error));
    match error.code() {
        None => OpenError::Unreachable { place, why },
        Some(code) => match *code {
            SqlState::UNDEFINED_TABLE | SqlState::INVALID_SCHEMA_NAME => OpenError::NoTable { table, place },
            SqlState::UNDEFINED_COLUMN
            | SqlState::UNDEFINED_FUNCTION
            | SqlState::DATATYPE_MISMATCH
            | SqlState::WRONG_OBJECT_TYPE => OpenError::OtherTable { table, place, why },
            _ => refusal(error, place),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_cannot_hold_a_store_are_refused_with_a_remedy() {
        let said = |number, version, follows| look(Some([number, version, follows, "on", "p"]));
        assert_eq!(said("150019", "PostgreSQL 15.19 (Debian)", "f"), Ok(true));
        for (said, part) in [
            (
                said("130022", "PostgreSQL 13.22 (Debian)", "f"),
                "PostgreSQL 13.22 is too old; use PostgreSQL 14",
            ),
            (said("130022", "Postgre\u{1b}SQL 13", "f"), "PostgreSQL 13 is too old"),
            (said("130000", "CockroachDB CCL v25.1.0", "f"), "use PostgreSQL"),
            (said("150012", "PostgreSQL 15.12-YB-2025.1.0.0-b0", "f"), "YugabyteDB"),
            (said("160000", "PostgreSQL 16.0", "t"), "primary"),
            (look(None), "what it is"),
        ] {
            assert!(said.as_ref().is_err_and(|why| why.contains(part)), "{said:?}");
        }
        assert_eq!(look(Some(["150019", "PostgreSQL 15.19", "f", "off", "p"])), Ok(false));
        assert_eq!(look(Some(["150019", "PostgreSQL 15.19", "f", "on", "u"])), Ok(false));
    }
}
