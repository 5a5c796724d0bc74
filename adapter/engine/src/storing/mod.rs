//! Storing: how dirty state gets to the store.

pub(crate) mod change;
mod gather;
mod moved;

mod tell;

// Verbs of the volume, each using those above it.
mod garbage;
mod orphans;

mod completion;

mod journal;

mod commit;

mod unstored;
