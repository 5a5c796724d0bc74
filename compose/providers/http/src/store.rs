//! The four functions, each of which is a request.

use crate::wasi::{Failure, Server, pause};
use kvfs_contract::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use kvfs_http_wire::{Call, entries, limits, nothing, values};

/// Milliseconds to wait before a request is repeated, each time it failed: 6 s together.
const PAUSES_MILLIS: [u64; 7] = [20, 80, 300, 600, 1000, 1500, 2500];

/// A store that a server keeps.
pub(crate) struct HttpStore {
    server: Server,
    /// Asked for once: a store's limits never change.
    limits: Option<Limits>,
}

impl HttpStore {
    /// Reads where the server is.
    pub(crate) fn of_config(text: &str) -> Result<Self, StoreError> {
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
        let (Some(place), Some(token)) = (value("server="), value("token=")) else {
            return Err(StoreError::Other("the component was composed without a server or a token".into()));
        };
        Ok(Self { server: Server::new(place, token)?, limits: None })
    }

    /// Sends a call until it is answered.
    fn ask(&self, call: &Call<'_>) -> Result<Vec<u8>, StoreError> {
        let body = call.encode();
        let mut pauses = PAUSES_MILLIS.into_iter();
        loop {
            match self.server.ask(call.path(), &body) {
                Ok(answer) => return Ok(answer),
                // It may have been done, so it is not sent again.
                Err(Failure { is_sent: true, .. }) if call.changes() => {
                    return Err(StoreError::UnknownOutcome);
                }
                Err(failure) => match pauses.next().filter(|_| failure.may_pass) {
                    Some(millis) => pause(millis),
                    None => return Err(failure.error),
                },
            }
        }
    }
}

impl KvStore for HttpStore {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        match self.limits {
            Some(limits) => Ok(limits),
            None => {
                let limits = limits::decode(&self.ask(&Call::Limits)?)?;
                Ok(*self.limits.insert(limits))
            }
        }
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        values::decode(&self.ask(&Call::Get { keys: keys.to_vec() })?, keys.len())
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        entries::decode(&self.ask(&Call::Scan { start, end, max_entries, max_bytes })?)
    }

    fn apply(
        &mut self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        let call = Call::Apply { guards: guards.to_vec(), mutations: mutations.to_vec(), level };
        nothing::decode(&self.ask(&call)?)
    }
}
