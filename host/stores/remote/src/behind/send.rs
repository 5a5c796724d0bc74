//! Sending a batch, and finding out about one whose answer was lost.

use kvfs_contract::{AsyncKvStore, Durability, StoreError};

use super::batch::Batch;

/// Most times that a batch is sent because its answer was lost.
const MAX_ATTEMPTS: u32 = 3;

/// The answer to a batch.
pub(super) struct Sent {
    pub(super) answer: Result<(), StoreError>,
    /// It was sent more than once, as its answer was lost, and one of the calls may still be under
    /// way. The store takes that one too, until a key that the batch guards has another value.
    pub(super) may_come_again: bool,
}

/// Sends a batch. If its answer is lost, looks whether the store has taken it, and sends it again if
/// not. `in_doubt` says that it was sent before.
///
/// The answer is the store's, and [`StoreError::UnknownOutcome`] if nothing can be found out, or
/// if the batch has no guard that would keep it from being taken late.
pub(super) async fn send(
    store: &impl AsyncKvStore,
    batch: &Batch,
    level: Durability,
    mut in_doubt: bool,
) -> Sent {
    let answer = send_until_known(store, batch, level, &mut in_doubt).await;
    Sent { answer, may_come_again: in_doubt && !batch.applies_once() }
}

async fn send_until_known(
    store: &impl AsyncKvStore,
    batch: &Batch,
    level: Durability,
    in_doubt: &mut bool,
) -> Result<(), StoreError> {
    if batch.is_empty() {
        return match level {
            Durability::Buffered => Ok(()),
            Durability::Durable => barrier(store).await,
        };
    }
    let (guards, mutations) = (batch.guards(), batch.changes.mutations());
    for _ in 0..MAX_ATTEMPTS {
        let answer = store.apply(&guards, &mutations, level).await;
        match &answer {
            Err(StoreError::UnknownOutcome) => *in_doubt = true,
            // The one before may have been taken late.
            Err(StoreError::Conflict) if *in_doubt => {}
            // Refused, but the one before may still be under way.
            Err(StoreError::Unavailable(_) | StoreError::QuotaExceeded) if *in_doubt => {
                return Err(StoreError::UnknownOutcome);
            }
            _ => return answer,
        }
        if is_there(store, batch).await? {
            return match level {
                Durability::Buffered => Ok(()),
                // Taken is not durable.
                Durability::Durable => barrier(store).await,
            };
        }
        if answer == Err(StoreError::Conflict) || !batch.is_guarded() {
            return answer;
        }
    }
    Err(StoreError::UnknownOutcome)
}

/// Makes everything durable. A barrier may be repeated.
async fn barrier(store: &impl AsyncKvStore) -> Result<(), StoreError> {
    for _ in 1..MAX_ATTEMPTS {
        match store.apply(&[], &[], Durability::Durable).await {
            Err(StoreError::UnknownOutcome) => {}
            answer => return answer,
        }
    }
    store.apply(&[], &[], Durability::Durable).await
}

/// Returns whether the store has what it has after a batch.
async fn is_there(store: &impl AsyncKvStore, batch: &Batch) -> Result<bool, StoreError> {
    let unknown = |_| StoreError::UnknownOutcome;
    let keys: Vec<&[u8]> = batch.changes.iter().map(|(key, _)| &key[..]).collect();
    let most = store.limits().await.map_err(unknown)?.max_batch_entries.max(1) as usize;
    let mut changes = batch.changes.iter();
    for keys in keys.chunks(most) {
        let values = store.get(keys).await.map_err(unknown)?;
        for (found, (_, wanted)) in values.iter().zip(&mut changes) {
            if found.as_ref().map(AsRef::as_ref) != wanted.as_deref() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}
