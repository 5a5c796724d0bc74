//! What a policy lets be done, and the ways around it.
//!
//! Each test runs in three trees: the policy is on the mount at `/`, on one below it, and on one
//! below that.

use crate::mounts::{self, At};
use crate::store::{LARGE, TestStore};
use kvfs::{
    Access, At as Offset, Code, Descriptor, Ending, Follow, MountNo, MountSpec, Mounts, OpenFlags, Policy,
    Result, Rights, SetTime, Start, Timestamp, Volume,
};
use std::rc::Rc;

const MOUNTS: [&str; 3] = ["/", "/m", "/m/n/o"];

const READ: Access = Access { read: true, write: false, mutate_directory: true, sync: false };
const WRITE: Access = Access { write: true, read: false, ..READ };
const BOTH: Access = Access { write: true, ..READ };
const FLAGS: OpenFlags = OpenFlags { create: false, directory: false, exclusive: false, truncate: false };
const CREATE: OpenFlags = OpenFlags { create: true, ..FLAGS };
const TRUNCATE: OpenFlags = OpenFlags { truncate: true, ..FLAGS };

/// A tree with a policy on one of its mounts.
struct Tree {
    mounts: Mounts,
    top: At,
    /// The path of the mount, with a slash behind it.
    prefix: String,
}

type Outcome<T = ()> = std::result::Result<T, Code>;

impl Tree {
    fn open(store: &TestStore, mount: &str, policy: Option<&Policy>, read_only: bool) -> Self {
        let spec = |(number, path): (usize, &&str)| {
            let here = *path == mount;
            let policy = policy.filter(|_| here).cloned().map(Rc::new);
            MountSpec { policy, ..mounts::spec(path, number, here && read_only) }
        };
        let mut mounts = mounts::table_on(store, MOUNTS.iter().enumerate().map(spec).collect());
        let top = mounts::root(&mut mounts);
        let prefix = mount.trim_start_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { mounts, top, prefix }
    }

    /// Does an operation at a path of the mount.
    fn at<T>(
        &mut self,
        path: &str,
        operation: impl FnMut(&mut Volume, Start, &str) -> Result<T>,
    ) -> Outcome<(MountNo, T)> {
        let (mount, start) = self.top.start();
        let path = format!("{}{path}", self.prefix);
        self.mounts.walk(mount, start, &path, operation).map_err(|error| error.code())
    }

    fn file(&mut self, path: &str, flags: OpenFlags, access: Access) -> Outcome<At> {
        let (mount, file) =
            self.at(path, |volume, start, path| volume.open_at(start, path, Follow::Yes, flags, access))?;
        Ok(At(mount, file))
    }

    fn with<T>(&mut self, at: &At, work: impl FnOnce(&mut Volume, &Descriptor) -> Result<T>) -> Outcome<T> {
        self.mounts.volume(at.0).and_then(|volume| work(volume, &at.1)).map_err(|error| error.code())
    }

    /// Opens and closes a file.
    fn try_open(&mut self, path: &str, flags: OpenFlags, access: Access) -> Outcome {
        let At(mount, file) = self.file(path, flags, access)?;
        self.mounts.volume(mount).unwrap().close(file).map_err(|error| error.code())
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> Outcome {
        let file = self.file(path, CREATE, WRITE)?;
        self.with(&file, |volume, file| volume.write(file, Offset::End, bytes))?;
        self.mounts.volume(file.0).unwrap().close(file.1).map_err(|error| error.code())
    }

    fn read(&mut self, path: &str) -> Outcome<Vec<u8>> {
        let file = self.file(path, FLAGS, READ)?;
        let mut bytes = Vec::new();
        self.with(&file, |volume, file| volume.read(file, 0, 100, &mut bytes))?;
        self.mounts.volume(file.0).unwrap().close(file.1).unwrap();
        Ok(bytes)
    }

    fn mkdir(&mut self, path: &str) -> Outcome {
        self.at(path, |volume, start, path| volume.create_directory_at(start, path)).map(drop)
    }

    fn symlink(&mut self, target: &str, path: &str) -> Outcome {
        self.at(path, |volume, start, path| volume.symlink_at(target, start, path)).map(drop)
    }

    fn readlink(&mut self, path: &str) -> Outcome<String> {
        self.at(path, |volume, start, path| volume.readlink_at(start, path)).map(|(_, target)| target)
    }

    fn unlink(&mut self, path: &str) -> Outcome {
        self.at(path, |volume, start, path| volume.unlink_file_at(start, path)).map(drop)
    }

    fn rmdir(&mut self, path: &str) -> Outcome {
        self.at(path, |volume, start, path| volume.remove_directory_at(start, path)).map(drop)
    }

    fn stat(&mut self, path: &str) -> Outcome<kvfs::Stat> {
        self.at(path, |volume, start, path| volume.stat_at(start, path, Follow::Yes)).map(|(_, stat)| stat)
    }

    fn hash(&mut self, path: &str) -> Outcome {
        self.at(path, |volume, start, path| volume.metadata_hash_at(start, path, Follow::No)).map(drop)
    }

    fn times(&mut self, path: &str) -> Outcome {
        let time = SetTime::At(Timestamp { seconds: 7, nanoseconds: 0 });
        self.at(path, |volume, start, path| volume.set_times_at(start, path, Follow::Yes, time, time))
            .map(drop)
    }

    fn both<T>(
        &mut self,
        (old, new): (&str, &str),
        endings: (Ending, Ending),
        operation: impl FnOnce(&mut Volume, (Start, &str), (Start, &str)) -> Result<T>,
    ) -> Outcome {
        let (mount, start) = self.top.start();
        let (old, new) = (format!("{}{old}", self.prefix), format!("{}{new}", self.prefix));
        let done = self.mounts.walk_both((mount, start, &old), (mount, start, &new), endings, operation);
        done.map(drop).map_err(|error| error.code())
    }

    fn rename(&mut self, old: &str, new: &str) -> Outcome {
        self.both((old, new), (Ending::Name, Ending::Name), |volume, old, new| {
            volume.rename_at(old.0, old.1, new.0, new.1)
        })
    }

    fn link(&mut self, old: &str, new: &str) -> Outcome {
        let endings = (Ending::Object(Follow::Yes), Ending::New);
        self.both((old, new), endings, |volume, old, new| {
            volume.link_at(old.0, old.1, Follow::Yes, new.0, new.1)
        })
    }

    fn names(&mut self, path: &str) -> Outcome<Vec<String>> {
        let flags = OpenFlags { directory: true, ..FLAGS };
        let directory = self.file(path, flags, READ)?;
        self.with(&directory, |volume, directory| {
            let mut stream = volume.read_directory(directory)?;
            let mut names = Vec::new();
            while let Some(entry) = volume.next_entry(&mut stream)? {
                names.push(entry.name.to_string());
            }
            names.sort();
            volume.close_directory(stream)?;
            Ok(names)
        })
    }
}

/// Runs a test with the policy on each of the mounts, on a tree that was filled without it.
fn everywhere(policy: Policy, fill: impl Fn(&mut Tree), test: impl Fn(&mut Tree)) {
    for mount in MOUNTS {
        let store = TestStore::new(LARGE);
        let mut plain = Tree::open(&store, mount, None, false);
        fill(&mut plain);
        plain.mounts.sync_all().unwrap();
        drop(plain);
        println!("the policy is on {mount}");
        test(&mut Tree::open(&store, mount, Some(&policy), false));
    }
}

const DENIED: Outcome = Err(Code::NotPermitted);
const ABSENT: Outcome = Err(Code::NoEntry);
const COPY: Outcome = Err(Code::CrossDevice);

fn policy(default: Rights, rules: &[&str]) -> Policy {
    let mut policy = Policy::new(default);
    rules.iter().for_each(|rule| policy.add_line(rule).unwrap());
    policy
}

#[test]
fn each_right_gives_its_operations_and_no_others() {
    let rules = [
        "dir-read lists",
        "dir-mutate makes",
        "dir-mutate makes/**",
        "file-read reads/*",
        "file-write writes/*",
    ];
    let fill = |tree: &mut Tree| {
        for directory in ["lists", "makes", "reads", "writes"] {
            tree.mkdir(directory).unwrap();
            tree.write(&format!("{directory}/file"), b"bytes").unwrap();
        }
    };
    everywhere(policy(Rights::NONE, &rules), fill, |tree| {
        // Nothing is needed to see what there is, and to walk there.
        for directory in ["lists", "makes", "reads", "writes"] {
            let file = format!("{directory}/file");
            assert_eq!(tree.stat(&file).unwrap().size, 5);
            assert_eq!(tree.hash(&file), Ok(()));
            let names =
                if directory == "lists" { Ok(vec!["file".to_owned()]) } else { Err(Code::NotPermitted) };
            assert_eq!(tree.names(directory), names);
            let is = |wanted| if directory == wanted { Ok(()) } else { DENIED };
            assert_eq!(tree.try_open(&file, FLAGS, READ), is("reads"), "{file}");
            assert_eq!(tree.try_open(&file, CREATE, READ), is("reads"), "{file}");
            assert_eq!(tree.try_open(&file, FLAGS, WRITE), is("writes"), "{file}");
            assert_eq!(tree.try_open(&file, FLAGS, BOTH), DENIED, "{file}");
            assert_eq!(tree.try_open(&file, TRUNCATE, READ), DENIED, "{file}");
            assert_eq!(tree.times(&file), is("writes"), "{file}");
            assert_eq!(tree.times(directory), is("makes"), "{directory}");
            let new = |name: &str| format!("{directory}/{name}");
            assert_eq!(tree.mkdir(&new("dir")), is("makes"));
            assert_eq!(tree.symlink("file", &new("soft")), is("makes"));
            assert_eq!(tree.link(&file, &new("hard")), is("makes"));
            assert_eq!(tree.rename(&file, &new("moved")), is("makes"));
            // What cannot be opened is not made either.
            assert_eq!(tree.try_open(&new("made"), CREATE, WRITE), DENIED);
            assert_eq!(tree.stat(&new("made")).map(drop), ABSENT);
        }
        assert_eq!(tree.unlink("makes/moved"), Ok(()));
        assert_eq!(tree.unlink("makes/soft"), Ok(()));
        assert_eq!(tree.rmdir("makes/dir"), Ok(()));
        assert_eq!(tree.unlink("writes/file"), DENIED);
        assert_eq!(tree.try_open("writes/file", TRUNCATE, WRITE), Ok(()));
        assert_eq!(tree.stat("writes/file").unwrap().size, 0);
    });
}

#[test]
fn a_name_is_changed_only_if_both_it_and_its_directory_allow_it() {
    let rules = ["file-read dir/fixed", "file-read+file-write+dir-read closed", "all closed/free"];
    let fill = |tree: &mut Tree| {
        tree.mkdir("dir").unwrap();
        tree.mkdir("closed").unwrap();
        for file in ["dir/fixed", "dir/other", "closed/free", "closed/other"] {
            tree.write(file, b"bytes").unwrap();
        }
    };
    everywhere(policy(Rights::ALL, &rules), fill, |tree| {
        for fixed in ["dir/fixed", "closed/free", "closed/other"] {
            assert_eq!(tree.unlink(fixed), DENIED, "{fixed}");
            assert_eq!(tree.rename(fixed, "dir/new"), DENIED, "{fixed}");
            assert_eq!(tree.rename("dir/other", fixed), DENIED, "{fixed}");
        }
        assert_eq!(tree.mkdir("closed/new"), DENIED);
        assert_eq!(tree.rename("dir/other", "dir/new"), Ok(()));
        // A rule about a path keeps the directories above it in their places.
        assert_eq!(tree.rename("dir", "dir2"), COPY);
        assert_eq!(tree.rename("closed", "closed2"), DENIED);
        assert_eq!(tree.read("dir/fixed"), Ok(b"bytes".to_vec()));
    });
}

#[test]
fn other_names_give_no_more_rights() {
    let rules =
        ["file-read+dir-mutate conf/**", "dir-mutate conf/secret/**", "file-read+file-write conf/pinned"];
    let fill = |tree: &mut Tree| {
        for directory in ["conf", "conf/secret", "free", "conf/dir"] {
            tree.mkdir(directory).unwrap();
        }
        for file in ["conf/main", "conf/secret/key", "free/file", "conf/dir/file"] {
            tree.write(file, b"bytes").unwrap();
        }
        tree.symlink("../conf/main", "free/link").unwrap();
        tree.symlink("../conf/secret", "free/door").unwrap();
    };
    everywhere(policy(Rights::ALL, &rules), fill, |tree| {
        for (old, new) in
            [("conf/main", "free/main"), ("conf/secret/key", "conf/key"), ("conf/main", "conf/pinned")]
        {
            assert_eq!(tree.link(old, new), if new == "conf/pinned" { DENIED } else { COPY }, "{old}");
            assert_eq!(tree.rename(old, new), if new == "conf/pinned" { DENIED } else { COPY }, "{old}");
        }
        // With fewer rights, or the same.
        assert_eq!(tree.link("free/file", "conf/less"), Ok(()));
        assert_eq!(tree.link("conf/less", "conf/same"), Ok(()));
        assert_eq!(tree.link("conf/less", "free/more"), COPY);
        assert_eq!(tree.rename("conf/same", "conf/secret/lesser"), Ok(()));
        // A directory moves only to where the same rules hold.
        assert_eq!(tree.rename("conf/dir", "free/dir"), COPY);
        assert_eq!(tree.rename("free", "conf/free"), COPY);
        assert_eq!(tree.rename("conf/dir", "conf/dir2"), Ok(()));
        // A link leads to the rights of its target.
        assert_eq!(tree.read("free/link"), Ok(b"bytes".to_vec()));
        assert_eq!(tree.try_open("free/link", FLAGS, WRITE), DENIED);
        assert_eq!(tree.try_open("free/link", TRUNCATE, READ), DENIED);
        assert_eq!(tree.times("free/link"), DENIED);
        assert_eq!(tree.try_open("free/door/key", FLAGS, READ), DENIED);
        assert_eq!(tree.try_open("free/../free/door/../main", FLAGS, WRITE), DENIED);
        assert_eq!(tree.link("free/link", "free/through"), COPY);
    });
}

#[test]
fn a_hidden_path_is_absent() {
    let rules = ["hide **/.env", "hide secret", "all secret/open", "hide pages/2*"];
    let fill = |tree: &mut Tree| {
        for directory in ["secret", "dir", "pages", "empty"] {
            tree.mkdir(directory).unwrap();
        }
        for file in [".env", "dir/.env", "dir/file", "secret/open", "empty/.env"] {
            tree.write(file, b"bytes").unwrap();
        }
        for number in 0..1500 {
            tree.mkdir(&format!("pages/{number}")).unwrap();
        }
        tree.symlink(".env", "dir/to").unwrap();
        tree.symlink("../secret/open", "dir/in").unwrap();
        tree.symlink("../secret", "dir/door").unwrap();
    };
    everywhere(policy(Rights::ALL, &rules), fill, |tree| {
        for hidden in [
            ".env",
            "dir/.env",
            "secret",
            "secret/open",
            "secret/..",
            "secret/../dir",
            "dir/door/../dir",
            "dir/door/open",
        ] {
            assert_eq!(tree.stat(hidden).map(drop), ABSENT, "{hidden}");
            assert_eq!(tree.hash(hidden), if hidden == "dir/door" { Ok(()) } else { ABSENT }, "{hidden}");
            assert_eq!(tree.try_open(hidden, FLAGS, READ), ABSENT, "{hidden}");
            assert_eq!(tree.try_open(hidden, FLAGS, WRITE), ABSENT, "{hidden}");
            assert_eq!(tree.try_open(hidden, TRUNCATE, WRITE), ABSENT, "{hidden}");
            assert_eq!(tree.times(hidden), ABSENT, "{hidden}");
            assert_eq!(tree.link(hidden, "new"), ABSENT, "{hidden}");
            assert_eq!(tree.names(hidden).map(drop), ABSENT, "{hidden}");
        }
        assert_eq!(tree.stat("dir/to").map(drop), ABSENT);
        assert_eq!(tree.stat("dir/in").map(drop), ABSENT);
        assert_eq!(tree.readlink("dir/to"), Ok(".env".to_owned()));
        // Whether there is anything or not, the answers are the same.
        for hidden in ["dir/.env", "pages/.env", "secret"] {
            assert_eq!(tree.unlink(hidden), ABSENT, "{hidden}");
            assert_eq!(tree.rmdir(hidden), ABSENT, "{hidden}");
            assert_eq!(tree.rename(hidden, "new"), ABSENT, "{hidden}");
            assert_eq!(tree.readlink(hidden).map(drop), ABSENT, "{hidden}");
            for access in [READ, WRITE, BOTH] {
                for exclusive in [false, true] {
                    let flags = OpenFlags { exclusive, ..CREATE };
                    assert_eq!(tree.try_open(hidden, flags, access), DENIED, "{hidden}");
                }
            }
            assert_eq!(tree.mkdir(hidden), DENIED, "{hidden}");
            assert_eq!(tree.symlink("x", hidden), DENIED, "{hidden}");
            assert_eq!(tree.link("dir/file", hidden), DENIED, "{hidden}");
            assert_eq!(tree.rename("dir/file", hidden), DENIED, "{hidden}");
            assert_eq!(tree.rename("empty", hidden), DENIED, "{hidden}");
        }
        assert!(!tree.names("").unwrap_or_default().contains(&"secret".to_owned()));
        assert_eq!(tree.names("dir").unwrap(), ["door", "file", "in", "to"]);
        assert_eq!(tree.names("pages").unwrap().len(), 1500 - 111);
        // What is known of it: its directory is not empty, and counts it.
        assert_eq!(tree.names("empty").unwrap(), [""; 0]);
        assert_eq!(tree.rmdir("empty"), Err(Code::NotEmpty));
        assert_eq!(tree.stat("empty").unwrap().size, 1);
        // It moves with its directory, and stays hidden.
        assert_eq!(tree.rename("empty", "dir/empty"), Ok(()));
        assert_eq!(tree.stat("dir/empty/.env").map(drop), ABSENT);
    });
}

#[test]
fn descriptors_keep_what_they_were_opened_with() {
    let rules = ["file-read+file-write free/file", "file-read kept/**", "none dir"];
    let fill = |tree: &mut Tree| {
        for directory in ["free", "kept", "dir"] {
            tree.mkdir(directory).unwrap();
        }
        for file in ["free/file", "free/other", "kept/file", "dir/file"] {
            tree.write(file, b"bytes").unwrap();
        }
    };
    everywhere(policy(Rights::ALL, &rules), fill, |tree| {
        let reader = tree.file("kept/file", FLAGS, READ).unwrap();
        assert_eq!(
            tree.with(&reader, |volume, file| volume.write(file, Offset::End, b"x")),
            Err(Code::BadDescriptor)
        );
        assert_eq!(tree.with(&reader, |volume, file| volume.set_size(file, 0)), Err(Code::Invalid));
        let now = SetTime::Now;
        assert_eq!(
            tree.with(&reader, |volume, file| volume.set_times(file, now, now)),
            Err(Code::NotPermitted)
        );
        let again = tree.with(&reader, |volume, file| volume.reopen(file)).unwrap();
        let again = At(reader.0, again);
        assert_eq!(
            tree.with(&again, |volume, file| volume.set_times(file, now, now)),
            Err(Code::NotPermitted)
        );
        // A directory that may not be listed is a start of paths all the same.
        let directory = tree.file("dir", OpenFlags { directory: true, ..FLAGS }, READ).unwrap();
        assert_eq!(
            tree.with(&directory, |volume, at| volume.read_directory(at).map(drop)),
            Err(Code::NotPermitted)
        );
        assert_eq!(
            tree.with(&directory, |volume, at| volume.set_times(at, now, now)),
            Err(Code::NotPermitted)
        );
        assert_eq!(
            tree.with(&directory, |volume, at| volume.unlink_file_at(at, "file")),
            Err(Code::NotPermitted)
        );
        assert_eq!(
            tree.with(&directory, |volume, at| volume.create_directory_at(at, "d")),
            Err(Code::NotPermitted)
        );
        assert_eq!(
            tree.with(&directory, |volume, at| volume.stat_at(at, "file", Follow::No)).unwrap().size,
            5
        );
        // A writer goes on when its file gets a name with fewer rights.
        let writer = tree.file("free/other", FLAGS, BOTH).unwrap();
        tree.rename("free/other", "kept/other").unwrap_err();
        tree.rename("free/other", "free/renamed").unwrap();
        assert_eq!(tree.with(&writer, |volume, file| volume.write(file, Offset::End, b"x")), Ok(1));
    });
}

#[test]
fn a_read_only_mount_says_so_before_its_policy_does() {
    let policy = policy(Rights::DIR_READ, &["hide hidden"]);
    for mount in MOUNTS {
        let store = TestStore::new(LARGE);
        let mut plain = Tree::open(&store, mount, None, false);
        plain.write("file", b"bytes").unwrap();
        plain.write("hidden", b"bytes").unwrap();
        plain.mounts.sync_all().unwrap();
        let mut tree = Tree::open(&store, mount, Some(&policy), true);
        let read_only: Outcome = Err(Code::ReadOnly);
        assert_eq!(tree.unlink("file"), read_only);
        assert_eq!(tree.mkdir("new"), read_only);
        assert_eq!(tree.mkdir("hidden"), read_only);
        assert_eq!(tree.times("file"), read_only);
        assert_eq!(tree.rename("file", "new"), read_only);
        assert_eq!(tree.try_open("file", FLAGS, WRITE), read_only);
        assert_eq!(tree.try_open("file", FLAGS, READ), DENIED);
        assert_eq!(tree.stat("hidden").map(drop), ABSENT);
        assert_eq!(tree.unlink("hidden"), read_only);
    }
}

#[test]
fn directories_above_a_mountpoint_stay_if_there_are_rules() {
    let store = TestStore::new(LARGE);
    let policy = policy(Rights::ALL, &["dir-read other/*"]);
    let mut tree = Tree::open(&store, "/m", Some(&policy), false);
    assert_eq!(tree.mkdir("dir"), Ok(()));
    assert_eq!(tree.rename("dir", "dir2"), Ok(()));
    assert_eq!(tree.rename("n", "n2"), Err(Code::Busy));
    assert_eq!(tree.rename("n", "n"), Ok(()), "to itself");
    drop(tree);
    let mut tree = Tree::open(&store, "/m", None, false);
    assert_eq!(tree.rename("n", "n2"), Ok(()));
}

#[test]
fn a_policy_reads_what_it_writes_and_names_its_errors() {
    let rights = Rights::DIR_READ | Rights::FILE_WRITE;
    assert_eq!(rights.to_string(), "dir-read+file-write");
    for text in ["none", "all", "dir-read", "dir-mutate+file-read", "dir-read+dir-mutate+file-read"] {
        assert_eq!(text.parse::<Rights>().unwrap().to_string(), text);
    }
    for text in ["", "+", "all+dir-read", "read", "dir-read+", "Dir-Read", "hide"] {
        assert!(text.parse::<Rights>().is_err(), "{text}");
    }
    let mut policy = Policy::new(Rights::DIR_READ);
    policy.add_line("hide **/.env").unwrap();
    policy.add_line("all a b").unwrap();
    let rules: Vec<String> = policy.rules().map(|(grant, pattern)| format!("{grant} {pattern}")).collect();
    assert_eq!(rules, ["hide **/.env", "all a b"]);
    for (line, error) in [
        ("hide", "a rule is rights and a pattern"),
        ("read a", "there is no such right"),
        ("hide a//b", "two slashes"),
        ("hide ", "empty"),
    ] {
        let found = policy.add_line(line).unwrap_err().to_string();
        assert!(found.contains(error), "{line}: {found}");
    }
    assert_eq!(policy.rules().len(), 2, "a refused rule leaves nothing behind");
}

#[test]
fn through_another_mount_of_its_volume_a_file_moves_by_the_rules_of_that_mount() {
    let store = TestStore::new(LARGE);
    let names = Rights::DIR_READ | Rights::DIR_MUTATE;
    let a = policy(names, &["file-read+dir-mutate open/**"]);
    let b = policy(names, &[]);
    let table = |ruled: bool| {
        let given = |policy: &Policy| ruled.then(|| Rc::new(policy.clone()));
        mounts::table_on(
            &store,
            vec![
                mounts::spec("/", 0, false),
                MountSpec { policy: given(&a), ..mounts::spec("/a", 1, false) },
                MountSpec { policy: given(&b), ..mounts::spec("/b", 1, false) },
            ],
        )
    };
    let tree = |ruled| {
        let mut mounts = table(ruled);
        let top = mounts::root(&mut mounts);
        Tree { mounts, top, prefix: String::new() }
    };
    let mut plain = tree(false);
    plain.mkdir("a/open").unwrap();
    plain.mkdir("a/secret").unwrap();
    plain.write("a/secret/file", b"secret").unwrap();
    plain.mounts.sync_all().unwrap();
    drop(plain);
    let mut ruled = tree(true);
    assert_eq!(ruled.read("a/secret/file"), Err(Code::NotPermitted));
    assert_eq!(ruled.read("b/secret/file"), Err(Code::NotPermitted));
    assert_eq!(ruled.rename("a/secret/file", "a/open/file"), Err(Code::CrossDevice));
    // SEMANTICS says so, and what to do.
    assert_eq!(ruled.rename("b/secret/file", "b/open/file"), Ok(()));
    assert_eq!(ruled.read("a/open/file"), Ok(b"secret".to_vec()));
}

#[test]
fn through_another_mount_of_its_volume_no_directory_on_the_way_to_a_mountpoint_moves() {
    let store = TestStore::new(LARGE);
    let names = Rights::DIR_READ | Rights::DIR_MUTATE;
    let table = |ruled: bool| {
        let hides = policy(names, &["hide secret", "hide secret/**"]);
        let mounts = mounts::table_on(
            &store,
            vec![
                mounts::spec("/", 0, false),
                MountSpec { policy: ruled.then(|| Rc::new(hides)), ..mounts::spec("/a", 1, false) },
                mounts::spec("/a/outer/inner/point", 2, false),
                mounts::spec("/b", 1, false),
            ],
        );
        let mut mounts = mounts;
        let top = mounts::root(&mut mounts);
        Tree { mounts, top, prefix: String::new() }
    };
    for ruled in [true, false] {
        let mut tree = table(ruled);
        // The mounts make their directories.
        assert_eq!(tree.read("a/outer/inner/point/none"), Err(Code::NoEntry));
        let _ = tree.mkdir("b/secret");
        for held in ["b/outer", "b/outer/inner", "b/outer/inner/point"] {
            assert_eq!(tree.rename(held, "b/secret/moved"), Err(Code::Busy), "{held}");
        }
        tree.mkdir("b/outer/beside").unwrap();
        assert_eq!(tree.rename("b/outer/beside", "b/secret/moved"), Ok(()));
        tree.mounts.sync_all().unwrap();
        // Through the mount that shows the mountpoint, as Linux does, unless there are rules.
        let moved = tree.rename("a/outer", "a/other");
        assert_eq!(moved, if ruled { Err(Code::Busy) } else { Ok(()) });
    }
}
