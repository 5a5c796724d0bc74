//! How what is dirty gets to the store.

pub(crate) mod change;
mod gather;

// Each of these is a verb of the volume, and uses those above it in this list.
mod garbage;
mod orphans;

mod completion;

mod journal;

mod commit;

mod unstored;
