//! The raw guests as if they were built against another WASI 0.2.
//!
//! What they call is the same in all of them, so only the version in the names differs: of the module's imports and
//! exports, and of the interfaces that its component type is made from. (`exit-with-code` was there before 0.2.12
//! too, as an unstable function.)

use std::path::Path;

use anyhow::Context;
use wit_component::StringEncoding;
use wit_parser::Resolve;

/// The versions that guests in use were built for.
pub const VERSIONS: [&str; 5] = ["0.2.0", "0.2.3", "0.2.6", "0.2.9", "0.2.12"];

/// The version that the guests are written for.
const OURS: &str = "@0.2.12";

/// In an order in which each has what it uses before it.
const PACKAGES: [&str; 7] = ["io", "clocks", "random", "filesystem", "sockets", "cli", "http"];

/// Returns the component with the programs, for a version of WASI.
///
/// # Errors
///
/// The module cannot be read or made a component, which is a fault of the harness.
pub fn programs_at(version: &str) -> anyhow::Result<Vec<u8>> {
    at(version, env!("KVFS_GUESTS"), "guest")
}

/// Returns the component with the exported functions, for a version of WASI.
///
/// # Errors
///
/// As [`programs_at`].
pub fn notes_at(version: &str) -> anyhow::Result<Vec<u8>> {
    at(version, env!("KVFS_NOTES"), "reactor")
}

/// Returns the program that imports those functions, for a version of WASI.
///
/// # Errors
///
/// As [`programs_at`].
pub fn caller_at(version: &str) -> anyhow::Result<Vec<u8>> {
    at(version, env!("KVFS_CALLER"), "caller")
}

fn at(version: &str, module: &str, world: &str) -> anyhow::Result<Vec<u8>> {
    let version = format!("@{version}");
    let text = wasmprinter::print_file(module).with_context(|| module.to_owned())?;
    let lines = text.lines().filter(|line| !line.contains("(@custom \"component-type"));
    let renamed = lines.map(|line| line.replace(OURS, &version));
    let mut module = wat::parse_str(renamed.collect::<Vec<_>>().join("\n"))?;

    let mut resolve = Resolve::default();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for package in PACKAGES {
        let path = root.join(format!("../wit/deps/wasi-{package}.wit"));
        resolve.push_str(&path, &wit(&path, &version)?)?;
    }
    let guests = root.join("guests/wit");
    // Files of one package.
    let worlds = wit(&guests.join("worlds.wit"), &version)?;
    let notes = wit(&guests.join("notes.wit"), &version)?;
    let carrier = wit(&guests.join("carrier.wit"), &version)?;
    let rest = (notes + &carrier).replace("package kvfs:guests;", "");
    let package = resolve.push_str("guests.wit", &(worlds + &rest))?;
    let world = resolve.select_world(&[package], Some(world))?;
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    wit_component::ComponentEncoder::default().validate(true).module(&module)?.encode().context("encoding")
}

/// Reads interfaces as if they were of a version. Whether something was stable then is left out.
fn wit(path: &Path, version: &str) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let gates = ["@since", "@deprecated"];
    let lines = text.lines().filter(|line| !gates.iter().any(|gate| line.trim_start().starts_with(gate)));
    Ok(lines.map(|line| line.replace(OURS, version) + "\n").collect())
}
