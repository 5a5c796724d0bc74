//! Nothing that a terminal acts on reaches it, wherever a name comes from.

use super::{Noon, kvfs, store_of, workshop};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};
use wasm_encoder as enc;

/// A name that clears the screen, rings the bell, changes the direction of text, and starts a new
/// line.
const EVIL: &str = "e\x1b[2J\x07\x7f\u{9b}31m\u{202e}\u{2066}\u{200f}\r\nFORGED";

/// The same for names that may have no control characters.
const TURNED: &str = "t\u{202e}\u{2067}\u{200f}FORGED";

/// A core module of preview1 that traps in a function of that name.
fn trapping() -> Vec<u8> {
    let mut module = enc::Module::new();
    let mut types = enc::TypeSection::new();
    types.ty().function([], []);
    let (i32, i64) = (enc::ValType::I32, enc::ValType::I64);
    types.ty().function([i32, i32, i32, i32, i32, i64, i64, i32, i32], [i32]);
    let mut imports = enc::ImportSection::new();
    // Makes it a guest with files.
    imports.import("wasi_snapshot_preview1", "path_open", enc::EntityType::Function(1));
    let mut functions = enc::FunctionSection::new();
    functions.function(0).function(0);
    let mut memories = enc::MemorySection::new();
    let memory =
        enc::MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None };
    memories.memory(memory);
    let mut exports = enc::ExportSection::new();
    exports.export("_start", enc::ExportKind::Func, 2).export("memory", enc::ExportKind::Memory, 0);
    let mut code = enc::CodeSection::new();
    for instructions in [
        [enc::Instruction::Unreachable, enc::Instruction::End],
        [enc::Instruction::Call(1), enc::Instruction::End],
    ] {
        let mut body = enc::Function::new([]);
        for instruction in &instructions {
            body.instruction(instruction);
        }
        code.function(&body);
    }
    module
        .section(&types)
        .section(&imports)
        .section(&functions)
        .section(&memories)
        .section(&exports)
        .section(&code);
    module.section(&names(&[1, 2]));
    module.finish()
}

fn names(functions: &[u32]) -> enc::NameSection {
    let mut names = enc::NameSection::new();
    names.module(EVIL);
    let mut map = enc::NameMap::new();
    functions.iter().for_each(|index| map.append(*index, EVIL));
    names.functions(&map);
    names
}

/// A core module with such names of imports and exports.
fn strange(import: bool) -> Vec<u8> {
    let mut module = enc::Module::new();
    let mut types = enc::TypeSection::new();
    types.ty().function([], []);
    let mut imports = enc::ImportSection::new();
    imports.import(
        "wasi_snapshot_preview1",
        if import { EVIL } else { "sched_yield" },
        enc::EntityType::Function(0),
    );
    if import {
        imports.import(EVIL, EVIL, enc::EntityType::Function(0));
    }
    let mut functions = enc::FunctionSection::new();
    functions.function(0);
    let mut exports = enc::ExportSection::new();
    exports.export(EVIL, enc::ExportKind::Func, if import { 2 } else { 1 });
    let mut code = enc::CodeSection::new();
    let mut body = enc::Function::new([]);
    body.instruction(&enc::Instruction::End);
    code.function(&body);
    module.section(&types).section(&imports).section(&functions).section(&exports).section(&code);
    module.finish()
}

/// A component with an import of that name, which is not valid.
fn misnamed() -> Vec<u8> {
    let mut component = enc::Component::new();
    let mut types = enc::ComponentTypeSection::new();
    types.instance(&enc::InstanceType::new());
    let mut imports = enc::ComponentImportSection::new();
    imports.import(EVIL, enc::ComponentTypeRef::Instance(0));
    imports.import("wasi:filesystem/preopens@0.2.9", enc::ComponentTypeRef::Instance(0));
    component.section(&types).section(&imports);
    component.finish()
}

/// A provider that answers every call with an error of that text.
fn provider() -> Vec<u8> {
    let escaped: String = EVIL.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    let length = EVIL.len();
    let module = format!(
        r#"(module
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 8192)
        (data (i32.const 1024) "\01\00\00\00\08\00\00\00\00\08\00\00\{length:02x}\00\00\00")
        (data (i32.const 2048) "{escaped}")
        (func (export "kvfs:store/kv-store@0.1.0#get-limits") (result i32) i32.const 1024)
        (func (export "kvfs:store/kv-store@0.1.0#get") (param i32 i32) (result i32) i32.const 1024)
        (func (export "kvfs:store/kv-store@0.1.0#scan") (param i32 i32 i32 i32 i32 i32) (result i32) i32.const 1024)
        (func (export "kvfs:store/kv-store@0.1.0#apply") (param i32 i32 i32 i32 i32) (result i32) i32.const 1024))"#
    );
    let wit = "package test:provider; world guest { export kvfs:store/kv-store@0.1.0; }";
    kvfs_wit_guests::component(wit, "0.2.9", &module)
}

/// A tar with an entry of that name, which no image can hold.
fn tar() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Fifo);
    header.set_path(EVIL).unwrap();
    header.set_size(0);
    header.set_cksum();
    builder.append(&header, std::io::empty()).unwrap();
    builder.into_inner().unwrap()
}

/// Makes a store whose volume has a damaged file of that name.
fn damaged_store(path: &Path) {
    let memory = kvfs::MemoryStore::default();
    let mut volume =
        kvfs::Volume::open(Box::new(memory.clone()), Box::new(Noon), kvfs::Options::default()).unwrap();
    let root = volume.root().unwrap();
    let create = kvfs::OpenFlags { create: true, ..kvfs::OpenFlags::default() };
    let write = kvfs::Access { write: true, ..kvfs::Access::default() };
    let file = volume.open_at(&root, EVIL, kvfs::Follow::No, create, write).unwrap();
    volume.write(&file, kvfs::At::Offset(0), &[9; 100_000]).unwrap();
    volume.sync_all().unwrap();
    let mut entries = memory.dump();
    let (_, value) = entries.iter_mut().rfind(|(key, _)| key[5] == 0x20).unwrap();
    value[500] ^= 1;
    store_of(path, &kvfs::MemoryStore::from_entries(entries), |_| {});
}

/// Makes a store with a volume of such a name, and a key that belongs to no volume.
fn evil_volume(path: &Path) {
    use kvfs_host::{Durability, Mutation, RedbStore, SyncStore};
    let mut key = vec![EVIL.len() as u8];
    key.extend_from_slice(EVIL.as_bytes());
    key.push(0);
    let puts = [Mutation::Put { key: &key, value: b"x" }, Mutation::Put { key: b"\xFFz", value: b"x" }];
    SyncStore::apply(&RedbStore::open(path).unwrap(), &[], &puts, Durability::Durable).unwrap();
}

/// Fails if a terminal would act on a part of the text, or a name has started a line.
fn check(args: &[&str], output: &Output) {
    for stream in [&output.stdout, &output.stderr] {
        let text =
            std::str::from_utf8(stream).unwrap_or_else(|_| panic!("{args:?}: not Unicode: {stream:?}"));
        // Tabs part the fields of a list. A name that has one is escaped.
        let lists = args.starts_with(&["volume", "list"]) || matches!(args[0], "diff" | "du");
        let parts = |c: char| c == '\n' || c == '\t' && lists;
        let acts = |c: char| {
            (c.is_control() && !parts(c))
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!text.contains(acts), "{args:?}: {text:?}");
        assert!(!text.lines().any(|line| line.trim_start().starts_with("FORGED")), "{args:?}: {text}");
    }
}

#[test]
fn everything_that_a_terminal_acts_on_is_escaped_in_every_message() {
    let dir = workshop();
    let path = |name: &str| dir.path().join(name);
    let write = |name: &str, bytes: &[u8]| std::fs::write(path(name), bytes).unwrap();
    write("trapping.wasm", &trapping());
    write("imports.wasm", &strange(true));
    write("exports.wasm", &strange(false));
    write("misnamed.wasm", &misnamed());
    write("provider.wasm", &provider());
    write("evil.rules", format!("all {EVIL}\\n{EVIL}\\n").as_bytes());
    write("evil.tar", &tar());
    write(EVIL, b"\0asm\x0d\0\x01\0");
    let guest = std::fs::read(path("guest.wasm")).unwrap();
    let text = format!("version={EVIL}\nmount=/\trw\tkv:{EVIL}\n");
    write("forged.wasm", &super::trust::marked(&guest, &text));
    std::fs::create_dir(path("tree")).unwrap();
    std::fs::create_dir(path("odd")).unwrap();
    let odd = format!("odd/{TURNED}");
    std::fs::create_dir(path(&odd)).unwrap();
    let overlay = format!("/=overlay:{odd}:{TURNED}");
    for (out, more) in [
        ("plain.wasm", &["--volume", TURNED][..]),
        ("linked.wasm", &["--volume", TURNED, "--link", "core"]),
        ("overlay.wasm", &["--mount", &overlay]),
        ("host.wasm", &["--mount", "/=kv", "--mount", &format!("/{TURNED}=host:{TURNED}")]),
        ("file.wasm", &["--provider", &format!("file:{TURNED}")]),
    ] {
        let output = kvfs(dir.path(), &[&["compose", "guest.wasm", "-o", out], more].concat());
        assert!(output.status.success(), "{output:?}");
        check(more, &output);
    }
    let plain = std::fs::read(path("plain.wasm")).unwrap();
    let renamed = |text: String| text.replace("version=", &format!("version=\x1b[31m{TURNED}"));
    write("renamed.wasm", &kvfs_wit_guests::with_text(&plain, renamed));
    write("unknown.wasm", &kvfs_wit_guests::with_text(&plain, |text| text + "later=\x1b[31mFORGED\n"));
    damaged_store(&path("damaged.redb"));
    std::fs::copy(path("damaged.redb"), path("repaired.redb")).unwrap();
    evil_volume(&path("evil.redb"));

    let mut cases: Vec<Vec<String>> = Vec::new();
    let mut case = |args: &[&str]| cases.push(args.iter().map(|arg| (*arg).to_owned()).collect());
    for file in [
        "trapping.wasm",
        "imports.wasm",
        "exports.wasm",
        "misnamed.wasm",
        "provider.wasm",
        "forged.wasm",
        EVIL,
        "plain.wasm",
        "linked.wasm",
        "overlay.wasm",
        "host.wasm",
        "file.wasm",
        "renamed.wasm",
        "unknown.wasm",
    ] {
        case(&["inspect", file]);
        case(&["run", file]);
        case(&["run", "--link", "core", "--store", "redb:run.redb", file]);
        case(&["compose", file, "-o", "x.wasm"]);
        case(&["compose", file, "-o", "x.wasm", "--link", "core"]);
        case(&["check-store", "--provider", file]);
        case(&["fsck", "--store", "redb:damaged.redb", "--image", file]);
    }
    let store = format!("redb:{EVIL}/store");
    for args in [
        &["--store", "redb:damaged.redb"][..],
        &["--store", "redb:repaired.redb", "--repair"],
        &["--store", "redb:repaired.redb", "--repair", "--accept-loss"],
        &["--store", &store],
        &["--store", EVIL],
        &["--store", "redb:damaged.redb", "--volume", EVIL],
        &["--store", "redb:damaged.redb", "--volume", TURNED],
        &["--store", "redb:damaged.redb", "--volume", TURNED, "--image", "overlay.wasm"],
        &["--store", "redb:damaged.redb", "--volume", TURNED, "--image", "plain.wasm"],
    ] {
        case(&[&["fsck"], args].concat());
    }
    for args in [
        &["--store", "redb:repaired.redb"][..],
        &["--store", &store],
        &["--store", EVIL],
        &["--store", "redb:damaged.redb", "--volume", EVIL],
        &["--store", "redb:damaged.redb", "--volume", TURNED],
    ] {
        case(&[&["settings"], args].concat());
        case(&[&["settings", "set"], args, &["--replace"]].concat());
        case(&[&["settings", "set"], args, &["--max-bytes", EVIL]].concat());
        case(&[&["settings", "set"], args, &["--scrub", "all", "--secret-file", EVIL]].concat());
        case(&[&["settings", "set"], args, &["--scrub", "only", "--scrub-path", EVIL]].concat());
    }
    for args in [
        &["--store", EVIL][..],
        &["--store", &store],
        &["--store", "redb:damaged.redb", "--run", EVIL],
        &["--store", "redb:damaged.redb", "--remove-before", EVIL],
    ] {
        case(&[&["audit"], args].concat());
    }
    for args in [
        &["info", EVIL][..],
        &["info", &store],
        &["info", "redb:evil.redb"],
        &["info", "redb:evil.redb", "--json"],
        &["info", "redb:damaged.redb", "--key-file", EVIL],
        &["copy", EVIL, "redb:copy.redb"],
        &["copy", "redb:evil.redb", &store],
        &["copy", "redb:evil.redb", EVIL],
        &["copy", "redb:evil.redb", &format!("redb:{EVIL}")],
        &["copy", "redb:evil.redb", &format!("redb:{EVIL}"), "--continue"],
        &["copy", &store, "redb:copy.redb", "--to-key-file", EVIL],
    ] {
        case(&[&["store"], args].concat());
    }
    for store in [EVIL, &store, "redb:evil.redb", "redb:damaged.redb"] {
        for args in [
            &["list"][..],
            &["list", "--json"],
            &["info", EVIL],
            &["info", EVIL, "--sharing", "--json"],
            &["create", EVIL],
            &["fork", EVIL, EVIL],
            &["snapshot", "main", EVIL],
            &["fork", TURNED, EVIL],
            &["info", &format!("{EVIL}x")],
            &["restore", EVIL, "main"],
            &["restore", "main", EVIL, "--force"],
            &["rename", EVIL, TURNED],
            &["freeze", EVIL, TURNED],
            &["thaw", EVIL],
            &["flatten", EVIL],
            &["gc"],
            &["rm", TURNED, EVIL],
        ] {
            case(&[&["volume", args[0], "--store", store], &args[1..]].concat());
        }
    }
    case(&["volume", "create", "--store", "redb:damaged.redb", "empty"]);
    for store in [EVIL, &store, "redb:evil.redb", "redb:damaged.redb"] {
        for args in [
            &["empty", "main"][..],
            &["main", "empty", "--json"],
            &["main", "empty", "--stat"],
            &["main", "empty", "--patch"],
            &["main", EVIL],
            &["main", TURNED, "--image", EVIL],
            &[&format!("{EVIL}x"), "main", "--image", "overlay.wasm"],
        ] {
            case(&[&["diff", "--store", store], args].concat());
        }
        case(&["fsck", "--store", store]);
        case(&["fsck", "--store", store, "--image", "overlay.wasm"]);
    }
    case(&["run", "--store", "redb:damaged.redb", "--fork-of", EVIL, "plain.wasm"]);
    case(&["run", "--store", "redb:damaged.redb", "--fork-of", "main", "--keep", EVIL, "plain.wasm"]);
    case(&["run", "--audit-file", EVIL, "guest.wasm"]);
    for args in [
        &["--volume", EVIL][..],
        &["--mode", EVIL],
        &["--link", EVIL],
        &["--mount", EVIL],
        &["--mount", &format!("/x={EVIL}:y")],
        &["--mount", &format!("/x=kv,{EVIL}")],
        &["--mount", &format!("{EVIL}=kv")],
        &["--mount", &format!("/x=image:{EVIL}/none")],
        &["--mount", "/x=image:evil.tar"],
        &["--mount", &format!("/x=host:{EVIL}")],
        &["--mount", &format!("/{TURNED}=kv"), "--mount", &format!("/{TURNED}=kv")],
        &["--mount", &format!("/x=kv,allow={EVIL}")],
        &["--mount", &format!("/x=kv,policy={EVIL}/none")],
        &["--mount", "/x=kv,policy=evil.rules"],
        &["--mount", &format!("/x=kv,extent-size={EVIL}")],
        &["--mount", &format!("/x=kv,cache={EVIL}")],
        &["--audit", EVIL],
        &["--audit", &format!("all,volume={EVIL}")],
        &["--share", EVIL],
        &["--cache-size", EVIL],
        &["--max-descriptors", EVIL],
        &[&format!("--{EVIL}")],
    ] {
        case(&[&["compose", "guest.wasm", "-o", "x.wasm"], args].concat());
        case(&[&["run"], args, &["guest.wasm"]].concat());
    }
    for provider in ["memory:EVIL", "file:EVIL", "keyvalue:EVIL", "EVIL", "EVIL:x"] {
        let provider = provider.replace("EVIL", EVIL);
        case(&["compose", "guest.wasm", "-o", "x.wasm", "--provider", &provider]);
        case(&["check-store", "--provider", &provider]);
    }
    case(&["compose", "guest.wasm", "-o", &format!("{EVIL}/x.wasm")]);
    case(&["compose", "guest.wasm", "-o", EVIL]);
    case(&["run", "--store", &store, "guest.wasm"]);
    case(&["run", "--env", EVIL, "guest.wasm"]);
    case(&["run", "--dir", EVIL, "guest.wasm"]);
    case(&["run", "--dir", &format!("tree::{EVIL}"), "guest.wasm"]);
    case(&["run", "--dir", &format!("{EVIL}/none::{TURNED}"), "host.wasm"]);
    case(&["check-store", "--store", &store]);
    case(&["check-store", "--provider", "provider.wasm", "--dir", &format!("{EVIL}/none::x")]);
    case(&["check-store", "--store", "memory:", "--timeout", EVIL]);
    write("key", &[7; 32]);
    case(&["rekey", "--store", &store, "--key-file", "key", "--new-key-file", "key"]);
    case(&["rekey", "--store", "redb:damaged.redb", "--key-file", EVIL, "--new-key-file", "key"]);
    case(&["rekey", "--store", "redb:damaged.redb", "--key-file", "key", "--new-passphrase-file", EVIL]);
    case(&["fsck", "--store", &store, "--passphrase-file", EVIL]);
    write("token", b"0123456789abcdef");
    let server = format!("http://{EVIL}");
    case(&["compose", "guest.wasm", "-o", "x.wasm", "--provider", &server, "--token-file", "token"]);
    case(&["compose", "guest.wasm", "-o", "x.wasm", "--provider", &server, "--token-file", EVIL]);
    case(&["store-server", "--store", &store, "--token-file", "token"]);
    case(&["store-server", "--store", "memory:", "--token-file", &format!("{EVIL}/none")]);
    case(&["store-server", "--store", "memory:", "--token-file", "token", "--listen", EVIL]);
    for distant in ["slatedb:", "delayed:", "postgres:", "redis:", "etcd:"] {
        case(&["fsck", "--store", &format!("{distant}{EVIL}")]);
    }
    case(&["serve", "--store", &store]);
    for command in [
        "ls", "cat", "get", "put", "import", "export", "mkdir", "rm", "mv", "cp", "find", "tree", "stat",
        "du", "df",
    ] {
        let path: &[&str] = if matches!(command, "ls" | "df") { &[] } else { &[EVIL] };
        let out: &[&str] = if matches!(command, "put" | "mv" | "cp") { &["x"] } else { &[] };
        case(&[&[command, "--store", &store], path, out].concat());
        case(&[&[command, "--store", EVIL], path, out].concat());
        case(&[&[command, "--store", "file:tree", "--volume", EVIL], path, out].concat());
        case(&[&[command, "--store", "redb:damaged.redb", "--volume", "empty"], path, out].concat());
    }
    for command in ["ls", "find", "tree", "du"] {
        case(&[command, "--store", "redb:damaged.redb"]);
        case(&[command, "--store", "redb:damaged.redb", "--json"]);
        case(&["stat", "--store", "redb:damaged.redb", EVIL, TURNED]);
    }
    case(&["find", "--store", "redb:damaged.redb", "-name", &format!("{EVIL}[")]);
    case(&["find", "--store", "redb:damaged.redb", "-newer", EVIL]);
    case(&["find", "--store", "redb:damaged.redb", "-size", EVIL]);
    for command in ["mv", "cp"] {
        case(&[command, "--store", "redb:damaged.redb", &format!("{TURNED}:/x"), "empty:/"]);
        case(&[command, "--store", "redb:damaged.redb", "empty:/", &format!("{EVIL}:/x")]);
        case(&[command, "--store", "redb:damaged.redb", EVIL, EVIL, EVIL]);
    }
    case(&["serve", "--store", EVIL]);
    case(&["serve", "--store", "redb:damaged.redb", "--port", EVIL]);
    case(&["serve", "--store", "redb:damaged.redb", "--image", &format!("{EVIL}/none")]);
    if cfg!(all(feature = "mount", target_os = "linux")) {
        for directory in [EVIL, "evil.rules"] {
            case(&["mount", "--store", &store, directory]);
            case(&["mount", "--store", EVIL, directory]);
            case(&["mount", "--store", "memory:", "--volume", EVIL, directory]);
        }
        case(&["mount", "--store", "memory:", "--file-mode", EVIL, "x"]);
    }
    case(&["completions", EVIL]);
    case(&["man", &format!("{EVIL}/none")]);
    case(&[EVIL]);
    case(&["inspect", &format!("{EVIL}/none")]);

    let mut quoting = 0;
    for args in &cases {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = kvfs(dir.path(), &args);
        check(&args, &output);
        let all = [output.stdout, output.stderr].concat();
        quoting += usize::from(all.windows(6).any(|window| window == b"FORGED"));
    }
    // Most cases must quote such a name, or the check sees little.
    assert!(quoting * 2 > cases.len(), "{quoting} of {} outputs quote such a name", cases.len());
    let help = String::from_utf8(kvfs(dir.path(), &["--help"]).stdout).unwrap();
    let commands =
        help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a list");
    let commands: BTreeSet<&str> = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    let swept: BTreeSet<&str> =
        cases.iter().map(|args| args[0].as_str()).filter(|name| *name != EVIL).collect();
    assert_eq!(swept, commands, "every subcommand is swept");
}

#[test]
fn the_log_is_escaped_too() {
    let dir = workshop();
    std::fs::write(dir.path().join("trapping.wasm"), trapping()).unwrap();
    for args in [&["run", "trapping.wasm"][..], &["inspect", "trapping.wasm"], &["compose", EVIL, "-o", "x"]]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_kvfs"))
            .args(args)
            .current_dir(dir.path())
            // The log has a warning with the path of a cache that cannot be made.
            .env("XDG_CACHE_HOME", dir.path().join("trapping.wasm").join(EVIL))
            .env("KVFS_LOG", "debug")
            .output()
            .unwrap();
        check(args, &output);
        if args[0] == "run" {
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(stderr.contains("compiling without a cache"), "{stderr}");
            assert!(stderr.contains("the guest trapped:\n    "), "{stderr}");
        }
    }
}

#[test]
fn the_output_of_a_guest_is_passed_on_unchanged() {
    let dir = workshop();
    let module = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 16) "\08\00\00\00\09\00\00\00")
        (data (i32.const 8) "\1b[1mraw\0a")
        (func (export "_start")
          (i32.store (i32.const 16) (i32.const 8))
          (i32.store (i32.const 20) (i32.const 8))
          (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 64)))
          (drop (call $write (i32.const 2) (i32.const 16) (i32.const 1) (i32.const 64)))))"#;
    std::fs::write(dir.path().join("bold.wasm"), wat::parse_str(module).unwrap()).unwrap();
    for link in ["component", "core"] {
        let output = kvfs(dir.path(), &["run", "--link", link, "bold.wasm"]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(
            (output.stdout.as_slice(), output.stderr.as_slice()),
            (&b"\x1b[1mraw\n"[..], &b"\x1b[1mraw\n"[..])
        );
    }
}
