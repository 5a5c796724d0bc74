//! Options for opening a store.

/// Options for opening a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Garbage that is always put up with; 4 MiB unless told.
    pub min_garbage_bytes: u64,
    /// Least room kept on the disk for opening and removing when it is full; 2 MiB unless told.
    pub reserve_bytes: usize,
    /// A segment ends at this size, or at a 32nd of the live bytes if that is more; 2 MiB unless
    /// told.
    pub min_segment_bytes: u64,
    /// A segment ends at this size however much is live; 1 GiB unless told.
    pub max_segment_bytes: u64,
    /// Most changes of the index in memory, at 50 to 150 bytes each; 100,000 unless told. More make
    /// a checkpoint, which goes on while up to half as many more come.
    pub max_recent_changes: usize,
    /// Most bytes of segments that an opening reads for the index, about; 32 MiB unless told. More
    /// make a checkpoint.
    pub max_replay_bytes: u64,
    /// Most bytes of blocks of tables in memory; 32 MiB unless told.
    pub max_cache_bytes: usize,
    /// Opens a store that has lost what was durable, as far as a mark tells, with what is there;
    /// the marks that tell of more are removed. False unless told.
    pub accept_loss: bool,
    /// Never takes the store back from another opener: once one has it, each change is
    /// [`StoreError::Unavailable`](kvfs_contract::StoreError::Unavailable). False unless told.
    pub alone: bool,
}

impl Options {
    /// What holds unless told.
    pub const DEFAULT: Self = Self {
        min_garbage_bytes: 4 << 20,
        reserve_bytes: 2 << 20,
        min_segment_bytes: 2 << 20,
        max_segment_bytes: 1 << 30,
        max_recent_changes: 100_000,
        max_replay_bytes: 32 << 20,
        max_cache_bytes: 32 << 20,
        accept_loss: false,
        alone: false,
    };
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}
