//! Sequences of operations against the reference: the model test with a fuzzer for its numbers.

use super::reached::reach;
use crate::ops::{Setup, random};
use crate::rng::Rng;
use crate::run::run as against_the_reference;
use crate::shrink::check_sequence;

/// Enough to fill a volume's tiny caches over and over; longer inputs are slow and find no more.
const OPERATIONS_MAX: usize = 150;

/// Fewer do next to nothing.
const OPERATIONS_MIN: usize = 8;

pub(super) fn run(data: &[u8]) {
    let mut rng = Rng::from_bytes(data);
    let setup = Setup::random(&mut rng);
    let mut ops = Vec::new();
    while !rng.is_done() && ops.len() < OPERATIONS_MAX {
        ops.push(random(&mut rng));
    }
    if ops.len() >= OPERATIONS_MIN {
        reach();
    }
    check_sequence(&setup, &ops, &against_the_reference);
}
