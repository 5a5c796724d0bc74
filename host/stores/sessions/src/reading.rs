//! Reads: repeated on a new connection when one is lost.

use std::sync::Arc;

use kvfs_contract::StoreError;
use tokio::sync::Mutex;

use crate::attempts::Attempts;
use crate::connect::Reached;
use crate::{Failure, Question, Role, Server};

/// The connection that reads use. They follow each other on it without waiting.
pub(crate) struct Reader<C>(Mutex<Option<Arc<C>>>);

impl<C: Send + Sync> Reader<C> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Takes a connection that is there already.
    pub(crate) async fn take(&self, connection: C) {
        *self.0.lock().await = Some(Arc::new(connection));
    }

    async fn connection<S: Server<Connection = C>>(&self, reached: &Reached<S>) -> Result<Arc<C>, Failure> {
        let mut current = self.0.lock().await;
        if let Some(connection) = current.as_ref().filter(|connection| !reached.server.is_closed(connection))
        {
            return Ok(connection.clone());
        }
        *current = None;
        let connection = Arc::new(reached.connect(Role::Reader).await?);
        Ok(current.insert(connection).clone())
    }

    /// Gives a connection up that failed; after a refusal too, since the rest of a large answer may
    /// still come.
    async fn give_up(&self, lost: &Arc<C>, failure: Failure) -> Failure {
        let mut current = self.0.lock().await;
        if current.as_ref().is_some_and(|connection| Arc::ptr_eq(connection, lost)) {
            *current = None;
        }
        failure
    }

    /// Asks, and repeats it on a new connection as long as the server's patience lasts.
    pub(crate) async fn ask<S: Server<Connection = C>, Q: Question<S>>(
        &self,
        reached: &Reached<S>,
        question: &Q,
    ) -> Result<Q::Answer, StoreError> {
        let mut attempts = Attempts::new(&reached.server);
        loop {
            let failure = match self.connection(reached).await {
                Ok(connection) => match question.ask(&reached.server, &connection).await {
                    Ok(answer) => return Ok(answer),
                    Err(failure) => self.give_up(&connection, failure).await,
                },
                Err(failure) => failure,
            };
            attempts.after(failure).await?;
        }
    }
}
