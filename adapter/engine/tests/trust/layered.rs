//! Random sequences above an image. Volume and image look like one volume, whatever is cut and
//! however small the store is.

use crate::crash::sweep;
use crate::faults::{one_fault, outage};
use crate::lower::split;
use crate::ops::{Base, Op, Setup};
use crate::run::{Check, Runner, run};
use crate::shrink::{case, first_failure, no_seed_fails};
use crate::store::{Sabotage, TestStore, tag_of};

fn run_above(setup: &Setup, ops: &[Op]) -> Check {
    let (setup, ops) = split(setup, ops)?;
    run(&setup, ops)
}

#[test]
fn every_sequence_above_an_image_matches_the_reference() {
    no_seed_fails(6_000, 80, &run_above);
}

#[test]
fn every_cut_above_an_image_leaves_the_state_of_a_moment_not_before_the_last_promise() {
    no_seed_fails(1_000, 60, &|setup, ops| {
        let (setup, ops) = split(setup, ops)?;
        sweep(&setup, ops, None)
    });
}

#[test]
fn a_fault_or_an_outage_above_an_image_leaves_the_volume_usable() {
    no_seed_fails(2_000, 60, &|setup, ops| {
        let (setup, ops) = split(setup, ops)?;
        one_fault(&setup, ops)?;
        outage(&setup, ops)
    });
}

#[test]
fn sabotage_above_an_image_is_noticed() {
    for kind in
        [Sabotage::NoReapRecords, Sabotage::EntriesFirst, Sabotage::LosesAnApply, Sabotage::NoTombstones]
    {
        let check = |setup: &Setup, ops: &[Op]| {
            let (setup, ops) = split(setup, ops)?;
            sweep(&setup, ops, Some(kind))
        };
        let story = first_failure(0..400, 60, &check).unwrap_or_else(|| panic!("{kind:?} was not noticed"));
        println!("{kind:?}: {}", story.lines().next().unwrap_or_default());
    }
}

/// Sequences prove little if they leave the image alone.
#[test]
fn sequences_change_and_remove_files_of_the_image() {
    let (mut tombstones, mut above, mut packed) = (0, 0, 0);
    for seed in 0..200 {
        let (setup, ops) = case(seed, 80);
        let (setup, ops) = split(&setup, &ops).unwrap();
        let base: &Base = setup.base.as_deref().unwrap();
        packed += base.model.objects.len() - 1;
        let mut runner = Runner::new(&setup, TestStore::new(setup.limits), false).unwrap();
        for (index, op) in ops.iter().enumerate() {
            runner.step(index, op).unwrap();
        }
        runner.volume().sync_all().unwrap();
        for (key, value) in &runner.store.0.borrow().map {
            let is_tombstone = value.len() == 16 && value[9] == 0x40;
            tombstones += usize::from(is_tombstone);
            above += usize::from(!is_tombstone && tag_of(key) == 0x20);
        }
    }
    println!("{packed} objects below, {tombstones} tombstones and {above} extents above");
    assert!(packed > 500 && tombstones > 500 && above > 100, "{packed} {tombstones} {above}");
}
