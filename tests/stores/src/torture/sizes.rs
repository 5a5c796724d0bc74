//! How much the torture does.

/// Sizes of the torture.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// From which everything random follows, but for the moments of kills.
    pub seed: u64,
    /// Keys that a history changes.
    pub keys: u64,
    /// Applies of a history, and a quarter of them at most between two kills.
    pub applies: u64,
    /// Damaged variants of each store.
    pub variants: u64,
    /// Kills.
    pub kills: u64,
    /// Bytes of the small disk.
    pub disk_bytes: u64,
}
