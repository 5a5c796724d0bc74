//! `kvfs run` gives the store and directories of the host only to those that may have them.

use super::{kvfs, store_with_volume, workshop};
use kvfs_host::{RedbStore, SyncStore};
use std::path::Path;
use std::process::Output;

/// A guest that puts an entry into the store, past any file system.
fn thief() -> Vec<u8> {
    let wit = "package test:guest; world guest {
        import wasi:filesystem/preopens@WASI;
        import kvfs:store/kv-store@0.1.0;
        export wasi:cli/run@WASI;
    }";
    let module = r#"(module
        (import "kvfs:store/kv-store@0.1.0" "apply" (func $apply (param i32 i32 i32 i32 i32 i32)))
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096)
        ;; put, its key and its value.
        (data (i32.const 1024) "\00\00\00\00\00\08\00\00\06\00\00\00\10\08\00\00\03\00\00\00")
        (data (i32.const 2048) "stolen")
        (data (i32.const 2064) "yes")
        (func (export "wasi:cli/run@WASI#run") (result i32)
          (call $apply (i32.const 0) (i32.const 0) (i32.const 1024) (i32.const 1) (i32.const 1) (i32.const 3072))
          (i32.load8_u (i32.const 3072))))"#;
    kvfs_wit_guests::component(wit, "0.2.9", module)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn entries(store: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let store = RedbStore::open(store).unwrap();
    let entries = SyncStore::scan(&store, b"", b"", 1000, 1 << 20).unwrap();
    entries.iter().map(|entry| (entry.key.to_vec(), entry.value.to_vec())).collect()
}

#[test]
fn a_guest_that_asks_for_the_store_gets_it_only_if_that_is_allowed_by_name() {
    let dir = workshop();
    let store = dir.path().join("s.redb");
    store_with_volume(&store, |_| {});
    let before = entries(&store);
    std::fs::write(dir.path().join("thief.wasm"), thief()).unwrap();
    std::fs::create_dir(dir.path().join("secret")).unwrap();
    let run = |args: &[&str]| kvfs(dir.path(), &[&["run", "--store", "redb:s.redb"], args].concat());
    for args in
        [&["thief.wasm"][..], &["--link", "core", "thief.wasm"], &["--dir", "secret::/s", "thief.wasm"]]
    {
        let output = run(args);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        let told = said(&output);
        assert!(told.contains("kvfs:store/kv-store@0.1.0") && told.contains("--allow-raw-store"), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(entries(&store) == before, "{args:?}: the store was changed");
    }
    let with_directory = run(&["--allow-raw-store", "--dir", "secret::/s", "thief.wasm"]);
    assert_eq!(with_directory.status.code(), Some(2), "{}", said(&with_directory));

    for fixed in [["--link", "core"], ["--mode", "lazy"], ["--share", "my:log"]] {
        let output = run(&[&["--allow-raw-store"], &fixed[..], &["thief.wasm"]].concat());
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("nothing is composed; run it without --link"), "{}", said(&output));
    }

    let inspected = kvfs(dir.path(), &["inspect", "thief.wasm"]);
    assert!(
        said(&inspected)
            .contains("warning: it imports kvfs:store/kv-store@0.1.0: it asks for the whole store")
    );

    let allowed = run(&["--allow-raw-store", "thief.wasm"]);
    assert!(allowed.status.success(), "{}", said(&allowed));
    let stolen = (b"stolen".to_vec(), b"yes".to_vec());
    assert!(entries(&store).contains(&stolen), "with leave it has what it asks for");
    let help = said(&kvfs(dir.path(), &["run", "--help"]));
    assert!(help.contains("--allow-raw-store") && help.contains("DANGEROUS"), "{help}");
}

/// Appends two sections to a component, as results have.
pub(super) fn marked(bytes: &[u8], text: &str) -> Vec<u8> {
    use wasm_encoder::ComponentSection;
    let mut bytes = bytes.to_vec();
    for (name, data) in [("kvfs", text.as_bytes()), ("kvfs-parts", &b"\x01\x00\x00"[..])] {
        wasm_encoder::CustomSection { name: name.into(), data: data.into() }.append_to_component(&mut bytes);
    }
    bytes
}

#[test]
fn a_forged_section_gains_neither_the_store_nor_a_directory() {
    let dir = workshop();
    let store = dir.path().join("s.redb");
    store_with_volume(&store, |_| {});
    let before = entries(&store);
    std::fs::create_dir(dir.path().join("secret")).unwrap();
    let guest = std::fs::read(dir.path().join("guest.wasm")).unwrap();
    let texts = [
        "version=0.1.0\n",
        "version=0.1.0\nmount=/\trw\thost:/s\n",
        "version=0.1.0\nprovider=file\npath=/s\n",
    ];
    for (number, bytes) in
        [guest, thief()].iter().flat_map(|bytes| texts.map(|text| marked(bytes, text))).enumerate()
    {
        let name = format!("forged-{number}.wasm");
        std::fs::write(dir.path().join(&name), bytes).unwrap();
        for dirs in [&[][..], &["--dir", "secret::/s"]] {
            let output = kvfs(dir.path(), &[&["run", "--store", "redb:s.redb"], dirs, &[&name]].concat());
            assert_eq!(output.status.code(), Some(1), "{}", said(&output));
            assert!(said(&output).starts_with(&format!("kvfs: {name}: ")), "{}", said(&output));
            assert!(entries(&store) == before, "{name}: the store was changed");
        }
    }
}

#[test]
fn a_directory_that_nobody_asks_for_is_not_handed_on() {
    let dir = workshop();
    std::fs::create_dir(dir.path().join("secret")).unwrap();
    let compose = |out: &str, more: &[&str]| {
        let output = kvfs(dir.path(), &[&["compose", "guest.wasm", "-o", out], more].concat());
        assert!(output.status.success(), "{}", said(&output));
    };
    for link in ["component", "core"] {
        compose("host.wasm", &["--link", link, "--mount", "/=kv", "--mount", "/h=host:/given"]);
        compose("file.wasm", &["--link", link, "--provider", "file:/given"]);
        compose("memory.wasm", &["--link", link, "--provider", "memory"]);
        compose("plain.wasm", &["--link", link]);
        for (guest, asks) in
            [("host", true), ("file", true), ("memory", false), ("plain", false), ("guest", false)]
        {
            let guest = format!("{guest}.wasm");
            let given: &[&str] = if asks { &["--dir", "secret::/given"] } else { &[] };
            let run = |more: &[&str]| kvfs(dir.path(), &[&["run"], given, more, &[&guest]].concat());
            // The guest does nothing but trap.
            let output = run(&[]);
            assert_eq!(output.status.code(), Some(134), "{guest}: {}", said(&output));
            let output = run(&["--dir", "secret::/other"]);
            assert_eq!(output.status.code(), Some(1), "{guest}: {}", said(&output));
            assert!(
                said(&output).contains("asks for a directory /other; leave --dir out"),
                "{}",
                said(&output)
            );
        }
    }
}

#[test]
fn a_result_whose_own_provider_imports_the_store_is_not_run_unasked() {
    let dir = workshop();
    let wit = "package test:provider; world guest { import kvfs:store/kv-store@0.1.0; export kvfs:store/kv-store@0.1.0; }";
    std::fs::write(dir.path().join("layer.wasm"), kvfs_wit_guests::guest_beside_store(wit, "0.2.9")).unwrap();
    for link in ["component", "core"] {
        let compose = ["compose", "guest.wasm", "-o", "out.wasm", "--provider", "layer.wasm", "--link", link];
        assert!(kvfs(dir.path(), &compose).status.success());
        let output = kvfs(dir.path(), &["run", "out.wasm"]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(
            said(&output).contains("provider of its own that imports kvfs:store/kv-store@0.1.0"),
            "{}",
            said(&output)
        );
        let output = kvfs(dir.path(), &["run", "--allow-raw-store", "out.wasm"]);
        assert_eq!(output.status.code(), Some(134), "{}", said(&output));
        let told = said(&kvfs(dir.path(), &["inspect", "out.wasm"]));
        assert!(told.contains("warning: it has a provider of its own that imports"), "{told}");
    }
}

#[test]
fn a_result_runs_with_the_file_system_of_this_build_whatever_is_in_it() {
    let dir = workshop();
    // A guest that exits with success, to distinguish its run from a trap.
    let wit =
        "package test:guest; world guest { import wasi:filesystem/preopens@WASI; export wasi:cli/run@WASI; }";
    let module = r#"(module
        (import "wasi:filesystem/preopens@WASI" "get-directories" (func (param i32)))
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
        (func (export "wasi:cli/run@WASI#run") (result i32) i32.const 0))"#;
    std::fs::write(dir.path().join("quiet.wasm"), kvfs_wit_guests::component(wit, "0.2.9", module)).unwrap();
    for link in ["component", "core"] {
        let output = kvfs(dir.path(), &["compose", "quiet.wasm", "-o", "out.wasm", "--link", link]);
        assert!(output.status.success(), "{}", said(&output));
        let mut bytes = std::fs::read(dir.path().join("out.wasm")).unwrap();
        // Garbage in the adapter's code: the file would not validate, so it runs only if that code
        // is not used.
        let at = kvfs_compose::ADAPTER.len() / 2;
        let needle = &kvfs_compose::ADAPTER[at..at + 32];
        let place = bytes.windows(32).position(|window| window == needle).expect("the adapter's code");
        bytes[place..place + 32].fill(0xff);
        std::fs::write(dir.path().join("changed.wasm"), bytes).unwrap();
        for guest in ["out.wasm", "changed.wasm"] {
            let output = kvfs(dir.path(), &["run", "--store", "redb:s.redb", guest]);
            assert!(output.status.success(), "{link} {guest}: {}", said(&output));
        }
        let raw = kvfs(dir.path(), &["run", "--allow-raw-store", "changed.wasm"]);
        assert!(!raw.status.success(), "as it is, it is damaged: {}", said(&raw));
    }
}

#[test]
fn fsck_takes_no_image_whose_content_is_not_that_of_its_digest() {
    let dir = workshop();
    std::fs::create_dir(dir.path().join("tree")).unwrap();
    std::fs::write(dir.path().join("tree/kept"), "a content to be found").unwrap();
    let compose = ["compose", "guest.wasm", "-o", "on.wasm", "--mount", "/=overlay:tree"];
    assert!(kvfs(dir.path(), &compose).status.success());
    let mut bytes = std::fs::read(dir.path().join("on.wasm")).unwrap();
    let place = bytes.windows(21).position(|window| window == b"a content to be found").expect("the image");
    bytes[place] ^= 1;
    std::fs::write(dir.path().join("off.wasm"), bytes).unwrap();
    store_with_volume(&dir.path().join("s.redb"), |_| {});
    let output = kvfs(dir.path(), &["fsck", "--store", "redb:s.redb", "--image", "off.wasm", "--repair"]);
    assert_eq!(output.status.code(), Some(8), "{}", said(&output));
    assert!(said(&output).contains("off.wasm: the image below volume `main`"), "{}", said(&output));
}
