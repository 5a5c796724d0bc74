//! Scripts that try to break out of the file system, over its limits, or the tree itself. Each says
//! in its first comment what it tries and what must happen, and checks that from inside. The
//! harness checks from outside that nothing else has changed. A script that does not make all of
//! its attempts fails.

use std::time::Duration;

use super::super::attacked::{unprotected, with_prelude};
use super::{attacked, bare};
use kvfs_host::{Durability, Mutation, SyncStore};
use kvfs_tests::Output;

/// A script of `tests/python/hostile`.
struct Attack {
    name: &'static str,
    script: &'static str,
    /// How often it tries something.
    attempts: usize,
}

/// Declares the attacks: the number of attempts, what they try, and where such an attack was
/// published. Each is a test.
macro_rules! attacks {
    ($($name:ident $attempts:literal $tries:literal $published:literal)*) => {
        const ATTACKS: &[Attack] = &[$(Attack {
            name: stringify!($name),
            script: include_str!(concat!("../../python/hostile/", stringify!($name), ".py")),
            attempts: $attempts,
        }),*];

        $(
            #[doc = concat!($tries, ". Published: ", $published)]
            #[test]
            fn $name() {
                harms_nothing(stringify!($name));
            }
        )*
    };
}

#[rustfmt::skip]
attacks! {
    dots        338 "paths above the root, and spellings of them"          "GHSA-f2pq-268w-886c, GHSA-c2f5-jxjv-2hh8"
    host_links  760 "links in a host directory that lead outside"          "GHSA-vqjp-4c8c-hfgg, GHSA-m9f7-9w4p-gv38, CVE-2024-38358, gondolin#46"
    own_links   219 "links out, in circles, to read-only mounts"           "CVE-2024-38358, gondolin#46"
    swapped      37 "objects swapped by guest and host during a use"       "GHSA-vqjp-4c8c-hfgg"
    read_only   302 "changes of read-only mounts, and past a file map"     "GHSA-2r75-cxrj-cmph, GHSA-4ch3-9j33-3pmj, mirage#104, eryx#71"
    rights      758 "changes, bytes and names that a policy denies"          "eryx#71, mirage#104"
    across      372 "objects and names across mounts and volumes"          "GHSA-4ch3-9j33-3pmj, sandbox-sdk#866"
    search      129 "all that can be read, for a secret"                   "sandbox-sdk#866"
    descriptors  52 "closed, reused, wrong and forged descriptors"         "wasmer#6431"
    held_open    11 "descriptors, listings and streams without end"        "GHSA-q554-3cjc-rx7p"
    spread      165 "all that can be held, over many mounts at once"          "GHSA-q554-3cjc-rx7p"
    file_size    70 "files over the limit of a file"                       "none"
    quota        39 "bytes, inodes and names over the limits"              "agentos#1813, wasmer#6064"
    far_offsets 144 "offsets and sizes up to 2^64"                         "eryx f4e3979"
    giant_calls 104 "giant buffers, paths and answers"                     "GHSA-x84v-gj2h-g759"
    times        60 "times far in the past and in the future"              "wasmtime#13894"
    imports      74 "machine code, processes, sockets"                     "none"
    damage      243 "trees that are hard to keep, names hard to print"     "wasmer#6127, agentfs#271"
}

/// Scripts that end otherwise than by their last line, or attack another tree: they have tests of
/// their own.
const OTHER_ENDS: [&str; 6] = ["abandoned", "audit", "endless", "key", "raw_calls", "scrub"];

/// The memory of a guest and its file system. CPython starts with about 36 MiB.
const MEMORY_BYTES: usize = 256 << 20;

#[track_caller]
fn harms_nothing(name: &str) {
    let attack = ATTACKS.iter().find(|attack| attack.name == name).unwrap();
    let scene = attacked().lay_out();
    let program = scene.program(&counted(attack.script)).max_memory(MEMORY_BYTES);
    let output = scene.flipping(name == "swapped", || program.run().unwrap());
    assert_eq!(output.code, Some(0), "{name}: {}\n{}", output.stderr, output.stdout);
    assert_eq!(output.stdout, format!("{} attempts\n", attack.attempts), "{name}");
    scene.check(&output).unwrap_or_else(|harm| panic!("{name}: {harm}\n{output:#?}"));
}

/// Lets a script print how many attempts it made.
fn counted(script: &str) -> String {
    format!("{script}\nprint(f'{{attempts}} attempts')\n")
}

/// Runs a script that does not reach its end by itself.
#[track_caller]
fn ends(script: &str, way: &str, limit: Duration) -> Output {
    let scene = attacked().lay_out();
    let program = scene.program(script).args([way]).max_memory(MEMORY_BYTES);
    let output = program.time_limit(limit).run().unwrap();
    assert_eq!(output.stdout, "reached\n", "{way}: {output:#?}");
    scene.check(&output).unwrap_or_else(|harm| panic!("{way}: {harm}\n{output:#?}"));
    assert!(scene.has_file("synced"), "{way}: {output:#?}");
    output
}

#[test]
fn a_trap_in_the_middle_of_everything_leaves_a_sound_store() {
    let script = include_str!("../../python/hostile/abandoned.py");
    let output = ends(script, "trap", Duration::from_secs(60));
    assert_eq!(output.code, None, "{output:#?}");
}

#[test]
fn endless_scripts_are_ended_and_leave_a_sound_store() {
    let script = include_str!("../../python/hostile/endless.py");
    for way in ["loop", "handlers", "pattern", "stats", "writes"] {
        let output = ends(script, way, Duration::from_millis(800));
        assert!(output.trap.as_ref().is_some_and(|trap| trap.contains("interrupt")), "{way}: {output:#?}");
    }
}

#[test]
fn forged_calls_of_imports_end_the_guest_alone() {
    let script = include_str!("../../python/hostile/raw_calls.py");
    for way in ["import", "negative", "arguments", "resource", "handle"] {
        let output = ends(script, way, Duration::from_secs(60));
        assert!(matches!(output.code, None | Some(1)), "{way}: {output:#?}");
    }
}

/// A secret that the volume at `/` is scrubbed of.
const SCRUBBED: &str = "battery-staple-of-a-horse";

#[test]
fn a_scrubbed_volume_takes_its_secret_in_no_way() {
    let script = counted(include_str!("../../python/hostile/scrub.py"));
    let scene = attacked().lay_out();
    scene.scrub(SCRUBBED);
    let output = scene.program(&script).max_memory(MEMORY_BYTES).run().unwrap();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert_eq!(output.stdout, "78 attempts\n");
    scene.check(&output).unwrap_or_else(|harm| panic!("{harm}"));
    // What was in the directory that is not scrubbed is removed and may be garbage still.
    assert_eq!(scene.records_with(SCRUBBED), [""; 0]);
    // The script notices a volume that is not scrubbed.
    let output = attacked().lay_out().program(&script).run().unwrap();
    assert!(output.stderr.contains("AssertionError: not harmless"), "{output:#?}");
}

/// Without this, a script that attacks nothing would pass.
#[test]
fn scripts_notice_a_tree_that_protects_nothing() {
    for name in ["own_links", "swapped", "read_only", "rights", "across", "quota", "file_size"] {
        let attack = ATTACKS.iter().find(|attack| attack.name == name).unwrap();
        let dir = tempfile::tempdir().unwrap();
        unprotected(dir.path());
        let script = with_prelude(&counted(attack.script));
        let output = bare().host_files(dir.path()).args(["-c", &script]).run().unwrap();
        assert_eq!(output.code, Some(1), "{name}: {output:#?}");
        assert!(output.stderr.contains("AssertionError"), "{name}: {}", output.stderr);
    }
}

#[test]
fn the_check_from_outside_notices_harm() {
    for (harm, noticed) in [
        ("pass", ""),
        ("write('/host/kept')", "changed Tree"),
        ("os.unlink('/host/dir/inside')", "changed Tree"),
        ("os.link('/host/kept', '/host/scratch/second')", "changed Tree"),
        ("os.utime('/host/kept', (1, 1))", "changed {"),
        ("write('/ruled/free/f', SECRET)", "copied the secret to where it may be read"),
        ("write('/ruled-host/free/f', SECRET)", "copied the secret to the host"),
        ("write('/f', SECRET)", "copied the secret into the store"),
        ("write('/host/scratch/f', SECRET)", "copied the secret to the host"),
        ("print(SECRET.decode())", "printed the secret"),
        ("for number in range(40): write(f'/{number}', bytes(range(256)) * 4096)", "the store takes"),
    ] {
        let scene = attacked().lay_out();
        let output = scene.program(harm).run().unwrap();
        assert_eq!(output.code, Some(0), "{harm}: {output:#?}");
        let found = scene.check(&output).map_or_else(|harm| harm.to_string(), |()| String::new());
        assert!(found.starts_with(noticed) && found.is_empty() == noticed.is_empty(), "{harm}: {found}");
    }
}

#[test]
fn the_check_of_the_log_sees_calls_on_the_host_and_notices_damage() {
    let scene = attacked().lay_out();
    let output = scene.program("write('/host/scratch/f'); names('/map'); os.abort()").run().unwrap();
    scene.check(&output).unwrap();
    let (start, end) = kvfs_audit::key_end();
    let entries = SyncStore::scan(&scene.store, &start, &end, 1024, 1 << 20).unwrap();
    let text: String = entries.iter().map(|entry| String::from_utf8_lossy(&entry.value)).collect();
    // The guest has ended itself; the lines about the host were stored before.
    assert!(text.contains(r#""op":"open-at","fd":1,"path":"/host/scratch/f","flags":"write,"#), "{text}");
    for (key, value) in entries.iter().map(|entry| (&entry.key, &entry.value)) {
        let harm = |value: &[u8]| {
            SyncStore::apply(&scene.store, &[], &[Mutation::Put { key, value }], Durability::Buffered).unwrap();
            scene.check(&output).err().map(|harm| harm.to_string()).unwrap_or_default()
        };
        assert!(harm(&value[..value.len() - 1]).starts_with("the audit log has"));
        assert_eq!(harm(value), "");
    }
}

#[test]
fn the_search_finds_a_secret_that_can_be_reached() {
    let attack = ATTACKS.iter().find(|attack| attack.name == "search").unwrap();
    let scene = attacked().lay_out();
    let leak = "write('/small/leak', b'x' * 70_000 + SECRET)\n";
    let output = scene.program(&format!("{leak}{}", counted(attack.script))).run().unwrap();
    assert!(output.stderr.contains("AssertionError: /small/leak"), "{output:#?}");
}

#[test]
fn every_script_is_an_attack_of_the_table() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/python/hostile");
    for entry in std::fs::read_dir(dir).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = file.strip_suffix(".py") else { continue };
        let known = ATTACKS.iter().any(|attack| attack.name == name);
        assert!(known || name == "attack" || OTHER_ENDS.contains(&name), "{file} is not run");
    }
}
