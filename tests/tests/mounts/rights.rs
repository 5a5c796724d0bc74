//! Policies of mounts, as guests see them: on volumes at any depth, above an image, and on
//! directories of the host.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use super::{Steps, WAYS, store, tree};
use kvfs_host::MemoryStore;

const RULES: &str = "\
# What a program may do with its own files.
hide **/.env
hide secret
dir-read conf
dir-read+file-read conf/**
file-read+file-write log
dir-mutate drop
dir-mutate+file-write drop/**
";

/// The mount with the rules, in `{}/rules`, and the mounts around it.
const PLACES: [(&str, &[&str]); 5] = [
    ("", &["/=kv,policy={}/rules"]),
    ("m/", &["/=kv", "/m=kv:m,policy={}/rules"]),
    ("m/n/o/", &["/=kv", "/m=kv:m,allow=dir-read", "/m/n/o=kv:o,policy={}/rules"]),
    ("m/", &["/=kv", "/m=overlay:{}/packed:over,policy={}/rules"]),
    ("m/", &["/=kv", "/m=host:shared,policy={}/rules"]),
];

const FILL: [&str; 14] = [
    "mkdir @conf",
    "write @conf/main text",
    "mkdir @secret",
    "write @secret/key key",
    "mkdir @tmp",
    "mkdir @tmp/dir",
    "mkdir @drop",
    "write @.env hidden",
    "write @tmp/.env hidden",
    "write @tmp/file mine",
    "write @log log",
    "symlink ../secret/key @tmp/key",
    "symlink ../conf/main @tmp/main",
    "symlink ../secret @tmp/door",
];

const EXPECTED: &[(&str, &str)] = &[
    ("cat @conf/main", "\"text\""),
    ("cat @tmp/main", "\"text\""),
    ("write @conf/main x", "error not-permitted"),
    ("write @tmp/main x", "error not-permitted"),
    ("append @conf/main x", "error not-permitted"),
    ("append @tmp/main x", "error not-permitted"),
    ("truncate @conf/main", "error not-permitted"),
    ("truncate @tmp/main", "error not-permitted"),
    ("resize @conf/main 0", "error not-permitted"),
    ("set-time @conf/main", "error not-permitted"),
    ("set-time @conf", "error not-permitted"),
    ("write-as-reader @conf/main", "[false, false, false, false]"),
    ("create @conf/new", "error not-permitted"),
    ("create @conf/main", "error exist"),
    ("mkdir @conf/new", "error not-permitted"),
    ("mkdir @conf/main", "error exist"),
    ("symlink main @conf/new", "error not-permitted"),
    ("rm @conf/main", "error not-permitted"),
    ("rm @conf/missing", "error no-entry"),
    ("rmdir @conf", "error not-permitted"),
    ("mv @conf/main @tmp/stolen", "error not-permitted"),
    ("mv @tmp/file @conf/main", "error not-permitted"),
    ("mv @tmp/file @conf/new", "error not-permitted"),
    ("mv @conf @tmp/conf", "error not-permitted"),
    ("ln @conf/main @tmp/stolen", "error cross-device"),
    ("ln @tmp/file @conf/new", "error not-permitted"),
    ("copy @conf/main @tmp/copied", "ok"),
    ("cat @tmp/copied", "\"text\""),
    // A log: it can be written, and neither removed nor replaced.
    ("append @log +more", "ok"),
    ("cat @log", "\"log+more\""),
    ("rm @log", "error not-permitted"),
    ("mv @log @tmp/log", "error not-permitted"),
    ("mv @tmp/file @log", "error not-permitted"),
    // A place to put things.
    ("append @drop/a text", "ok"),
    ("size @drop/a", "4"),
    ("cat @drop/a", "error not-permitted"),
    ("read @drop/a", "error not-permitted"),
    ("write @drop/a x", "error not-permitted"),
    ("ls @drop", "error not-permitted"),
    ("ln @drop/a @tmp/a", "error cross-device"),
    ("mv @drop/a @tmp/a", "error cross-device"),
    ("mv @drop/a @drop/b", "ok"),
    ("rm @drop/b", "ok"),
    ("mv @tmp/dir @drop/dir", "error cross-device"),
    // What is hidden is absent.
    ("stat @secret", "error no-entry"),
    ("cat @secret/key", "error no-entry"),
    ("cat @secret/../log", "error no-entry"),
    ("cat @tmp/key", "error no-entry"),
    ("cat @tmp/door/key", "error no-entry"),
    ("cat @tmp/../secret/key", "error no-entry"),
    ("readlink @tmp/key", "../secret/key"),
    ("stat @.env", "error no-entry"),
    ("cat @tmp/dir/../.env", "error no-entry"),
    ("rm @.env", "error no-entry"),
    ("rm @tmp/.env", "error no-entry"),
    ("mv @tmp/.env @tmp/found", "error no-entry"),
    ("ln @tmp/.env @tmp/found", "error no-entry"),
    ("copy @tmp/.env @tmp/found", "error no-entry"),
    ("set-time @.env", "error no-entry"),
    ("same-inode @.env @log", "error no-entry"),
    ("write @tmp/.env x", "error not-permitted"),
    ("create @tmp/.env", "error not-permitted"),
    ("create @tmp/dir/.env", "error not-permitted"),
    ("mkdir @secret", "error not-permitted"),
    ("mkdir @tmp/dir/.env", "error not-permitted"),
    ("mv @tmp/file @.env", "error not-permitted"),
    ("mv @tmp/dir @secret", "error not-permitted"),
    ("ln @tmp/file @.env", "error not-permitted"),
    ("symlink file @tmp/.env", "error not-permitted"),
    ("mv @tmp @moved", "ok"),
    ("stat @moved/.env", "error no-entry"),
    ("mv @moved @tmp", "ok"),
    // Descriptors know where they are.
    ("in @conf", "ok"),
    ("cat main", "\"text\""),
    ("write main x", "error not-permitted"),
    ("create new", "error not-permitted"),
    ("rm main", "error not-permitted"),
    ("ls .", "[DescriptorType::RegularFile main]"),
];

/// Runs steps with `@` for the path of the mount.
#[track_caller]
fn expect(steps: &Steps, (prefix, host): (&str, &Path), store: &Arc<MemoryStore>, expected: &[(&str, &str)]) {
    let words: Vec<String> = expected.iter().map(|(step, _)| step.replace('@', prefix)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let output = steps.program(store, &words).preopen(host, "shared").run().unwrap();
    let seen: Vec<&str> = output.stdout.lines().collect();
    let wanted = words.iter().zip(expected).map(|(step, (_, seen))| format!("{step}: {seen}"));
    assert_eq!(seen, wanted.collect::<Vec<_>>(), "mount at /{prefix}: {output:#?}");
}

#[test]
fn a_policy_holds_on_every_kind_of_mount_and_below_others() {
    let dir = tempfile::tempdir().unwrap();
    tree(&dir.path().join("packed"));
    fs::write(dir.path().join("rules"), RULES).unwrap();
    for link in WAYS {
        for (prefix, mounts) in PLACES {
            let host = tempfile::tempdir().unwrap();
            let store = store();
            let place = (prefix, host.path());
            let without: Vec<&str> =
                mounts.iter().map(|mount| mount.split(",policy").next().unwrap()).collect();
            let without: Vec<&str> =
                without.iter().map(|mount| mount.split(",allow").next().unwrap()).collect();
            let fill: Vec<(&str, &str)> = FILL.iter().map(|step| (*step, "ok")).collect();
            expect(&Steps::new(link, &without, dir.path()), place, &store, &fill);
            expect(&Steps::new(link, mounts, dir.path()), place, &store, EXPECTED);
            // Without the policy everything is where it was.
            let after = [
                ("cat @secret/key", "\"key\""),
                ("cat @.env", "\"hidden\""),
                ("cat @tmp/.env", "\"hidden\""),
                ("cat @conf/main", "\"text\""),
                ("cat @tmp/file", "\"mine\""),
                ("ls @drop", "[]"),
            ];
            expect(&Steps::new(link, &without, dir.path()), place, &store, &after);
        }
    }
}

#[test]
fn one_volume_has_at_each_mount_the_policy_of_that_mount() {
    let dir = tempfile::tempdir().unwrap();
    for link in WAYS {
        let mounts =
            ["/=kv", "/read=kv:v,allow=dir-read+file-read", "/write=kv:v", "/none=kv:v,allow=none,ro"];
        let steps = Steps::new(link, &mounts, dir.path());
        steps.expect(
            &store(),
            &[
                ("write write/a text", "ok"),
                ("cat read/a", "\"text\""),
                ("append read/a x", "error not-permitted"),
                ("rm read/a", "error not-permitted"),
                ("ls read", "[DescriptorType::RegularFile a]"),
                ("stat none/a", "DescriptorType::RegularFile"),
                ("cat none/a", "error not-permitted"),
                ("ls none", "error not-permitted"),
                ("rm none/a", "error read-only"),
                ("ln read/a write/b", "error cross-device"),
                ("mv read/a write/b", "error cross-device"),
                ("rm write/a", "ok"),
                ("stat read/a", "error no-entry"),
            ],
        );
    }
}

#[test]
fn links_on_the_hosts_side_lead_to_no_more() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("rules"), "hide secret\nfile-read given\nhide map-hidden\n").unwrap();
    for link in WAYS {
        let host = tempfile::tempdir().unwrap();
        let path = |name: &str| host.path().join(name);
        fs::create_dir_all(path("secret/dir")).unwrap();
        fs::write(path("secret/key"), "key").unwrap();
        fs::write(path("given"), "text").unwrap();
        symlink("secret/key", path("to-key")).unwrap();
        symlink("secret", path("to-secret")).unwrap();
        symlink("./secret/dir/..", path("around")).unwrap();
        symlink("given", path("to-given")).unwrap();
        symlink(path("secret/key"), path("absolute")).unwrap();
        let mounts = [
            "/=kv",
            "/work=host:shared,policy={}/rules",
            "/work/data=kv:data",
            "/map=host:shared,file=one=given,file=map-hidden=given,policy={}/rules",
        ];
        let steps = Steps::new(link, &mounts, dir.path());
        let expected = [
            ("cat work/to-key", "error no-entry"),
            ("open-to-write work/to-key", "error no-entry"),
            ("ls work/to-secret", "error no-entry"),
            ("cat work/to-secret/key", "error no-entry"),
            ("cat work/around/key", "error no-entry"),
            ("cat work/absolute", "error not-permitted"),
            ("cat work/data/../secret/key", "error no-entry"),
            ("cat work/data/../to-key", "error no-entry"),
            ("symlink ../../secret/key work/data/out", "ok"),
            ("cat work/data/out", "error no-entry"),
            ("symlink ../secret/key work/data/out2", "ok"),
            ("cat work/data/out2", "error no-entry"),
            ("cat work/to-given", "\"text\""),
            ("truncate work/to-given", "error not-permitted"),
            ("mv work/to-given work/renamed", "ok"),
            (
                "ls work",
                "[DescriptorType::SymbolicLink absolute, DescriptorType::SymbolicLink around, \
                 DescriptorType::Directory data, DescriptorType::RegularFile given, \
                 DescriptorType::SymbolicLink renamed, DescriptorType::SymbolicLink to-key, \
                 DescriptorType::SymbolicLink to-secret]",
            ),
            ("ls map", "[DescriptorType::RegularFile one]"),
            ("cat map/map-hidden", "error no-entry"),
            ("cat map/one", "\"text\""),
            // A name of the host's that is none of the rules'.
            ("in work", "ok"),
            ("cat to-key", "error no-entry"),
            ("cat secret/key", "error no-entry"),
        ];
        expect(&steps, ("", host.path()), &store(), &expected);
        assert_eq!(fs::read_to_string(path("secret/key")).unwrap(), "key");
        assert_eq!(fs::read_to_string(path("given")).unwrap(), "text");
    }
}
