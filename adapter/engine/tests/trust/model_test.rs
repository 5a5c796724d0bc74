//! Random sequences against the reference.

use crate::run::run;
use crate::shrink::no_seed_fails;

#[test]
fn every_sequence_answers_and_leaves_what_the_reference_does() {
    no_seed_fails(20_000, 60, &run);
}
