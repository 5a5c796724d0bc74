//! Sequences of operations against the reference: the model test driven by a fuzzer.

use super::reached::reach;
use crate::ops::{Setup, random};
use crate::rng::Rng;
use crate::run::run as against_the_reference;
use crate::shrink::check_sequence;

/// Enough to fill a volume's tiny caches repeatedly; longer inputs are slow and find no more.
const MAX_OPERATIONS: usize = 150;

/// Shorter sequences do next to nothing.
const MIN_OPERATIONS: usize = 8;

pub(super) fn run(data: &[u8]) {
    let mut rng = Rng::from_bytes(data);
    let setup = Setup::random(&mut rng);
    let mut ops = Vec::new();
    while !rng.is_done() && ops.len() < MAX_OPERATIONS {
        ops.push(random(&mut rng));
    }
    if ops.len() >= MIN_OPERATIONS {
        reach();
    }
    check_sequence(&setup, &ops, &against_the_reference);
}
