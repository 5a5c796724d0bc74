//! The raw guests, as if built against other versions of WASI 0.2.
//!
//! They call the same functions in every version, so only the version in the names changes: of the
//! module's imports and exports, and of the interfaces in its component type. (`exit-with-code`
//! existed before 0.2.12 too, as an unstable function.)

use std::path::Path;

use anyhow::Context;
use wit_component::StringEncoding;
use wit_parser::Resolve;

/// Versions that guests in use were built for.
pub const VERSIONS: [&str; 5] = ["0.2.0", "0.2.3", "0.2.6", "0.2.9", "0.2.12"];

/// The version that the guests are written for.
const OURS: &str = "@0.2.12";

/// Ordered so that each package comes after those it uses.
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
    // All three files belong to one package.
    let worlds = wit(&guests.join("worlds.wit"), &version)?;
    let notes = wit(&guests.join("notes.wit"), &version)?;
    let carrier = wit(&guests.join("carrier.wit"), &version)?;
    let rest = (notes + &carrier).replace("package kvfs:guests;", "");
    let package = resolve.push_str("guests.wit", &(worlds + &rest))?;
    let world = resolve.select_world(&[package], Some(world))?;
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    wit_component::ComponentEncoder::default().validate(true).module(&module)?.encode().context("encoding")
}

/// Reads interfaces as if they were of a version, without their stability attributes.
fn wit(path: &Path, version: &str) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let gates = ["@since", "@deprecated"];
    let lines = text.lines().filter(|line| !gates.iter().any(|gate| line.trim_start().starts_with(gate)));
    Ok(lines.map(|line| line.replace(OURS, version) + "\n").collect())
}
