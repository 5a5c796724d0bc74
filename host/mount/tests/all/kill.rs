//! A mount whose process is killed.

use crate::harness::{Place, available};
use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::Duration;

#[test]
fn what_was_synced_or_closed_survives_a_kill_in_the_middle_of_writes() {
    if !available() {
        return;
    }
    let place = Place::new();
    for round in 0..4_u64 {
        let served = place.mount("close");
        let root = place.mounted();
        let log = fs::OpenOptions::new().create(true).append(true).open(root.join("log")).unwrap();
        let before = log.metadata().unwrap().len();
        let closed = root.join(format!("closed-{round}"));
        fs::write(&closed, vec![7; 50_000]).unwrap();
        // Writes go on while the process is killed. Each line of the log counts once it is synced.
        let writer = thread::spawn(move || {
            let mut log = log;
            let mut synced = 0_u64;
            loop {
                let line = format!("{:0>63}\n", synced);
                let other = fs::File::create(root.join("other"));
                let wrote = other.and_then(|other| other.write_all_at(&[1; 9000], 1 << 20));
                let wrote = wrote.and_then(|()| log.write_all(line.as_bytes())).and_then(|()| log.sync_all());
                match wrote {
                    Ok(()) => synced += 1,
                    Err(_) => return synced,
                }
            }
        });
        thread::sleep(Duration::from_millis(300 + 130 * round));
        served.kill();
        let synced = writer.join().unwrap();
        assert!(synced > 0, "nothing was written before the kill");
        place.fsck();
        let served = place.mount("close");
        let log = fs::read(place.mounted().join("log")).unwrap();
        let found = &log[usize::try_from(before).unwrap()..];
        assert!(found.len() as u64 >= synced * 64, "{} bytes of {synced} synced lines", found.len());
        for (number, line) in found.chunks(64).enumerate().take(usize::try_from(synced).unwrap()) {
            assert_eq!(String::from_utf8_lossy(line), format!("{number:0>63}\n"));
        }
        assert_eq!(fs::read(&closed).unwrap(), vec![7; 50_000]);
        served.unmount();
        place.fsck();
        println!("round {round}: {synced} lines were synced, {} bytes found", found.len());
    }
}

#[test]
fn names_that_were_changed_survive_a_kill() {
    if !available() {
        return;
    }
    let place = Place::new();
    let served = place.mount("close");
    let root = place.mounted();
    fs::create_dir(root.join("made")).unwrap();
    fs::write(root.join("made/new"), "whole").unwrap();
    fs::rename(root.join("made/new"), root.join("made/file")).unwrap();
    std::os::unix::fs::symlink("file", root.join("made/link")).unwrap();
    fs::hard_link(root.join("made/file"), root.join("made/second")).unwrap();
    // This one is open without a name: nothing of it stays.
    let orphan = fs::File::create(root.join("orphan")).unwrap();
    (&orphan).write_all(&[3; 200_000]).unwrap();
    orphan.sync_all().unwrap();
    fs::remove_file(root.join("orphan")).unwrap();
    orphan.sync_all().unwrap();
    served.kill();
    drop(orphan);
    place.fsck();
    let served = place.mount("close");
    assert_eq!(fs::read(root.join("made/link")).unwrap(), b"whole");
    assert_eq!(fs::read(root.join("made/second")).unwrap(), b"whole");
    assert!(!root.join("made/new").exists() && !root.join("orphan").exists());
    served.unmount();
    place.fsck();
}
