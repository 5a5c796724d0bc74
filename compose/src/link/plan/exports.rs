//! Plans the exports of the guest.

use super::planner::Planner;
use crate::link::error::NotLinkable;
use crate::link::items::Space;
use crate::link::job::Part;
use crate::link::lifecycle::write_export;
use crate::link::module::{GlueImport, GlueModule};
use crate::link::source::Replacement;
use crate::types::TypeInfo;
use wit_parser::{Function, WorldItem};

impl<'a> Planner<'a> {
    /// Wraps the exports of the guest, which commit when they return.
    pub(super) fn plan_guest_exports(&mut self) -> Result<(), NotLinkable> {
        let resolve = &self.job.guest.resolve;
        let info = TypeInfo { resolve };
        let end = self.end()?;
        let mut module = GlueModule::default();
        let mut wrapped = Vec::new();
        for (key, item) in &resolve.worlds[self.job.guest.world].exports {
            let name = resolve.name_world_key(key);
            let export = self.guest.exports().find(|(export, ..)| *export == name);
            let (.., index) =
                export.ok_or_else(|| NotLinkable::new(format!("its export {name} cannot be found")))?;
            let functions: Vec<(&Function, u32)> = match item {
                WorldItem::Function(function) => vec![(function, index)],
                WorldItem::Interface { id, .. } => {
                    let exports = self.guest.exports_of(index)?;
                    let find = |function: &'a Function| {
                        let found = exports.get(&function.name).map(|(_, index)| (function, *index));
                        found.ok_or_else(|| {
                            NotLinkable::new(format!("{name}.{} cannot be found", function.name))
                        })
                    };
                    resolve.interfaces[*id].functions.values().map(find).collect::<Result<_, _>>()?
                }
                WorldItem::Type { .. } => continue,
            };
            for (function, index) in functions {
                if function.kind.is_async() {
                    return Err(NotLinkable::new("it exports an asynchronous function"));
                }
                let lifted = self.guest.lifted(index)?;
                if wrapped.contains(&lifted.item) {
                    continue;
                }
                write_export(
                    &mut module,
                    &lifted.item.1.to_string(),
                    (info, function),
                    end.clone(),
                    GlueImport::Item(Part::Guest, (Space::CoreFunc, lifted.core_func)),
                    lifted.options.memory.map(|m| GlueImport::Item(Part::Guest, (Space::CoreMemory, m))),
                );
                wrapped.push(lifted.item);
            }
        }
        let number = self.planned(module);
        for item in wrapped {
            self.replace(Part::Guest, item, Replacement::Wrapped(number, item.1.to_string()));
        }
        Ok(())
    }
}
