//! Paths beside Linux: every call by a path, on names of every kind, with every ending, in a volume, below each kind of
//! mount, through links and from descriptors, in both ways to join.

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
use linux::Setting::{self, Changed, Plain, ReadOnly};

const WAYS: [Link; 2] = [Link::Component, Link::Core];

/// A directory of the guest's, and what it is to be compared with.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The directory, which holds `m`.
    top: &'static str,
    /// What is mounted at `m`.
    linux: Setting,
}

const fn at(top: &'static str, linux: Setting) -> Place {
    Place { top, linux }
}

/// Directories of the host that mounts are of.
struct Given {
    dir: tempfile::TempDir,
}

impl Given {
    fn new() -> Given {
        let dir = tempfile::tempdir().unwrap();
        for name in ["packed/w", "changed", "kept/w"] {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        for name in ["packed/w", "kept/w"] {
            linux::make(&dir.path().join(name), calls::TREE);
        }
        // The same times on every run: what is packed is the same then, and compiled once.
        let mut touch = Command::new("find");
        touch.arg(dir.path().join("packed")).args(["-exec", "touch", "-h", "-d", "@1700000000", "{}", "+"]);
        assert!(touch.status().unwrap().success());
        Given { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// Makes all calls at each place of a guest with these mounts and compares what came of each with Linux.
fn compare(mounts: &[&str], places: &[Place]) {
    let given = Given::new();
    let packed = given.path("packed");
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
        for place in places {
            let answers = Answers::of(place.linux);
            let calls: Vec<Call> = calls().into_iter().filter(|call| answers.has(call)).collect();
            let program = Program::new(&component)
                .store(store.clone())
                .preopen(given.path("changed"), "changed")
                .preopen(given.path("kept"), "kept")
                .args(["paths", place.top])
                .args((place.linux == ReadOnly).then_some("kept"))
                .stdin(setup() + &calls.iter().map(|call| format!("{}\n", call.line)).collect::<String>());
            let output = program.run().unwrap();
            assert_eq!(output.code, Some(0), "{place:?}: {output:#?}");
            let seen: Vec<&str> = output.stdout.lines().collect();
            assert_eq!(seen.len(), calls.len(), "{place:?}");
            for (call, ours) in calls.iter().zip(seen) {
                let linux = answers.get(call);
                if ours != linux && !met.allows(place, call, linux, ours) {
                    wrong.push(format!("{link:?} {}: {}: {ours}, on Linux {linux}", place.top, call.line));
                }
            }
        }
    }
    println!("{} differ", wrong.len());
    wrong.truncate(400);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    met.check(places);
}

fn mount(text: &str, packed: &Path) -> Mount {
    text.replace("{}", packed.to_str().unwrap()).parse().unwrap()
}

#[test]
fn in_one_volume_they_mean_what_they_mean_to_linux() {
    compare(&["/=kv"], &[at("plain", Plain)]);
}

#[test]
#[cfg_attr(no_mounts, ignore = "nobody may mount here, and Linux is asked with its own mounts")]
fn below_volumes_and_images_they_mean_what_they_mean_to_linux() {
    let mounts = [
        "/=kv",
        "/kv/m=kv:a",
        "/over/m=overlay:{}:b",
        "/image/m=image:{}",
        "/fill/m=kv:c",
        "/read/m=kv:c,ro",
    ];
    let places = [
        at("kv", Changed),
        at("over", Changed),
        at("image", ReadOnly),
        at("fill", Changed),
        at("read", ReadOnly),
    ];
    compare(&mounts, &places);
}

#[test]
#[cfg_attr(no_mounts, ignore = "nobody may mount here, and Linux is asked with its own mounts")]
fn below_directories_of_the_host_they_mean_what_they_mean_to_linux() {
    let mounts = ["/=kv", "/host/m=host:changed", "/read/m=host:kept,ro", "/kv/m=kv:a", "/image/m=image:{}"];
    let places = [at("host", Changed), at("read", ReadOnly), at("kv", Changed), at("image", ReadOnly)];
    compare(&mounts, &places);
}

#[test]
#[cfg_attr(no_mounts, ignore = "nobody may mount here, and Linux is asked with its own mounts")]
fn in_a_directory_of_the_host_they_mean_what_they_mean_to_linux() {
    let mounts = ["/=host:changed", "/kv/m=kv:a", "/read/m=host:kept,ro"];
    compare(&mounts, &[at("plain", Plain), at("kv", Changed), at("read", ReadOnly)]);
}
