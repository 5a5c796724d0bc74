//! The provider `file` built with its feature `sealed`: its directory has nothing in clear, and its
//! key is in another directory.

use super::{composed, run};
use kvfs_compose::{Compose, Link, Provider};
use kvfs_host::{FileStore, SyncStore, open_sealed_store, open_store};
use kvfs_tests::guests;
use std::path::Path;
use std::process::Output;

fn provider() -> Provider {
    let module = std::fs::read(env!("KVFS_SEALED_PROVIDER")).unwrap();
    let component = wit_component::ComponentEncoder::default().module(&module).unwrap().encode().unwrap();
    Provider::Component(component)
}

fn script(state: &Path, key: &Path, component: &Path, steps: &[&str]) -> Output {
    let options =
        [format!("--dir={}::/kvfs", state.display()), format!("--dir={}::/kvfs-key", key.display())];
    run(&[&options[0], &options[1]], component, &[&["script"], steps].concat())
}

fn clear(state: &Path, secret: &str) -> bool {
    let files = state.read_dir().unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    files.into_iter().any(|bytes| bytes.windows(secret.len()).any(|part| part == secret.as_bytes()))
}

#[test]
fn a_guest_keeps_its_files_in_an_encrypted_directory_of_its_provider() {
    let dir = tempfile::tempdir().unwrap();
    let guest = guests::rust().unwrap();
    let component = composed(dir.path(), guest, provider());
    let linked = Compose::new(guest).provider(provider()).link(Link::Core).build().unwrap();
    assert_eq!(linked.report.not_linked, None);
    let linked_path = dir.path().join("linked.wasm");
    std::fs::write(&linked_path, linked.bytes).unwrap();
    let key_dir = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("key"), bytes).unwrap();
        path
    };
    let (right, wrong, short) =
        (key_dir("right", &[7; 32]), key_dir("wrong", &[8; 32]), key_dir("short", b"short"));
    let none = dir.path().join("none");
    std::fs::create_dir(&none).unwrap();
    for (number, component) in [component, linked_path].iter().enumerate() {
        let state = dir.path().join(format!("state-{number}"));
        std::fs::create_dir(&state).unwrap();
        let run = |key: &Path, steps: &[&str]| script(&state, key, component, steps);
        let steps = ["mkdir secret-dir", "write secret-dir/secret-name secret-content"];
        let written = run(&right, &steps);
        assert!(written.status.success(), "{written:?}");
        let read = run(&right, &["cat secret-dir/secret-name"]);
        assert_eq!(
            String::from_utf8_lossy(&read.stdout),
            "cat secret-dir/secret-name: \"secret-content\"\n",
            "{read:?}"
        );
        for secret in ["secret-dir", "secret-name", "secret-content"] {
            assert!(!clear(&state, secret), "{secret} is in clear");
        }
        // What cannot be opened gives no file, and changes none.
        for key in [&wrong, &short, &none] {
            let refused = run(key, &["cat secret-dir/secret-name", "write other x"]);
            let said = String::from_utf8_lossy(&refused.stdout).into_owned();
            assert!(!said.contains("secret-content") && !said.contains("ok"), "{refused:?}");
        }
        let read = run(&right, &["cat secret-dir/secret-name", "cat other"]);
        let said = String::from_utf8_lossy(&read.stdout).into_owned();
        assert!(said.contains("secret-content") && said.contains("error no-entry"), "{read:?}");
        // The host opens the same directory with the same key.
        let url = format!("file:{}", state.display());
        assert!(open_store(&url).is_err(), "it was opened without a key");
        let key = kvfs_host::UserKey::from_key_file(vec![7; 32]).unwrap();
        let store = open_sealed_store(&url, &key).unwrap();
        let entries = SyncStore::scan(&store, b"", b"", 1000, 1 << 20).unwrap();
        assert!(entries.iter().any(|entry| entry.key.ends_with(b"secret-name")));
    }
}

#[test]
fn a_test_that_sees_names_in_clear_sees_them_without_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let component =
        composed(dir.path(), guests::rust().unwrap(), Provider::File { path: None, accept_loss: false });
    let option = format!("--dir={}::/kvfs", state.display());
    let written = run(&[&option], &component, &["script", "write secret-name secret-content"]);
    assert!(written.status.success(), "{written:?}");
    assert!(clear(&state, "secret-name") && clear(&state, "secret-content"));
    assert!(FileStore::open(&state).is_ok());
}
