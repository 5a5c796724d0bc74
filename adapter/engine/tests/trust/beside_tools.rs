//! Random sequences, with tools that fork the volume before any apply, and change, restore, rename and
//! remove the forks. The writer must not notice, and every fork must be what a kill at its moment would
//! have left.

use crate::faults::one_fault_on;
use crate::lower::split;
use crate::moments::Ran;
use crate::ops::{Op, Setup};
use crate::run::{Check, Runner};
use crate::shrink::{first_failure, no_seed_fails};
use crate::store::{Map, Sabotage, TestStore};
use crate::tools::{Tools, check_layers};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Counts of actions of tools, by kind.
static DONE: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

fn count(tools: &Tools) {
    let mut all = DONE.lock().unwrap();
    for (what, count) in tools.done() {
        *all.entry(what).or_default() += count;
    }
}

/// A number that the case determines, so that a failing sequence can be shrunk.
fn seed_of(setup: &Setup, ops: &[Op]) -> u64 {
    format!("{:?}{:?}", setup.limits, ops.first()).bytes().map(u64::from).sum()
}

fn run_beside(setup: &Setup, ops: &[Op]) -> Check {
    run_sabotaged(setup, ops, None)
}

fn run_sabotaged(setup: &Setup, ops: &[Op], sabotage: Option<Sabotage>) -> Check {
    let store = TestStore::new(setup.limits);
    store.0.borrow_mut().sabotage = sabotage;
    let tools = Tools::on(&store, setup, seed_of(setup, ops));
    let mut runner = Runner::new(setup, store.clone(), false)?;
    for (index, op) in ops.iter().enumerate() {
        runner.step(index, op)?;
    }
    runner.finish()?;
    count(&tools);
    drop(runner);
    tools.finish(&store)
}

#[test]
fn a_writer_beside_tools_matches_the_reference_and_every_fork_is_of_a_moment() {
    no_seed_fails(3_000, 60, &run_beside);
    let done = DONE.lock().unwrap().clone();
    println!("{done:?}");
    if std::env::var("KVFS_SEED").is_err() {
        for what in [
            "fork",
            "change",
            "remove",
            "restore",
            "rename",
            "collect",
            "flatten",
            "merge",
            "conflict",
            "merged path",
        ] {
            assert!(done.get(what).copied().unwrap_or_default() > 200, "{what}: {done:?}");
        }
    }
}

#[test]
fn a_writer_above_an_image_beside_tools_matches_the_reference() {
    no_seed_fails(1_500, 60, &|setup, ops| {
        let (setup, ops) = split(setup, ops)?;
        run_beside(&setup, ops)
    });
}

#[test]
fn sabotage_of_layers_is_noticed() {
    for kind in [
        Sabotage::NoTombstones,
        Sabotage::MiscountsUsers,
        Sabotage::SharesTops,
        Sabotage::LosesSuffix,
        Sabotage::LosesAnApply,
    ] {
        let check = |setup: &Setup, ops: &[Op]| run_sabotaged(setup, ops, Some(kind));
        let story = first_failure(0..200, 60, &check).unwrap_or_else(|| panic!("{kind:?} was not noticed"));
        println!("{kind:?}: {}", story.lines().next().unwrap_or_default());
    }
}

/// Checks every volume of a store.
fn check_all(map: &Map, setup: &Setup) -> Check {
    let mut store = TestStore::from_map(map.clone(), setup.limits);
    check_layers(&store)?;
    let mut names = Vec::new();
    kvfs::volumes::list(&mut store, &mut |name, info| {
        names.push(name.to_owned());
        info.map(drop)
    })
    .map_err(|error| format!("listing: {error:?}"))?;
    for name in names {
        let report = match &setup.base {
            Some(base) => kvfs::fsck_overlay(&mut store, &name, base.image.clone()),
            None => kvfs::fsck(&mut store, &name),
        };
        let report = report.map_err(|error| format!("fsck of {name}: {error:?}"))?;
        if let Some(finding) = report.findings.first() {
            return Err(format!("fsck of {name}: {finding}"));
        }
    }
    Ok(())
}

/// After each cut, every volume is sound, and the writer's is as it was at a moment not too old.
fn sweep_beside(setup: &Setup, ops: &[Op]) -> Check {
    let store = TestStore::new(setup.limits);
    let tools = Tools::on(&store, setup, seed_of(setup, ops));
    let mut ran = Ran::new(setup, ops, store.clone())?;
    let mut map = Map::new();
    for cut in 1..=ran.log.len() {
        ran.log[cut - 1].replay(&mut map);
        if cut < ran.first() {
            continue;
        }
        let found = check_all(&map, setup).and_then(|()| {
            let cut_store = TestStore::from_map(map.clone(), setup.limits);
            let mut volume = ran.open(&cut_store)?;
            let found = crate::tree::of_volume(&mut volume).map_err(|error| format!("reading: {error:?}"))?;
            let (lowest, highest) = ran.bounds(cut);
            let split = ran.is_split(cut);
            ran.check_found(&found, split, lowest, highest)
        });
        found.map_err(|what| format!("cut after apply {cut} of {}: {what}", ran.log.len()))?;
    }
    count(&tools);
    Ok(())
}

/// As [`run_beside`], with one fault of the store for the writer, or an outage.
fn fault_beside(setup: &Setup, ops: &[Op]) -> Check {
    let setup = &Setup { quota: None, ..setup.clone() };
    let store = TestStore::new(setup.limits);
    let tools = Tools::on(&store, setup, seed_of(setup, ops));
    one_fault_on(setup, ops, &store)?;
    count(&tools);
    tools.finish(&store)
}

#[test]
fn a_fault_of_the_writer_beside_tools_tears_nothing() {
    no_seed_fails(3_000, 50, &fault_beside);
}

#[test]
fn every_cut_beside_tools_leaves_sound_volumes_of_a_moment() {
    no_seed_fails(600, 40, &sweep_beside);
}
