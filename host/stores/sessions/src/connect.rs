//! Connections that are known to be to a server with all that was acknowledged.

use std::sync::atomic::{AtomicI64, Ordering};

use tokio::time::timeout;

use crate::{Failure, Role, Server};

/// A server, and what it acknowledged.
pub(crate) struct Reached<S> {
    pub(crate) server: S,
    /// The number of the last apply that was acknowledged.
    pub(crate) acknowledged: AtomicI64,
}

impl<S: Server> Reached<S> {
    /// Connects. Checks that the server knows all that was acknowledged.
    pub(crate) async fn connect(&self, role: Role) -> Result<S::Connection, Failure> {
        let acknowledged = self.acknowledged.load(Ordering::Acquire);
        let connecting = async {
            let connection = self.server.connect(role).await?;
            let last = match self.server.writes() {
                true => self.server.last(&connection).await?,
                false => Some(acknowledged),
            };
            Ok((connection, last))
        };
        let (connection, last) = self.in_time(1, connecting).await?;
        if last.is_none_or(|last| last < acknowledged) {
            return Err(Failure::Forgotten);
        }
        Ok(connection)
    }

    /// Waits for a part of the server's patience, one `share`th.
    pub(crate) async fn in_time<T>(
        &self,
        share: u32,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let patience = self.server.patience() / share;
        let silent = || Failure::Lost(format!("no answer within {} s", patience.as_secs_f32()));
        timeout(patience, call).await.unwrap_or_else(|_| Err(silent()))
    }
}
