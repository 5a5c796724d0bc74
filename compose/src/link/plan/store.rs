//! Plans the adapter's calls of a linked provider.

use super::groups::Groups;
use super::planner::{Planner, functions, layout, side_imports};
use crate::link::direct::Direct;
use crate::link::error::NotLinkable;
use crate::link::function::FunctionGlue;
use crate::link::items::{ItemId, Space};
use crate::link::job::Part;
use crate::link::module::GlueImport;
use crate::link::trace::Options;
use crate::names::{InterfaceName, STORE};
use crate::types::TypeInfo;
use crate::types::same_function;
use std::collections::HashMap;

impl Planner<'_> {
    /// Gives glue to the adapter's calls of the store, if there is a provider.
    pub(super) fn link_store(&mut self, calls: Vec<(ItemId, String, Options)>) -> Result<(), NotLinkable> {
        let (Some(items), Some(bytes)) = (&self.provider, self.job.provider) else { return Ok(()) };
        let unreadable =
            |e: anyhow::Error| NotLinkable::new(format!("the provider cannot be read as WIT: {e:#}"));
        let (resolve, world) = match wit_component::decode(bytes).map_err(unreadable)? {
            wit_component::DecodedWasm::Component(resolve, world) => (resolve, world),
            wit_component::DecodedWasm::WitPackage(..) => {
                return Err(NotLinkable::new("the provider has no code"));
            }
        };
        let theirs = functions(&resolve, world, true);
        let export = items.exports().find(|(name, ..)| InterfaceName::parse(name).base == STORE);
        let (.., instance) =
            export.ok_or_else(|| NotLinkable::new("the provider does not export the store"))?;
        let exports = items.exports_of(instance)?;

        let adapter = &self.job.adapter.resolve;
        let info = TypeInfo { resolve: adapter };
        let layout = layout(adapter);
        let imports = functions(adapter, self.job.adapter.world, false);
        let none = HashMap::new();
        let mut groups = Groups::default();
        for (id, name, options) in calls {
            let missing = || NotLinkable::new(format!("the provider's store has no function {name}"));
            let ours = imports.iter().find(|((interface, function), _)| {
                *function == name && InterfaceName::parse(interface).base == STORE
            });
            let (_, function) = ours.ok_or_else(missing)?;
            let their_function = theirs.get(&(STORE.to_owned(), name.clone())).ok_or_else(missing)?;
            if !same_function((info, function), (TypeInfo { resolve: &resolve }, their_function)) {
                return Err(NotLinkable::new(format!("the provider's {name} has another type")));
            }
            let (_, index) = exports.get(&name).ok_or_else(missing)?;
            let lifted = items.lifted(*index)?;
            let text = |part: Part, memory: Option<u32>| {
                memory.map(|memory| GlueImport::Text(part, (Space::CoreMemory, memory)))
            };
            let item = |index| GlueImport::Item(Part::Provider, (Space::CoreFunc, index));
            let glue = FunctionGlue {
                info,
                layout: &layout,
                function,
                caller: side_imports(Part::Adapter, options),
                callee: side_imports(Part::Provider, lifted.options),
                target: item(lifted.core_func),
                post_return: lifted.options.post_return.map(item),
                original: None,
                resources: &none,
                host_handles: false,
                check_params: None,
                check_results: text(Part::Adapter, options.memory),
                guard_caller: false,
                direct: Direct::Not,
            };
            let (module, name) = groups.place(id, options);
            glue.write(module, &name)?;
        }
        groups.settle(self, Part::Adapter);
        Ok(())
    }

    pub(super) fn is_linked_store(&self, part: Part, name: &str) -> bool {
        part == Part::Adapter && self.provider.is_some() && InterfaceName::parse(name).base == STORE
    }
}
