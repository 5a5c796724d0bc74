//! Applies of one handle: each exactly once, or known not to be.

use crate::client::Client;
use crate::error::{Kind, in_a_line, kind, meaning};
use crate::messages::{Compare, RequestOp, TxnRequest, TxnResponse};
use crate::space::Space;
use kvfs_contract::StoreError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Mutex, MutexGuard};
use tonic::Status;

/// Most bytes of an answer with a record.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// What is to be applied.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) guards: Vec<Compare>,
    pub(crate) mutations: Vec<RequestOp>,
    /// False if it only removes. etcd takes such a change even when its space is used up, but not
    /// together with the put of a record.
    pub(crate) puts: bool,
}

/// The record of a handle's applies, a key that this handle alone changes.
///
/// Each apply is made on the condition that the record is as the one before left it, and changes it.
/// When an answer is lost, a transaction on the same condition changes the record in another way:
/// after it, the record says whether the apply was made, and one that is still under way fails.
#[derive(Debug)]
pub(crate) struct Session {
    client: Arc<Client>,
    key: Vec<u8>,
    state: Mutex<State>,
    /// True if a call left an apply open. Set when the state is let go.
    is_open: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// The record; none if the key is absent.
    record: Option<u64>,
    /// The number that an apply whose answer was lost would have put.
    lost: Option<u64>,
    /// The highest number used.
    last: u64,
}

/// The state while it is held. A call may end anywhere, also by dropping its future.
struct Held<'s> {
    state: MutexGuard<'s, State>,
    is_open: &'s AtomicBool,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.is_open.store(self.state.lost.is_some(), Ordering::Release);
    }
}

/// What became of an apply whose answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    Made,
    NotMade,
}

impl Session {
    pub(crate) fn new(client: Arc<Client>, space: &Space, id: &[u8]) -> Self {
        Self { client, key: space.handle(id), state: Mutex::default(), is_open: AtomicBool::new(false) }
    }

    async fn hold(&self) -> Held<'_> {
        Held { state: self.state.lock().await, is_open: &self.is_open }
    }

    /// Waits until no apply is under way that an earlier call left open.
    pub(crate) async fn settled(&self) -> Result<(), StoreError> {
        if !self.is_open.load(Ordering::Acquire) {
            return Ok(());
        }
        let state = &mut *self.hold().await.state;
        self.settle(state).await.map(drop).map_err(|status| unsettled(&status))
    }

    /// Applies a change.
    pub(crate) async fn apply(&self, change: &Change) -> Result<(), StoreError> {
        let mut held = self.hold().await;
        let state = &mut *held.state;
        self.settle(state).await.map_err(|status| unsettled(&status))?;
        let mut attempts = self.client.attempts();
        loop {
            let number = state.last + 1;
            let txn = self.transaction(state, change, number);
            state.lost = Some(number);
            let status = match self.client.write(txn).await {
                Ok(answer) => {
                    state.lost = None;
                    if !answer.succeeded {
                        return Err(self.refused(state, answer));
                    }
                    if change.puts {
                        (state.record, state.last) = (Some(number), number);
                    }
                    return Ok(());
                }
                Err(status) => status,
            };
            match kind(&status) {
                Kind::Broken => match self.settle(state).await {
                    // One that only removes has left no trace.
                    _ if !change.puts => return Err(StoreError::UnknownOutcome),
                    Ok(Settled::Made) => return Ok(()),
                    Ok(Settled::NotMade) => {}
                    Err(_) => return Err(StoreError::UnknownOutcome),
                },
                _ => state.lost = None,
            }
            attempts.again(status).await.map_err(|status| meaning(&status))?;
        }
    }

    /// Removes the record.
    pub(crate) async fn end(&self) -> Result<(), StoreError> {
        let mut held = self.hold().await;
        let state = &mut *held.state;
        self.settle(state).await.map_err(|status| unsettled(&status))?;
        if state.record.is_some() {
            let txn = TxnRequest {
                compare: vec![self.is(state)],
                success: vec![RequestOp::delete(self.key.clone())],
                failure: Vec::new(),
            };
            // Whether it was there or not, it is gone afterwards.
            self.client.read(txn, MAX_ANSWER_BYTES).await.map_err(|status| meaning(&status))?;
            state.record = None;
        }
        Ok(())
    }

    fn transaction(&self, state: &State, change: &Change, number: u64) -> TxnRequest {
        let mut compare = change.guards.clone();
        compare.push(self.is(state));
        let mut success = change.mutations.clone();
        if change.puts {
            success.push(RequestOp::put(self.key.clone(), number.to_be_bytes().to_vec()));
        }
        TxnRequest { compare, success, failure: vec![RequestOp::range(self.key.clone())] }
    }

    /// The record is as known.
    fn is(&self, state: &State) -> Compare {
        match state.record {
            Some(number) => Compare::value(self.key.clone(), number.to_be_bytes().to_vec()),
            None => Compare::absent(self.key.clone()),
        }
    }

    /// Returns why a transaction was refused: a guard, unless the record is another.
    fn refused(&self, state: &State, answer: TxnResponse) -> StoreError {
        match record(answer) {
            Ok(found) if found == state.record => StoreError::Conflict,
            _ => StoreError::Other(
                "another program changed the record of this handle; open the store again".to_owned(),
            ),
        }
    }

    /// Finds out what became of an apply whose answer was lost, and keeps it from being made later.
    async fn settle(&self, state: &mut State) -> Result<Settled, Status> {
        let Some(lost) = state.lost else { return Ok(Settled::NotMade) };
        let change = match state.record {
            // A removal: etcd takes it even when its space is used up.
            Some(_) => RequestOp::delete(self.key.clone()),
            None => RequestOp::put(self.key.clone(), (lost + 1).to_be_bytes().to_vec()),
        };
        let txn = TxnRequest {
            compare: vec![self.is(state)],
            success: vec![change],
            failure: vec![RequestOp::range(self.key.clone())],
        };
        // If this was made and its answer lost too, the second finds what the first left.
        let answer = self.client.read(txn, MAX_ANSWER_BYTES).await?;
        let found = if answer.succeeded {
            if state.record.is_some() { None } else { Some(lost + 1) }
        } else {
            record(answer)?
        };
        (state.record, state.lost, state.last) = (found, None, lost + 1);
        Ok(if found == Some(lost) { Settled::Made } else { Settled::NotMade })
    }
}

/// Reads the record from the answer of a transaction that was refused.
fn record(answer: TxnResponse) -> Result<Option<u64>, Status> {
    let Some(entry) = answer.found().into_iter().flatten().next() else { return Ok(None) };
    let number = entry.value.as_slice().try_into().map(u64::from_be_bytes);
    number.map(Some).map_err(|_| Status::data_loss("the record of this handle is damaged"))
}

/// Nothing is read or changed while an apply may still be made.
fn unsettled(status: &Status) -> StoreError {
    StoreError::Unavailable(format!("an apply is open: {}", in_a_line(status)))
}
