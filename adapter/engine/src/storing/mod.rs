//! How what is dirty gets to the store.

pub(crate) mod commit;
pub(crate) mod garbage;
pub(crate) mod journal;
pub(crate) mod unstored;
