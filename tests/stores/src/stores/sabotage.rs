//! Names of wrongs.

/// What a sabotaged store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Opens as it was some applies ago.
    RollsBack,
    /// Flips a bit of some values.
    WrongByte,
    /// Has no entry for some keys.
    LosesKey,
    /// Panics at some keys.
    Panics,
    /// Aborts the process at some keys.
    Aborts,
    /// Makes half of an apply at a kill.
    TearsApply,
}
