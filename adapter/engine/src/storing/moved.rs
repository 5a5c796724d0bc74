//! Applies beside tools that change a volume's layers: a fork puts another top layer above the one
//! that an apply was for, and the apply is refused.

use crate::error::Result;
use crate::volume::Volume;

/// How often what was refused is made anew. Each time, a tool has done something in between: a writer
/// that meets so many in a row has bad luck, and its next call tries again.
const MAX_MOVES: u32 = 64;

impl Volume {
    /// Does `step`, and again if it failed because a tool had changed the volume's layers. They are
    /// taken over then, and what was to be stored is dirty still.
    pub(crate) fn repeat_if_moved<T>(&mut self, mut step: impl FnMut(&mut Self) -> Result<T>) -> Result<T> {
        for _ in 0..MAX_MOVES {
            // One that nobody asked about is past.
            self.backing.take_moved();
            let outcome = step(self);
            if outcome.is_ok() || !self.backing.take_moved() {
                return outcome;
            }
        }
        step(self)
    }
}
