//! Groups calls into glue modules: one for all calls with the same memory and allocator.

use super::planner::Planner;
use crate::link::items::ItemId;
use crate::link::job::Part;
use crate::link::module::GlueModule;
use crate::link::source::Replacement;
use crate::link::trace::Options;

/// The calls that share a memory and an allocator, and their module.
struct Group {
    memory: Option<u32>,
    realloc: Option<u32>,
    module: GlueModule,
    calls: Vec<ItemId>,
}

/// The calls of one part that get glue.
#[derive(Default)]
pub(super) struct Groups(Vec<Group>);

impl Groups {
    /// Returns the module for a call with these options, and the name of the call's function there.
    pub(super) fn place(&mut self, call: ItemId, options: Options) -> (&mut GlueModule, String) {
        let Options { memory, realloc, .. } = options;
        let known = self.0.iter().position(|group| (group.memory, group.realloc) == (memory, realloc));
        let at = known.unwrap_or_else(|| {
            self.0.push(Group { memory, realloc, module: GlueModule::default(), calls: Vec::new() });
            self.0.len() - 1
        });
        let group = &mut self.0[at];
        group.calls.push(call);
        (&mut group.module, call.1.to_string())
    }

    /// Plans the modules, and replaces every call by its function.
    pub(super) fn settle(self, planner: &mut Planner<'_>, part: Part) {
        for group in self.0 {
            let number = planner.planned(group.module);
            for call in group.calls {
                planner.replace(part, call, Replacement::Glue(number, call.1.to_string()));
            }
        }
    }
}
