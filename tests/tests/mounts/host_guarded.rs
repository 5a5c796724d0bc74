//! Checks what a guest must not be able to do in directories of the host, however it tries.

use std::fs;
use std::os::unix::fs::symlink;

use super::host::expect;
use super::{Steps, WAYS, store, tree};
use kvfs_tests::Tree;

const DIR: &str = "DescriptorType::Directory";
const FILE: &str = "DescriptorType::RegularFile";

/// If a call may create the file, wasmtime opens it for writing, even if it exists and is only to
/// be read.
#[test]
fn a_descriptor_for_reading_writes_nothing_to_a_read_only_mount() {
    for link in WAYS {
        let dir = tempfile::tempdir().unwrap();
        tree(dir.path());
        let mounts = ["/=kv", "/in=host:shared,ro", "/map=host:shared,ro,file=conf=lib/a"];
        let steps = Steps::new(link, &mounts, dir.path());
        expect(
            &steps,
            dir.path(),
            &store(),
            &[
                ("write-as-reader in/lib/a", "[false, false, false, false]"),
                ("write-as-reader map/conf", "[false, false, false, false]"),
                ("write-as-reader in/new", "error read-only"),
                ("cat in/lib/a", "\"one\""),
            ],
        );
        assert_eq!(fs::read_to_string(dir.path().join("lib/a")).unwrap(), "one");
    }
}

/// The same steps on an image, which nothing can change, and on a directory of the host.
#[test]
fn a_read_only_directory_reports_existing_and_missing_names_first() {
    for link in WAYS {
        let dir = tempfile::tempdir().unwrap();
        tree(dir.path());
        symlink("missing", dir.path().join("dangling")).unwrap();
        let steps = [
            ("create top", "error exist"),
            ("exclusive link", "error exist"),
            ("exclusive dangling", "error exist"),
            ("create new", "error read-only"),
            ("write missing x", "error read-only"),
            ("open-to-write missing", "error no-entry"),
            ("mkdir lib", "error exist"),
            ("symlink a top", "error exist"),
            ("ln top lib/a", "error exist"),
            ("ln missing new", "error no-entry"),
            ("set-time missing", "error no-entry"),
            // As on Linux: the name to remove or move is not looked up, but its directory is.
            ("mv missing new", "error read-only"),
            ("rm missing", "error read-only"),
            ("rmdir missing", "error read-only"),
            ("rmdir lib", "error read-only"),
            ("mv top top", "error read-only"),
            ("rm missing/missing", "error no-entry"),
            ("rm top/missing", "error not-directory"),
            ("mkdir missing/missing", "error no-entry"),
            ("rmdir lib/.", "error invalid"),
            ("write lib x", "error is-directory"),
        ];
        for root in ["/=image:{}", "/=host:shared,ro"] {
            expect(&Steps::new(link, &[root], dir.path()), dir.path(), &store(), &steps);
        }
    }
}

#[test]
fn mounts_in_a_read_only_directory_take_changes_and_leave_it_alone() {
    for link in WAYS {
        let dir = tempfile::tempdir().unwrap();
        tree(dir.path());
        let mounts = ["/=host:shared,ro", "/tmp=kv:tmp", "/lib/kv=kv", "/deep/down/kv=kv:deep"];
        let steps = Steps::new(link, &mounts, dir.path());
        expect(
            &steps,
            dir.path(),
            &store(),
            &[
                ("write tmp/f 1", "ok"),
                ("write lib/kv/f 2", "ok"),
                ("write deep/down/kv/f 3", "ok"),
                ("cat deep/down/kv/../../../top", "\"three\""),
                ("stat deep", "error no-entry"),
                ("in lib", "ok"),
                ("write kv/g 4", "ok"),
                ("write a x", "error read-only"),
                ("ls kv", &format!("[{FILE} f, {FILE} g]")),
            ],
        );
        for made in ["tmp", "lib/kv", "deep"] {
            assert!(!dir.path().join(made).exists(), "{made}");
        }
    }
}

#[test]
fn an_exclusive_open_makes_no_file_through_a_link() {
    for link in WAYS {
        let dir = tempfile::tempdir().unwrap();
        symlink("missing", dir.path().join("dangling")).unwrap();
        let steps = Steps::new(link, &["/=host:shared", "/sub/kv=kv"], dir.path());
        expect(
            &steps,
            dir.path(),
            &store(),
            &[
                ("exclusive dangling", "error exist"),
                ("symlink ../../missing sub/kv/up", "ok"),
                ("exclusive sub/kv/up", "error exist"),
                ("symlink sub/kv/missing down", "ok"),
                ("exclusive down", "error exist"),
                ("exclusive missing", "ok"),
            ],
        );
    }
}

#[test]
fn a_mount_in_a_directory_of_the_host_cannot_be_moved_away() {
    for link in WAYS {
        let dir = tempfile::tempdir().unwrap();
        tree(dir.path());
        let steps = Steps::new(link, &["/=host:shared", "/lib/sub/kv=kv"], dir.path());
        expect(
            &steps,
            dir.path(),
            &store(),
            &[
                ("write lib/sub/kv/f x", "ok"),
                ("symlink lib to-lib", "ok"),
                ("mkdir other", "ok"),
                ("mv lib moved", "error busy"),
                ("mv to-lib/sub moved", "error busy"),
                ("mv lib/sub/. moved", "error busy"),
                ("mv other lib", "error busy"),
                ("mv lib/a moved", "ok"),
                ("mv to-lib moved-link", "ok"),
                ("in lib", "ok"),
                ("mv sub moved", "error busy"),
                ("cat sub/kv/f", "\"x\""),
            ],
        );
    }
}

#[test]
fn links_lead_out_of_a_directory_of_the_host_as_far_as_the_tree_goes() {
    for link in WAYS {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("secret"), "not for guests").unwrap();
        let up = "../".repeat(40);
        symlink(format!("{up}{}/secret", outside.path().display()), dir.path().join("escape")).unwrap();
        let steps = Steps::new(link, &["/=kv", "/in=host:shared"], dir.path());
        expect(
            &steps,
            dir.path(),
            &store(),
            &[
                ("write own mine", "ok"),
                ("mkdir d", "ok"),
                ("symlink ../own in/out", "ok"),
                ("symlink ../d in/to-d", "ok"),
                ("cat in/out", "\"mine\""),
                ("write in/out more", "ok"),
                ("cat own", "\"more\""),
                ("mkdir in/to-d/sub", "ok"),
                ("mv own in/to-d/own", "ok"),
                ("ls in/to-d", &format!("[{FILE} own, {DIR} sub]")),
                ("cat in/out", "error no-entry"),
                ("cat in/escape", "error not-permitted"),
                ("write in/escape x", "error not-permitted"),
                ("in in", "ok"),
                ("ls to-d", "error not-permitted"),
            ],
        );
        assert_eq!(fs::read_to_string(outside.path().join("secret")).unwrap(), "not for guests");
    }
}

#[test]
fn the_directory_of_a_file_map_is_not_the_hosts() {
    for link in WAYS {
        let dir = tempfile::tempdir().unwrap();
        tree(dir.path());
        symlink("../outside", dir.path().join("escape")).unwrap();
        let before = fs::metadata(dir.path()).unwrap().modified().unwrap();
        let mounts = ["/=kv", "/etc=host:shared,file=conf=lib/a,file=link=link,file=e=escape", "/etc/x=kv:x"];
        let steps = Steps::new(link, &mounts, dir.path());
        expect(
            &steps,
            dir.path(),
            &store(),
            &[
                ("set-time etc", "error not-permitted"),
                ("set-time etc/.", "error not-permitted"),
                ("set-time etc/conf", "ok"),
                ("cat etc/link", "\"one\""),
                ("readlink etc/link", "error invalid"),
                ("cat etc/e", "error not-permitted"),
                ("cat etc/x/../top", "error no-entry"),
                ("cat etc/x/../lib/a", "error no-entry"),
                ("symlink ../top etc/x/l", "ok"),
                ("cat etc/x/l", "error no-entry"),
                ("same-inode etc/top etc/top", "error no-entry"),
                ("mv etc/top etc/x/top", "error cross-device"),
                ("rmdir etc/.", "error invalid"),
                ("in etc", "ok"),
                ("cat ./top", "error no-entry"),
                ("ls lib", "error no-entry"),
                ("in .", "ok"),
                ("ls .", &format!("[{FILE} conf, {FILE} link, {DIR} x]")),
                ("cat lib/a", "error no-entry"),
            ],
        );
        assert_eq!(fs::metadata(dir.path()).unwrap().modified().unwrap(), before);
    }
}

#[test]
fn a_mapped_file_is_no_directory() {
    for link in WAYS {
        let dir = tempfile::tempdir().unwrap();
        tree(dir.path());
        let mounts = ["/=kv", "/etc=host:shared,ro,file=conf=lib/a", "/etc/x=kv:x"];
        let steps = Steps::new(link, &mounts, dir.path());
        let not_a_directory = "error not-directory";
        expect(
            &steps,
            dir.path(),
            &store(),
            &[
                ("ls-opened etc/conf", not_a_directory),
                ("stat-from etc/conf conf", not_a_directory),
                ("stat-from etc/conf x", not_a_directory),
                ("stat-from etc/conf top", not_a_directory),
                ("stat-from etc/conf .", not_a_directory),
                ("stat-from etc x", DIR),
                ("make-directory-by-open etc", "error invalid"),
            ],
        );
    }
}

/// Random steps, over names that exist, that do not, and that lead elsewhere.
#[test]
fn no_steps_change_a_read_only_directory() {
    const PATHS: [&str; 14] = [
        "in/top",
        "in/lib",
        "in/lib/a",
        "in/link",
        "in/dangling",
        "in/to-kv",
        "in/new",
        "in/lib/kv",
        "in/lib/kv/../a",
        "map/conf",
        "map/new",
        "map/x/../conf",
        "kv-to-in",
        "kv-to-in/top",
    ];
    const ENDS: [&str; 4] = ["", "", "/", "/."];
    const ONE: [&str; 11] = [
        "mkdir",
        "rmdir",
        "rm",
        "create",
        "exclusive",
        "truncate",
        "set-time",
        "write-as-reader",
        "make-directory-by-open",
        "open-to-write",
        "open-to-change",
    ];
    const TWO: [&str; 4] = ["mv", "ln", "copy", "symlink"];
    let mut state = 0x6b76_6673_u64;
    let mut choose = |count: usize| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 33) as usize % count
    };
    let mut steps = Vec::new();
    for _ in 0..1500 {
        let mut path = || format!("{}{}", PATHS[choose(PATHS.len())], ENDS[choose(ENDS.len())]);
        let (path, other) = (path(), path());
        steps.push(match choose(ONE.len() + TWO.len() + 3) {
            0 => format!("write {path} changed"),
            1 => format!("append {path} changed"),
            2 => format!("resize {path} 1"),
            step if step < 3 + TWO.len() => format!("{} {path} {other}", TWO[step - 3]),
            step => format!("{} {path}", ONE[step - 3 - TWO.len()]),
        });
    }
    for link in WAYS {
        let dir = tempfile::tempdir().unwrap();
        tree(dir.path());
        symlink("missing", dir.path().join("dangling")).unwrap();
        symlink("lib/kv", dir.path().join("to-kv")).unwrap();
        let seen = || {
            let tree = Tree::of_directory(dir.path()).unwrap();
            let time =
                |path: &String| fs::symlink_metadata(dir.path().join(path)).unwrap().modified().unwrap();
            let times: Vec<_> = tree.0.keys().map(time).collect();
            (tree, times)
        };
        let before = seen();
        let mounts = [
            "/=kv",
            "/in=host:shared,ro",
            "/in/lib/kv=kv:x",
            "/map=host:shared,ro,file=conf=lib/a",
            "/map/x=kv:y",
        ];
        let guest = Steps::new(link, &mounts, dir.path());
        let first = ["write in/lib/kv/file x", "symlink in kv-to-in"];
        let words: Vec<&str> = first.into_iter().chain(steps.iter().map(String::as_str)).collect();
        let output = guest.program(&store(), &words).preopen(dir.path(), "shared").run().unwrap();
        assert_eq!(output.code, Some(0), "{output:#?}");
        assert_eq!(output.stdout.lines().count(), words.len());
        assert_eq!(seen(), before);
    }
}
