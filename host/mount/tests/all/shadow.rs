//! Random operations on a file, against a copy of it in memory, as `fsx` does them.

use crate::harness::{Place, available, python};

/// Runs a number of seeds on files of up to `bytes`, and remounts after each: the bytes are still those.
fn run(mode: &str, bytes: &str, steps: &str, seeds: std::ops::Range<u64>) {
    if !available() {
        return;
    }
    let one = std::env::var("KVFS_SEED").ok().map(|seed| seed.parse().unwrap());
    let seeds = one.map_or(seeds, |seed: u64| seed..seed + 1);
    let place = Place::new();
    for seed in seeds {
        println!("mode {mode}, up to {bytes} bytes, KVFS_SEED={seed}");
        let seed = seed.to_string();
        let served = place.mount(mode);
        let copy = place.outside();
        let arguments = [&*seed, bytes, steps, copy.to_str().unwrap()];
        python("shadow.py", &arguments, &place.mounted());
        served.unmount();
        place.fsck();
        let served = place.mount(mode);
        python("shadow.py", &[&*seed, "compare", copy.to_str().unwrap()], &place.mounted());
        served.unmount();
    }
}

#[test]
fn small_files_are_what_was_written() {
    run("close", "6000", "600", 0..3);
}

#[test]
fn files_of_some_extents_are_what_was_written() {
    run("close", "300000", "500", 10..13);
}

#[test]
fn files_beyond_the_cache_are_what_was_written() {
    run("close", "24000000", "250", 20..21);
}

#[test]
fn files_are_what_was_written_in_the_other_modes() {
    run("lazy", "300000", "300", 30..31);
    run("strict", "60000", "120", 40..41);
}
