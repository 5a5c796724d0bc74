//! The server's keys.

use std::time::Duration;

use redis::{Cmd, cmd};

use crate::url::Config;

/// Time after its last apply for which the server keeps a session.
pub(crate) const SESSION_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

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

/// A time for the server, in seconds.
pub(crate) fn seconds(time: Duration) -> u64 {
    time.as_secs().max(1)
}
