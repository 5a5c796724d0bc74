//! Limits of stores, and the kind of commits that each leads to.

use kvfs::Limits;

pub const LARGE: Limits = Limits {
    max_key_bytes: 1 << 10,
    max_value_bytes: 2 << 20,
    max_batch_entries: 10_000,
    max_batch_bytes: 16 << 20,
    durable: true,
};

/// The smallest limits under which a commit is a single apply: commits are split all the time.
pub const SMALL: Limits = Limits {
    max_key_bytes: 520,
    max_value_bytes: 16 << 10,
    max_batch_entries: 16,
    max_batch_bytes: 16 << 10,
    durable: true,
};

/// The smallest limits that the file system accepts: nearly every commit goes through the journal.
pub const TINY: Limits = Limits {
    max_key_bytes: 520,
    max_value_bytes: 640,
    max_batch_entries: 2,
    max_batch_bytes: 4 << 10,
    durable: true,
};

/// Limits under which commits go through the journal: in many parts, in one, in pieces of several
/// entries.
pub const JOURNALLED: [Limits; 5] = [
    TINY,
    Limits { max_value_bytes: 4 << 10, ..TINY },
    Limits { max_value_bytes: 4 << 10, max_batch_entries: 3, ..TINY },
    Limits { max_value_bytes: 4 << 10, max_batch_entries: 5, max_batch_bytes: 8 << 10, ..TINY },
    Limits { max_batch_entries: 10_000, ..TINY },
];
