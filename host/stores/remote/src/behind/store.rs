//! The store that writes behind.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvfs_contract::{
    Answer, AsyncKvStore, Durability, Entry, Guard, Limits, Mutation, ScanBudget, StoreError, key_range,
};
use tokio::sync::{Notify, OwnedRwLockWriteGuard, RwLock};
use tokio::task::{AbortHandle, spawn};
use tokio::time::timeout;

use super::batch::Batch;
use super::held::Held;
use super::known::Known;
use super::send::{Sent, send};

/// When held changes are sent, if no durable apply sends them before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Age at which a held change is sent. What a program does meanwhile goes in one apply; what it
    /// did is lost if its host is killed.
    pub max_age: Duration,
    /// Bytes of held changes that are sent at once, so that a stream keeps the way to the store busy.
    pub min_bytes: usize,
}

impl Pace {
    /// A quarter of a second, and 1 MiB.
    pub const DEFAULT: Self = Self { max_age: Duration::from_millis(250), min_bytes: 1 << 20 };
}

/// Time between two attempts to send to a store that does not answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Least entries to ask the store for: the first ones may all be removed by what is held.
const MIN_PAGE_ENTRIES: u32 = 32;

/// A store that acknowledges buffered applies from memory, and sends them together while the caller
/// goes on.
///
/// Only for a store that nobody else changes where the caller does, as a volume that one opener has
/// alone: reads and guards are answered from what is held. If somebody else does change it, the
/// guards that are sent with the changes fail, and then so does every later call.
///
/// A guard on a key that no earlier apply guarded or changed goes to the store, with its apply and
/// whatever is held: so an opener that takes a volume over has it when the apply returns. Later guards
/// on the key are compared with what this store last wrote there.
///
/// # Durability
/// A buffered apply is held in this process until it is sent: when its [`Pace`] says so, or with a
/// durable apply. Applies that are held become one of the store,
/// so that the store has all of an apply or nothing, and never a later one without the earlier. A
/// kill of the process loses what is held: a suffix after the last durable apply. A durable apply takes
/// everything held with it and returns when the store has it durably.
///
/// # Errors
/// A durable apply has the store's errors, and has then changed nothing. A buffered apply that was
/// acknowledged and cannot be sent shows in later calls:
///
/// - [`StoreError::Unavailable`] and [`StoreError::QuotaExceeded`]: it stays held. Until it is sent,
///   each apply waits for the store and returns its error, so a full store still takes removals.
/// - Any other: what is held is lost, and every later call says so. A guard that failed is
///   [`StoreError::Conflict`] for later applies, and its key can be read, so that the caller finds
///   out who changed it.
///
/// # Memory
/// Two batches of the store's limits, of at most 16 MiB each. Calls wait for the store beyond that.
#[derive(Debug)]
pub struct WriteBehind<S> {
    shared: Arc<Shared<S>>,
    sender: AbortHandle,
}

impl<S> Drop for WriteBehind<S> {
    fn drop(&mut self) {
        self.sender.abort();
    }
}

#[derive(Debug)]
struct Shared<S> {
    store: S,
    limits: Limits,
    pace: Pace,
    state: Mutex<State>,
    /// Readers have it for reading while they ask the store, so that what they saw of the held
    /// changes and what the store answers are of one moment. Applies have it for writing.
    gate: Arc<RwLock<()>>,
    /// Whoever sends has it: batches go one after another.
    turn: tokio::sync::Mutex<()>,
    /// Something is held.
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    held: Held,
    known: Known,
    /// The batch that is sent next could not be sent before.
    is_stuck: bool,
    /// It may be in the store nevertheless.
    in_doubt: bool,
    failed: Option<Failed>,
    doubtful: Doubtful,
}

/// The keys of batches that the store may yet take again, though it has taken them.
#[derive(Debug, Default)]
struct Doubtful {
    keys: BTreeSet<Bytes>,
    /// Keys of which each such batch guards the same value.
    guarded: BTreeSet<Bytes>,
}

impl Doubtful {
    fn add(&mut self, batch: &Batch) {
        self.keys.extend(batch.changes.iter().map(|(key, _)| key.clone()));
        self.guarded.extend(batch.guards().iter().map(|guard| Bytes::copy_from_slice(guard.key)));
    }

    /// Returns whether the store must not take a batch before the guards of the doubtful ones fail: an
    /// old value could come after a new one.
    fn forbids(&self, batch: &Batch) -> bool {
        !self.keys.is_empty()
            && !batch.applies_once()
            && batch.changes.iter().any(|(key, _)| self.keys.contains(key))
    }

    /// Notes what the store has taken.
    fn follow(&mut self, taken: &Batch) {
        let ends = |guard: &Guard<&[u8]>| {
            let changed = taken.changes.get(guard.key);
            changed.is_some_and(|changed| !guard.holds(changed.map(Bytes::as_ref)))
        };
        for guard in taken.guards().iter().filter(|guard| ends(guard)) {
            self.guarded.remove(guard.key);
        }
        if self.guarded.is_empty() {
            self.keys.clear();
        }
    }
}

/// What a batch that is sent is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// Acknowledged applies.
    Held,
    /// Acknowledged applies and one whose caller waits.
    HeldAndNew,
    /// One whose caller waits.
    New,
}

/// Why nothing goes on.
#[derive(Clone, Debug)]
struct Failed {
    error: StoreError,
    /// The keys whose guards failed.
    guarded: Vec<Bytes>,
}

impl Failed {
    fn new(error: StoreError, batch: &Batch) -> Self {
        let lost = "what was stored after the last durable apply may be lost: open it anew";
        let is_conflict = error == StoreError::Conflict;
        let guards = if is_conflict { batch.guards() } else { Vec::new() };
        Self {
            error: match error {
                StoreError::Conflict => StoreError::Unavailable(format!(
                    "another program has changed what this one had alone; {lost}"
                )),
                StoreError::Unavailable(why) => StoreError::Unavailable(why),
                error => StoreError::Unavailable(format!("{error}; {lost}")),
            },
            guarded: guards.iter().map(|guard| Bytes::copy_from_slice(guard.key)).collect(),
        }
    }
}

impl<S: AsyncKvStore<Bytes: Into<Bytes>> + 'static> WriteBehind<S> {
    /// Writes behind to a store. Needs a tokio runtime, whose task sends.
    ///
    /// # Errors
    /// The store's, when it is asked for its limits.
    pub async fn new(store: S, pace: Pace) -> Result<Self, StoreError> {
        let limits = store.limits().await?;
        let shared = Arc::new(Shared {
            store,
            limits,
            pace,
            state: Mutex::default(),
            gate: Arc::default(),
            turn: tokio::sync::Mutex::default(),
            wake: Notify::new(),
        });
        let sender = spawn(Arc::clone(&shared).run()).abort_handle();
        Ok(Self { shared, sender })
    }

    /// Returns the store behind.
    pub fn inner(&self) -> &S {
        &self.shared.store
    }
}

impl<S> Shared<S> {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change of it is one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is held now.
    ///
    /// # Errors
    /// If nothing goes on; not if `keys` are those that tell why.
    fn held(&self, keys: &[&[u8]]) -> Result<Held, StoreError> {
        let state = self.lock();
        match &state.failed {
            Some(failed)
                if keys.is_empty()
                    || !keys.iter().all(|key| failed.guarded.iter().any(|known| known == key)) =>
            {
                Err(failed.error.clone())
            }
            _ => Ok(state.held.clone()),
        }
    }

    /// Checks that applies go on.
    ///
    /// # Errors
    /// If not; [`StoreError::Conflict`] for one under a guard that failed.
    fn check_failed(&self, guards: &[Guard<&[u8]>]) -> Result<(), StoreError> {
        let state = self.lock();
        let Some(failed) = &state.failed else { return Ok(()) };
        let has_failed = |guard: &Guard<&[u8]>| failed.guarded.iter().any(|key| *key == guard.key);
        Err(if guards.iter().any(has_failed) { StoreError::Conflict } else { failed.error.clone() })
    }

    /// Checks guards against what is held and, for other keys, what the store is known to have.
    /// Returns whether they hold; if not, the store has to say.
    ///
    /// # Errors
    /// [`StoreError::Conflict`].
    fn check_guards(&self, guards: &[Guard<&[u8]>]) -> Result<bool, StoreError> {
        let state = self.lock();
        let mut all_hold = true;
        let mut seen = HashMap::new();
        for guard in guards {
            // A batch has one guard for a key.
            if seen.insert(guard.key, guard.expected).is_some_and(|other| other != guard.expected) {
                return Err(StoreError::Conflict);
            }
            match state.held.tells(guard.key) {
                Some(held) if !guard.holds(held.map(Bytes::as_ref)) => return Err(StoreError::Conflict),
                Some(_) => {}
                None => {
                    let known = state.known.get(guard.key);
                    all_hold &= known.is_some_and(|known| guard.holds(known.map(Bytes::as_ref)));
                }
            }
        }
        Ok(all_hold)
    }

    /// Adds an apply to the held ones, if there is room and the store takes what is sent.
    fn hold(&self, guards: &[Guard<&[u8]>], mutations: &[Mutation<&[u8]>]) -> bool {
        let state = &mut *self.lock();
        let bytes = mutations.iter().map(Mutation::size_bytes).sum();
        if state.failed.is_some()
            || state.is_stuck
            || !state.held.open.has_room(&self.limits, mutations.len(), bytes)
        {
            return false;
        }
        Arc::make_mut(&mut state.held.open).add(guards, mutations);
        true
    }

    /// Returns the time until something is to be sent; `None` if nothing is held.
    fn due(&self) -> Option<Duration> {
        let state = self.lock();
        if state.failed.is_some() || state.held.is_empty() {
            return None;
        }
        if state.is_stuck {
            return Some(RETRY_AFTER);
        }
        let open = &state.held.open.changes;
        if state.held.sending.is_some() || open.size_bytes() >= self.pace.min_bytes {
            return Some(Duration::ZERO);
        }
        let since = open.since().unwrap_or_else(Instant::now);
        Some(self.pace.max_age.saturating_sub(since.elapsed()))
    }

    /// Makes the open batch a part of the one that is sent next, if there is room, and returns it.
    fn next(&self) -> Option<Arc<Batch>> {
        let state = &mut *self.lock();
        let open = &mut state.held.open;
        match &mut state.held.sending {
            Some(sending)
                if !state.in_doubt && !open.is_empty() && sending.has_room_for(&self.limits, open) =>
            {
                Arc::make_mut(sending).append(open);
                *open = Arc::default();
            }
            Some(_) => {}
            sending if !open.is_empty() => *sending = Some(std::mem::take(open)),
            _ => {}
        }
        state.held.sending.clone()
    }

    /// Notes the answer for a batch that was sent.
    fn answered(&self, batch: &Batch, of: Of, sent: &Sent) {
        let state = &mut *self.lock();
        match &sent.answer {
            Ok(()) => {
                state.held.sending = None;
                (state.is_stuck, state.in_doubt) = (false, false);
                state.known.follow(batch);
                state.doubtful.follow(batch);
                if sent.may_come_again {
                    state.doubtful.add(batch);
                }
            }
            // It is sent again until the store has it, so readers may see it as taken.
            Err(StoreError::UnknownOutcome) if batch.is_guarded() => {
                state.held.sending = Some(Arc::new(batch.clone()));
                (state.is_stuck, state.in_doubt) = (true, true);
            }
            // The caller is told, and nothing else is held.
            Err(_) if of == Of::New => {}
            Err(StoreError::Unavailable(_) | StoreError::QuotaExceeded) => state.is_stuck = true,
            // Each is sent alone next, to tell which one was refused.
            Err(StoreError::Conflict) if of == Of::HeldAndNew => {}
            Err(error) => {
                state.failed = Some(Failed::new(error.clone(), batch));
                state.held = Held::default();
            }
        }
    }
}

impl<S: AsyncKvStore<Bytes: Into<Bytes>> + 'static> Shared<S> {
    /// Sends what is held whenever it is due.
    async fn run(self: Arc<Self>) {
        loop {
            self.wake.notified().await;
            while let Some(due) = self.due() {
                // Woken before something is due, it looks again.
                if !due.is_zero() && timeout(due, self.wake.notified()).await.is_ok() {
                    continue;
                }
                let turn = self.turn.lock().await;
                if let Some(batch) = self.next() {
                    let _ = self.send(&batch, Of::Held, Durability::Buffered).await;
                }
                drop(turn);
            }
        }
    }

    /// Lets the next apply begin a batch of its own.
    async fn make_room(&self) {
        let _turn = self.turn.lock().await;
        let is_sent_later = self.lock().held.sending.is_some();
        if !is_sent_later {
            self.next();
        }
    }

    /// Sends everything that is held and then `new`, in as few applies as the limits allow.
    async fn send_all(
        self: Arc<Self>,
        _gate: OwnedRwLockWriteGuard<()>,
        new: Batch,
        level: Durability,
    ) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        self.check_failed(&new.guards())?;
        while let Some(batch) = self.next() {
            let (in_doubt, is_last) = {
                let state = self.lock();
                (state.in_doubt, state.held.open.is_empty())
            };
            if !in_doubt && is_last && batch.has_room_for(&self.limits, &new) {
                let mut all = Batch::clone(&batch);
                all.append(&new);
                let answer = self.send(&all, Of::HeldAndNew, level).await;
                if answer != Err(StoreError::Conflict) {
                    return answer;
                }
            }
            self.send(&batch, Of::Held, Durability::Buffered).await?;
        }
        self.send(&new, Of::New, level).await
    }

    /// Sends a batch and notes the answer. Whoever calls has the turn.
    async fn send(&self, batch: &Batch, of: Of, level: Durability) -> Result<(), StoreError> {
        let (in_doubt, is_forbidden) = {
            let state = self.lock();
            let in_doubt = of == Of::Held && state.in_doubt;
            (in_doubt, !in_doubt && state.doubtful.forbids(batch))
        };
        let sent = match is_forbidden {
            false => send(&self.store, batch, level, in_doubt).await,
            true => {
                let why = "an earlier change of the same data may still be under way; try again";
                Sent { answer: Err(StoreError::Unavailable(why.into())), may_come_again: false }
            }
        };
        self.answered(batch, of, &sent);
        sent.answer
    }
}

impl<S: AsyncKvStore<Bytes: Into<Bytes>> + 'static> AsyncKvStore for WriteBehind<S> {
    type Bytes = Bytes;

    async fn limits(&self) -> Result<Limits, StoreError> {
        Ok(self.shared.limits)
    }

    async fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let shared = &*self.shared;
        shared.limits.check_get(keys)?;
        let _gate = shared.gate.read().await;
        let held = shared.held(keys)?;
        let missing: Vec<&[u8]> = keys.iter().copied().filter(|key| held.get(key).is_none()).collect();
        let stored = if missing.is_empty() { Vec::new() } else { shared.store.get(&missing).await? };
        let mut stored = stored.into_iter().map(|value| value.map(Into::into));
        let mut answer = Answer::new(keys.len());
        for key in keys {
            let value = match held.get(key) {
                Some(held) => held.cloned(),
                None => {
                    let value: Option<Bytes> = stored.next().flatten();
                    shared.lock().known.correct(key, value.as_deref());
                    value
                }
            };
            answer.push(value)?;
        }
        Ok(answer.finish())
    }

    async fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Bytes>>, StoreError> {
        let shared = &*self.shared;
        let _gate = shared.gate.read().await;
        let held = shared.held(&[])?;
        let Some(range) = key_range(start, end) else { return Ok(Vec::new()) };
        let max_entries = max_entries.min(shared.limits.max_batch_entries);
        let max_bytes = max_bytes.min(shared.limits.max_batch_bytes);
        let page_entries =
            if held.is_unchanged(range) { max_entries } else { max_entries.max(MIN_PAGE_ENTRIES) };
        let mut start = start.to_vec();
        loop {
            let page = shared.store.scan(&start, end, page_entries, max_bytes).await?;
            let page: Vec<Entry<Bytes>> = page.into_iter().map(|entry| entry.map(Into::into)).collect();
            let next = page.last().map(|last| [&last.key[..], b"\0"].concat());
            let entries = held.over(&start, end, page, ScanBudget::new(max_entries, max_bytes));
            match next {
                // All of the page was removed.
                Some(next) if entries.is_empty() && max_entries > 0 => start = next,
                _ => return Ok(entries),
            }
        }
    }

    async fn apply<'a>(
        &'a self,
        guards: &'a [Guard<&'a [u8]>],
        mutations: &'a [Mutation<&'a [u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        let shared = &self.shared;
        shared.limits.check_apply(guards, mutations)?;
        let gate = Arc::clone(&shared.gate).write_owned().await;
        shared.check_failed(guards)?;
        let all_hold = shared.check_guards(guards)?;
        if level == Durability::Buffered && all_hold {
            if mutations.is_empty() {
                return Ok(());
            }
            if !shared.hold(guards, mutations) {
                shared.make_room().await;
                shared.wake.notify_one();
                if !shared.hold(guards, mutations) {
                    return self.through(gate, Batch::of(guards, mutations), level).await;
                }
            }
            shared.wake.notify_one();
            return Ok(());
        }
        self.through(gate, Batch::of(guards, mutations), level).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        let gate = Arc::clone(&self.shared.gate).write_owned().await;
        self.through(gate, Batch::default(), Durability::Durable).await?;
        // The last call of it may be a barrier, which may be repeated as closing may.
        match self.shared.store.close().await {
            Err(StoreError::UnknownOutcome) => self.shared.store.close().await,
            closed => closed,
        }
    }
}

impl<S: AsyncKvStore<Bytes: Into<Bytes>> + 'static> WriteBehind<S> {
    /// Sends everything, on a task of its own: a caller that gives up must not leave it half noted.
    async fn through(
        &self,
        gate: OwnedRwLockWriteGuard<()>,
        new: Batch,
        level: Durability,
    ) -> Result<(), StoreError> {
        let sent = spawn(Arc::clone(&self.shared).send_all(gate, new, level)).await;
        sent.unwrap_or_else(|error| Err(StoreError::Fault(format!("a task that sends was ended: {error}"))))
    }
}
