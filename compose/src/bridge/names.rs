//! Names of imports and exports of generated components.

/// Import of the adapter's `wasi:io/INTERFACE`, under a name that no guest imports.
pub(crate) fn virtual_import(interface: &str) -> String {
    format!("virtual-{interface}")
}

/// Import of the adapter's `kvfs:adapter/bridge`.
pub(crate) const BRIDGE_IMPORT: &str = "bridge";

/// Import of `commit` of the adapter's `kvfs:adapter/lifecycle`, and export of the bridge's
/// `commit`, which reports its failure.
pub(crate) const COMMIT: &str = "commit";

/// Import of `explain` of the adapter's `kvfs:adapter/lifecycle`.
pub(crate) const EXPLAIN: &str = "explain";

/// Functions of the adapter that a module imports for each resource of `wasi:io`.
pub(super) const IO_FUNCTIONS: [&str; 4] = ["wrap", "unwrap", "lend", "give-back"];
