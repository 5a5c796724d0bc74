//! Compares paths with Linux: every call that takes a path, on names of every kind, with every
//! ending, in a volume, below each kind of mount, through links and from descriptors, in both ways
//! to join.

mod calls;
mod departures;
mod linux;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use calls::{Call, calls, setup};
use kvfs_compose::{Compose, Link, Mount};
use kvfs_host::MemoryStore;
use kvfs_tests::{Program, engine, guests};
use linux::Answers;
use linux::Setting::{self, Plain, ReadOnly, Writable};

const WAYS: [Link; 2] = [Link::Component, Link::Core];

/// A directory of the guest, and the setting on Linux that it is compared with.
#[derive(Debug, Clone, Copy)]
struct ComparedDirectory {
    /// The directory, which holds `m`.
    top: &'static str,
    /// The kind of directory at `m`.
    linux: Setting,
}

const fn at(top: &'static str, linux: Setting) -> ComparedDirectory {
    ComparedDirectory { top, linux }
}

/// The host's directories behind the mounts.
struct HostDirectories {
    dir: tempfile::TempDir,
}

impl HostDirectories {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["packed/w", "changed", "kept/w"] {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        for name in ["packed/w", "kept/w"] {
            linux::make(&dir.path().join(name), calls::TREE);
        }
        // The same times on every run, so that every run packs the same image and compiles it once.
        let mut touch = Command::new("find");
        touch.arg(dir.path().join("packed")).args(["-exec", "touch", "-h", "-d", "@1700000000", "{}", "+"]);
        assert!(touch.status().unwrap().success());
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// Makes all calls in each directory of a guest with these mounts, and compares the outcome of each
/// with Linux.
fn compare(mounts: &[&str], directories: &[ComparedDirectory]) {
    let host = HostDirectories::new();
    let packed = host.path("packed");
    let mut met = departures::Met::default();
    let mut wrong = Vec::new();
    for link in WAYS {
        let guest = guests::rust().unwrap();
        let compose = Compose::new(guest).link(link).mode(kvfs_compose::Mode::Lazy);
        let compose = mounts.iter().fold(compose, |compose, text| compose.mount(mount(text, &packed)));
        let composed = compose.build().unwrap();
        assert_eq!(composed.report.not_linked, None);
        let component = engine::compile(engine::interruptible(), &composed.bytes).unwrap();
        let store = Arc::new(MemoryStore::new());
        for directory in directories {
            let answers = Answers::of(directory.linux);
            let calls: Vec<Call> = calls().into_iter().filter(|call| answers.has(call)).collect();
            let program = Program::new(&component)
                .store(store.clone())
                .preopen(host.path("changed"), "changed")
                .preopen(host.path("kept"), "kept")
                .args(["paths", directory.top])
                .args((directory.linux == ReadOnly).then_some("kept"))
                .stdin(setup() + &calls.iter().map(|call| format!("{}\n", call.line)).collect::<String>());
            let output = program.run().unwrap();
            assert_eq!(output.code, Some(0), "{directory:?}: {output:#?}");
            let seen: Vec<&str> = output.stdout.lines().collect();
            assert_eq!(seen.len(), calls.len(), "{directory:?}");
            for (call, ours) in calls.iter().zip(seen) {
                let linux = answers.get(call);
                if ours != linux && !met.allows(directory, call, linux, ours) {
                    wrong
                        .push(format!("{link:?} {}: {}: {ours}, on Linux {linux}", directory.top, call.line));
                }
            }
        }
    }
    println!("{} calls differ", wrong.len());
    wrong.truncate(400);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    met.check(directories);
}

fn mount(text: &str, packed: &Path) -> Mount {
    text.replace("{}", packed.to_str().unwrap()).parse().unwrap()
}

#[test]
fn paths_in_one_volume_mean_the_same_as_on_linux() {
    compare(&["/=kv"], &[at("plain", Plain)]);
}

#[test]
#[cfg_attr(no_mounts, ignore = "no way to mount here, and the comparison with Linux needs mounts")]
fn paths_below_volumes_and_images_mean_the_same_as_on_linux() {
    let mounts = [
        "/=kv",
        "/kv/m=kv:a",
        "/over/m=overlay:{}:b",
        "/image/m=image:{}",
        "/fill/m=kv:c",
        "/read/m=kv:c,ro",
    ];
    let directories = [
        at("kv", Writable),
        at("over", Writable),
        at("image", ReadOnly),
        at("fill", Writable),
        at("read", ReadOnly),
    ];
    compare(&mounts, &directories);
}

#[test]
#[cfg_attr(no_mounts, ignore = "no way to mount here, and the comparison with Linux needs mounts")]
fn paths_below_directories_of_the_host_mean_the_same_as_on_linux() {
    let mounts = ["/=kv", "/host/m=host:changed", "/read/m=host:kept,ro", "/kv/m=kv:a", "/image/m=image:{}"];
    let directories = [at("host", Writable), at("read", ReadOnly), at("kv", Writable), at("image", ReadOnly)];
    compare(&mounts, &directories);
}

#[test]
#[cfg_attr(no_mounts, ignore = "no way to mount here, and the comparison with Linux needs mounts")]
fn paths_in_a_directory_of_the_host_mean_the_same_as_on_linux() {
    let mounts = ["/=host:changed", "/kv/m=kv:a", "/read/m=host:kept,ro"];
    compare(&mounts, &[at("plain", Plain), at("kv", Writable), at("read", ReadOnly)]);
}
