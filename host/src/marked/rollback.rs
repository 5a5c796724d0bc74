//! Comparing a store with its mark.

use std::fmt;

use super::mark::Mark;

/// A store that is less than its mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rollback {
    /// The store has forgotten its last durable applies: it fell back to an older state, or an
    /// older copy of it was put in its place.
    Applies {
        /// The store's own mark.
        store: Mark,
        /// The mark beside it.
        mark: Mark,
    },
    /// The store has no mark of its own, as an empty one that was put in its place.
    NotMarked {
        /// The mark beside it.
        mark: Mark,
    },
    /// The store's own mark is that of another store.
    OtherStore {
        /// The store's own mark.
        store: Mark,
        /// The mark beside it.
        mark: Mark,
    },
    /// There is no store beside the mark.
    NoStore {
        /// The mark.
        mark: Mark,
    },
}

impl Rollback {
    /// Compares a store's own mark with the one beside the store. A store without a mark beside it
    /// may have been moved, and is believed.
    pub fn find(store: Option<Mark>, mark: Option<Mark>) -> Option<Self> {
        let mark = mark?;
        match store {
            None => Some(Self::NotMarked { mark }),
            Some(store) if store.store_id != mark.store_id => Some(Self::OtherStore { store, mark }),
            Some(store) if store.applies < mark.applies => Some(Self::Applies { store, mark }),
            Some(_) => None,
        }
    }

    /// Returns the mark beside the store.
    pub fn mark(&self) -> Mark {
        match self {
            Self::Applies { mark, .. }
            | Self::NotMarked { mark }
            | Self::OtherStore { mark, .. }
            | Self::NoStore { mark } => *mark,
        }
    }
}

/// Says what is lost, in words that follow those for the store and its mark.
impl fmt::Display for Rollback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.mark();
        let (applies, time) = (known.applies, known.time());
        match self {
            Self::Applies { store, .. } => {
                let lost = applies.saturating_sub(store.applies);
                write!(
                    f,
                    "the store ends with durable apply {} of {}, its mark with {applies} of {time}, so the last \
                     {lost} durable applies are lost, and whatever was stored since {}",
                    store.applies,
                    store.time(),
                    store.time(),
                )
            }
            Self::NotMarked { .. } => write!(
                f,
                "the store has made no durable apply, its mark knows of {applies}, the last of {time}, so all of \
                 them are lost, or another store was put in its place"
            ),
            Self::OtherStore { store, .. } => write!(
                f,
                "it is another store than its mark is of: its last durable apply is {} of {}, the mark's is \
                 {applies} of {time}",
                store.applies,
                store.time()
            ),
            Self::NoStore { .. } => write!(
                f,
                "the store is gone, its mark knows of {applies} durable applies, the last of {time}"
            ),
        }
    }
}
