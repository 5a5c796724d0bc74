//! A guest that is itself a composition.

use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions};

use super::{caller_at, notes_at};

/// Stands for version 0.2.3 while the graph is built: the graph merges imports with compatible
/// versions.
const STAND_IN: &str = "0.99.3";

/// Returns a program composed with the guest whose functions it calls. The two are built for two
/// versions of WASI, and the result imports both.
///
/// # Errors
///
/// They cannot be joined, which is a fault of the harness.
pub fn nested() -> anyhow::Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let interface = "kvfs:guests/notes";
    let mut instantiate = |name: &str, bytes: Vec<u8>| {
        let package = Package::from_bytes(name, None, bytes, graph.types_mut())?;
        let package = graph.register_package(package)?;
        anyhow::Ok(graph.instantiate(package))
    };
    let notes = instantiate("kvfs:notes", notes_at(STAND_IN)?)?;
    let caller = instantiate("kvfs:caller", caller_at("0.2.12")?)?;
    let exported = graph.alias_instance_export(notes, interface)?;
    graph.set_instantiation_argument(caller, interface, exported)?;
    let run = "wasi:cli/run@0.2.12";
    let exported = graph.alias_instance_export(caller, run)?;
    graph.export(exported, run)?;
    let text = wasmprinter::print_bytes(graph.encode(EncodeOptions::default())?)?;
    Ok(wat::parse_str(text.replace(STAND_IN, "0.2.3"))?)
}
