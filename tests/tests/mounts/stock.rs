//! Mounts in the stock `wasmtime` command: a provider brings the store, and images are in the
//! component.

use std::path::Path;

use super::{WAYS, joined_with, tree};
use kvfs_compose::Provider;
use kvfs_tests::{guests, stock};

fn run(dir: &Path, options: &[&str], steps: &[&str]) -> String {
    let mut command = stock::run().expect("the wasmtime command");
    let output = command.args(options).arg(dir.join("guest.wasm")).arg("script").args(steps).output();
    let output = output.expect("starting wasmtime");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn images_and_volumes_with_the_provider_memory() {
    let dir = tempfile::tempdir().unwrap();
    let packed = tempfile::tempdir().unwrap();
    tree(packed.path());
    for link in WAYS {
        let mounts = ["/=overlay:{}", "/pack=image:{}", "/tmp=kv:tmp"];
        let provider = Provider::Memory { size_bytes: None };
        let composed =
            joined_with(guests::rust().unwrap(), link, super::mounts(&mounts, packed.path()), provider);
        std::fs::write(dir.path().join("guest.wasm"), composed.bytes).unwrap();
        let seen = run(
            dir.path(),
            &[],
            &[
                "cat pack/lib/a",
                "write lib/a mine",
                "cat lib/a",
                "cat pack/lib/a",
                "copy lib/a tmp/a",
                "mv top tmp/top",
            ],
        );
        let expected = "cat pack/lib/a: \"one\"\nwrite lib/a mine: ok\ncat lib/a: \"mine\"\ncat pack/lib/a: \"one\"\n\
                        copy lib/a tmp/a: ok\nmv top tmp/top: error cross-device\n";
        assert_eq!(seen, expected);
    }
}

#[test]
fn an_overlay_persists_with_the_provider_file() {
    let dir = tempfile::tempdir().unwrap();
    let packed = tempfile::tempdir().unwrap();
    tree(packed.path());
    for (link, state) in WAYS.into_iter().zip(["state-of-the-composed", "state-of-the-linked"]) {
        let state = dir.path().join(state);
        std::fs::create_dir(&state).unwrap();
        let mounts = super::mounts(&["/=overlay:{}"], packed.path());
        let composed = joined_with(
            guests::rust().unwrap(),
            link,
            mounts,
            Provider::File { path: None, accept_loss: false },
        );
        std::fs::write(dir.path().join("guest.wasm"), composed.bytes).unwrap();
        let option = format!("--dir={}::/kvfs", state.display());
        run(dir.path(), &[&option], &["rm gone", "write lib/a mine"]);
        let seen = run(dir.path(), &[&option], &["cat gone", "cat lib/a", "cat lib/sub/b"]);
        assert_eq!(seen, "cat gone: error no-entry\ncat lib/a: \"mine\"\ncat lib/sub/b: \"two\"\n");
    }
}
