//! Guests made from WIT: components without code that import and export what a world says. And
//! tools to change the sections of a component.

use std::path::Path;
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::{ManglingAndAbi, Resolve, UnresolvedPackageGroup, WorldId};

/// The version of the WASI packages in `wit/deps`.
const PINNED: &str = "0.2.12";

/// Makes a component of the world `guest` in a WIT text, with WASI of some version.
pub fn guest(wit: &str, wasi_version: &str) -> Vec<u8> {
    let (resolve, world) = resolve(wit, wasi_version);
    let module = wit_component::dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    encode(module, &resolve, world)
}

/// Makes a component of a core module in text and the world `guest` in a WIT text, which may name
/// `kvfs:store` and `kvfs:volume`.
pub fn component(wit: &str, wasi_version: &str, module: &str) -> Vec<u8> {
    let (resolve, world) = resolve_beside_store(wit, wasi_version);
    encode(wat::parse_str(module.replace("WASI", wasi_version)).unwrap(), &resolve, world)
}

/// As [`guest`], for a world that may name `kvfs:store`, `kvfs:volume`, versions of `wasi:keyvalue`, and
/// `my:host`.
pub fn guest_beside_store(wit: &str, wasi_version: &str) -> Vec<u8> {
    let (resolve, world) = resolve_beside_store(wit, wasi_version);
    let module = wit_component::dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    encode(module, &resolve, world)
}

/// As [`guest_beside_store`], with a change made to the text of the module in it.
pub fn guest_changed(wit: &str, wasi_version: &str, change: impl FnOnce(String) -> String) -> Vec<u8> {
    let (resolve, world) = resolve_beside_store(wit, wasi_version);
    let module = wit_component::dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    let text = change(wasmprinter::print_bytes(&module).unwrap());
    encode(wat::parse_str(text).unwrap(), &resolve, world)
}

/// As [`guest_beside_store`], as a core module with the types of the world in it.
pub fn core_module(wit: &str, wasi_version: &str, mangling: ManglingAndAbi) -> Vec<u8> {
    let (resolve, world) = resolve_beside_store(wit, wasi_version);
    let mut module = wit_component::dummy_module(&resolve, world, mangling);
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

/// Packages that are not in `wit/deps`.
const OTHERS: [&str; 2] = [
    "package my:host; interface log { log: func(line: string); } interface database { query: func() -> list<u8>; }",
    "package wasi:keyvalue@0.2.0-draft2; interface store { open: func(name: string) -> u32; } \
     interface atomics { increment: func(name: string) -> u64; }",
];

fn resolve_beside_store(wit: &str, wasi_version: &str) -> (Resolve, WorldId) {
    let (mut resolve, _) = resolve("package test:none; world guest {}", wasi_version);
    for own in ["store/kv-store.wit", "volume/control.wit"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../wit").join(own);
        resolve.push_group(group(&path, &std::fs::read_to_string(&path).unwrap())).unwrap();
    }
    for (number, text) in OTHERS.into_iter().enumerate() {
        resolve.push_group(group(Path::new(&format!("other-{number}.wit")), text)).unwrap();
    }
    let world = world(&mut resolve, wit, wasi_version);
    (resolve, world)
}

fn encode(mut module: Vec<u8>, resolve: &Resolve, world: WorldId) -> Vec<u8> {
    wit_component::embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8).unwrap();
    let mut encoder = ComponentEncoder::default();
    encoder.module(&module).unwrap().encode().unwrap()
}

fn resolve(wit: &str, wasi_version: &str) -> (Resolve, WorldId) {
    let mut resolve = Resolve { all_features: true, ..Resolve::default() };
    let deps = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../wit/deps");
    let mut groups: Vec<_> = std::fs::read_dir(&deps)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("wasi-"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            // Without the gates, every version has all items.
            let gates = ["@since", "@deprecated"];
            let stays = |line: &&str| !gates.iter().any(|gate| line.trim_start().starts_with(gate));
            let lines = text.lines().filter(stays);
            let text: String = lines.map(|line| line.replace(PINNED, wasi_version) + "\n").collect();
            group(&path, &text)
        })
        .collect();
    // Sorted, so that the order of the directory does not matter; then dependencies first.
    groups.sort_by_key(|g| g.main.name.to_string());
    while !groups.is_empty() {
        let known: Vec<_> = resolve.package_names.keys().cloned().collect();
        let ready = groups.iter().position(|g| g.main.foreign_deps.keys().all(|dep| known.contains(dep)));
        let next = groups.remove(ready.expect("packages that do not depend in circles"));
        resolve.push_group(next).unwrap();
    }
    let world = world(&mut resolve, wit, wasi_version);
    (resolve, world)
}

fn world(resolve: &mut Resolve, wit: &str, wasi_version: &str) -> WorldId {
    let text = wit.replace("WASI", wasi_version);
    let main = resolve.push_group(group(Path::new("guest.wit"), &text)).unwrap();
    resolve.select_world(&[main], Some("guest")).unwrap()
}

fn group(path: &Path, text: &str) -> UnresolvedPackageGroup {
    let mut map = wit_parser::SourceMap::default();
    map.push(path, text);
    map.parse().map_err(|(_, error)| error.to_string()).unwrap()
}

/// A world with an interface of every package that CPython imports.
pub const COMMAND: &str = r#"
package test:guest;

world guest {
  import wasi:filesystem/types@WASI;
  import wasi:filesystem/preopens@WASI;
  import wasi:clocks/monotonic-clock@WASI;
  import wasi:clocks/wall-clock@WASI;
  import wasi:random/random@WASI;
  import wasi:cli/environment@WASI;
  import wasi:cli/exit@WASI;
  import wasi:cli/stdin@WASI;
  import wasi:cli/stdout@WASI;
  import wasi:cli/stderr@WASI;
  import wasi:cli/terminal-stdin@WASI;
  import wasi:sockets/instance-network@WASI;
  import wasi:sockets/tcp-create-socket@WASI;
  import wasi:sockets/tcp@WASI;
  import wasi:sockets/udp@WASI;
  import wasi:sockets/ip-name-lookup@WASI;
  export wasi:cli/run@WASI;
}
"#;

/// Lists the sections of the outermost level.
pub fn sections(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut found = Vec::new();
    let mut at = 8;
    while at < bytes.len() {
        let id = bytes[at];
        let mut reader = wasmparser::BinaryReader::new(&bytes[at + 1..], 0);
        let length = reader.read_var_u32().unwrap() as usize;
        let start = at + 1 + reader.original_position() as usize;
        found.push((id, bytes[start..start + length].to_vec()));
        at = start + length;
    }
    found
}

/// Makes a component of sections.
pub fn whole(sections: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    for (id, data) in sections {
        bytes.push(*id);
        wasm_encoder::Encode::encode(&(data.len() as u32), &mut bytes);
        bytes.extend_from_slice(data);
    }
    bytes
}

/// Changes the text of the section `kvfs` of a result.
pub fn with_text(bytes: &[u8], change: impl FnOnce(String) -> String) -> Vec<u8> {
    let mut sections = sections(bytes);
    let at = sections.len() - 2;
    let text = sections[at].1.strip_prefix(b"\x04kvfs").expect("the text comes last but one").to_vec();
    let text = change(String::from_utf8(text).unwrap());
    sections[at].1 = [b"\x04kvfs", text.as_bytes()].concat();
    whole(&sections)
}
