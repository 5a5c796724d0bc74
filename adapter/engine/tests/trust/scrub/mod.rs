//! No secret of a volume gets into its store, however it is split over writes, files, extents and
//! names.

mod masks;
mod order;
mod policy;
mod watch;
mod world;

use crate::lower::base_of;
use crate::ops::{Base, Setup};
use crate::rng::Rng;
use crate::run::{Check, TestClock};
use crate::store::TestStore;
use kvfs::Scope;
use kvfs::image::{Image, pack};
use masks::Clear;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use world::{World, write_old};

static LOOKED: AtomicUsize = AtomicUsize::new(0);
static MASKED: AtomicUsize = AtomicUsize::new(0);

/// Secrets that overlap each other and themselves, of which one is longer than two extents.
fn random_secrets(rng: &mut Rng) -> Clear {
    let letters = |rng: &mut Rng, length: u64, of: u64| -> Vec<u8> {
        (0..length).map(|_| b"abcd"[rng.below(of) as usize]).collect()
    };
    let long = 1024 - rng.below(300);
    let mut secrets =
        vec![letters(rng, 8, 2), letters(rng, 12, 2), letters(rng, 30, 4), b"abababab".to_vec()];
    secrets.push(letters(rng, long, 4));
    secrets.truncate(1 + rng.below(5) as usize);
    if rng.chance(2) {
        secrets.push(letters(rng, long, 4));
    }
    let patterns = |pattern: &str| vec![pattern.to_owned()];
    let scope = match rng.below(4) {
        0 => Scope::Except(patterns("open-*")),
        1 => Scope::Only(patterns("file-*")),
        _ => Scope::All,
    };
    Clear { secrets, scope }
}

/// A setup above an image whose files have secrets.
fn above_image(setup: Setup, clear: &Clear, rng: &mut Rng) -> Result<Setup, String> {
    let base = base_of(&setup, &[])?;
    let mut store = TestStore::new(setup.limits);
    let opened = setup.open(Box::new(store.clone()), Box::new(TestClock::default()), setup.options());
    let written = opened.and_then(|volume| write_old(volume, clear, rng));
    let packed = written.and_then(|()| pack(&mut store, "v", "with secrets"));
    let bytes: &'static [u8] = packed.map_err(|error| format!("packing: {error:?}"))?.leak();
    let image = Image::open(bytes).map_err(|error| format!("the image: {error:?}"))?;
    Ok(Setup { base: Some(Rc::new(Base { image, bytes, ..base })), ..setup })
}

fn run(seed: u64) -> Check {
    let mut rng = Rng::new(seed);
    let setup = Setup { quota: None, scan_entries_max: u32::MAX, scrubs: false, ..Setup::random(&mut rng) };
    let clear = random_secrets(&mut rng);
    let setup = if rng.chance(4) { above_image(setup, &clear, &mut rng)? } else { setup };
    let mut world = World::new(setup, clear, &mut rng)?;
    for step in 0..80 {
        world.step(&mut rng).map_err(|what| format!("step {step}: {what}\n{:?}", world.setup))?;
    }
    LOOKED.fetch_add(world.watch.looked, Ordering::Relaxed);
    MASKED.fetch_add(world.masked, Ordering::Relaxed);
    Ok(())
}

#[test]
fn no_split_of_a_secret_brings_it_into_the_store() {
    let seeds = std::env::var("KVFS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = seeds.map_or(0..400, |seed: u64| seed..seed + 1);
    let alone = seeds.end - seeds.start == 1;
    for seed in seeds {
        if let Err(what) = run(seed) {
            panic!("KVFS_SEED={seed}: {what}");
        }
    }
    let (looked, masked) = (LOOKED.load(Ordering::Relaxed), MASKED.load(Ordering::Relaxed));
    println!("{looked} states of stores read, {masked} writes masked");
    assert!(alone || (looked > 1000 && masked > 1000), "{looked} states read, {masked} writes masked");
}
