//! Counts the bytes that are read of an archive, compressed as they are.

use std::cell::Cell;
use std::io::{Read, Result};
use std::rc::Rc;

pub(super) struct Counted<R> {
    from: R,
    pub(super) read_bytes: Rc<Cell<u64>>,
}

impl<R> Counted<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, read_bytes: Rc::default() }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let read = self.from.read(into)?;
        self.read_bytes.set(self.read_bytes.get().saturating_add(read as u64));
        Ok(read)
    }
}
