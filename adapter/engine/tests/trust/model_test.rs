//! Random sequences against the reference.

use crate::run::run;
use crate::shrink::no_seed_fails;

#[test]
fn every_sequence_matches_the_reference() {
    no_seed_fails(20_000, 60, &run);
}

/// Random sequences prove little if most operations are refused.
#[test]
fn every_kind_of_operation_succeeds_often_enough() {
    use crate::run::Runner;
    use crate::store::TestStore;
    let mut done: std::collections::BTreeMap<String, (u32, u32)> = std::collections::BTreeMap::new();
    let mut applies = 0;
    for seed in 0..300 {
        let (setup, ops) = crate::shrink::case(seed, 60);
        let mut runner = Runner::new(&setup, TestStore::new(setup.limits), false).unwrap();
        for (index, op) in ops.iter().enumerate() {
            let ok = runner.step(index, op).unwrap();
            let text = format!("{op:?}");
            let kind = text.split([' ', '{']).next().unwrap_or_default().to_owned();
            let count = done.entry(kind).or_default();
            count.0 += u32::from(ok);
            count.1 += 1;
        }
        applies += runner.store.log_len();
    }
    println!("{applies} applies, {done:#?}");
    for (kind, (ok, all)) in &done {
        assert!(ok * 30 >= *all, "{kind}: {ok} of {all} succeed");
        assert!(*ok > 10, "{kind}: only {ok} succeed");
    }
}
