//! A resource beside its part of the log.

/// A resource, and what the log knows of it: nothing if there is no log.
pub(crate) struct Told<T, S> {
    // Dropped first: what the log knows hears how it ended.
    pub(crate) own: T,
    pub(crate) seen: Option<S>,
}

impl<T, S> Told<T, S> {
    pub(crate) fn new(own: T) -> Self {
        Self { own, seen: None }
    }
}
