//! `kvfs check-store` on stores that keep the contract, that break it, and that it cannot check.

use super::{kvfs, store_with_volume, workshop};
use std::path::Path;

#[test]
fn check_store_checks_stores_and_providers() {
    let dir = workshop();
    std::fs::create_dir(dir.path().join("state")).unwrap();
    let cases: [&[&str]; 8] = [
        &["--store", "memory:"],
        &["--store", "memory:64M"],
        &["--store", "redb:checked.redb"],
        &["--store", "file:checked"],
        &["--provider", "memory:64M"],
        &["--provider", "file", "--dir", "state::/kvfs"],
        &["--provider", "keyvalue"],
        &["--provider", "keyvalue:mine"],
    ];
    for args in cases {
        let output = kvfs(dir.path(), &[&["check-store"], args].concat());
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{args:?}: {stdout}{}", String::from_utf8_lossy(&output.stderr));
        assert!(stdout.contains("ok      keys_are_ordered_as_unsigned_bytes\n"), "{stdout}");
        assert!(stdout.ends_with(" claims checked, 0 do not hold\n"), "{stdout}");
        let outlives = stdout.contains("is_there_when_the_store_is_opened_again");
        assert_eq!(outlives, !args[1].starts_with("memory"), "{stdout}");
    }
    // Without its directory, the provider cannot be checked.
    let guest = kvfs(dir.path(), &["check-store", "--provider", "file"]);
    assert_eq!(guest.status.code(), Some(1), "a directory is missing: {guest:?}");
    assert!(String::from_utf8_lossy(&guest.stderr).contains("--dir"), "{guest:?}");
    for args in [&["--provider", "guest.wasm"][..], &["--provider", "host"], &["--store", "nothing"], &[]] {
        let output = kvfs(dir.path(), &[&["check-store"], args].concat());
        assert!(matches!(output.status.code(), Some(1 | 2)), "{args:?}: {output:?}");
    }
}

/// Builds the example as the page on providers says.
#[test]
fn the_example_provider_keeps_the_contract() {
    let dir = workshop();
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../providers/example");
    // In the directory of the build script, so that its wasm `std` is used.
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("wasm");
    let module = kvfs_wasm_build::Build::new(package).target_dir(built).run().unwrap().wasm;
    let module = std::fs::read(module).unwrap();
    let component = wit_component::ComponentEncoder::default().module(&module).unwrap().encode().unwrap();
    std::fs::write(dir.path().join("example.wasm"), component).unwrap();

    let output = kvfs(dir.path(), &["check-store", "--provider", "example.wasm"]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.ends_with("33 claims checked, 0 do not hold\n"), "{stdout}");
    let compose = ["compose", "guest.wasm", "-o", "x.wasm", "--provider", "example.wasm"];
    assert!(kvfs(dir.path(), &compose).status.success());
}

#[test]
fn check_store_says_in_one_line_why_it_cannot_check_a_store() {
    let dir = workshop();
    store_with_volume(&dir.path().join("used.redb"), |_| {});
    let output = kvfs(dir.path(), &["check-store", "--store", "redb:used.redb"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("redb:used.redb: it holds data, which was left alone; name one"), "{stderr}");
    let check = kvfs(dir.path(), &["fsck", "--store", "redb:used.redb"]);
    assert!(check.status.success(), "{check:?}");
}

#[test]
fn check_store_leaves_a_directory_of_other_files_as_it_is() {
    let dir = workshop();
    let mine = dir.path().join("mine");
    std::fs::create_dir(&mine).unwrap();
    std::fs::write(mine.join("notes.txt"), "mine").unwrap();
    let modified = std::fs::metadata(&mine).unwrap().modified().unwrap();
    for args in [
        &["check-store", "--store", "file:mine"][..],
        &["check-store", "--provider", "file", "--dir", "mine::/kvfs"],
        &["run", "--store", "file:mine", "guest.wasm"],
        &["fsck", "--store", "file:mine"],
        &["fsck", "--store", "file:mine", "--repair"],
    ] {
        let output = kvfs(dir.path(), args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 8)), "{args:?}: {output:?}");
        assert!(output.stdout.is_empty() && stderr.lines().count() == 1, "{args:?}: {output:?}");
        assert!(stderr.contains("mine"), "{stderr}");
        assert_eq!(super::files(&mine), ["notes.txt"], "{args:?}");
        assert_eq!(std::fs::metadata(&mine).unwrap().modified().unwrap(), modified, "{args:?}");
    }
    let output = kvfs(dir.path(), &["check-store", "--store", "file:mine"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("notes.txt"), "{output:?}");
}

#[test]
fn check_store_does_not_blame_a_small_store_for_its_size() {
    let dir = workshop();
    let sizes = ["memory:64K", "memory:16M"];
    for (of, size) in ["--provider", "--store"].into_iter().flat_map(|of| sizes.map(|size| (of, size))) {
        let output = kvfs(dir.path(), &["check-store", of, size]);
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && !stdout.contains("FAILED"), "{size}: {stdout}");
        assert!(stdout.contains("the store is too small for it\n"), "{size}: {stdout}");
        assert!(stdout.ends_with(" were not checked\n"), "{size}: {stdout}");
    }
}

/// A provider that keeps nothing, and runs `does` in a scan of 10 entries.
fn provider(does: &str) -> Vec<u8> {
    let wit = "package test:provider; world guest {
        import wasi:io/poll@WASI;
        import wasi:clocks/monotonic-clock@WASI;
        export kvfs:store/kv-store@0.1.0;
    }";
    let module = r#"(module
        (import "wasi:clocks/monotonic-clock@WASI" "subscribe-duration" (func $after (param i64) (result i32)))
        (import "wasi:io/poll@WASI" "[method]pollable.block" (func $block (param i32)))
        (memory (export "memory") 64)
        (global $free (mut i32) (i32.const 65536))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
          (global.set $free (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
          global.get $free
          (global.set $free (i32.add (global.get $free) (local.get 3))))
        ;; The limits: 1024, 4096, 16, 16384, not durable. All else is a success, and no key has a value.
        (data (i32.const 1024) "\00\00\00\00\00\04\00\00\00\10\00\00\10\00\00\00\00\40\00\00\00")
        (func (export "kvfs:store/kv-store@0.1.0#get-limits") (result i32) i32.const 1024)
        (func (export "kvfs:store/kv-store@0.1.0#get") (param i32 i32) (result i32)
          (i32.store (i32.const 3076) (i32.const 4096))
          (i32.store (i32.const 3080) (local.get 1))
          i32.const 3072)
        (func (export "kvfs:store/kv-store@0.1.0#scan") (param i32 i32 i32 i32 i32 i32) (result i32)
          (if (i32.eq (local.get 4) (i32.const 10)) (then DOES))
          i32.const 2048)
        (func (export "kvfs:store/kv-store@0.1.0#apply") (param i32 i32 i32 i32 i32) (result i32)
          (global.set $free (i32.const 65536))
          i32.const 2048))"#;
    kvfs_wit_guests::component(wit, "0.2.9", &module.replace("DOES", does))
}

#[test]
fn check_store_goes_on_after_a_provider_that_traps_or_hangs() {
    let dir = workshop();
    let cases = [
        ("unreachable", "the provider trapped in `scan`: wasm trap: wasm `unreachable` instruction executed"),
        (
            "(loop $on (br $on))",
            "the provider was still in `scan` when the time was over, and was interrupted",
        ),
    ];
    for (does, why) in cases {
        std::fs::write(dir.path().join("provider.wasm"), provider(does)).unwrap();
        let output = kvfs(dir.path(), &["check-store", "--provider", "provider.wasm", "--timeout", "2"]);
        assert_eq!(output.status.code(), Some(4), "{output:?}");
        let stdout = String::from_utf8(output.stdout).unwrap();
        for claim in ["an_empty_range_has_no_entries", "a_page_keeps_its_bounds_but_has_one_entry"] {
            assert!(stdout.contains(&format!("FAILED  {claim}: {why}\n")), "{stdout}");
        }
        assert!(
            stdout.contains("\nok      longer_keys") || stdout.contains("FAILED  longer_keys"),
            "{stdout}"
        );
        assert!(!stdout.contains("cannot enter") && stdout.contains("33 claims checked"), "{stdout}");
    }
    // A provider that waits in the host ends the check, after the claims before.
    let waits = "(call $block (call $after (i64.const 1000000000000)))";
    std::fs::write(dir.path().join("provider.wasm"), provider(waits)).unwrap();
    let output = kvfs(dir.path(), &["check-store", "--provider", "provider.wasm", "--timeout", "1"]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.starts_with("ok      the_store_is_empty_and_takes_changes\n"), "{stdout}");
    let last: Vec<_> = stdout.lines().rev().take(2).collect();
    assert!(
        last[1].starts_with("FAILED  an_empty_range_has_no_entries: it was not done after 1s"),
        "{stdout}"
    );
    assert!(last[1].contains("cannot be interrupted") && last[0].contains("were not checked"), "{stdout}");
}
