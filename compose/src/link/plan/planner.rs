//! The state of planning.

use crate::link::function::SideImports;
use crate::link::items::{ItemId, Items, Space};
use crate::link::job::{Job, Part};
use crate::link::linker::Glue;
use crate::link::module::{GlueImport, GlueModule};
use crate::link::source::Replacement;
use crate::link::trace::{Lifted, Options};
use crate::names::InterfaceName;
use std::collections::HashMap;
use wit_parser::{Function, Resolve, SizeAlign, WorldId, WorldItem};

/// Functions by interface (without version) and name.
pub(super) type Functions<'r> = HashMap<(String, String), &'r Function>;

pub(super) struct Planner<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) guest: Items<'a>,
    pub(super) adapter: Items<'a>,
    pub(super) provider: Option<Items<'a>>,
    pub(super) replacements: HashMap<(Part, ItemId), Replacement>,
    pub(super) glue: Vec<Glue>,
    /// The adapter's exported functions.
    pub(super) lifts: HashMap<(String, String), Lifted>,
    /// The kinds of the adapter's resources, by the index of their definition and by name.
    pub(super) kinds: HashMap<u32, u32>,
    pub(super) kinds_by_name: HashMap<(String, String), u32>,
    pub(super) destructors: Vec<Option<u32>>,
}

/// Lists the functions of a world's imports or exports.
pub(super) fn functions<'r>(resolve: &'r Resolve, world: WorldId, exports: bool) -> Functions<'r> {
    let world = &resolve.worlds[world];
    let items = if exports { &world.exports } else { &world.imports };
    let mut found = Functions::new();
    for (key, item) in items {
        if let WorldItem::Interface { id, .. } = item {
            let interface = resolve.name_world_key(key);
            let interface = if exports { InterfaceName::parse(&interface).base } else { interface };
            for (name, function) in &resolve.interfaces[*id].functions {
                found.insert((interface.clone(), name.clone()), function);
            }
        }
    }
    found
}

pub(super) fn is_answered(interface: &InterfaceName) -> bool {
    interface.is_wasi02("wasi:io")
        || interface.is_wasi02("wasi:filesystem")
        || interface.is_known_volume_control()
}

pub(super) fn layout(resolve: &Resolve) -> SizeAlign {
    let mut layout = SizeAlign::default();
    layout.fill(resolve);
    layout
}

impl<'a> Planner<'a> {
    pub(super) fn items(&self, part: Part) -> &Items<'a> {
        match (part, &self.provider) {
            (Part::Adapter, _) => &self.adapter,
            (Part::Provider, Some(provider)) => provider,
            (Part::Guest | Part::Provider, _) => &self.guest,
        }
    }

    pub(super) fn replace(&mut self, part: Part, id: ItemId, replacement: Replacement) {
        self.replacements.insert((part, id), replacement);
    }

    /// Plans a module, which is placed when it is needed, and returns its number.
    pub(super) fn planned(&mut self, module: GlueModule) -> usize {
        let (bytes, imports) = module.finish();
        self.glue.push(Glue::Planned(bytes, imports));
        self.glue.len() - 1
    }
}

/// Returns the memory and the allocator of a part, as imports of glue.
pub(super) fn side_imports(part: Part, options: Options) -> SideImports {
    SideImports {
        memory: options.memory.map(|index| GlueImport::Item(part, (Space::CoreMemory, index))),
        realloc: options.realloc.map(|index| GlueImport::Item(part, (Space::CoreFunc, index))),
    }
}
