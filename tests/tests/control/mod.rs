//! Guests that make snapshots and forks of the volumes that they mount, by `kvfs:volume/control`.

mod hostile;
mod inside;
mod kinds;
mod mounted;
mod python;

use std::sync::Arc;

use kvfs_compose::{Compose, Link, Mount};
use kvfs_host::{EngineStore, MemoryStore, Volumes};
use kvfs_tests::{Output, Program, engine, guests};
use wasmtime::component::Component;

const WAYS: [Link; 2] = [Link::Component, Link::Core];

/// The Rust guest, joined with the file system.
struct Steps {
    component: Component,
}

impl Steps {
    fn new(link: Link, mounts: &[&str], max_volumes: u32) -> Self {
        let guest = guests::control().unwrap();
        let compose = Compose::new(&guest).link(link).allow_volume_control(max_volumes);
        let mounts = mounts.iter().map(|mount| mount.parse::<Mount>().unwrap());
        let composed = mounts.fold(compose, Compose::mount).build().unwrap();
        assert_eq!(composed.report.not_linked, None);
        Self { component: engine::compile(engine::interruptible(), &composed.bytes).unwrap() }
    }

    fn run(&self, store: &MemoryStore, steps: &[&str]) -> Output {
        let program = Program::new(&self.component).store(Arc::new(store.clone()));
        program.args(steps.iter().copied()).run().unwrap()
    }

    /// Runs steps in one instance, and checks what each one gives.
    #[track_caller]
    fn expect(&self, store: &MemoryStore, steps: &[(&str, &str)]) {
        let words: Vec<&str> = steps.iter().map(|(step, _)| *step).collect();
        let output = self.run(store, &words);
        let expected: String = steps.iter().map(|(step, gives)| format!("{step}: {gives}\n")).collect();
        assert_eq!(output.stdout, expected, "{output:#?}");
        assert_eq!(output.code, Some(0), "{output:#?}");
        sound(store);
    }
}

/// Checks every volume of a store, and the layers that they share. Returns the names.
#[track_caller]
fn sound(store: &MemoryStore) -> Vec<String> {
    let mut engine = EngineStore(store.clone());
    let layers = kvfs::volumes::check_layers(&mut engine).unwrap();
    assert!(layers.findings.is_empty(), "{:?}", layers.findings);
    let names = Volumes::new(store.clone()).names().unwrap();
    for name in &names {
        let info = kvfs::volumes::info(&mut engine, name).unwrap();
        if info.image.is_none() {
            let report = kvfs::fsck(&mut engine, name).unwrap();
            assert!(report.is_clean(), "{name}: {:?}", report.findings);
        }
    }
    names
}
