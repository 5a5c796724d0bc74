//! Rounds of the engine on a store that writes behind: each is a round trip that its caller waits for, or
//! that goes on beside it.

use std::time::{Duration, Instant};

use kvfs::{Access, At, Clock, Follow, Mode, OpenFlags, Options, Timestamp, Volume};
use kvfs_remote::Pace;
use kvfs_remote::testing::{Delayed, Memory, Rounds};

use crate::near::Near;

type Far = Near<Rounds<Delayed<Memory>>>;

struct NoClock;

impl Clock for NoClock {
    fn now(&mut self) -> Timestamp {
        Timestamp { seconds: 1, nanoseconds: 0 }
    }
}

fn far(delay: Duration) -> Far {
    Near::new(Rounds::new(Delayed::new(Memory::new(), delay)), Pace::DEFAULT)
}

fn open(store: &Far) -> Volume {
    let options = Options { volume: "v".to_owned(), mode: Mode::Close, ..Options::default() };
    Volume::open(Box::new(store.clone()), Box::new(NoClock), options).unwrap()
}

/// Unpacks so many files of 1 KiB into directories of a hundred, as an archive has them.
fn unpack(volume: &mut Volume, files: usize) {
    let root = volume.root().unwrap();
    let create = OpenFlags { create: true, ..OpenFlags::default() };
    let access = Access { write: true, ..Access::default() };
    for number in 0..files {
        if number % 100 == 0 {
            volume.create_directory_at(&root, &format!("d{}", number / 100)).unwrap();
        }
        let path = format!("d{}/file-{number}", number / 100);
        let file = volume.open_at(&root, &path, Follow::Yes, create, access).unwrap();
        volume.write(&file, At::Offset(0), &[number as u8; 1024]).unwrap();
        volume.close(file).unwrap();
    }
    volume.close(root).unwrap();
}

#[test]
fn unpacking_1000_small_files_takes_at_most_20_rounds() {
    let store = far(Duration::from_millis(1));
    let mut volume = open(&store);
    store.inner().reset();
    let begin = Instant::now();
    unpack(&mut volume, 1000);
    let unpacked = begin.elapsed();
    volume.sync_all().unwrap();
    let (rounds, calls) = (store.inner().rounds(), store.inner().calls());
    println!(
        "{rounds} rounds, {calls} calls; {unpacked:?} until the last close, {:?} until the sync",
        begin.elapsed()
    );
    assert!(rounds <= 20 && calls <= 20, "{rounds} rounds, {calls} calls");
}

#[test]
fn opening_a_volume_again_and_reading_a_file_takes_a_round_for_each_step() {
    let store = far(Duration::from_micros(100));
    unpack(&mut open(&store), 200);
    store.0.close().unwrap();
    let again = Near::new(store.inner().clone(), Pace::DEFAULT);
    again.inner().reset();
    let mut volume = open(&again);
    let opening = again.inner().rounds();
    assert!(opening <= 3, "{opening} rounds");
    let root = volume.root().unwrap();
    again.inner().reset();
    let access = Access { read: true, ..Access::default() };
    let file = volume.open_at(&root, "d1/file-150", Follow::Yes, OpenFlags::default(), access).unwrap();
    let mut bytes = Vec::new();
    volume.read(&file, 0, 4096, &mut bytes).unwrap();
    assert_eq!(bytes, [150; 1024]);
    assert!(again.inner().rounds() <= 3, "{} rounds", again.inner().rounds());
}
