//! The adapter: its core module, and the component made of it for one guest.

use super::guest::Guest;
use crate::error::{ComposeError, one_line};
use crate::names::{InterfaceName, STORE};
use crate::wasm::embed::embed;
use std::collections::HashMap;
use wit_component::{ComponentEncoder, DecodedWasm, StringEncoding};
use wit_parser::{InterfaceId, ManglingAndAbi, Resolve, World, WorldId, WorldItem, WorldKey};

/// The adapter's core module: the file system, as built together with this crate.
///
/// A custom section of it, written by wit-bindgen, has its world.
pub static ADAPTER: &[u8] = include_bytes!(env!("KVFS_ADAPTER_CORE"));

/// The same with the audit log.
pub static ADAPTER_WITH_AUDIT: &[u8] = include_bytes!(env!("KVFS_ADAPTER_WITH_AUDIT_CORE"));

/// The same with access to the host's file system, for mounts of directories of the host.
pub static ADAPTER_WITH_HOST: &[u8] = include_bytes!(env!("KVFS_ADAPTER_WITH_HOST_CORE"));

/// The same with both.
pub static ADAPTER_WITH_HOST_AND_AUDIT: &[u8] = include_bytes!(env!("KVFS_ADAPTER_WITH_HOST_AND_AUDIT_CORE"));

/// The same as [`ADAPTER_WITH_AUDIT`] with control of volumes by the guest.
pub static ADAPTER_WITH_CONTROL: &[u8] = include_bytes!(env!("KVFS_ADAPTER_WITH_CONTROL_CORE"));

/// The same as [`ADAPTER_WITH_HOST_AND_AUDIT`] with control of volumes by the guest.
pub static ADAPTER_WITH_HOST_AND_CONTROL: &[u8] =
    include_bytes!(env!("KVFS_ADAPTER_WITH_HOST_AND_CONTROL_CORE"));

/// All adapters of this library.
pub(crate) static ADAPTERS: [&[u8]; 6] = [
    ADAPTER,
    ADAPTER_WITH_AUDIT,
    ADAPTER_WITH_HOST,
    ADAPTER_WITH_HOST_AND_AUDIT,
    ADAPTER_WITH_CONTROL,
    ADAPTER_WITH_HOST_AND_CONTROL,
];

/// Returns the smallest adapter for a configuration.
pub(crate) fn adapter_for(mounts_host: bool, config: &str) -> &'static [u8] {
    let keeps_audit_log = config.lines().any(|line| line.starts_with("audit="));
    if allows_control(config) {
        return if mounts_host { ADAPTER_WITH_HOST_AND_CONTROL } else { ADAPTER_WITH_CONTROL };
    }
    match (mounts_host, keeps_audit_log) {
        (false, false) => ADAPTER,
        (false, true) => ADAPTER_WITH_AUDIT,
        (true, false) => ADAPTER_WITH_HOST,
        (true, true) => ADAPTER_WITH_HOST_AND_AUDIT,
    }
}

/// Returns whether a configuration lets the guest control volumes.
pub(crate) fn allows_control(config: &str) -> bool {
    config.lines().any(|line| line.starts_with("volume-control="))
}

/// Package under which [`ADAPTER_WITH_HOST`] imports the host's `wasi:filesystem`.
const HOST_FILESYSTEM: &str = "kvfs:host-filesystem";

/// Package under which the adapter imports the host's `wasi:io`.
const HOST_IO: &str = "kvfs:host-io";

/// Interfaces that every adapter exports.
const EXPORTS: [&str; 7] = [
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:filesystem/types",
    "wasi:filesystem/preopens",
    "kvfs:adapter/bridge",
    "kvfs:adapter/lifecycle",
];

/// The adapter as a component for one guest.
pub(crate) struct AdapterComponent {
    pub(crate) bytes: Vec<u8>,
    pub(crate) resolve: Resolve,
    pub(crate) world: WorldId,
    pub(crate) exports: Vec<InterfaceName>,
}

impl AdapterComponent {
    /// Configures and encodes the adapter, with images in its memory.
    pub(crate) fn encode(
        core: &[u8],
        config: &str,
        images: &[u8],
        guest: &Guest<'_>,
    ) -> Result<Self, ComposeError> {
        let core = embed(core, config, images)?;
        let bytes = encode_for(&core, guest).map_err(bad)?;
        let (resolve, world) = match wit_component::decode(&bytes).map_err(bad)? {
            DecodedWasm::Component(resolve, world) => (resolve, world),
            DecodedWasm::WitPackage(..) => return Err(bad(anyhow::anyhow!("it is a WIT package"))),
        };
        let exports = resolve.worlds[world].exports.keys();
        let exports = exports.map(|key| InterfaceName::parse(&resolve.name_world_key(key))).collect();
        let adapter = Self { bytes, resolve, world, exports };
        adapter.check()?;
        Ok(adapter)
    }

    /// Checks the imports and exports that composition relies on.
    fn check(&self) -> Result<(), ComposeError> {
        let missing = |reason: String| Err(ComposeError::BadAdapter { reason });
        for base in EXPORTS {
            if !self.exports.iter().any(|export| export.base == base) {
                return missing(format!("it does not export {base}"));
            }
        }
        let imports = self.resolve.worlds[self.world].imports.keys();
        if !imports
            .into_iter()
            .any(|key| InterfaceName::parse(&self.resolve.name_world_key(key)).base == STORE)
        {
            return missing(format!("it does not import {STORE}"));
        }
        match self.host_io().len() {
            3 => Ok(()),
            found => missing(format!("it imports {found} of the 3 interfaces of {HOST_IO}")),
        }
    }

    /// Fails if the guest imports an interface or a function of the file system that the adapter
    /// does not have.
    pub(crate) fn check_provides(&self, guest: &Guest<'_>) -> Result<(), ComposeError> {
        let exports = &self.resolve.worlds[self.world].exports;
        for (key, item) in &guest.resolve.worlds[guest.world].imports {
            let name = InterfaceName::parse(&guest.resolve.name_world_key(key));
            let WorldItem::Interface { id, .. } = item else { continue };
            if !name.is_wasi02("wasi:io") && !name.is_wasi02("wasi:filesystem") && !name.is_volume_control() {
                continue;
            }
            let own = exports.iter().find_map(|(key, item)| match item {
                WorldItem::Interface { id, .. } => {
                    let own = InterfaceName::parse(&self.resolve.name_world_key(key));
                    let fits = own.base == name.base && (!own.is_volume_control() || own.pairs_with(&name));
                    fits.then_some((own, &self.resolve.interfaces[*id].functions))
                }
                _ => None,
            });
            let mut functions = guest.resolve.interfaces[*id].functions.keys();
            let (provided, function) = match own {
                None => {
                    let versions = self.exports.iter().filter_map(InterfaceName::version);
                    let wasi = versions.max().map_or("WASI".into(), |version| format!("WASI {version}"));
                    (if name.is_volume_control() { "kvfs:volume 0.1".into() } else { wasi }, None)
                }
                Some((own, known)) => match functions.find(|name| !known.contains_key(*name)) {
                    None => continue,
                    Some(function) => (own.full, Some(function.clone())),
                },
            };
            return Err(ComposeError::NotProvided { interface: name.full, function, provided });
        }
        Ok(())
    }

    /// Lists the interfaces of the host's `wasi:io` that the adapter imports, dependencies first,
    /// with their names.
    pub(crate) fn host_io(&self) -> Vec<(InterfaceId, InterfaceName)> {
        self.imports_of(HOST_IO)
    }

    /// Lists the interfaces of the host's file system that the adapter imports, with their names.
    pub(crate) fn host_filesystem(&self) -> Vec<(InterfaceId, InterfaceName)> {
        self.imports_of(HOST_FILESYSTEM)
    }

    fn imports_of(&self, package: &str) -> Vec<(InterfaceId, InterfaceName)> {
        let imports = self.resolve.worlds[self.world].imports.iter();
        imports
            .filter_map(|(key, item)| match item {
                WorldItem::Interface { id, .. } => {
                    let name = InterfaceName::parse(&self.resolve.name_world_key(key));
                    name.is_wasi02(package).then_some((*id, name))
                }
                _ => None,
            })
            .collect()
    }

    /// Makes a component without code that imports interfaces of the host's `wasi:filesystem` and
    /// `wasi:io` whole, under these names: the graph takes the types of the imports from it.
    pub(crate) fn host_types(&self, names: &[String]) -> Result<Vec<u8>, ComposeError> {
        let failed = |reason: String| ComposeError::join("the types of wasi:filesystem", reason);
        let mut resolve = self.resolve.clone();
        // The adapter exports these interfaces whole, under their own names.
        let exports = self.resolve.worlds[self.world].exports.iter();
        let mut imports = WorldItems::default();
        for (key, item) in exports {
            let name = InterfaceName::parse(&self.resolve.name_world_key(key));
            let wanted = names.iter().map(|name| InterfaceName::parse(name));
            let Some(wanted) = wanted.into_iter().find(|wanted| wanted.base == name.base) else { continue };
            let WorldItem::Interface { id, .. } = item else { continue };
            let package = resolve.interfaces[*id].package;
            let package = package.ok_or_else(|| failed(format!("{name} has no package")))?;
            resolve.packages[package].name.version = wanted.version().cloned();
            // The interfaces that its types use come first; the adapter has those too.
            for used in self.resolve.interface_direct_deps(*id).map(WorldKey::Interface) {
                let world = &self.resolve.worlds[self.world];
                if let Some(item) = world.exports.get(&used).or_else(|| world.imports.get(&used)) {
                    imports.entry(used).or_insert_with(|| item.clone());
                }
            }
            imports.insert(WorldKey::Interface(*id), item.clone());
        }
        resolve.package_names =
            resolve.packages.iter().map(|(id, package)| (package.name.clone(), id)).collect();
        encode_world(resolve, self.world, "host-types", imports, Default::default())
            .map_err(|e| failed(format!("{e:#}")))
    }

    /// Makes a component that replaces the host's `wasi:io` if no handle of the host can reach the
    /// adapter: it has the types, and functions that nothing can call.
    pub(crate) fn no_host_io(&self) -> Result<Vec<u8>, ComposeError> {
        let exports = self.host_io().into_iter().map(|(id, _)| {
            let item = self.resolve.worlds[self.world].imports[&WorldKey::Interface(id)].clone();
            (WorldKey::Interface(id), item)
        });
        let exports = exports.collect();
        encode_world(self.resolve.clone(), self.world, "no-host-io", Default::default(), exports)
            .map_err(|e| ComposeError::join("the stand-in for wasi:io", format!("{e:#}")))
    }
}

/// Encodes a core module as a component. It imports WASI under the guest's names, so that the
/// result asks the host for the version that the guest was made for. The component is not
/// validated: the result is validated as a whole.
fn encode_for(core: &[u8], guest: &Guest<'_>) -> anyhow::Result<Vec<u8>> {
    let (_, bindgen) = wit_component::metadata::decode(core)?;
    let mut names = HashMap::new();
    for key in bindgen.resolve.worlds[bindgen.world].imports.keys() {
        let import = bindgen.resolve.name_world_key(key);
        let name = InterfaceName::parse(&import);
        if name.base.starts_with("wasi:") {
            names.insert(import, guest.host_name(&name.base));
        }
    }
    ComponentEncoder::default().validate(false).import_name_map(names).module(core)?.encode()
}

/// Encodes a component without code, of a new world in the package of a known one.
fn encode_world(
    mut resolve: Resolve,
    beside: WorldId,
    name: &str,
    imports: WorldItems,
    exports: WorldItems,
) -> anyhow::Result<Vec<u8>> {
    let package = resolve.worlds[beside].package;
    let world = resolve.worlds.alloc(World {
        name: name.into(),
        imports,
        exports,
        package,
        docs: Default::default(),
        stability: Default::default(),
        includes: Default::default(),
        span: Default::default(),
    });
    let mut module = wit_component::dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default().validate(false).module(&module)?.encode()
}

/// The imports or the exports of a world.
type WorldItems = wit_parser::IndexMap<WorldKey, WorldItem>;

fn bad(error: anyhow::Error) -> ComposeError {
    ComposeError::BadAdapter { reason: one_line(&format!("{error:#}")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmparser::{FunctionBody, Operator, Parser, Payload};

    /// The most bytes of each adapter. Every composition carries one: a feature that few use gets
    /// a core of its own.
    const MAX_BYTES: [usize; 6] = [692_000, 764_000, 741_000, 804_000, 1_019_000, 1_059_000];

    #[test]
    fn adapters_stay_lean() {
        for (adapter, most) in ADAPTERS.iter().zip(MAX_BYTES) {
            let bytes = adapter.len();
            assert!(bytes <= most, "an adapter has {bytes} bytes, and may have {most}");
            assert!(bytes > most / 100 * 96, "an adapter has {bytes} bytes: lower its bound of {most}");
        }
    }

    /// The most pages of memory that an adapter starts with: its stack of 128 KiB, and its data.
    const MAX_PAGES: u64 = 3;

    #[test]
    fn adapters_start_with_little_memory() {
        for adapter in ADAPTERS {
            let parts = Outline::of(adapter);
            assert!(parts.pages <= MAX_PAGES, "{} pages", parts.pages);
        }
    }

    /// The most of its stack that the frames of all functions of each adapter take together, in eighths. No
    /// path calls them all; those of forks and differences are in the last two adapters alone.
    const MAX_FRAMES: [u64; 6] = [4, 4, 4, 4, 6, 6];

    #[test]
    fn the_frames_of_all_functions_together_leave_room_on_an_adapter_s_stack() {
        for (adapter, most) in ADAPTERS.iter().zip(MAX_FRAMES) {
            let Outline { stack_bytes, frames, .. } = Outline::of(adapter);
            let bytes: u64 = frames.iter().sum();
            assert!(frames.len() > 100, "an adapter has {} functions with a frame", frames.len());
            assert!(bytes * 8 <= stack_bytes * most, "frames of {bytes} bytes on a stack of {stack_bytes}");
        }
    }

    /// What a core module says of its memory and its stack.
    #[derive(Default)]
    struct Outline {
        /// Initial pages of memory.
        pages: u64,
        /// The stack's first value: it goes down to 0.
        stack_bytes: u64,
        /// Bytes that each function takes of the stack.
        frames: Vec<u64>,
    }

    impl Outline {
        fn of(core: &[u8]) -> Self {
            let mut outline = Self::default();
            for payload in Parser::new(0).parse_all(core) {
                match payload.unwrap() {
                    Payload::MemorySection(section) => {
                        outline.pages = section.into_iter().map(|memory| memory.unwrap().initial).sum();
                    }
                    Payload::GlobalSection(section) => {
                        let stack = section.into_iter().next().unwrap().unwrap();
                        if let Operator::I32Const { value } =
                            stack.init_expr.get_operators_reader().read().unwrap()
                        {
                            outline.stack_bytes = u64::from(value.cast_unsigned());
                        }
                    }
                    Payload::CodeSectionEntry(body) => outline.frames.extend(frame(&body)),
                    _ => {}
                }
            }
            outline
        }
    }

    /// Returns what a function takes of the stack: `global.get 0`, `i32.const`, `i32.sub`.
    fn frame(body: &FunctionBody<'_>) -> Option<u64> {
        let operators: Vec<Operator<'_>> =
            body.get_operators_reader().unwrap().into_iter().map(Result::unwrap).collect();
        operators.windows(3).find_map(|window| match window {
            [Operator::GlobalGet { global_index: 0 }, Operator::I32Const { value }, Operator::I32Sub] => {
                u64::try_from(*value).ok()
            }
            _ => None,
        })
    }

    #[test]
    fn an_adapter_carries_the_log_and_the_host_only_where_they_are_used() {
        let has = |adapter: &[u8], word: &str| adapter.windows(word.len()).any(|w| w == word.as_bytes());
        for (mounts_host, audited) in [(false, false), (false, true), (true, false), (true, true)] {
            let config = if audited { "mode=close\naudit=all\t5\t-\t-\n" } else { "mode=close\n" };
            let adapter = adapter_for(mounts_host, config);
            // The names of functions and of imports.
            assert_eq!(has(adapter, "kvfs_audit"), audited);
            assert_eq!(has(adapter, HOST_FILESYSTEM), mounts_host);
            assert!(!has(adapter, crate::names::VOLUME_CONTROL), "nobody allowed it");
            assert!(ADAPTERS.contains(&adapter));
            let controlled = adapter_for(mounts_host, &format!("{config}volume-control=64\n"));
            assert_eq!(has(controlled, HOST_FILESYSTEM), mounts_host);
            assert!(has(controlled, crate::names::VOLUME_CONTROL) && ADAPTERS.contains(&controlled));
        }
    }
}
