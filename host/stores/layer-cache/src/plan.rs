//! What of a `get` is answered from what is known, and what the store is asked.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kvfs::frozen::{self, Record, Stamp};
use kvfs_contract::StoreError;

use crate::answer::Answer;
use crate::layer_cache::LayerCache;
use crate::learned::{Learned, Status};
use crate::name::Layer;

/// An answered `get`, or the question to the store that is left of it.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The known answers.
    pub(crate) answers: Vec<Option<Option<Bytes>>>,
    /// Places of the keys that the store is asked for.
    pub(crate) asked: Vec<usize>,
    /// The layers whose headers are asked for too: an answer is kept only with a header that was read
    /// at the same moment and says that the layer is frozen.
    pub(crate) headers: Vec<Vec<u8>>,
    /// What was known when the plan was made.
    pub(crate) before: Before,
}

/// What was known before a call of the store.
#[derive(Debug)]
pub(crate) struct Before {
    pub(crate) generation: u64,
    pub(crate) reads: u64,
    pub(crate) begun: Instant,
    /// For each superblock that is asked for, its place and the version of its volume.
    pub(crate) versions: Vec<(usize, Option<u64>)>,
}

impl Plan {
    /// Plans a `get`.
    pub(crate) fn of(
        learned: &mut Learned,
        cache: &LayerCache,
        of_stamp: impl Fn(Stamp) -> Layer,
        recheck: Duration,
        keys: &[&[u8]],
    ) -> Self {
        let before = Before {
            generation: learned.generation,
            reads: learned.reads,
            begun: Instant::now(),
            versions: Vec::new(),
        };
        let mut plan =
            Self { answers: vec![None; keys.len()], asked: Vec::new(), headers: Vec::new(), before };
        let (mut superblocks, mut has_records) = (Vec::new(), false);
        for (at, key) in keys.iter().enumerate() {
            match frozen::record(key) {
                Record::Superblock => superblocks.push(at),
                Record::InLayer(layer) => {
                    has_records = true;
                    let answer = in_layer(learned, cache, &of_stamp, layer, key);
                    match answer {
                        InLayer::Known(answer) => plan.set(at, answer),
                        InLayer::Ask { header } => {
                            plan.asked.push(at);
                            if header && !plan.headers.iter().any(|known| known == layer) {
                                plan.headers.push(layer.to_vec());
                            }
                        }
                    }
                }
                _ => plan.asked.push(at),
            }
        }
        // A superblock vouches for the records that are read with it or were read before it: by the
        // store, if these are, and else by the one that is known.
        let may_know = plan.asked.is_empty() && (has_records || learned.has_scanned);
        for at in superblocks {
            let Some(key) = keys.get(at) else { continue };
            let known = may_know.then(|| learned.fresh_superblock(key, plan.before.begun, recheck)).flatten();
            match known {
                Some(superblock) => plan.set(at, Some(superblock)),
                None => {
                    plan.asked.push(at);
                    plan.before.versions.push((at, learned.version(key)));
                }
            }
            learned.has_scanned = false;
        }
        if !plan.asked.is_empty() {
            for layer in learned.waiting_layers() {
                if !plan.headers.iter().any(|known| known == layer) {
                    plan.headers.push(layer.to_vec());
                }
            }
        }
        plan
    }

    fn set(&mut self, at: usize, answer: Option<Bytes>) {
        if let Some(place) = self.answers.get_mut(at) {
            *place = Some(answer);
        }
    }

    /// The whole answer, once nothing is to be asked.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] for an answer that no store gives.
    pub(crate) fn finish(self) -> Result<Vec<Option<Bytes>>, StoreError> {
        let mut answer = kvfs_contract::Answer::new(self.answers.len());
        for value in self.answers {
            answer.push(value.flatten())?;
        }
        Ok(answer.finish())
    }
}

enum InLayer {
    Known(Option<Bytes>),
    Ask { header: bool },
}

fn cached(cache: &LayerCache, layer: &Layer, key: &[u8]) -> Option<Answer> {
    cache.get(layer, &layer.name_of(key))
}

/// Looks for a record in a layer.
fn in_layer(
    learned: &Learned,
    cache: &LayerCache,
    of_stamp: impl Fn(Stamp) -> Layer,
    layer: &[u8],
    key: &[u8],
) -> InLayer {
    match learned.status(layer) {
        Some(Status::Frozen(stamp)) => match cached(cache, &of_stamp(stamp), key) {
            Some(Answer::Absent) => InLayer::Known(None),
            Some(Answer::Value(value)) => InLayer::Known(Some(value)),
            Some(Answer::Page(_)) | None => InLayer::Ask { header: true },
        },
        Some(Status::Changing) => match learned.top_keys(layer) {
            Some(top) if top.lacks(key) => InLayer::Known(None),
            _ => InLayer::Ask { header: false },
        },
        None => InLayer::Ask { header: true },
    }
}
