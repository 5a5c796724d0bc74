//! A session at a server: the key by which an apply is made once.

use std::time::Duration;

use kvfs_contract::StoreError;
use kvfs_store_sessions::{Batch, Failure, Fate, Outcome, Role};
use redis::{Cmd, cmd};

use crate::connection::{Connection, seconds};
use crate::error::failed;
use crate::info::Keeps;
use crate::url::Config;

/// Time after its last apply for which the server keeps a session.
const SESSION_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Where the server is, and the session.
pub(crate) struct Server {
    pub(crate) config: Config,
    pub(crate) names: Names,
    pub(crate) durable: bool,
}

/// The server's keys.
pub(crate) struct Names {
    pub(crate) keys: String,
    pub(crate) values: String,
    pub(crate) session: String,
}

impl Names {
    /// Names the store's keys, and a session that nobody else has.
    pub(crate) fn new(config: &Config) -> Result<Self, getrandom::Error> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        let session = format!("session:{:032x}", u128::from_be_bytes(id));
        Ok(Self { keys: config.name("keys"), values: config.name("values"), session: config.name(&session) })
    }

    /// Makes the command that begins the session.
    pub(crate) fn begin(&self) -> Cmd {
        let mut begin = cmd("SET");
        begin.arg(&self.session).arg("0 0").arg("EX").arg(seconds(SESSION_KEPT));
        begin
    }
}

impl kvfs_store_sessions::Server for Server {
    type Connection = Connection;

    fn place(&self) -> String {
        self.config.place()
    }

    fn patience(&self) -> Duration {
        self.config.patience
    }

    fn writes(&self) -> bool {
        !self.config.read_only
    }

    async fn connect(&self, _role: Role) -> Result<Connection, Failure> {
        let connection = Connection::open(&self.config).await.map_err(|error| match error.may_pass() {
            true => Failure::Lost(error.why()),
            false => Failure::Refused(error.into()),
        })?;
        if self.durable && connection.keeps == Keeps::Nothing {
            return Err(Failure::Refused(StoreError::Other(format!(
                "{} does not keep its log on disk any more; set appendonly and appendfsync back",
                self.config.place()
            ))));
        }
        Ok(connection)
    }

    /// The library does not tell; the first call does, and its fate is found out.
    fn is_closed(&self, _connection: &Connection) -> bool {
        false
    }

    async fn last(&self, connection: &Connection) -> Result<Option<i64>, Failure> {
        let last: Option<String> =
            connection.call(cmd("GET").arg(&self.names.session)).await.map_err(failed)?;
        Ok(last.and_then(|last| last.split(' ').next()?.parse().ok()))
    }

    async fn apply(
        &self,
        connection: &Connection,
        batch: &Batch<'_>,
        number: i64,
        durable: bool,
    ) -> Result<Outcome, Failure> {
        let grows = !batch.put.is_empty();
        let script = if grows { &connection.scripts.apply } else { &connection.scripts.shrink };
        let mut apply = cmd("EVALSHA");
        apply.arg(script).arg(3).arg(&self.names.keys).arg(&self.names.values).arg(&self.names.session);
        apply.arg(number).arg(seconds(SESSION_KEPT));
        apply.arg(batch.guards.len()).arg(batch.removed.len()).arg(batch.put.len());
        for (key, expected) in &batch.guards {
            apply.arg(*key).arg(u8::from(expected.is_some())).arg(expected.unwrap_or_default());
        }
        for key in &batch.removed {
            apply.arg(*key);
        }
        for (key, value) in &batch.put {
            apply.arg(*key).arg(*value);
        }
        let applying = connection.call::<u8>(&apply);
        let (answer, kept) = match durable && connection.keeps == Keeps::WhenAsked {
            true => {
                let wait = self.wait();
                let (answer, kept) = futures_util::future::join(applying, connection.call(&wait)).await;
                (answer, kept.map(|kept| is_kept(&kept)))
            }
            false => (applying.await, Ok(true)),
        };
        match answer.map_err(failed)? {
            0 => {}
            1 => return Ok(Outcome::Conflict),
            _ => return Ok(Outcome::OutOfTurn),
        }
        match kept.map_err(failed) {
            Ok(true) => Ok(Outcome::Made),
            Ok(false) | Err(Failure::Refused(_)) => Ok(Outcome::NotFlushed),
            Err(lost) => Err(lost),
        }
    }

    async fn settle(&self, connection: &Connection, number: i64) -> Result<Fate, Failure> {
        let mut settle = cmd("EVALSHA");
        settle.arg(&connection.scripts.settle).arg(1).arg(&self.names.session);
        settle.arg(number).arg(seconds(SESSION_KEPT));
        let (last, last_burned): (i64, i64) = connection.call(&settle).await.map_err(failed)?;
        Ok(Fate::of(number, last, last_burned))
    }

    async fn flush(&self, connection: &Connection) -> Result<(), Failure> {
        // A change of its own: the server waits for those of this connection, and the log is in
        // order.
        let mut touch = cmd("EXPIRE");
        touch.arg(&self.names.session).arg(seconds(SESSION_KEPT));
        let touching = connection.call::<()>(&touch);
        if connection.keeps != Keeps::WhenAsked {
            return touching.await.map_err(failed);
        }
        let wait = self.wait();
        let (touched, kept) = futures_util::future::join(touching, connection.call(&wait)).await;
        touched.map_err(failed)?;
        match is_kept(&kept.map_err(failed)?) {
            true => Ok(()),
            false => Err(Failure::Lost("the log did not reach the disk in time".to_owned())),
        }
    }

    async fn end(&self, connection: &Connection) -> Result<(), Failure> {
        connection.call(cmd("DEL").arg(&self.names.session)).await.map_err(failed)
    }
}

impl Server {
    /// Makes the command that waits until the server's own log is on disk.
    fn wait(&self) -> Cmd {
        let mut wait = cmd("WAITAOF");
        let patience = u64::try_from(self.config.patience.as_millis()).unwrap_or(u64::MAX) / 3;
        wait.arg(1).arg(0).arg(patience.max(1));
        wait
    }
}

/// Reads the answer of `WAITAOF`: how many logs are on disk, here and at replicas.
fn is_kept(answer: &(i64, i64)) -> bool {
    answer.0 >= 1
}
