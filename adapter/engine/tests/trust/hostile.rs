//! A hostile guest: right codes, bounded memory, no panic.

use crate::fixture::{CREATE, WRITE, create, open_volume};
use crate::store::{LARGE, TestStore};
use kvfs::{
    Access, At, CacheLimits, Code, Descriptor, Follow, Mode, OpenFlags, Options, SetTime, Timestamp, Volume,
    fsck, limits,
};

fn open(options: Options) -> (TestStore, Volume, Descriptor) {
    let store = TestStore::new(LARGE);
    let (volume, root) = open_volume(&store, options);
    (store, volume, root)
}

fn code<T>(outcome: Result<T, kvfs::Error>) -> Option<Code> {
    outcome.err().map(|error| error.code())
}

/// The codes of all operations that take a path.
fn all_codes(volume: &mut Volume, root: &Descriptor, path: &str) -> Vec<Option<Code>> {
    vec![
        code(volume.open_at(root, path, Follow::Yes, CREATE, WRITE).map(|file| volume.close(file))),
        code(volume.stat_at(root, path, Follow::Yes)),
        code(volume.create_directory_at(root, path)),
        code(volume.remove_directory_at(root, path)),
        code(volume.unlink_file_at(root, path)),
        code(volume.rename_at(root, path, root, "x")),
        code(volume.link_at(root, path, Follow::No, root, "x")),
        code(volume.symlink_at("x", root, path)),
        code(volume.readlink_at(root, path)),
        code(volume.set_times_at(root, path, Follow::No, SetTime::Now, SetTime::Now)),
        code(volume.metadata_hash_at(root, path, Follow::Yes)),
    ]
}

#[test]
fn impossible_paths_have_the_same_code_in_every_operation() {
    let (store, mut volume, root) = open(Options::default());
    let table = [
        ("a".repeat(1 << 20), Code::NameTooLong),
        ("a/".repeat(1 << 19), Code::NameTooLong),
        ("../".repeat(1000), Code::NotPermitted),
        ("a".repeat(256), Code::NameTooLong),
        ("é".repeat(128), Code::NameTooLong),
        ("a\0b".to_owned(), Code::Invalid),
        ("\0".to_owned(), Code::Invalid),
        ("/".to_owned(), Code::NotPermitted),
        ("/a".to_owned(), Code::NotPermitted),
        ("..".to_owned(), Code::NotPermitted),
        ("./../a".to_owned(), Code::NotPermitted),
        (String::new(), Code::NoEntry),
    ];
    for (path, expected) in table {
        for (operation, found) in all_codes(&mut volume, &root, &path).into_iter().enumerate() {
            assert_eq!(found, Some(expected), "{:.20} in operation {operation}", path);
        }
    }
    assert_eq!((volume.used().inodes, volume.used().names), (1, 0));
    assert!(fsck(&mut store.clone(), "main").unwrap().is_clean());
}

#[test]
fn looping_and_growing_symbolic_links_end_in_an_error() {
    let (_, mut volume, root) = open(Options::default());
    volume.symlink_at("b", &root, "a").unwrap();
    volume.symlink_at("a", &root, "b").unwrap();
    volume.symlink_at("self/x", &root, "self").unwrap();
    volume.symlink_at(&format!("grow/{}", "x/".repeat(2000)), &root, "grow").unwrap();
    assert_eq!(code(volume.stat_at(&root, "a", Follow::Yes)), Some(Code::Loop));
    assert_eq!(code(volume.stat_at(&root, "a/x", Follow::No)), Some(Code::Loop));
    assert_eq!(code(volume.stat_at(&root, "self", Follow::Yes)), Some(Code::Loop));
    assert_eq!(code(volume.stat_at(&root, "grow", Follow::Yes)), Some(Code::NameTooLong));
    // Forty links are followed; forty-one are a loop.
    volume.create_directory_at(&root, "end").unwrap();
    volume.symlink_at("end", &root, "l0").unwrap();
    for number in 1..=limits::MAX_SYMLINK_DEPTH {
        volume.symlink_at(&format!("l{}", number - 1), &root, &format!("l{number}")).unwrap();
    }
    assert_eq!(code(volume.stat_at(&root, "l39", Follow::Yes)), None);
    assert_eq!(code(volume.stat_at(&root, "l40", Follow::Yes)), Some(Code::Loop));
    assert_eq!(code(volume.symlink_at("/etc/passwd", &root, "out")), Some(Code::NotPermitted));
    volume.symlink_at("../../outside", &root, "up").unwrap();
    assert_eq!(code(volume.stat_at(&root, "up", Follow::Yes)), Some(Code::NotPermitted));
}

#[test]
fn regression_a_rename_far_down_loads_the_whole_path_into_memory() {
    let depth = 100_000;
    let cache = CacheLimits { inodes: 1000, dentries: 1000, ..CacheLimits::default() };
    let (store, mut volume, root) = open(Options { mode: Mode::Lazy, cache, ..Options::default() });
    let flags = OpenFlags { directory: true, ..OpenFlags::default() };
    let mut at = volume.reopen(&root).unwrap();
    for _ in 0..depth {
        volume.create_directory_at(&at, "d").unwrap();
        let next = volume.open_at(&at, "d", Follow::No, flags, Access::default()).unwrap();
        volume.close(std::mem::replace(&mut at, next)).unwrap();
    }
    assert_eq!((volume.used().inodes, volume.used().names), (depth + 1, depth));
    // A move into itself, from the very bottom.
    assert_eq!(code(volume.rename_at(&root, "d", &at, "x")), Some(Code::Invalid));
    volume.close(at).unwrap();
    volume.sync_all().unwrap();
    let report = fsck(&mut store.clone(), "main").unwrap();
    assert!(report.is_clean() && report.inodes == depth + 1);
    let (inodes, dentries, _) = volume.memory();
    assert!(inodes <= 3000 && dentries <= 3000, "{inodes} inodes and {dentries} entries in memory");
}

#[test]
fn far_offsets_allocate_nothing() {
    let (store, mut volume, root) = open(Options::default());
    let file = create(&mut volume, &root, "a");
    assert_eq!(code(volume.write(&file, At::Offset(1 << 63), b"x")), Some(Code::FileTooLarge));
    assert_eq!(code(volume.write(&file, At::Offset(u64::MAX), b"x")), Some(Code::FileTooLarge));
    assert_eq!(code(volume.set_size(&file, 1 << 63)), Some(Code::FileTooLarge));
    let empty = volume.used();
    assert_eq!(empty.inodes, 2);
    volume.set_size(&file, (1 << 63) - 1).unwrap();
    assert_eq!(volume.used(), empty);
    assert_eq!(code(volume.write(&file, At::End, b"x")), Some(Code::FileTooLarge));
    assert_eq!(volume.write(&file, At::Offset((1 << 63) - 2), b"x"), Ok(1));
    let mut bytes = Vec::new();
    assert_eq!(volume.read(&file, 1 << 62, usize::MAX, &mut bytes), Ok(limits::MAX_READ_BYTES));
    assert_eq!(volume.read(&file, u64::MAX, usize::MAX, &mut bytes), Ok(0));
    volume.will_need(&file, 0, u64::MAX).unwrap();
    assert!(volume.used().bytes <= empty.bytes + (32 << 10));
    volume.set_size(&file, 5).unwrap();
    volume.set_size(&file, 0).unwrap();
    volume.close(file).unwrap();
    volume.sync_all().unwrap();
    assert!(store.0.borrow().map.len() < 10);
    assert!(fsck(&mut store.clone(), "main").unwrap().is_clean());
}

#[test]
fn descriptors_are_refused_at_their_limit_and_can_be_reused() {
    let (_, mut volume, root) = open(Options::default());
    let file = create(&mut volume, &root, "a");
    let mut held = Vec::new();
    let refused = loop {
        match volume.reopen(&file) {
            Ok(descriptor) => held.push(descriptor),
            Err(error) => break error,
        }
        assert!(held.len() <= limits::MAX_OPEN_DESCRIPTORS as usize);
    };
    assert_eq!(refused.code(), Code::InsufficientMemory);
    assert_eq!(held.len(), limits::MAX_OPEN_DESCRIPTORS as usize - 2);
    assert_eq!(
        code(volume.open_at(&root, "b", Follow::No, CREATE, WRITE).map(drop)),
        Some(Code::InsufficientMemory)
    );
    assert_eq!(code(volume.stat_at(&root, "b", Follow::No)), Some(Code::NoEntry), "nothing was created");
    volume.close(held.pop().unwrap()).unwrap();
    held.push(volume.reopen(&file).unwrap());
    for descriptor in held {
        volume.close(descriptor).unwrap();
    }
}

/// Lists a directory of 200,000 entries while it changes, with a bounded cache.
#[test]
fn a_directory_of_200_000_entries_is_listed_while_it_changes() {
    let count = 200_000;
    let cache =
        CacheLimits { extent_bytes: 1 << 20, inodes: 1000, dentries: 20_000, ..CacheLimits::default() };
    let (store, mut volume, root) = open(Options { mode: Mode::Lazy, cache, ..Options::default() });
    let name = |number: u32| format!("{number:06}");
    let mut most = 0;
    for number in 0..count {
        let file = create(&mut volume, &root, &name(number));
        volume.close(file).unwrap();
        most = most.max(volume.memory().1);
    }
    // The cache bounds clean names; up to 10,000 dirty ones may wait beside it.
    assert!(most <= 20_000 + 10_000, "{most} entries in memory");
    let mut listing = volume.read_directory(&root).unwrap();
    let mut seen = Vec::new();
    while let Some(entry) = volume.next_entry(&mut listing).unwrap() {
        let number: u32 = entry.name.parse().unwrap();
        seen.push(number);
        // Some names are removed before their turn.
        if number.is_multiple_of(999) && number + 7 < count {
            volume.unlink_file_at(&root, &name(number + 7)).unwrap();
        }
    }
    volume.close_directory(listing).unwrap();
    assert!(seen.is_sorted() && seen.windows(2).all(|pair| pair[0] != pair[1]), "a name listed twice");
    let gone = |number: u32| number >= 7 && (number - 7).is_multiple_of(999);
    let expected: Vec<u32> = (0..count).filter(|number| !gone(*number)).collect();
    assert!(seen == expected, "{} listed, {} expected", seen.len(), expected.len());
    volume.sync_all().unwrap();
    assert!(fsck(&mut store.clone(), "main").unwrap().is_clean());
}

/// Dirty data is bounded even if a guest never syncs or closes.
#[test]
fn memory_is_bounded_while_a_guest_only_writes() {
    let cache = CacheLimits { extent_bytes: 1 << 20, inodes: 100, dentries: 100, inode_bytes: 0 };
    let max_dirty_bytes = 1 << 20;
    let (store, mut volume, root) = open(Options {
        mode: Mode::Lazy,
        cache,
        max_dirty_bytes,
        max_dirty_age_nanoseconds: u64::MAX,
        ..Options::default()
    });
    let file = create(&mut volume, &root, "a");
    let data = vec![7; 1 << 20];
    for number in 0..50 {
        volume.write(&file, At::Offset(number << 20), &data).unwrap();
        let (_, _, bytes) = volume.memory();
        assert!(bytes <= (1 << 20) + max_dirty_bytes + (2 << 20), "{bytes} bytes in memory");
    }
    let mut bytes = Vec::new();
    for offset in (0..50 << 20).step_by(1 << 20) {
        bytes.clear();
        volume.read(&file, offset, 1 << 20, &mut bytes).unwrap();
        assert!(bytes == data);
    }
    volume.close(file).unwrap();
    volume.sync_all().unwrap();
    assert!(fsck(&mut store.clone(), "main").unwrap().is_clean());
}

#[test]
fn times_at_the_ends_of_time_are_kept() {
    let (store, mut volume, root) = open(Options::default());
    for seconds in [i64::MIN, -1, 0, i64::MAX] {
        let time = Timestamp { seconds, nanoseconds: 999_999_999 };
        volume.set_times_at(&root, ".", Follow::No, SetTime::At(time), SetTime::At(time)).unwrap();
        let (mut again, root_again) = open_volume(&store, Options::default());
        assert_eq!(again.stat(&root_again).unwrap().mtime, time);
        again.close(root_again).unwrap();
        volume = again;
    }
}

#[test]
fn links_are_refused_at_their_limit() {
    let (_, mut volume, root) = open(Options { mode: Mode::Lazy, ..Options::default() });
    let file = create(&mut volume, &root, "a");
    volume.close(file).unwrap();
    for number in 1..limits::MAX_LINKS {
        volume.link_at(&root, "a", Follow::No, &root, &number.to_string()).unwrap();
    }
    assert_eq!(code(volume.link_at(&root, "a", Follow::No, &root, "x")), Some(Code::TooManyLinks));
}

/// Small files lie in their inodes, whose bytes are bounded whether they are open or not.
#[test]
fn regression_bytes_of_small_files_in_memory_are_not_bounded() {
    let inode_bytes = 1 << 20;
    for (mode, held) in [(Mode::Close, true), (Mode::Close, false), (Mode::Lazy, true)] {
        let cache = CacheLimits { inode_bytes, ..CacheLimits::default() };
        let (store, mut volume, root) = open(Options { mode, cache, ..Options::default() });
        // In mode `lazy` as many bytes may be dirty as a commit holds.
        let dirty = if mode == Mode::Lazy { 16 << 20 } else { 4096 };
        let most = inode_bytes + inode_bytes / 4 + dirty;
        let (mut files, mut peak) = (Vec::new(), 0);
        let bytes_of = |number: u32| vec![number as u8; 4096];
        for number in 0..10_000 {
            let file = create(&mut volume, &root, &format!("{number}"));
            volume.write(&file, At::Offset(0), &bytes_of(number)).unwrap();
            if held {
                // Closing a second descriptor stores the file in mode `close`.
                let again = create(&mut volume, &root, &format!("{number}"));
                volume.close(again).unwrap();
                files.push(file);
            } else {
                volume.close(file).unwrap();
            }
            peak = peak.max(volume.memory().2);
        }
        assert!(peak <= most, "{mode:?}, held open {held}: {peak} bytes in memory");
        for (number, file) in (0_u32..).zip(&files).step_by(7) {
            let mut bytes = Vec::new();
            volume.read(file, 0, 5000, &mut bytes).unwrap();
            assert!(bytes == bytes_of(number), "file {number}");
            // Contents dropped from memory must not be stored as empty.
            volume.write(file, At::Offset(0), b"x").unwrap();
            volume.set_times(file, SetTime::Now, SetTime::Now).unwrap();
        }
        for file in files {
            volume.close(file).unwrap();
        }
        volume.sync_all().unwrap();
        volume.stat(&root).unwrap();
        assert!(volume.memory().2 <= inode_bytes, "after a sync nothing is dirty");
        let (mut again, root) = open_volume(&store, Options::default());
        for number in (0..10_000_u32).step_by(7) {
            let path = format!("{number}");
            let file = again.open_at(&root, &path, Follow::No, OpenFlags::default(), WRITE).unwrap();
            let mut bytes = Vec::new();
            again.read(&file, 0, 5000, &mut bytes).unwrap();
            let mut expected = bytes_of(number);
            if held {
                expected[0] = b'x';
            }
            assert!(bytes == expected, "file {number} in the store");
            again.close(file).unwrap();
        }
        assert!(fsck(&mut store.clone(), "main").unwrap().is_clean());
    }
}

/// A guest renames each listed entry to a name that the listing has yet to pass. The listing must
/// end once it has told the entries that were there.
#[test]
fn regression_a_listing_never_ends_while_its_entries_are_renamed_ahead_of_it() {
    for count in [1, 100, 4097, 6000] {
        let cache = CacheLimits { dentries: 1000, ..CacheLimits::default() };
        let (_, mut volume, root) = open(Options { mode: Mode::Lazy, cache, ..Options::default() });
        for number in 0..count {
            // Every tenth entry keeps its name.
            let name = if number % 10 == 9 { format!("{number:06} stays") } else { format!("{number:06}") };
            let file = create(&mut volume, &root, &name);
            volume.close(file).unwrap();
        }
        let mut listing = volume.read_directory(&root).unwrap();
        let (mut told, mut stays) = (0, std::collections::BTreeSet::new());
        while let Some(entry) = volume.next_entry(&mut listing).unwrap() {
            told += 1;
            assert!(told <= count, "more entries listed than there were: {entry:?}");
            if entry.name.ends_with("stays") {
                assert!(stays.insert(entry.name.to_string()), "{entry:?} twice");
                // The entry is replaced, but the name is present throughout.
                let file = create(&mut volume, &root, "replacement");
                volume.close(file).unwrap();
                let number: u32 = entry.name[..6].parse().unwrap();
                let next = format!("{:06} stays", number + 10);
                if number + 10 < count {
                    volume.rename_at(&root, "replacement", &root, &next).unwrap();
                }
            } else {
                // Renamed right behind the listed entry, or far behind.
                let far = told % 2 == 0;
                let to = if far { format!("~{}", entry.name) } else { format!("{}!", entry.name) };
                volume.rename_at(&root, &entry.name, &root, &to).unwrap();
            }
        }
        volume.close_directory(listing).unwrap();
        assert_eq!((told, stays.len() as u32), (count, count / 10));
    }
}
