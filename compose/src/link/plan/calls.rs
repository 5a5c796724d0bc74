//! Plans the calls of the guest, and the types that only served those calls.

use super::groups::Groups;
use super::planner::{Functions, Planner, functions, is_answered, layout, side_imports};
use crate::link::direct::{self, Direct};
use crate::link::error::NotLinkable;
use crate::link::function::{FunctionGlue, Resource};
use crate::link::handles;
use crate::link::items::{Item, ItemId, Space};
use crate::link::job::Part;
use crate::link::lifecycle::write_exit;
use crate::link::module::GlueImport;
use crate::link::refusal::Refusal;
use crate::link::source::Replacement;
use crate::link::trace::{Lifted, Options};
use crate::names::InterfaceName;
use crate::types::same_function;
use crate::types::{Special, TypeInfo};
use std::collections::{HashMap, HashSet};
use wasmparser::{CanonicalFunction, CanonicalOption, ComponentExternalKind, ComponentInstance};
use wit_parser::{Function, Resolve, SizeAlign, TypeId, WorldId};

/// The types of one component.
struct Types<'r> {
    info: TypeInfo<'r>,
    layout: SizeAlign,
    functions: Functions<'r>,
    resources: HashMap<TypeId, Resource>,
}

/// A function that the guest lowered from an imported interface.
struct Call<'c> {
    id: ItemId,
    interface: &'c InterfaceName,
    function: &'c Function,
    options: &'c [CanonicalOption],
}

impl Planner<'_> {
    /// Refuses guests whose inner components would get handles of the file system.
    pub(super) fn check_guest(&self) -> Result<(), NotLinkable> {
        if self.job.host_io.is_some() {
            let io = self.job.guest.imports.iter().filter(|n| n.is_wasi02("wasi:io"));
            let versions: HashSet<_> = io.map(|name| name.version().cloned()).collect();
            if versions.len() > 1 {
                return Err(NotLinkable::new("it imports two versions of wasi:io"));
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
                    return Err(NotLinkable::new(format!(
                        "it is a composition: an inner component calls {interface} itself"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Replaces the interfaces that the adapter answers, and their types.
    pub(super) fn plan_guest_types(&mut self) {
        let answered = |name: &InterfaceName| {
            is_answered(name) && (!name.is_wasi02("wasi:io") || self.job.host_io.is_none())
        };
        let mut replacements = Vec::new();
        for (index, item) in (0..).zip(self.guest.all(Space::Instance)) {
            if let Item::Import(import) = item
                && answered(&InterfaceName::parse(import.name.name))
            {
                replacements
                    .push(((Space::Instance, index), Replacement::Answered(import.name.name.to_owned())));
            }
        }
        for (index, item) in (0..).zip(self.guest.all(Space::Type)) {
            let id = (Space::Type, index);
            let (Item::Alias(_), Some((interface, name))) = (item, self.guest.imported(id)) else { continue };
            let parsed = InterfaceName::parse(interface);
            if answered(&parsed) {
                let resource = self.kinds_by_name.contains_key(&(parsed.base, name.to_owned()));
                let replacement = if resource {
                    Replacement::Placeholder
                } else {
                    Replacement::Answered(format!("{interface}.{name}"))
                };
                replacements.push((id, replacement));
            }
        }
        for (id, replacement) in replacements {
            self.replace(Part::Guest, id, replacement);
        }
    }

    /// Maps the resources of a component's types to those of the table.
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

    /// Gives glue to the calls of the guest that need it.
    pub(super) fn plan_guest_calls(&mut self) -> Result<(), NotLinkable> {
        let job = self.job;
        let ours = self.types(&job.adapter.resolve, job.adapter.world, true);
        let theirs = self.types(&job.guest.resolve, job.guest.world, false);
        let mut groups = Groups::default();
        for (index, item) in (0..).zip(self.guest.all(Space::CoreFunc)) {
            let id = (Space::CoreFunc, index);
            match item {
                Item::Canonical(CanonicalFunction::ResourceDrop { resource }) => {
                    self.dropping(&mut groups, id, *resource);
                }
                Item::Canonical(CanonicalFunction::Lower { func_index, options }) => {
                    let Some((interface, name)) = self.guest.imported((Space::Func, *func_index)) else {
                        continue;
                    };
                    let Some(function) = theirs.functions.get(&(interface.to_owned(), name.to_owned()))
                    else {
                        continue;
                    };
                    let parsed = InterfaceName::parse(interface);
                    let call = Call { id, interface: &parsed, function, options };
                    if is_answered(&parsed) {
                        self.answered(&mut groups, &ours, &theirs, &call)?;
                    } else if parsed.is_wasi02("wasi:cli") && parsed.base == "wasi:cli/exit" {
                        let (module, name) = groups.place(id, self.options(options)?);
                        write_exit(
                            module,
                            &name,
                            (theirs.info, function),
                            self.end()?,
                            GlueImport::Original(id),
                        );
                    } else if theirs.info.answers_none(function) {
                        self.refused(&mut groups, &theirs, &call)?;
                    }
                }
                _ => {}
            }
        }
        groups.settle(self, Part::Guest);
        Ok(())
    }

    /// Gives glue to the drop of a handle that may be the file system's.
    fn dropping(&self, groups: &mut Groups, id: ItemId, resource: u32) {
        let Some((interface, name)) = self.guest.imported((Space::Type, resource)) else { return };
        let key = (InterfaceName::parse(interface).base, name.to_owned());
        let Some(kind) = self.kinds_by_name.get(&key) else { return };
        let host = self.job.host_io.is_some() && key.0.starts_with("wasi:io/");
        let (module, name) = groups.place(id, Options::default());
        handles::write_drop(module, &name, *kind, host.then_some(GlueImport::Original(id)));
    }

    /// Gives glue to a call that the adapter answers.
    fn answered(
        &self,
        groups: &mut Groups,
        ours: &Types<'_>,
        theirs: &Types<'_>,
        call: &Call<'_>,
    ) -> Result<(), NotLinkable> {
        let name = &call.function.name;
        let lifted = self.lift(&call.interface.base, name)?;
        let known = ours.functions.get(&(call.interface.base.clone(), name.clone())).copied();
        let same = |ours_function: &&Function| {
            same_function((ours.info, ours_function), (theirs.info, call.function))
        };
        let function = known.filter(same).ok_or_else(|| {
            NotLinkable::new(format!("its {}.{name} has another type than the file system's", call.interface))
        })?;
        let (lifted, direct) = self.direct(ours, function, lifted);
        let options = self.options(call.options)?;
        let shared = call.interface.is_wasi02("wasi:io");
        let adapters = |index| GlueImport::Item(Part::Adapter, (Space::CoreFunc, index));
        let glue = FunctionGlue {
            info: ours.info,
            layout: &ours.layout,
            function,
            caller: side_imports(Part::Guest, options),
            callee: side_imports(Part::Adapter, lifted.options),
            target: self.core(lifted),
            post_return: lifted.options.post_return.map(adapters),
            original: (self.job.host_io.is_some() && shared).then_some(GlueImport::Original(call.id)),
            resources: &ours.resources,
            host_handles: self.job.host_io.is_some(),
            check_params: lifted
                .options
                .memory
                .map(|memory| GlueImport::Text(Part::Adapter, (Space::CoreMemory, memory))),
            check_results: None,
            guard_caller: true,
            direct,
        };
        let (module, name) = groups.place(call.id, options);
        glue.write(module, &name)
    }

    /// Returns the function of [`direct::INTERFACE`] to call in place of an ordinary one, if there
    /// is one.
    fn direct<'l>(
        &'l self,
        ours: &Types<'_>,
        ordinary: &Function,
        lifted: &'l Lifted,
    ) -> (&'l Lifted, Direct) {
        let name = direct::name_of(&ordinary.name);
        let place = format!("place-{name}");
        let find = |name: &str| {
            let function = ours.functions.get(&(direct::INTERFACE.to_owned(), name.to_owned())).copied()?;
            Some((function, self.lift(direct::INTERFACE, name).ok()?))
        };
        let Some((function, found)) = find(&name) else { return (lifted, Direct::Not) };
        let place = find(&place);
        let pair = direct::Pair { ordinary, direct: function, place: place.map(|(function, _)| function) };
        // An adapter of another version may have something else under the name.
        match place {
            _ if !pair.fits(ours.info) => (lifted, Direct::Not),
            None => (found, Direct::Lent),
            Some((_, place)) => {
                let post_return = place.options.post_return;
                let post_return =
                    post_return.map(|it| GlueImport::Item(Part::Adapter, (Space::CoreFunc, it)));
                (found, Direct::Placed { place: self.core(place), post_return })
            }
        }
    }

    /// Gives glue to a call of the host that returns none for handles of the file system.
    fn refused(&self, groups: &mut Groups, theirs: &Types<'_>, call: &Call<'_>) -> Result<(), NotLinkable> {
        let options = self.options(call.options)?;
        let refusal = Refusal {
            info: theirs.info,
            function: call.function,
            memory: side_imports(Part::Guest, options).memory,
            original: GlueImport::Original(call.id),
            resources: &theirs.resources,
        };
        let (module, name) = groups.place(call.id, options);
        refusal.write(module, &name)
    }

    /// Reads the options of a call and checks its memory.
    fn options(&self, options: &[CanonicalOption]) -> Result<Options, NotLinkable> {
        let options = Options::of(options)?;
        options.memory.map_or(Ok(()), |memory| self.check_memory(memory))?;
        Ok(options)
    }

    fn types<'r>(&self, resolve: &'r Resolve, world: WorldId, exports: bool) -> Types<'r> {
        Types {
            info: TypeInfo { resolve },
            layout: layout(resolve),
            functions: functions(resolve, world, exports),
            resources: self.resources(resolve),
        }
    }

    fn check_memory(&self, memory: u32) -> Result<(), NotLinkable> {
        let ty = self.guest.memory_type(memory)?;
        if ty.memory64 {
            return Err(NotLinkable::new("it has a memory of 64 bits"));
        }
        if ty.shared {
            return Err(NotLinkable::new("it shares its memory between threads"));
        }
        Ok(())
    }
}
