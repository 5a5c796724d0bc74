//! A server whose calls a test decides about, and its history.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use kvfs_contract::{
    AsyncKvStore, Durability, Entry, Guard, Limits, Mutation, ScanBudget, StoreError, gather, key_range,
};
use kvfs_trust::cuts::Mark;

pub(crate) type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// What becomes of an apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is made and answered.
    Answered,
    /// It is made, and the answer is lost.
    AnswerLost,
    /// It does not arrive, and the caller does not know.
    Lost,
    /// It is answered and made but for its last mutation: a sabotage.
    Torn,
}

/// What a server has, and had.
#[derive(Clone, Default)]
pub(crate) struct Contents {
    pub(crate) live: Map,
    pub(crate) durable: Map,
    /// What was there after each apply that was made: live and durable.
    pub(crate) log: Vec<(Map, Map)>,
    /// The progress of the run when each of them came.
    pub(crate) marks: Vec<Mark>,
    pub(crate) mark: Mark,
    pub(crate) applies: u64,
    /// Decides about the apply with a number.
    pub(crate) fate: Option<fn(u64) -> Fate>,
    /// Bytes beyond which nothing may grow; 0 for no bound.
    pub(crate) max_bytes: usize,
    /// Nothing is answered.
    pub(crate) is_away: bool,
}

/// A clone is another client.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) contents: Arc<Mutex<Contents>>,
    pub(crate) limits: Limits,
}

impl Server {
    pub(crate) fn new(map: Map) -> Self {
        let contents = Contents { live: map.clone(), durable: map, ..Contents::default() };
        Self { contents: Arc::new(Mutex::new(contents)), limits: Limits::standard(true) }
    }

    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut Contents) -> T) -> T {
        look(&mut self.contents.lock().unwrap())
    }

    fn answer<T>(
        &self,
        answer: impl FnOnce(&mut Contents) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.look(|contents| match contents.is_away {
            true => Err(StoreError::Unavailable("the server is away".into())),
            false => answer(contents),
        })
    }
}

impl AsyncKvStore for Server {
    type Bytes = Vec<u8>;

    async fn limits(&self) -> Result<Limits, StoreError> {
        Ok(self.limits)
    }

    async fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.limits.check_get(keys)?;
        self.answer(|contents| gather(keys, |key| Ok(contents.live.get(key).cloned())))
    }

    async fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        self.answer(|contents| {
            let Some(range) = key_range(start, end) else { return Ok(Vec::new()) };
            let mut page = ScanBudget::new(max_entries, max_bytes);
            let entries = contents.live.range::<[u8], _>(range);
            let entries = entries.take_while(|(key, value)| page.take(key.len() + value.len()));
            Ok(entries.map(|(key, value)| Entry { key: key.clone(), value: value.clone() }).collect())
        })
    }

    async fn apply<'a>(
        &'a self,
        guards: &'a [Guard<&'a [u8]>],
        mutations: &'a [Mutation<&'a [u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.limits.check_apply(guards, mutations)?;
        self.answer(|contents| {
            contents.applies += 1;
            let fate = contents.fate.map_or(Fate::Answered, |fate| fate(contents.applies));
            if fate == Fate::Lost {
                return Err(StoreError::UnknownOutcome);
            }
            let holds = |guard: &Guard<&[u8]>| guard.holds(contents.live.get(guard.key).map(Vec::as_slice));
            if !guards.iter().all(holds) {
                return match fate {
                    Fate::AnswerLost => Err(StoreError::UnknownOutcome),
                    _ => Err(StoreError::Conflict),
                };
            }
            let before = contents.live.clone();
            let made = mutations.len() - usize::from(fate == Fate::Torn && mutations.len() > 1);
            for mutation in &mutations[..made] {
                match mutation.value() {
                    Some(value) => drop(contents.live.insert(mutation.key().to_vec(), value.to_vec())),
                    None => drop(contents.live.remove(mutation.key())),
                }
            }
            let bytes = |map: &Map| map.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
            if contents.max_bytes > 0 && bytes(&contents.live) > bytes(&before).max(contents.max_bytes) {
                contents.live = before;
                return Err(StoreError::QuotaExceeded);
            }
            if level == Durability::Durable {
                contents.durable = contents.live.clone();
            }
            contents.marks.push(contents.mark);
            contents.log.push((contents.live.clone(), contents.durable.clone()));
            if fate == Fate::AnswerLost { Err(StoreError::UnknownOutcome) } else { Ok(()) }
        })
    }
}
