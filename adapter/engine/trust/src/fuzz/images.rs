//! Hostile images: forged records laid out as an image whose own bytes are changed too, with or
//! without right checksums. Opening and using an image must end without a panic.

use super::forge::forge;
use super::samples::samples;
use super::stores::{bounded, max_calls_of_a_repair, walk_with};
use crate::guest::Guest;
use crate::ops::{Op, Setup, random};
use crate::rng::Rng;
use crate::run::TestClock;
use crate::store::{LARGE, TestStore};
use kvfs::fuzzing::{image_of, reseal_image};
use kvfs::image::Image;
use kvfs::{RepairOptions, Volume, fsck_overlay, repair_overlay};

/// Calls that an operation, an opening or a check may make to the store above the image. The
/// image's own records cost none.
const MAX_STORE_CALLS: u64 = 5_000;

/// Returns whether the image was used. Leaks it, as a component does.
pub fn run(data: &[u8]) -> bool {
    let mut rng = Rng::from_bytes(data);
    let samples = samples();
    let mut map = samples[rng.below(samples.len() as u64) as usize].clone();
    let setup = Setup::random(&mut rng);
    for _ in 0..rng.below(6) {
        forge(&mut map, &mut rng);
    }
    let records: Vec<_> = map.iter().map(|(key, value)| (key.clone(), value.to_vec())).collect();
    let Some(mut bytes) = image_of("v", &records) else { return false };
    // Most changes hit the header and the blocks at the front: they decide most.
    for _ in 0..rng.below(4) {
        let within = if rng.chance(3) { bytes.len() } else { bytes.len().min(48 + 40 * records.len()) };
        let at = rng.below(within as u64) as usize;
        bytes[at] = if rng.chance(2) { rng.below(256) as u8 } else { bytes[at] ^ (1 << rng.below(8)) };
    }
    if rng.chance(10) {
        bytes.truncate(rng.below(bytes.len() as u64) as usize);
    }
    if !rng.chance(4) {
        reseal_image(&mut bytes);
    }
    let Ok(mut image) = Image::open(bytes.leak()) else { return false };
    let _ = image.verify();
    let store = TestStore::new(setup.limits);
    if let Ok(mut guest) = Volume::open_image(image.clone(), setup.options()).and_then(Guest::new) {
        walk_with(&mut |op| drop(guest.act(op)));
    }
    bounded(&store, MAX_STORE_CALLS);
    let clock = Box::new(TestClock::default());
    let volume = Volume::open_overlay(Box::new(store.clone()), clock, image.clone(), setup.options());
    let Ok(mut guest) = volume.and_then(Guest::new) else { return false };
    let mut act = |op: &Op| {
        bounded(&store, MAX_STORE_CALLS);
        // Any answer is acceptable.
        let _ = guest.act(op);
    };
    walk_with(&mut act);
    (0..30).for_each(|_| act(&random(&mut rng)));
    act(&Op::Sync);
    bounded(&store, MAX_STORE_CALLS);
    let _ = fsck_overlay(&mut store.clone(), "v", image.clone());
    // A repair of records forged in the store must end too. Damage of the image itself may stay.
    let mut map = store.0.borrow().map.clone();
    forge(&mut map, &mut rng);
    let store = TestStore::from_map(map, LARGE);
    bounded(&store, max_calls_of_a_repair(records.len()));
    let options = RepairOptions { accept_loss: true };
    let _ = repair_overlay(&mut store.clone(), &mut TestClock::default(), "v", image, options);
    true
}
