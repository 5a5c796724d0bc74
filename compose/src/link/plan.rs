//! Decides what becomes of the items of every part, before anything is written.

use super::emit::{Fate, Source};
use super::function::{Joint, Party, Resource, signature, write_refusal};
use super::handles::{self, KINDS, Operation};
use super::items::{Item, ItemId, Items, Space};
use super::lifecycle::{write_exit, write_export};
use super::mixed::{self, Probe, Wrapping};
use super::module::{GlueModule, Wanted};
use super::output::Output;
use super::shape::same_function;
use super::trace::{Lifted, Options};
use super::{Cannot, Glue, Job, Linker, Part};
use crate::bridge::{IoResource, Special, TypeInfo};
use crate::code::Body;
use crate::guest::STORE;
use crate::names::InterfaceName;
use std::collections::{HashMap, HashSet};
use wasm_encoder::Instruction as I;
use wasmparser::{
    CanonicalFunction, ComponentExternalKind, ComponentInstance, ComponentType, ComponentTypeRef,
    InstanceTypeDeclaration,
};
use wit_parser::abi::AbiVariant;
use wit_parser::{Function, Resolve, SizeAlign, Type, TypeDefKind, TypeId, WorldId, WorldItem};

/// Package under which the adapter imports the host's `wasi:io`.
const HOST_IO: &str = "kvfs:host-io";

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

/// Names the exports that an import must have.
fn exports_of_import(items: &Items<'_>, id: ItemId) -> HashSet<String> {
    let Ok(Item::Import(import)) = items.get(id) else { return HashSet::new() };
    let ComponentTypeRef::Instance(ty) = import.ty else { return HashSet::new() };
    let Ok(Item::Type(ComponentType::Instance(declarations))) = items.get((Space::Type, ty)) else {
        return HashSet::new();
    };
    let names = declarations.iter().filter_map(|declaration| match declaration {
        InstanceTypeDeclaration::Export { name, .. } => Some(name.name.to_owned()),
        _ => None,
    });
    names.collect()
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

    /// Refuses guests whose inner parts would get handles that they do not know.
    fn check_guest(&self) -> Result<(), Cannot> {
        if self.job.host_io.is_some() {
            let io = self.job.guest.imports.iter().filter(|n| n.is_wasi02("wasi:io"));
            let versions: HashSet<_> = io.map(|name| name.version().cloned()).collect();
            if versions.len() > 1 {
                return Err(Cannot::new("it imports two versions of wasi:io"));
            }
        }
        for item in self.guest.all(Space::Instance) {
            let handed: Vec<(ComponentExternalKind, u32)> = match item {
                Item::Instance(ComponentInstance::Instantiate { args, .. }) => {
                    args.iter().map(|arg| (arg.kind, arg.index)).collect()
                }
                Item::Instance(ComponentInstance::FromExports(exports)) => {
                    exports.iter().map(|e| (e.kind, e.index)).collect()
                }
                _ => continue,
            };
            for (kind, index) in handed {
                let interface = match kind {
                    ComponentExternalKind::Instance => self.guest.import_of_instance(index),
                    ComponentExternalKind::Func => {
                        self.guest.imported((Space::Func, index)).map(|(interface, _)| interface)
                    }
                    _ => None,
                };
                if let Some(interface) = interface.filter(|name| is_answered(&InterfaceName::parse(name))) {
                    return Err(Cannot::new(format!(
                        "it is a composition: an inner component calls {interface} itself"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Finds the core functions and the resources behind what the adapter exports.
    fn adapters_exports(&mut self) -> Result<(), Cannot> {
        let exports: Vec<_> = self.adapter.exports().collect();
        for (name, kind, index) in exports {
            if kind != ComponentExternalKind::Instance {
                continue;
            }
            let interface = InterfaceName::parse(name).base;
            let mut inside: Vec<_> = self.adapter.exports_of(index)?.into_iter().collect();
            // Kinds are numbered in an order that does not change from run to run.
            inside.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            for (name, (kind, index)) in inside {
                let key = (interface.clone(), name);
                match kind {
                    ComponentExternalKind::Func => {
                        self.lifts.insert(key, self.adapter.lifted(index)?);
                    }
                    ComponentExternalKind::Type => {
                        let Some((definition, destructor)) = self.adapter.resource(index) else { continue };
                        let next = self.kinds.len() as u32;
                        let kind = *self.kinds.entry(definition).or_insert(next);
                        let place = self.destructors.get_mut(kind as usize);
                        *place
                            .ok_or_else(|| Cannot::new("the adapter has more resources than the table"))? =
                            destructor;
                        self.kinds_by_name.insert(key, kind);
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn lift(&self, interface: &str, name: &str) -> Result<&Lifted, Cannot> {
        self.lifts
            .get(&(interface.to_owned(), name.to_owned()))
            .ok_or_else(|| Cannot::new(format!("the file system has no function {interface}.{name}")))
    }

    fn core(&self, lifted: &Lifted) -> Wanted {
        Wanted::Item(Part::Adapter, (Space::CoreFunc, lifted.core_func))
    }

    fn commit(&self) -> Result<Wanted, Cannot> {
        Ok(self.core(self.lift("kvfs:adapter/lifecycle", "commit")?))
    }

    /// Decides about what the adapter imports and about its resources.
    fn adapters_items(&mut self) -> Result<(), Cannot> {
        let resolve = &self.job.adapter.resolve;
        let info = TypeInfo { resolve };
        let imports = functions(resolve, self.job.adapter.world, false);
        let mut stubs = GlueModule::default();
        let mut stubbed = Vec::new();
        let mut store = Vec::new();
        for (index, item) in (0..).zip(self.adapter.all(Space::CoreFunc)) {
            let id = (Space::CoreFunc, index);
            let Item::Canonical(function) = item else { continue };
            let (resource, operation) = match function {
                CanonicalFunction::ResourceNew { resource } => (*resource, Operation::New),
                CanonicalFunction::ResourceRep { resource } => (*resource, Operation::Rep),
                CanonicalFunction::ResourceDrop { resource } => (*resource, Operation::Drop),
                CanonicalFunction::Lower { func_index, options } => {
                    let Some((interface, name)) = self.adapter.imported((Space::Func, *func_index)) else {
                        continue;
                    };
                    let parsed = InterfaceName::parse(interface);
                    let function = imports
                        .get(&(interface.to_owned(), name.to_owned()))
                        .ok_or_else(|| Cannot::new(format!("the adapter's {interface} has no {name}")))?;
                    if parsed.base == STORE && self.provider.is_some() {
                        store.push((id, name.to_owned(), Options::of(options)?));
                    } else if parsed.is_wasi02(HOST_IO) && self.job.host_io.is_none() {
                        let (params, results) = signature(info, AbiVariant::GuestImport, function);
                        let mut body = Body::new(params.len() as u32);
                        body.emit([I::Unreachable]);
                        stubs.define(&index.to_string(), &params, &results, body);
                        stubbed.push(id);
                    }
                    continue;
                }
                _ => return Err(Cannot::new("the adapter is built for another component model")),
            };
            let definition = self.adapter.resource(resource).map(|(definition, _)| definition);
            if let Some(kind) = definition.and_then(|definition| self.kinds.get(&definition)) {
                self.fates.insert((Part::Adapter, id), Fate::Handle(operation, *kind));
            } else if self.job.host_io.is_none() {
                let mut body = Body::new(1);
                body.emit([I::Unreachable]);
                stubs.define(&index.to_string(), &[wasm_encoder::ValType::I32], &[], body);
                stubbed.push(id);
            }
        }
        let number = self.planned(stubs);
        for id in stubbed {
            self.fate(Part::Adapter, id, Fate::Glue(number, id.1.to_string()));
        }
        self.link_store(store)?;

        for (index, item) in (0..).zip(self.adapter.all(Space::Instance)) {
            let Item::Import(import) = item else { continue };
            let id = (Space::Instance, index);
            let name = import.name.name;
            let fate = match &self.job.host_io {
                Some(names) => {
                    names.iter().find(|(from, _)| from == name).map(|(_, to)| Fate::Rename(to.clone()))
                }
                None => {
                    InterfaceName::parse(name).is_wasi02(HOST_IO).then(|| Fate::Answered(name.to_owned()))
                }
            };
            if let Some(fate) = fate {
                self.fates.insert((Part::Adapter, id), fate);
            }
        }
        Ok(())
    }

    /// Joins the adapter's calls of the store with a linked provider.
    fn link_store(&mut self, calls: Vec<(ItemId, String, Options)>) -> Result<(), Cannot> {
        let (Some(items), Some(bytes)) = (&self.provider, self.job.provider) else { return Ok(()) };
        let unreadable = |e: anyhow::Error| Cannot::new(format!("the provider cannot be read as WIT: {e:#}"));
        let (resolve, world) = match wit_component::decode(bytes).map_err(unreadable)? {
            wit_component::DecodedWasm::Component(resolve, world) => (resolve, world),
            wit_component::DecodedWasm::WitPackage(..) => {
                return Err(Cannot::new("the provider has no code"));
            }
        };
        let theirs = functions(&resolve, world, true);
        let export = items.exports().find(|(name, ..)| InterfaceName::parse(name).base == STORE);
        let (.., instance) = export.ok_or_else(|| Cannot::new("the provider does not export the store"))?;
        let exports = items.exports_of(instance)?;

        let adapter = &self.job.adapter.resolve;
        let info = TypeInfo { resolve: adapter };
        let layout = layout(adapter);
        let imports = functions(adapter, self.job.adapter.world, false);
        let none = HashMap::new();
        let mut modules: Vec<(Options, GlueModule, Vec<ItemId>)> = Vec::new();
        for (id, name, options) in calls {
            let missing = || Cannot::new(format!("the provider's store has no function {name}"));
            let ours = imports.iter().find(|((interface, function), _)| {
                *function == name && InterfaceName::parse(interface).base == STORE
            });
            let (_, function) = ours.ok_or_else(missing)?;
            let their_function = theirs.get(&(STORE.to_owned(), name.clone())).ok_or_else(missing)?;
            if !same_function((info, function), (TypeInfo { resolve: &resolve }, their_function)) {
                return Err(Cannot::new(format!("the provider's {name} has another type")));
            }
            let (_, index) = exports.get(&name).ok_or_else(missing)?;
            let lifted = items.lifted(*index)?;
            let party = |part: Part, options: Options| Party {
                memory: options.memory.map(|m| Wanted::Item(part, (Space::CoreMemory, m))),
                realloc: options.realloc.map(|r| Wanted::Item(part, (Space::CoreFunc, r))),
            };
            let text = |part: Part, memory: Option<u32>| {
                memory.map(|memory| Wanted::Text(part, (Space::CoreMemory, memory)))
            };
            let item = |index| Wanted::Item(Part::Provider, (Space::CoreFunc, index));
            let joint = Joint {
                info,
                layout: &layout,
                function,
                caller: party(Part::Adapter, options),
                callee: party(Part::Provider, lifted.options),
                target: item(lifted.core_func),
                post_return: lifted.options.post_return.map(item),
                original: None,
                resources: &none,
                host_handles: false,
                check_params: None,
                check_results: text(Part::Adapter, options.memory),
                guard_caller: false,
            };
            let at = match modules.iter().position(|(known, ..)| *known == options) {
                Some(at) => at,
                None => {
                    modules.push((options, GlueModule::default(), Vec::new()));
                    modules.len() - 1
                }
            };
            joint.write(&mut modules[at].1, &id.1.to_string())?;
            modules[at].2.push(id);
        }
        for (_, module, ids) in modules {
            let number = self.planned(module);
            for id in ids {
                self.fate(Part::Adapter, id, Fate::Glue(number, id.1.to_string()));
            }
        }
        Ok(())
    }

    fn operations(&mut self) -> usize {
        let mut module = GlueModule::default();
        handles::write_operations(&mut module);
        self.planned(module)
    }

    fn mixed(&mut self) -> Result<usize, Cannot> {
        let mut wrappings = Vec::new();
        let host = self.job.host_io.as_deref().unwrap_or_default();
        let named = |interface: &str| {
            let name = host
                .iter()
                .map(|(_, name)| name)
                .find(|name| InterfaceName::parse(name).base == format!("wasi:io/{interface}"));
            name.cloned().ok_or_else(|| Cannot::new(format!("the host's wasi:io/{interface} has no name")))
        };
        for io in IoResource::ALL.into_iter().filter(|_| !host.is_empty()) {
            let bridge = |verb: &str| -> Result<Wanted, Cannot> {
                Ok(self.core(self.lift("kvfs:adapter/bridge", &format!("{verb}-{}", io.name()))?))
            };
            let probe = match io {
                IoResource::InputStream | IoResource::OutputStream => Probe::Subscribe(
                    Wanted::HostFunction(
                        named(io.interface())?,
                        if io == IoResource::InputStream {
                            "[method]input-stream.subscribe"
                        } else {
                            "[method]output-stream.subscribe"
                        },
                    ),
                    Wanted::HostDrop(named("poll")?, "pollable"),
                ),
                IoResource::Pollable => {
                    Probe::Ready(Wanted::HostFunction(named("poll")?, "[method]pollable.ready"))
                }
                IoResource::Error => {
                    let describe = self.lift("wasi:io/error", "[method]error.to-debug-string")?;
                    let post_return = describe.options.post_return;
                    let post_return =
                        post_return.map(|index| Wanted::Item(Part::Adapter, (Space::CoreFunc, index)));
                    Probe::Describe(self.core(describe), post_return)
                }
            };
            let key = (format!("wasi:io/{}", io.interface()), io.name().to_owned());
            let kind = self.kinds_by_name.get(&key).copied();
            wrappings.push(Wrapping {
                kind: kind.ok_or_else(|| Cannot::new(format!("the adapter has no {}", io.name())))?,
                wrap: bridge("wrap")?,
                unwrap: bridge("unwrap")?,
                lend: bridge("lend")?,
                probe,
            });
        }
        let memory = self.lift("wasi:io/error", "[method]error.to-debug-string")?.options.memory;
        let memory = memory.ok_or_else(|| Cannot::new("the adapter has no memory"))?;
        let mut module = GlueModule::default();
        let memory = Wanted::Item(Part::Adapter, (Space::CoreMemory, memory));
        mixed::write(&mut module, &wrappings, memory);
        Ok(self.planned(module))
    }

    /// Takes out of the guest what the adapter answers.
    fn guests_types(&mut self) {
        let answered = |name: &InterfaceName| {
            name.is_wasi02("wasi:filesystem") || (name.is_wasi02("wasi:io") && self.job.host_io.is_none())
        };
        let mut fates = Vec::new();
        for (index, item) in (0..).zip(self.guest.all(Space::Instance)) {
            if let Item::Import(import) = item
                && answered(&InterfaceName::parse(import.name.name))
            {
                fates.push(((Space::Instance, index), Fate::Answered(import.name.name.to_owned())));
            }
        }
        for (index, item) in (0..).zip(self.guest.all(Space::Type)) {
            let id = (Space::Type, index);
            let (Item::Alias(_), Some((interface, name))) = (item, self.guest.imported(id)) else { continue };
            let parsed = InterfaceName::parse(interface);
            if answered(&parsed) {
                let resource = self.kinds_by_name.contains_key(&(parsed.base, name.to_owned()));
                let fate =
                    if resource { Fate::Placeholder } else { Fate::Answered(format!("{interface}.{name}")) };
                fates.push((id, fate));
            }
        }
        for (id, fate) in fates {
            self.fate(Part::Guest, id, fate);
        }
    }

    /// Maps the resources of a component's types to what they are to linking.
    fn resources(&self, resolve: &Resolve) -> HashMap<TypeId, Resource> {
        let info = TypeInfo { resolve };
        let mut found = HashMap::new();
        for (id, _) in resolve.types.iter() {
            let shared = match info.special(id) {
                Some(Special::Io(_)) => true,
                Some(Special::FileSystem) => false,
                _ => continue,
            };
            let owner = info.owner(id).and_then(|owner| resolve.id_of(owner)).unwrap_or_default();
            let name = resolve.types[id].name.clone().unwrap_or_default();
            if let Some(kind) = self.kinds_by_name.get(&(InterfaceName::parse(&owner).base, name)) {
                found.insert(info.root(id), Resource { kind: *kind, shared });
            }
        }
        found
    }

    /// Gives every call that the guest lowered its glue, where it needs any.
    fn guests_calls(&mut self) -> Result<(), Cannot> {
        let job = self.job;
        let resolve = &job.adapter.resolve;
        let (info, layout) = (TypeInfo { resolve }, layout(resolve));
        let ours = functions(resolve, job.adapter.world, true);
        let resources = self.resources(resolve);
        let guest_info = TypeInfo { resolve: &job.guest.resolve };
        let guest_layout = self::layout(&job.guest.resolve);
        let theirs = functions(&job.guest.resolve, job.guest.world, false);
        let guest_resources = self.resources(&job.guest.resolve);
        let commit = self.commit()?;

        // One module for all functions with the same memory and allocator.
        let mut modules: Vec<((Option<u32>, Option<u32>), GlueModule, Vec<ItemId>)> = Vec::new();
        for (index, item) in (0..).zip(self.guest.all(Space::CoreFunc)) {
            let id = (Space::CoreFunc, index);
            let name = index.to_string();
            match item {
                Item::Canonical(CanonicalFunction::ResourceDrop { resource }) => {
                    let Some((interface, ty)) = self.guest.imported((Space::Type, *resource)) else {
                        continue;
                    };
                    let key = (InterfaceName::parse(interface).base, ty.to_owned());
                    let Some(kind) = self.kinds_by_name.get(&key) else { continue };
                    let host = job.host_io.is_some() && key.0.starts_with("wasi:io/");
                    let at = module_for(&mut modules, (None, None));
                    handles::write_drop(
                        &mut modules[at].1,
                        &name,
                        *kind,
                        host.then_some(Wanted::Original(id)),
                    );
                    modules[at].2.push(id);
                }
                Item::Canonical(CanonicalFunction::Lower { func_index, options }) => {
                    let Some((interface, function)) = self.guest.imported((Space::Func, *func_index)) else {
                        continue;
                    };
                    let parsed = InterfaceName::parse(interface);
                    let is_exit = parsed.is_wasi02("wasi:cli") && parsed.base == "wasi:cli/exit";
                    let key = (interface.to_owned(), function.to_owned());
                    let Some(their_function) = theirs.get(&key) else { continue };
                    let refuses = answers_none(guest_info, their_function);
                    if !is_answered(&parsed) && !is_exit && !refuses {
                        continue;
                    }
                    let options = Options::of(options)?;
                    if let Some(memory) = options.memory {
                        self.check_memory(memory)?;
                    }
                    let at = module_for(&mut modules, (options.memory, options.realloc));
                    let module = &mut modules[at].1;
                    let party = |part: Part, options: Options| Party {
                        memory: options.memory.map(|m| Wanted::Item(part, (Space::CoreMemory, m))),
                        realloc: options.realloc.map(|r| Wanted::Item(part, (Space::CoreFunc, r))),
                    };
                    if is_exit {
                        let function = (guest_info, *their_function);
                        write_exit(module, &name, function, commit.clone(), Wanted::Original(id));
                    } else if is_answered(&parsed) {
                        let lifted = self.lift(&parsed.base, function)?.clone();
                        let key = (parsed.base.clone(), function.to_owned());
                        let our_function = ours.get(&key).copied().filter(|our_function| {
                            same_function((info, our_function), (guest_info, their_function))
                        });
                        let our_function = our_function.ok_or_else(|| {
                            Cannot::new(format!(
                                "its {interface}.{function} has another type than the file system's"
                            ))
                        })?;
                        let text = |memory| Wanted::Text(Part::Adapter, (Space::CoreMemory, memory));
                        let joint = Joint {
                            info,
                            layout: &layout,
                            function: our_function,
                            caller: party(Part::Guest, options),
                            callee: party(Part::Adapter, lifted.options),
                            target: self.core(&lifted),
                            post_return: lifted
                                .options
                                .post_return
                                .map(|index| Wanted::Item(Part::Adapter, (Space::CoreFunc, index))),
                            original: (job.host_io.is_some() && parsed.is_wasi02("wasi:io"))
                                .then_some(Wanted::Original(id)),
                            resources: &resources,
                            host_handles: job.host_io.is_some(),
                            check_params: lifted.options.memory.map(text),
                            check_results: None,
                            guard_caller: true,
                        };
                        joint.write(module, &name)?;
                    } else {
                        let joint = Joint {
                            info: guest_info,
                            layout: &guest_layout,
                            function: their_function,
                            caller: party(Part::Guest, options),
                            callee: Party { memory: None, realloc: None },
                            target: Wanted::Original(id),
                            post_return: None,
                            original: Some(Wanted::Original(id)),
                            resources: &guest_resources,
                            host_handles: true,
                            check_params: None,
                            check_results: None,
                            guard_caller: false,
                        };
                        write_refusal(module, &name, &joint)?;
                    }
                    modules[at].2.push(id);
                }
                _ => {}
            }
        }
        for (_, module, ids) in modules {
            let number = self.planned(module);
            for id in ids {
                self.fate(Part::Guest, id, Fate::Glue(number, id.1.to_string()));
            }
        }
        Ok(())
    }

    fn check_memory(&self, memory: u32) -> Result<(), Cannot> {
        let ty = self.guest.memory_type(memory)?;
        if ty.memory64 {
            return Err(Cannot::new("it has a memory of 64 bits"));
        }
        if ty.shared {
            return Err(Cannot::new("it shares its memory between threads"));
        }
        Ok(())
    }

    /// Wraps what the guest exports.
    fn guests_exports(&mut self) -> Result<(), Cannot> {
        let resolve = &self.job.guest.resolve;
        let info = TypeInfo { resolve };
        let commit = self.commit()?;
        let mut module = GlueModule::default();
        let mut wrapped = Vec::new();
        for (key, item) in &resolve.worlds[self.job.guest.world].exports {
            let name = resolve.name_world_key(key);
            let export = self.guest.exports().find(|(export, ..)| *export == name);
            let (.., index) =
                export.ok_or_else(|| Cannot::new(format!("its export {name} cannot be found")))?;
            let functions: Vec<(&Function, u32)> = match item {
                WorldItem::Function(function) => vec![(function, index)],
                WorldItem::Interface { id, .. } => {
                    let exports = self.guest.exports_of(index)?;
                    let find = |function: &'a Function| {
                        let found = exports.get(&function.name).map(|(_, index)| (function, *index));
                        found.ok_or_else(|| Cannot::new(format!("{name}.{} cannot be found", function.name)))
                    };
                    resolve.interfaces[*id].functions.values().map(find).collect::<Result<_, _>>()?
                }
                WorldItem::Type { .. } => continue,
            };
            for (function, index) in functions {
                if function.kind.is_async() {
                    return Err(Cannot::new("it exports an asynchronous function"));
                }
                let lifted = self.guest.lifted(index)?;
                if wrapped.contains(&lifted.item) {
                    continue;
                }
                write_export(
                    &mut module,
                    &lifted.item.1.to_string(),
                    (info, function),
                    commit.clone(),
                    Wanted::Item(Part::Guest, (Space::CoreFunc, lifted.core_func)),
                    lifted.options.memory.map(|m| Wanted::Item(Part::Guest, (Space::CoreMemory, m))),
                );
                wrapped.push(lifted.item);
            }
        }
        let number = self.planned(module);
        for item in wrapped {
            self.fate(Part::Guest, item, Fate::Wrapped(number, item.1.to_string()));
        }
        Ok(())
    }

    /// Sees to it that an interface which several parts import is imported once, with all that any of
    /// them needs.
    fn shared_imports(&mut self) -> Result<(), Cannot> {
        let mut by_name: HashMap<String, Vec<(Part, ItemId)>> = HashMap::new();
        let mut parts = vec![Part::Adapter, Part::Guest];
        parts.extend(self.provider.as_ref().map(|_| Part::Provider));
        for part in parts {
            for (index, item) in (0..).zip(self.items(part).all(Space::Instance)) {
                let id = (Space::Instance, index);
                let Item::Import(import) = item else { continue };
                let name = match self.fates.get(&(part, id)) {
                    Some(Fate::Rename(name)) => name.clone(),
                    Some(_) => continue,
                    None if self.is_linked_store(part, import.name.name) => continue,
                    None => import.name.name.to_owned(),
                };
                by_name.entry(name).or_default().push((part, id));
            }
        }
        for (name, importers) in by_name.into_iter().filter(|(_, importers)| importers.len() > 1) {
            let needs = |(part, id): &(Part, ItemId)| exports_of_import(self.items(*part), *id);
            let all: HashSet<String> = importers.iter().flat_map(needs).collect();
            let fullest = importers.iter().find(|importer| needs(importer).len() == all.len()).copied();
            let (part, id) = fullest
                .ok_or_else(|| Cannot::new(format!("two parts import different functions of {name}")))?;
            for (other, other_id) in importers {
                if (other, other_id) != (part, id) {
                    self.fate(other, other_id, Fate::Same(part, id));
                }
            }
        }
        Ok(())
    }

    fn is_linked_store(&self, part: Part, name: &str) -> bool {
        part == Part::Adapter && self.provider.is_some() && InterfaceName::parse(name).base == STORE
    }
}

fn module_for(
    modules: &mut Vec<((Option<u32>, Option<u32>), GlueModule, Vec<ItemId>)>,
    key: (Option<u32>, Option<u32>),
) -> usize {
    if let Some(at) = modules.iter().position(|(known, ..)| *known == key) {
        return at;
    }
    modules.push((key, GlueModule::default(), Vec::new()));
    modules.len() - 1
}

/// Returns true if a function takes a handle of `wasi:io` and answers an option, so that it can answer
/// none for a handle that it cannot know.
fn answers_none(info: TypeInfo<'_>, function: &Function) -> bool {
    let option = function.result.is_some_and(|ty| match ty {
        Type::Id(id) => matches!(info.resolve.types[info.root(id)].kind, TypeDefKind::Option(_)),
        _ => false,
    });
    option && function.params.iter().any(|param| info.mentions_io(&param.ty))
}
