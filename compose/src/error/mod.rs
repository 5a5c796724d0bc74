//! Errors of composing, of options and of mounts.

mod config;
mod mount;
mod text;

pub use config::ConfigError;
pub use mount::MountError;
pub(crate) use text::{cut, one_line};

/// Why composing failed, and what to do about it.
///
/// Composing works in memory, so an error leaves nothing half done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// The guest does not start with the four bytes of WebAssembly.
    #[error("not a WebAssembly file; give a component, or a core module made for WASI preview1")]
    NotWasm,

    /// The guest is WebAssembly that is cut off or damaged.
    #[error("truncated or damaged WebAssembly at byte {offset}: {reason}; build or copy the file again")]
    Invalid {
        /// Where reading failed, in bytes from the start of the file.
        offset: u64,
        /// The message of the reader.
        reason: String,
    },

    /// The guest is a core module that cannot be made into a component.
    #[error(
        "a core module that cannot be made a component: {reason}; build it for wasm32-wasip1 or wasm32-wasip2"
    )]
    CoreModule {
        /// The message of the encoder.
        reason: String,
    },

    /// The guest's types cannot be read as WIT.
    #[error(
        "a component whose interfaces cannot be read as WIT: {reason}; build it with a current toolchain"
    )]
    Undecodable {
        /// The message of the decoder.
        reason: String,
    },

    /// The guest does not use the file system.
    #[error("nothing to virtualize: the guest does not import wasi:filesystem; run it as it is")]
    NothingToVirtualize,

    /// The guest exports nothing.
    #[error("the guest exports nothing, so nothing can run it; it may be cut off: build or copy it again")]
    NothingToRun,

    /// The guest is a core module without `_start` and without the types of its exports.
    #[error(
        "nothing can run the module: it has no `_start`, and its exports ({}) have no types; give it a world with \
         `wasm-tools component embed`, or build it as a component", .functions.join(", ")
    )]
    ExportsWithoutTypes {
        /// The functions that the module exports.
        functions: Vec<String>,
    },

    /// The guest exports an interface that it imports, by passing the import on.
    #[error(
        "the guest exports {interface} by passing on its import of that name, which cannot be read as WIT; leave \
         out that export: the host has the interface anyway"
    )]
    PassedOn {
        /// The interface.
        interface: String,
    },

    /// The guest imports a version of the file system that the adapter does not export.
    #[error("the guest imports {interface}, and kvfs provides wasi:filesystem 0.2; build it for WASI 0.2")]
    UnsupportedVersion {
        /// The import, with its version.
        interface: String,
    },

    /// The guest imports an interface or a function of the file system that this version does not
    /// provide.
    #[error(
        "the guest imports {interface}{}, and {provided} has nothing of that name; build it for that version, or use a newer kvfs", function_suffix(.function)
    )]
    NotProvided {
        /// The interface as the guest names it.
        interface: String,
        /// The function, if the interface is known.
        function: Option<String>,
        /// The interface, or the version, that is provided.
        provided: String,
    },

    /// The guest is the result of a composition.
    #[error("already composed by kvfs; run it as it is, or compose the original guest")]
    AlreadyComposed,

    /// The guest imports the store itself, and would reach every volume past the file system.
    #[error(
        "it imports {interface}: it asks for the whole store, to read and change every volume in it past the file \
         system; compose the original guest with this kvfs, or if you trust it with all that, run it with \
         --allow-raw-store"
    )]
    AsksForStore {
        /// The import.
        interface: String,
    },

    /// The guest asks for snapshots and forks of its volumes, and the composition does not allow it.
    #[error(
        "it imports {interface}, to make snapshots and forks of the volumes that it mounts; if it may, allow it with \
         --allow-volume-control (`Compose::allow_volume_control`)"
    )]
    AsksForVolumeControl {
        /// The import.
        interface: String,
    },

    /// The provider in a result does not come with the library, and imports the store of the host.
    #[error(
        "it has a provider of its own that imports {interface}: that asks for the whole store of the host, to read and \
         change every volume in it; if you trust it with all that, run it with --allow-raw-store"
    )]
    ProviderAsksForStore {
        /// The import.
        interface: String,
    },

    /// A component states that kvfs composed it, and not of which parts, or in a form that this
    /// version does not know.
    #[error(
        "it has a custom section `kvfs`, as results have, but no parts that this version can compose again; compose the \
         original guest with this kvfs"
    )]
    UnknownParts,

    /// The parts that a result states cannot be composed.
    #[error(
        "the parts that it states cannot be composed again: {reason}; compose the original guest with this kvfs"
    )]
    BadParts {
        /// The fault.
        reason: String,
    },

    /// Guest and provider import the same package, so the guest may reach the provider's store.
    #[error(
        "the guest {uses} {package}, and so does the provider: the guest could read and change the store past the \
         file system; take another provider, or if what they share there is not the store, allow it with --share {package}"
    )]
    SharedWithProvider {
        /// The package, without a version.
        package: String,
        /// The guest's way to it, in words.
        uses: &'static str,
    },

    /// The name of a package to share is not valid.
    #[error("`{}` is not the name of a package to share; write it without a version, such as my:log", cut(.package).escape_debug())]
    BadShare {
        /// The name.
        package: String,
    },

    /// Guest and provider have more bytes beside their modules than a result can keep.
    #[error(
        "guest and provider have {kept_bytes} bytes of types, names and the like, and a result keeps at most {max_bytes}; \
         strip debug information, or join them as components"
    )]
    TooMuchToKeep {
        /// Their size in bytes.
        kept_bytes: u64,
        /// Most bytes that can be kept.
        max_bytes: u64,
    },

    /// Part of an interface cannot be carried between the file system's `wasi:io` and the host's.
    #[error("cannot bridge {interface}{}: {ty}: {reason}", function_suffix(.function))]
    CannotBridge {
        /// The interface as the guest names it.
        interface: String,
        /// The function, if a single function cannot be bridged.
        function: Option<String>,
        /// The type that cannot be carried.
        ty: String,
        /// Why, and what to do.
        reason: String,
    },

    /// The module given to [`Compose::adapter`](crate::Compose::adapter) is not an adapter.
    #[error("not an adapter of kvfs: {reason}; use the one that comes with this version")]
    BadAdapter {
        /// The fault.
        reason: String,
    },

    /// The module given to [`Compose::adapter`](crate::Compose::adapter) is older than the audit
    /// log, and would keep none.
    #[error(
        "the adapter has version {found} of the configuration, and an audit log takes {needed}: it would keep \
         no log; use the adapter that comes with this version, or leave the log out"
    )]
    OldAdapter {
        /// The version of the configuration that the adapter reads; 0 before there were versions.
        found: u32,
        /// The lowest version with an audit log.
        needed: u32,
    },

    /// The provider is not a component that exports the store.
    #[error("not a provider: {reason}; give a component that exports kvfs:store/kv-store@0.1.0")]
    BadProvider {
        /// The fault.
        reason: String,
    },

    /// An option is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),

    /// A mount, or a tree to pack for one, is not valid.
    #[error(transparent)]
    Mount(#[from] MountError),

    /// The parts do not fit together.
    #[error("cannot join {part}: {reason}; report this together with the guest's output of `kvfs inspect`")]
    Join {
        /// The parts being joined, in words or as the interface's name.
        part: String,
        /// The message of the graph or the encoder.
        reason: String,
    },

    /// The result breaks a promise of composition, and is not returned.
    #[error(
        "the result was refused: {reason}; report this together with the guest's output of `kvfs inspect`"
    )]
    Refused {
        /// The promise that was not kept.
        reason: String,
    },
}

fn function_suffix(function: &Option<String>) -> String {
    function.as_ref().map(|name| format!(" ({name})")).unwrap_or_default()
}

impl ComposeError {
    /// Reports an error of the reader as damaged input.
    pub(crate) fn invalid(error: &wasmparser::BinaryReaderError) -> Self {
        Self::Invalid { offset: error.offset(), reason: one_line(error.message()) }
    }

    pub(crate) fn join(part: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Join { part: part.into(), reason: one_line(&reason.to_string()) }
    }
}
