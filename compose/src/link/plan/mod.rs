//! Decides what becomes of the items of every part, before anything is written.

mod adapter;
mod calls;
mod exports;
mod groups;
mod imports;
mod mixed;
mod store;

use super::emit::{Fate, Source};
use super::function::Party;
use super::handles::KINDS;
use super::items::{ItemId, Items, Space};
use super::module::{GlueModule, Wanted};
use super::output::Output;
use super::trace::{Lifted, Options};
use super::{Cannot, Glue, Job, Linker, Part};
use crate::names::InterfaceName;
use std::collections::HashMap;
use wit_parser::{Function, Resolve, SizeAlign, WorldId, WorldItem};

/// Functions by interface (without version) and name.
type Functions<'r> = HashMap<(String, String), &'r Function>;

struct Planner<'a> {
    job: &'a Job<'a>,
    guest: Items<'a>,
    adapter: Items<'a>,
    provider: Option<Items<'a>>,
    fates: HashMap<(Part, ItemId), Fate>,
    glue: Vec<Glue>,
    /// The adapter's exported functions.
    lifts: HashMap<(String, String), Lifted>,
    /// The kinds of the adapter's resources, by the index of their definition and by name.
    kinds: HashMap<u32, u32>,
    kinds_by_name: HashMap<(String, String), u32>,
    destructors: Vec<Option<u32>>,
}

pub(super) fn plan<'a>(job: &'a Job<'a>) -> Result<Linker<'a>, Cannot> {
    let mut planner = Planner {
        job,
        guest: Items::read(&job.guest.bytes)?,
        adapter: Items::read(&job.adapter.bytes)?,
        provider: job.provider.map(Items::read).transpose()?,
        fates: HashMap::new(),
        glue: Vec::new(),
        lifts: HashMap::new(),
        kinds: HashMap::new(),
        kinds_by_name: HashMap::new(),
        destructors: vec![None; KINDS as usize],
    };
    planner.check_guest()?;
    planner.adapters_exports()?;
    planner.adapters_items()?;
    let operations = planner.operations();
    let mixed = planner.mixed()?;
    planner.guests_types();
    planner.guests_calls()?;
    planner.guests_exports()?;
    planner.shared_imports()?;

    let mut linker = Linker {
        output: Output::default(),
        guest: Source::new(planner.guest),
        adapter: Source::new(planner.adapter),
        provider: planner.provider.map(Source::new),
        imports: HashMap::new(),
        glue: planner.glue,
        operations,
        mixed: Some(mixed),
        destructors: planner.destructors,
        table: None,
        loans: None,
        text: HashMap::new(),
    };
    for ((part, id), fate) in planner.fates {
        linker.source_mut(part).fates.insert(id, fate);
    }
    Ok(linker)
}

/// Lists the functions of a world's imports or exports.
fn functions<'r>(resolve: &'r Resolve, world: WorldId, exports: bool) -> Functions<'r> {
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

fn is_answered(interface: &InterfaceName) -> bool {
    interface.is_wasi02("wasi:io") || interface.is_wasi02("wasi:filesystem")
}

fn layout(resolve: &Resolve) -> SizeAlign {
    let mut layout = SizeAlign::default();
    layout.fill(resolve);
    layout
}

impl<'a> Planner<'a> {
    fn items(&self, part: Part) -> &Items<'a> {
        match (part, &self.provider) {
            (Part::Adapter, _) => &self.adapter,
            (Part::Provider, Some(provider)) => provider,
            (Part::Guest | Part::Provider, _) => &self.guest,
        }
    }

    fn fate(&mut self, part: Part, id: ItemId, fate: Fate) {
        self.fates.insert((part, id), fate);
    }

    /// Keeps a module for when it is needed, and returns its number.
    fn planned(&mut self, module: GlueModule) -> usize {
        let (bytes, wanted) = module.finish();
        self.glue.push(Glue::Planned(bytes, wanted));
        self.glue.len() - 1
    }
}

/// Returns where a part's values lie.
fn party(part: Part, options: Options) -> Party {
    Party {
        memory: options.memory.map(|index| Wanted::Item(part, (Space::CoreMemory, index))),
        realloc: options.realloc.map(|index| Wanted::Item(part, (Space::CoreFunc, index))),
    }
}
