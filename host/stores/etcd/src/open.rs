//! Opening a store.

use crate::client::Client;
use crate::error::OpenError;
use crate::messages::{Compare, RangeRequest, RequestOp, TxnRequest};
use crate::session::Session;
use crate::space::{FORM, Space};
use crate::store::{EtcdStore, MAX_OPERATIONS};
use crate::url::Config;
use kvfs_contract::{StoreError, in_a_line};
use std::sync::Arc;

/// The oldest version of servers that this is tested with.
const LEAST_VERSION: (u32, u32) = (3, 4);

/// Most bytes of an answer while a store is opened.
const MAX_ANSWER_BYTES: usize = 4 << 20;

impl EtcdStore {
    /// Opens a store. [`Config::create`] makes it where its prefix holds nothing.
    ///
    /// Any number of handles may be open at the same time.
    ///
    /// # Errors
    /// [`OpenError`] says what to do.
    ///
    /// # Cost
    /// Two requests, with a user one more; of a new store two more.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let client = Arc::new(Client::new(&config)?);
        check_version(&client.status().await?.version)?;
        let space = Space::new(&config.prefix);
        match marker(&client, &space).await? {
            Some(form) if form == FORM => {}
            Some(_) => {
                let what = "the store there is not of this version of kvfs".to_owned();
                return Err(OpenError::NotAStore { what });
            }
            None => {
                check_empty(&client, &space).await?;
                if !config.create || config.read_only {
                    return Err(OpenError::MissingStore);
                }
                make(&client, &space).await?;
            }
        }
        let session = match config.read_only {
            true => None,
            false => {
                let mut id = [0; 16];
                let fault = |error| StoreError::Fault(format!("the system has no random numbers: {error}"));
                getrandom::fill(&mut id).map_err(|error| OpenError::Store { source: fault(error) })?;
                Some(Session::new(client.clone(), &space, &id))
            }
        };
        Ok(Self::new(client, space, session))
    }
}

/// Returns what the marker holds. Asks as often as one transaction may ask, and so finds out whether
/// the server takes as many operations as the store needs.
async fn marker(client: &Client, space: &Space) -> Result<Option<Vec<u8>>, OpenError> {
    let txn =
        TxnRequest { success: vec![RequestOp::range(space.marker()); MAX_OPERATIONS], ..Default::default() };
    match client.read(txn, MAX_ANSWER_BYTES).await {
        Ok(answer) => Ok(answer.found().into_iter().flatten().next().map(|entry| entry.value)),
        Err(status) if status.message().contains("too many operations") => Err(OpenError::Unsupported {
            what: format!(
                "the server must take {MAX_OPERATIONS} operations at once: raise its --max-txn-ops"
            ),
        }),
        Err(status) => Err(status.into()),
    }
}

async fn check_empty(client: &Client, space: &Space) -> Result<(), OpenError> {
    let (key, range_end) = space.all();
    let found = client.range(RangeRequest { key, range_end, limit: 1 }, MAX_ANSWER_BYTES).await?;
    if found.kvs.is_empty() {
        return Ok(());
    }
    let what = "the prefix holds keys and no mark of a store".to_owned();
    Err(OpenError::NotAStore { what })
}

/// Makes a store, unless another program just did.
async fn make(client: &Client, space: &Space) -> Result<(), OpenError> {
    let txn = TxnRequest {
        compare: vec![Compare::absent(space.marker())],
        success: vec![RequestOp::put(space.marker(), FORM.to_vec())],
        failure: Vec::new(),
    };
    // Made twice, it is as made once.
    client.read(txn, MAX_ANSWER_BYTES).await?;
    match marker(client, space).await? {
        Some(form) if form == FORM => Ok(()),
        _ => Err(OpenError::NotAStore { what: "another program wrote there at the same moment".to_owned() }),
    }
}

fn check_version(version: &str) -> Result<(), OpenError> {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
    let found = (numbers.next().flatten(), numbers.next().flatten());
    let least = format!("{}.{}", LEAST_VERSION.0, LEAST_VERSION.1);
    let told = in_a_line(version);
    match found {
        (Some(major), Some(minor)) if (major, minor) >= LEAST_VERSION => Ok(()),
        (Some(_), Some(_)) => {
            Err(OpenError::Unsupported { what: format!("the server is etcd {told}; use {least} or newer") })
        }
        _ => Err(OpenError::Unsupported {
            what: format!("the server's version is {told:?}, not that of etcd"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_refused_by_their_version() {
        for good in ["3.4.0", "3.4.23", "3.5.17", "3.10.0", "4.0.0-rc.1"] {
            check_version(good).unwrap();
        }
        for (bad, told) in
            [("3.3.27", "use 3.4 or newer"), ("2.3.8\u{1b}", "etcd 2.3.8;"), ("x\ny", "\"x y\""), ("", "")]
        {
            let error = check_version(bad).unwrap_err().to_string();
            assert!(error.contains(told) && !error.contains('\n'), "{error}");
        }
    }
}
