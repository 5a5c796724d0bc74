//! What the guest exports.

use super::Planner;
use crate::bridge::TypeInfo;
use crate::link::emit::Fate;
use crate::link::items::Space;
use crate::link::lifecycle::write_export;
use crate::link::module::{GlueModule, Wanted};
use crate::link::{Cannot, Part};
use wit_parser::{Function, WorldItem};

impl<'a> Planner<'a> {
    /// Wraps what the guest exports.
    pub(super) fn guests_exports(&mut self) -> Result<(), Cannot> {
        let resolve = &self.job.guest.resolve;
        let info = TypeInfo { resolve };
        let end = self.end()?;
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
                    end.clone(),
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
}
