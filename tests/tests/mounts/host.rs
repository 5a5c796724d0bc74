//! Directories of the host beside volumes and images.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::{Steps, WAYS, joined_with, store, tree};
use kvfs_compose::Provider;
use kvfs_host::MemoryStore;
use kvfs_tests::{guests, stock};

const DIR: &str = "DescriptorType::Directory";
const FILE: &str = "DescriptorType::RegularFile";

/// Runs steps with a directory preopened as `shared`, and compares the outcome of each.
#[track_caller]
pub(super) fn expect(steps: &Steps, dir: &Path, store: &Arc<MemoryStore>, expected: &[(&str, &str)]) {
    let words: Vec<&str> = expected.iter().map(|(step, _)| *step).collect();
    let output = steps.program(store, &words).preopen(dir, "shared").run().unwrap();
    let expected: Vec<String> = expected.iter().map(|(step, seen)| format!("{step}: {seen}")).collect();
    assert_eq!(output.stdout.lines().collect::<Vec<_>>(), expected, "{output:#?}");
}

#[test]
fn a_directory_of_the_host_lies_in_a_volume() {
    for link in WAYS {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("given"), "from the host").unwrap();
        let steps = Steps::new(link, &["/=kv", "/work=host:shared"], dir.path());
        let store = store();
        expect(
            &steps,
            dir.path(),
            &store,
            &[
                ("ls .", &format!("[{DIR} work]")),
                ("ls work", &format!("[{FILE} given]")),
                ("cat work/given", "\"from the host\""),
                ("read work/given", "\"from the host\""),
                ("write work/new text", "ok"),
                ("append work/new +more", "ok"),
                ("cat work/new", "\"text+more\""),
                ("mkdir work/sub", "ok"),
                ("mv work/new work/sub/moved", "ok"),
                ("ln work/given work/second", "ok"),
                ("names work/given", "2"),
                ("symlink sub/moved work/link", "ok"),
                ("cat work/link", "\"text+more\""),
                ("readlink work/link", "sub/moved"),
                ("write own mine", "ok"),
                ("mv own work/own", "error cross-device"),
                ("ln own work/own", "error cross-device"),
                ("mv work/given given", "error cross-device"),
                ("copy own work/own", "ok"),
                ("copy work/sub/moved back", "ok"),
                ("cat back", "\"text+more\""),
                ("splice own work/spliced", "4 ok"),
                ("splice work/given spliced", "13 ok"),
                ("cat spliced", "\"from the host\""),
                ("cat work/../own", "\"mine\""),
                ("cat work/sub/../../own", "\"mine\""),
                ("cat work/../../own", "error not-permitted"),
                ("cat work/missing", "error no-entry"),
                ("rmdir work", "error busy"),
                ("same work/given work/second", "true"),
                ("same work/given own", "false"),
                ("same-inode work/given own", "false"),
                ("in work/sub", "ok"),
                ("cat moved", "\"text+more\""),
                ("cat ../given", "error not-permitted"),
                ("rm moved", "ok"),
            ],
        );
        assert_eq!(fs::read_to_string(dir.path().join("own")).unwrap(), "mine");
        assert_eq!(fs::read_to_string(dir.path().join("spliced")).unwrap(), "mine");
        assert!(!dir.path().join("sub/moved").exists());
        assert_eq!(fs::read_link(dir.path().join("link")).unwrap(), Path::new("sub/moved"));
    }
}

/// Streams of host files are the host's own, all others are ours: both must report a stream's end
/// alike.
#[test]
fn a_stream_stays_at_its_end_on_every_kind_of_mount() {
    let packed = tempfile::tempdir().unwrap();
    tree(packed.path());
    for link in WAYS {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), "12345").unwrap();
        let steps = Steps::new(link, &["/=kv", "/work=host:shared", "/over=overlay:{}:over"], packed.path());
        let grown = "[error closed, \"more\"]";
        expect(
            &steps,
            dir.path(),
            &store(),
            &[
                ("write f 12345", "ok"),
                ("read-grow-read f more", grown),
                ("read-grow-read work/f more", grown),
                ("read-grow-read over/top more", grown),
                ("read-grow-read over/large more", grown),
                ("cat f", "\"12345more\""),
                ("cat work/f", "\"12345more\""),
                ("cat over/top", "\"threemore\""),
            ],
        );
    }
}

#[test]
fn volumes_and_images_lie_in_a_directory_of_the_host() {
    let packed = tempfile::tempdir().unwrap();
    tree(packed.path());
    for link in WAYS {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("sub/file"), "host").unwrap();
        let mounts = ["/=host:shared", "/sub/kv=kv", "/pack/image=image:{}", "/sub/kv/again=host:shared,ro"];
        let steps = Steps::new(link, &mounts, packed.path());
        let store = store();
        expect(
            &steps,
            dir.path(),
            &store,
            &[
                ("ls .", &format!("[{DIR} pack, {DIR} sub]")),
                ("ls sub", &format!("[{FILE} file, {DIR} kv]")),
                ("cat pack/image/lib/a", "\"one\""),
                ("write sub/kv/f in-the-store", "ok"),
                ("cat sub/kv/f", "\"in-the-store\""),
                ("cat sub/kv/../file", "\"host\""),
                ("cat sub/kv/../../pack/image/top", "\"three\""),
                ("cat sub/kv/again/sub/file", "\"host\""),
                ("cat sub/kv/again/../f", "\"in-the-store\""),
                ("cat sub/kv/../../../f", "error not-permitted"),
                ("symlink sub/kv/f link", "ok"),
                ("cat link", "\"in-the-store\""),
                ("mv sub/file sub/kv/file", "error cross-device"),
                ("rmdir sub/kv", "error busy"),
                ("mv sub/kv other", "error busy"),
                ("mkdir sub/kv", "error exist"),
                ("write sub/kv/again/sub/file x", "error read-only"),
                ("rm sub/kv/again/sub/file", "error read-only"),
                ("in sub", "ok"),
                ("cat kv/f", "\"in-the-store\""),
                ("cat kv/../file", "\"host\""),
                ("cat kv/../../sub/file", "error not-permitted"),
                ("in kv", "ok"),
                ("cat f", "\"in-the-store\""),
                ("cat ../file", "error not-permitted"),
            ],
        );
        assert!(!dir.path().join("sub/kv/f").exists());
    }
}

#[test]
fn a_directory_of_the_host_mounted_read_only_refuses_changes() {
    for link in WAYS {
        let dir = tempfile::tempdir().unwrap();
        tree(dir.path());
        let before: Vec<_> = names(dir.path());
        let steps = Steps::new(link, &["/=kv", "/in=host:shared,ro"], dir.path());
        expect(
            &steps,
            dir.path(),
            &store(),
            &[
                ("cat in/lib/a", "\"one\""),
                ("cat in/link", "\"one\""),
                ("ls in/lib/sub", &format!("[{FILE} b]")),
                ("open-to-change in/lib", "ok"),
                ("create in/new", "error read-only"),
                ("write in/top x", "error read-only"),
                ("truncate in/top", "error read-only"),
                ("resize in/top 0", "error read-only"),
                ("mkdir in/new", "error read-only"),
                ("rmdir in/lib/sub", "error read-only"),
                ("rm in/top", "error read-only"),
                ("mv in/top in/other", "error read-only"),
                ("ln in/top in/other", "error read-only"),
                ("symlink top in/other", "error read-only"),
                ("set-time in/top", "error read-only"),
                ("cat in/absolute", "error not-permitted"),
                ("in in/lib", "ok"),
                ("rm a", "error read-only"),
                ("mkdir x", "error read-only"),
            ],
        );
        assert_eq!(names(dir.path()), before);
        assert_eq!(fs::read_to_string(dir.path().join("top")).unwrap(), "three");
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_map_shows_only_the_files_it_names() {
    for link in WAYS {
        let dir = tempfile::tempdir().unwrap();
        tree(dir.path());
        let mounts = [
            "/=kv",
            "/etc=host:shared,file=conf=lib/a,file=none=missing,file=d=lib,file=t=top",
            "/etc/x=kv:x",
        ];
        let steps = Steps::new(link, &mounts, dir.path());
        expect(
            &steps,
            dir.path(),
            &store(),
            &[
                ("ls etc", &format!("[{FILE} conf, {FILE} t, {DIR} x]")),
                ("cat etc/conf", "\"one\""),
                ("write etc/conf ONE", "ok"),
                ("cat etc/top", "error no-entry"),
                ("cat etc/lib/a", "error no-entry"),
                ("cat etc/none", "error no-entry"),
                ("cat etc/d", "error no-entry"),
                ("cat etc/d/a", "error not-directory"),
                ("cat etc/../etc/conf", "\"ONE\""),
                ("create etc/new", "error not-permitted"),
                ("mkdir etc/new", "error not-permitted"),
                ("symlink conf etc/new", "error not-permitted"),
                ("rm etc/conf", "error not-permitted"),
                ("mv etc/conf etc/t", "error not-permitted"),
                ("ln etc/conf etc/u", "error not-permitted"),
                ("write etc/x/f own", "ok"),
                ("cat etc/x/../t", "\"three\""),
            ],
        );
        assert_eq!(fs::read_to_string(dir.path().join("lib/a")).unwrap(), "ONE");
        assert_eq!(fs::read_to_string(dir.path().join("top")).unwrap(), "three");
    }
}

#[test]
fn a_directory_that_the_host_has_not_preopened_is_no_entry() {
    let dir = tempfile::tempdir().unwrap();
    for link in WAYS {
        let steps = Steps::new(link, &["/=kv", "/in=host:elsewhere"], dir.path());
        expect(
            &steps,
            dir.path(),
            &store(),
            &[
                ("cat in/f", "error no-entry"),
                ("write f x", "ok"),
                ("ls .", &format!("[{FILE} f, {DIR} in]")),
            ],
        );
    }
}

#[test]
fn only_a_mount_of_the_host_imports_its_file_system() {
    let dir = tempfile::tempdir().unwrap();
    for link in WAYS {
        let imports = |mounts: &[&str]| {
            let mounts = super::mounts(mounts, dir.path());
            joined_with(guests::rust().unwrap(), link, mounts, Provider::Host).report.imports
        };
        let of_files =
            |imports: &[String]| imports.iter().filter(|name| name.contains("wasi:filesystem")).count();
        assert_eq!(of_files(&imports(&["/=kv", "/pack=image:{}"])), 0);
        assert_eq!(of_files(&imports(&["/=kv", "/in=host:."])), 2);
    }
}

#[test]
fn directories_of_the_host_in_the_stock_command() {
    let (dir, shared) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(shared.path().join("f"), "shared").unwrap();
    for link in WAYS {
        let mounts = super::mounts(&["/=kv", "/in=host:given"], dir.path());
        let composed =
            joined_with(guests::rust().unwrap(), link, mounts, Provider::Memory { size_bytes: None });
        let file = dir.path().join("guest.wasm");
        fs::write(&file, composed.bytes).unwrap();
        let mut command = stock::run().unwrap();
        command.arg(format!("--dir={}::given", shared.path().display())).arg(&file).arg("script");
        let output = command.args(["cat in/f", "copy in/f own", "cat own", "mv own in/g"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let expected =
            "cat in/f: \"shared\"\ncopy in/f own: ok\ncat own: \"shared\"\nmv own in/g: error cross-device\n";
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
}

#[test]
fn deep_paths_with_rules_lead_where_their_names_say() {
    let dir = tempfile::tempdir().unwrap();
    let down = |depth: usize| "d/".repeat(depth);
    let up = |steps: usize| "../".repeat(steps);
    fs::create_dir_all(dir.path().join(down(100))).unwrap();
    for depth in 0..=100 {
        let path = |name: &str| dir.path().join(down(depth)).join(name);
        fs::write(path("depth"), depth.to_string()).unwrap();
        fs::write(path("secret"), "secret").unwrap();
        std::os::unix::fs::symlink(format!("{}depth", up(depth.min(40))), path("higher")).unwrap();
    }
    fs::write(dir.path().join("rules"), "hide **/secret\n").unwrap();
    for link in WAYS {
        let steps = Steps::new(link, &["/=kv", "/work=host:shared,policy={}/rules"], dir.path());
        let zigzag = "../d/".repeat(60);
        let mut expected = vec![("write own mine".to_owned(), "ok".to_owned())];
        for depth in [31, 32, 33, 63, 64, 65, 99] {
            let at = format!("cat work/{}", down(depth));
            expected.extend([
                (format!("{at}depth"), format!("\"{depth}\"")),
                (format!("{at}{zigzag}depth"), format!("\"{depth}\"")),
                (format!("{at}{}depth", up(30)), format!("\"{}\"", depth - 30)),
                (format!("{at}higher"), format!("\"{}\"", depth.saturating_sub(40))),
                (format!("{at}d/{}{}depth", up(depth + 1), down(5)), "\"5\"".to_owned()),
                (format!("{at}secret"), "error no-entry".to_owned()),
                (format!("{at}d/../secret"), "error no-entry".to_owned()),
                (format!("{at}missing/../depth"), "error no-entry".to_owned()),
                (format!("{at}depth/../depth"), "error not-directory".to_owned()),
                (format!("{at}{}own", up(depth + 1)), "\"mine\"".to_owned()),
                (format!("{at}{}own", up(depth + 2)), "error not-permitted".to_owned()),
            ]);
        }
        let expected: Vec<_> = expected.iter().map(|(step, seen)| (step.as_str(), seen.as_str())).collect();
        expect(&steps, dir.path(), &store(), &expected);
    }
}
