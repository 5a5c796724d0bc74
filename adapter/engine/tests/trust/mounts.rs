//! Several volumes as one tree: how walks pass between them, and what they may not do.

use crate::fixture::write;
use crate::images::packed;
use crate::run::TestClock;
use crate::store::{LARGE, TestStore};
use kvfs::image::Image;
use kvfs::{
    Access, Code, Descriptor, Ending, Error, Follow, InodeNo, Kind, MountNo, MountSpec, Mounted, Mounts,
    OpenFlags, Options, Result, Start, Stat, Volume,
};

const READ: Access = Access { read: true, write: false, mutate_directory: true, sync: false };
const DIRECTORY: OpenFlags = OpenFlags { create: false, directory: true, exclusive: false, truncate: false };

pub(crate) fn spec(path: &str, volume: usize, read_only: bool) -> MountSpec {
    MountSpec { path: path.to_owned(), mounted: Mounted::Volume(volume), read_only, policy: None }
}

fn options(volume: &str) -> Options {
    Options { volume: volume.to_owned(), ..Options::default() }
}

/// A table of the volumes `v0`, `v1`, … of one store. Number 9 is an image.
fn table(specs: Vec<MountSpec>) -> (TestStore, Mounts) {
    let store = TestStore::new(LARGE);
    let mounts = table_on(&store, specs);
    (store, mounts)
}

/// As [`table`], on a store that may have the volumes already.
pub(crate) fn table_on(store: &TestStore, specs: Vec<MountSpec>) -> Mounts {
    let image = packed(|volume, root| {
        write(volume, root, "packed", b"in the image");
        volume.create_directory_at(root, "inside").unwrap();
        volume.symlink_at("../../outside", root, "inside/up").unwrap();
    });
    let given = store.clone();
    let open = move |number: usize| match number {
        9 => Volume::open_image(Image::open(image)?, Options::default()),
        number => {
            let options = options(&format!("v{number}"));
            Volume::open(Box::new(given.clone()), Box::new(TestClock::default()), options)
        }
    };
    Mounts::new(specs, Box::new(open)).unwrap()
}

/// A descriptor and the mount that it was opened through.
pub(crate) struct At(pub(crate) MountNo, pub(crate) Descriptor);

impl At {
    pub(crate) fn start(&self) -> (MountNo, Start) {
        (self.0, (&self.1).into())
    }
}

pub(crate) fn root(mounts: &mut Mounts) -> At {
    At(MountNo(0), mounts.volume(MountNo(0)).unwrap().root().unwrap())
}

pub(crate) fn open(mounts: &mut Mounts, at: &At, path: &str) -> At {
    let (mount, start) = at.start();
    let opened = mounts.walk(mount, start, path, |volume, start, path| {
        volume.open_at(start, path, Follow::Yes, DIRECTORY, READ)
    });
    let (mount, descriptor) = opened.unwrap();
    At(mount, descriptor)
}

pub(crate) fn stat(mounts: &mut Mounts, at: &At, path: &str) -> Result<(MountNo, Stat)> {
    let (mount, start) = at.start();
    mounts.walk(mount, start, path, |volume, start, path| volume.stat_at(start, path, Follow::Yes))
}

pub(crate) fn make(mounts: &mut Mounts, at: &At, path: &str) -> Result<()> {
    let (mount, start) = at.start();
    let made = mounts.walk(mount, start, path, |volume, start, path| volume.create_directory_at(start, path));
    made.map(drop)
}

pub(crate) fn remove(mounts: &mut Mounts, at: &At, path: &str) -> Result<()> {
    let (mount, start) = at.start();
    mounts.walk(mount, start, path, |volume, start, path| volume.remove_directory_at(start, path)).map(drop)
}

pub(crate) fn link(mounts: &mut Mounts, at: &At, target: &str, path: &str) {
    let (mount, start) = at.start();
    let made = mounts.walk(mount, start, path, |volume, start, path| volume.symlink_at(target, start, path));
    made.unwrap();
}

pub(crate) fn rename(mounts: &mut Mounts, at: &At, old: &str, new: &str) -> Result<()> {
    let (mount, start) = at.start();
    mounts.walk_both(
        (mount, start, old),
        (mount, start, new),
        (Ending::Name, Ending::Name),
        |volume, old, new| volume.rename_at(old.0, old.1, new.0, new.1),
    )
}

pub(crate) fn names(mounts: &mut Mounts, at: &At) -> Vec<String> {
    let volume = mounts.volume(at.0).unwrap();
    let found = crate::tree::list(volume, &at.1).unwrap();
    found.into_iter().map(|(name, ..)| name).collect()
}

pub(crate) fn code<T>(outcome: Result<T>) -> Code {
    match outcome {
        Ok(_) => panic!("it should have failed"),
        Err(error) => error.code(),
    }
}

#[test]
fn a_tree_of_volumes_is_walked_down_and_up() {
    let (_, mut mounts) =
        table(vec![spec("/", 0, false), spec("/data", 1, false), spec("/data/deep/er", 2, false)]);
    let top = root(&mut mounts);
    make(&mut mounts, &top, "outside").unwrap();
    make(&mut mounts, &top, "data/inner").unwrap();
    make(&mut mounts, &top, "data/deep/er/deepest").unwrap();
    let (mount, found) = stat(&mut mounts, &top, "data/deep/er/deepest").unwrap();
    assert_eq!((mount, found.kind), (MountNo(2), Kind::Directory));
    // A path's mount is where its walk ends, whichever way it takes.
    for (path, expected) in [
        ("data", MountNo(1)),
        ("data/", MountNo(1)),
        ("./data/.", MountNo(1)),
        ("data/..", MountNo(0)),
        ("data/../data/inner", MountNo(1)),
        ("data/deep/er/../..", MountNo(1)),
        ("data/deep/er/../../..", MountNo(0)),
        ("data/deep/er/../er/deepest/../../../../outside", MountNo(0)),
    ] {
        assert_eq!(stat(&mut mounts, &top, path).unwrap().0, expected, "{path}");
    }
    assert_eq!(stat(&mut mounts, &top, "data").unwrap().1.ino, InodeNo::ROOT);
    assert_eq!(code(stat(&mut mounts, &top, "data/deep/er/../../../..")), Code::NotPermitted);
    assert_eq!(code(stat(&mut mounts, &top, "data/missing/../..")), Code::NoEntry);
    // Mountpoints are listed.
    assert_eq!(names(&mut mounts, &top), ["data", "outside"]);
    let data = open(&mut mounts, &top, "data");
    assert_eq!(names(&mut mounts, &data), ["deep", "inner"]);
}

#[test]
fn no_path_leads_above_the_descriptor_it_starts_from() {
    let (_, mut mounts) =
        table(vec![spec("/", 0, false), spec("/a/b", 1, false), spec("/a/b/c/d", 2, false)]);
    let top = root(&mut mounts);
    make(&mut mounts, &top, "a/b/side").unwrap();
    let (a, b, c) =
        (open(&mut mounts, &top, "a"), open(&mut mounts, &top, "a/b"), open(&mut mounts, &top, "a/b/c"));
    for (base, path) in [
        (&a, ".."),
        (&a, "b/../.."),
        (&a, "b/c/d/../../../.."),
        (&b, ".."),
        (&b, "c/d/../../.."),
        (&b, "side/../.."),
        (&c, ".."),
        (&c, "d/../.."),
    ] {
        assert_eq!(code(stat(&mut mounts, base, path)), Code::NotPermitted, "{path}");
    }
    assert_eq!(stat(&mut mounts, &a, "b/..").unwrap().0, MountNo(0));
    assert_eq!(stat(&mut mounts, &b, "c/d/../..").unwrap().0, MountNo(1));
    assert_eq!(stat(&mut mounts, &c, "d/..").unwrap().1.ino, c.1.ino());
}

#[test]
fn symbolic_links_lead_across_mounts_and_share_one_budget() {
    let (_, mut mounts) = table(vec![spec("/", 0, false), spec("/data", 1, false), spec("/image", 9, true)]);
    let top = root(&mut mounts);
    make(&mut mounts, &top, "outside").unwrap();
    make(&mut mounts, &top, "data/inner").unwrap();
    link(&mut mounts, &top, "data/inner", "down");
    link(&mut mounts, &top, "../outside", "data/up");
    assert_eq!(stat(&mut mounts, &top, "down").unwrap().0, MountNo(1));
    assert_eq!(stat(&mut mounts, &top, "data/up").unwrap().0, MountNo(0));
    assert_eq!(stat(&mut mounts, &top, "image/inside/up").unwrap().0, MountNo(0));
    let data = open(&mut mounts, &top, "data");
    assert_eq!(code(stat(&mut mounts, &data, "up")), Code::NotPermitted, "above its descriptor");
    // Links that lead from one volume to the other and back are a loop.
    link(&mut mounts, &top, "data/pong", "ping");
    link(&mut mounts, &top, "../ping", "data/pong");
    assert_eq!(code(stat(&mut mounts, &top, "ping")), Code::Loop);
    // Forty links are followed, wherever they lie, and no more.
    for step in 1..=41 {
        let (path, target) = match step % 2 {
            0 => (format!("link{step}"), format!("data/link{}", step - 1)),
            _ => (format!("data/link{step}"), format!("../link{}", step - 1)),
        };
        link(&mut mounts, &top, &target, &path);
    }
    make(&mut mounts, &top, "link0").unwrap();
    assert_eq!(stat(&mut mounts, &top, "link40").unwrap().0, MountNo(0));
    assert_eq!(code(stat(&mut mounts, &top, "data/link41")), Code::Loop);
}

#[test]
fn mountpoints_cannot_be_moved_but_their_parents_can() {
    let (_, mut mounts) = table(vec![spec("/", 0, false), spec("/dir/point", 1, false)]);
    let top = root(&mut mounts);
    make(&mut mounts, &top, "dir/point/inner").unwrap();
    make(&mut mounts, &top, "other").unwrap();
    assert_eq!(code(remove(&mut mounts, &top, "dir/point")), Code::Busy);
    assert_eq!(code(remove(&mut mounts, &top, "dir/point/")), Code::Busy);
    assert_eq!(code(rename(&mut mounts, &top, "dir/point", "dir/moved")), Code::Busy);
    assert_eq!(code(rename(&mut mounts, &top, "other", "dir/point")), Code::Busy);
    assert_eq!(code(make(&mut mounts, &top, "dir/point")), Code::Exist);
    assert_eq!(code(remove(&mut mounts, &top, "dir")), Code::NotEmpty);
    let (mount, start) = top.start();
    let unlinked =
        mounts.walk(mount, start, "dir/point", |volume, start, path| volume.unlink_file_at(start, path));
    assert_eq!(code(unlinked), Code::IsDirectory);
    rename(&mut mounts, &top, "dir", "renamed").unwrap();
    assert_eq!(stat(&mut mounts, &top, "renamed/point/inner").unwrap().0, MountNo(1));
    assert_eq!(stat(&mut mounts, &top, "renamed/point/inner/../../../other").unwrap().0, MountNo(0));
}

#[test]
fn operations_on_two_paths_stay_in_one_mount() {
    let (_, mut mounts) = table(vec![
        spec("/", 0, false),
        spec("/data", 1, false),
        spec("/twin", 1, false),
        spec("/image", 9, true),
    ]);
    let top = root(&mut mounts);
    make(&mut mounts, &top, "here").unwrap();
    make(&mut mounts, &top, "data/there").unwrap();
    assert_eq!(code(rename(&mut mounts, &top, "here", "data/here")), Code::CrossDevice);
    assert_eq!(code(rename(&mut mounts, &top, "data/there", "here2")), Code::CrossDevice);
    assert_eq!(
        code(rename(&mut mounts, &top, "data/there", "twin/there2")),
        Code::CrossDevice,
        "as on Linux"
    );
    assert_eq!(code(rename(&mut mounts, &top, "here", "data/missing/x")), Code::NoEntry);
    rename(&mut mounts, &top, "data/there", "data/moved").unwrap();
    rename(&mut mounts, &top, "data/moved", "./data/../data/again").unwrap();
    assert_eq!(stat(&mut mounts, &top, "twin/again").unwrap().0, MountNo(3), "one volume, seen twice");
    let (mount, start) = top.start();
    let linked = mounts.walk_both(
        (mount, start, "image/packed"),
        (mount, start, "data/packed"),
        (Ending::Object(Follow::No), Ending::New),
        |volume, old, new| volume.link_at(old.0, old.1, Follow::No, new.0, new.1),
    );
    assert_eq!(code(linked), Code::CrossDevice);
}

fn unlink(mounts: &mut Mounts, at: &At, path: &str) -> Result<()> {
    let (mount, start) = at.start();
    mounts.walk(mount, start, path, |volume, start, path| volume.unlink_file_at(start, path)).map(drop)
}

fn create(mounts: &mut Mounts, at: &At, path: &str) -> Result<()> {
    let (mount, start) = at.start();
    let flags = OpenFlags { create: true, ..OpenFlags::default() };
    let access = Access { write: true, ..Access::default() };
    let made = mounts.walk(mount, start, path, |volume, start, path| {
        let file = volume.open_at(start, path, Follow::Yes, flags, access)?;
        volume.close(file)
    });
    made.map(drop)
}

/// Guest tests compare all of this with Linux.
#[test]
fn regression_slashes_behind_a_name_are_lost_across_a_mountpoint() {
    let (_, mut mounts) = table(vec![spec("/", 0, false), spec("/m", 1, false)]);
    let top = root(&mut mounts);
    make(&mut mounts, &top, "m/d").unwrap();
    create(&mut mounts, &top, "m/f").unwrap();
    link(&mut mounts, &top, "d", "m/ld");
    link(&mut mounts, &top, "m/new/", "to-new");
    link(&mut mounts, &top, "m/f/", "to-file");
    for way in ["m/", "m//", "m/../m/", "./m/d/../"] {
        let at = |name: &str| format!("{way}{name}");
        assert_eq!(code(unlink(&mut mounts, &top, &at("f/"))), Code::NotDirectory, "{way}");
        assert_eq!(code(unlink(&mut mounts, &top, &at("ld/"))), Code::NotDirectory, "{way}");
        assert_eq!(code(remove(&mut mounts, &top, &at("ld//"))), Code::NotDirectory, "{way}");
        assert_eq!(code(create(&mut mounts, &top, &at("new/"))), Code::IsDirectory, "{way}");
        assert_eq!(code(rename(&mut mounts, &top, &at("f"), &at("g/"))), Code::NotDirectory, "{way}");
        assert_eq!(code(rename(&mut mounts, &top, &at("f/"), &at("g"))), Code::NotDirectory, "{way}");
        make(&mut mounts, &top, &at("made/")).unwrap();
        remove(&mut mounts, &top, &at("made/")).unwrap();
    }
    assert_eq!(code(create(&mut mounts, &top, "to-new")), Code::IsDirectory);
    assert_eq!(code(create(&mut mounts, &top, "to-file")), Code::IsDirectory);
    assert_eq!(code(stat(&mut mounts, &top, "to-file")), Code::NotDirectory);
    assert_eq!(code(rename(&mut mounts, &top, "m/..", "x")), Code::CrossDevice, "the `..` is not resolved");
}

#[test]
fn an_error_of_one_path_comes_before_cross_device() {
    let (_, mut mounts) = table(vec![spec("/", 0, false), spec("/m", 1, false), spec("/read", 1, true)]);
    let top = root(&mut mounts);
    create(&mut mounts, &top, "f").unwrap();
    create(&mut mounts, &top, "m/f").unwrap();
    let link = |mounts: &mut Mounts, old: &str, new: &str| {
        let (mount, start) = top.start();
        let endings = (Ending::Object(Follow::No), Ending::New);
        code(mounts.walk_both((mount, start, old), (mount, start, new), endings, |volume, old, new| {
            volume.link_at(old.0, old.1, Follow::No, new.0, new.1)
        }))
    };
    assert_eq!(link(&mut mounts, "m/none", "f/x"), Code::NoEntry);
    assert_eq!(link(&mut mounts, "f/none", "m/x"), Code::NotDirectory);
    assert_eq!(link(&mut mounts, "m/f", "f"), Code::Exist);
    assert_eq!(link(&mut mounts, "f", "m/new/"), Code::NoEntry);
    assert_eq!(link(&mut mounts, "f", "read/new"), Code::ReadOnly);
    assert_eq!(link(&mut mounts, "f", "m/new"), Code::CrossDevice);
    assert_eq!(code(rename(&mut mounts, &top, "none", "m/new")), Code::CrossDevice);
    assert_eq!(code(rename(&mut mounts, &top, "f", "m/f/x")), Code::NotDirectory);
}

#[test]
fn a_read_only_mount_refuses_before_it_looks_at_the_object() {
    let (_, mut mounts) = table(vec![spec("/", 0, false), spec("/m", 1, false), spec("/read", 1, true)]);
    let top = root(&mut mounts);
    make(&mut mounts, &top, "m/d").unwrap();
    make(&mut mounts, &top, "m/d/sub").unwrap();
    for path in ["read/d", "read/none"] {
        assert_eq!(code(remove(&mut mounts, &top, path)), Code::ReadOnly, "{path}");
        assert_eq!(code(unlink(&mut mounts, &top, path)), Code::ReadOnly, "{path}");
        assert_eq!(code(rename(&mut mounts, &top, path, path)), Code::ReadOnly, "{path}");
    }
    assert_eq!(code(remove(&mut mounts, &top, "read/d/.")), Code::Invalid);
    assert_eq!(code(remove(&mut mounts, &top, "read/d/sub/..")), Code::NotEmpty);
    assert_eq!(code(unlink(&mut mounts, &top, "read/d/.")), Code::IsDirectory);
    assert_eq!(code(create(&mut mounts, &top, "read/d")), Code::IsDirectory);
    assert_eq!(code(create(&mut mounts, &top, "read/new")), Code::ReadOnly);
}

#[test]
fn read_only_concerns_the_mount_not_the_volume_or_mounts_below() {
    let (_, mut mounts) =
        table(vec![spec("/", 9, false), spec("/inside/rw", 1, false), spec("/inside/ro", 1, true)]);
    // The image has no directory to mount on, and none can be made.
    assert_eq!(mounts.volume(MountNo(0)).err(), Some(Error::ReadOnly));

    let (_, mut mounts) = table(vec![spec("/", 0, true), spec("/rw", 1, false), spec("/ro", 1, true)]);
    let top = root(&mut mounts);
    assert_eq!(code(make(&mut mounts, &top, "new")), Code::ReadOnly);
    make(&mut mounts, &top, "rw/new").unwrap();
    assert_eq!(code(make(&mut mounts, &top, "ro/new2")), Code::ReadOnly);
    assert_eq!(code(make(&mut mounts, &top, "ro/new")), Code::Exist, "comes first, as on Linux");
    assert_eq!(code(remove(&mut mounts, &top, "ro/new")), Code::ReadOnly);
    // An existing file opens, even with `create`. Nothing opens for writing.
    let (mount, start) = top.start();
    let create = OpenFlags { create: true, ..OpenFlags::default() };
    let write = Access { write: true, ..Access::default() };
    let mut try_open = |path: &str, flags, access| {
        let opened = mounts.walk(mount, start, path, |volume, start, path| {
            volume.open_at(start, path, Follow::Yes, flags, access)
        });
        opened.map(|(mount, descriptor)| At(mount, descriptor))
    };
    let file = try_open("rw/file", create, write).unwrap();
    let seen = try_open("ro/file", create, Access::default()).unwrap();
    assert_eq!(code(try_open("ro/file", OpenFlags::default(), write)), Code::ReadOnly);
    let truncate = OpenFlags { truncate: true, ..OpenFlags::default() };
    assert_eq!(code(try_open("ro/file", truncate, Access::default())), Code::ReadOnly);
    assert_eq!(code(try_open("ro/other", create, Access::default())), Code::ReadOnly);
    // Each descriptor remembers its mount, and both are on the same file.
    assert_eq!(mounts.volume(file.0).unwrap().write(&file.1, kvfs::At::End, b"seen"), Ok(4));
    let mut bytes = Vec::new();
    mounts.volume(seen.0).unwrap().read(&seen.1, 0, 10, &mut bytes).unwrap();
    assert_eq!(bytes, b"seen");
    let now = kvfs::SetTime::Now;
    assert_eq!(mounts.volume(seen.0).unwrap().set_times(&seen.1, now, now), Err(Error::ReadOnly));
}

#[test]
fn volumes_open_on_first_use_and_one_sync_stores_all() {
    let (store, mut mounts) = table(vec![
        spec("/", 0, false),
        spec("/one", 1, false),
        spec("/two", 2, false),
        spec("/image", 9, true),
    ]);
    let top = root(&mut mounts);
    assert!(mounts.opened(MountNo(1)).is_none() && mounts.opened(MountNo(3)).is_none());
    let applies = store.calls().applies;
    assert_eq!(stat(&mut mounts, &top, "image/packed").unwrap().1.size, 12);
    assert_eq!(store.calls().applies, applies, "the other volumes were touched");
    make(&mut mounts, &top, "one/x").unwrap();
    make(&mut mounts, &top, "two/y").unwrap();
    mounts.sync_all().unwrap();
    drop(mounts);
    for (volume, path) in [("v1", "x"), ("v2", "y")] {
        let clock = Box::new(TestClock::default());
        let mut volume = Volume::open(Box::new(store.clone()), clock, options(volume)).unwrap();
        let root = volume.root().unwrap();
        assert!(volume.stat_at(&root, path, Follow::No).is_ok());
    }
}

#[test]
fn a_volume_mounted_below_itself_shows_its_mountpoint_empty_the_second_time() {
    let (_, mut mounts) = table(vec![spec("/", 0, false), spec("/self", 0, false)]);
    let top = root(&mut mounts);
    make(&mut mounts, &top, "dir").unwrap();
    assert_eq!(stat(&mut mounts, &top, "self/dir").unwrap().0, MountNo(1));
    let (mount, found) = stat(&mut mounts, &top, "self/self").unwrap();
    assert_eq!((mount, found.size), (MountNo(1), 0));
    assert_eq!(code(stat(&mut mounts, &top, "self/self/dir")), Code::NoEntry);
    assert_eq!(code(remove(&mut mounts, &top, "self/self")), Code::Busy, "it is a mountpoint elsewhere");
}

#[test]
fn invalid_tables_are_refused() {
    let specs = [
        vec![],
        vec![spec("/a", 0, false)],
        vec![spec("/", 0, false), spec("/a", 0, false), spec("/a", 1, false)],
        vec![spec("/", 0, false), spec("a", 0, false)],
        vec![spec("/", 0, false), spec("/a/", 0, false)],
        vec![spec("/", 0, false), spec("/a//b", 0, false)],
        vec![spec("/", 0, false), spec("/a/../b", 0, false)],
        vec![spec("/", 64, false)],
        (0..65).map(|index| spec(&format!("/{index}"), 0, false)).chain([spec("/", 0, false)]).collect(),
    ];
    for specs in specs {
        let open = |_| Err(Error::Invalid);
        assert_eq!(Mounts::new(specs.clone(), Box::new(open)).err(), Some(Error::Invalid), "{specs:?}");
    }
}

/// A volume with a file and a symbolic link in its root, to be mounted over.
fn with_things_in_the_way() -> TestStore {
    let store = TestStore::new(LARGE);
    let clock = Box::new(TestClock::default());
    let mut volume = Volume::open(Box::new(store.clone()), clock, options("v0")).unwrap();
    let root = volume.root().unwrap();
    write(&mut volume, &root, "file", b"content");
    volume.symlink_at(".", &root, "link").unwrap();
    volume.sync_all().unwrap();
    store
}

fn mounted_over(store: &TestStore, path: &str) -> Mounts {
    let given = store.clone();
    let open = move |number: usize| {
        let clock = Box::new(TestClock::default());
        Volume::open(Box::new(given.clone()), clock, options(&format!("v{number}")))
    };
    Mounts::new(vec![spec("/", 0, false), spec(path, 1, false)], Box::new(open)).unwrap()
}

#[test]
fn a_file_in_a_mountpoints_place_stays_and_can_be_removed() {
    for path in ["/file", "/file/below"] {
        let store = with_things_in_the_way();
        let mut mounts = mounted_over(&store, path);
        let top = root(&mut mounts);
        assert_eq!(stat(&mut mounts, &top, "file").unwrap().1.size, 7, "{path}");
        assert_eq!(code(stat(&mut mounts, &top, "file/below")), Code::NotDirectory, "{path}");
        make(&mut mounts, &top, "dir").unwrap();
        assert_eq!(code(unlink(&mut mounts, &top, "file/")), Code::NotDirectory, "{path}");
        assert_eq!(code(create(&mut mounts, &top, "file/")), Code::IsDirectory, "{path}");
        unlink(&mut mounts, &top, "file").unwrap();
        mounts.sync_all().unwrap();
        let mut mounts = mounted_over(&store, path);
        let top = root(&mut mounts);
        assert_eq!(stat(&mut mounts, &top, &path[1..]).unwrap().0, MountNo(1), "{path}");
        assert_eq!(stat(&mut mounts, &top, "dir").unwrap().0, MountNo(0), "{path}");
    }
}

#[test]
fn a_link_in_a_mountpoints_place_is_an_error() {
    for path in ["/link", "/link/below"] {
        let mut mounts = mounted_over(&with_things_in_the_way(), path);
        assert_eq!(mounts.volume(MountNo(0)).err(), Some(Error::NotDirectory), "{path}");
    }
}
