//! The state of a collection that goes on in steps.

use crate::record::Builder;
use crate::records::Window;
use std::collections::VecDeque;

/// A collection under way.
#[derive(Debug)]
pub(crate) struct Moving {
    /// Segments to copy, the oldest first. The first is under way.
    pub(crate) left: VecDeque<u64>,
    /// Where it goes on.
    pub(crate) offset: u64,
    /// All segments that go.
    pub(crate) victims: Vec<u64>,
    /// Copies that are not written yet.
    pub(crate) builder: Builder,
    /// What was read of the first segment.
    pub(crate) window: Window,
}

impl Moving {
    /// Begins to copy these segments, none of which is the own one.
    pub(crate) fn new(mut victims: Vec<u64>) -> Self {
        victims.sort_unstable();
        let left = victims.iter().copied().collect();
        Self { left, offset: 0, victims, builder: Builder::new(), window: Window::default() }
    }
}
