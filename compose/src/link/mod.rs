//! Links the adapter's core module with the guest's, so that a file call is a core-wasm call.
//!
//! The result is the guest's component with the adapter's core modules in it. The items of the
//! guest stay, except that a function of `wasi:filesystem` or `wasi:io` that it lowered is replaced
//! by a function of a generated *glue* module, which calls the adapter's core function.
//! `LINKING.md` of this crate explains it in full. The steps are files:
//!
//! | step | file |
//! |---|---|
//! | parse components, follow items to their origin | `items`, `trace` |
//! | choose a replacement for items that are not written as they stand | `plan`, `source` |
//! | write items into the result, each before the first that refers to it | `emit`, `output` |
//! | the table of handles | `handles`, `handles.wat` |
//! | glue: functions, their values, handles of both sides, strings | `function`, `copy`, `mixed`, `text.wat` |
//! | glue for bytes of files, moved once | `direct`, `pieces` |
//! | glue that commits at exit and when an export returns | `lifecycle` |
//! | put glue into the result | `glue` |

// Parts and their items.
mod error;
mod items;
mod job;
mod trace;

// Glue: core functions between the guest and the adapter.
mod checks;
mod copy;
mod direct;
mod function;
mod handles;
mod lifecycle;
mod mixed;
mod module;
mod pieces;
mod refusal;

// The result while it is written, and the plan for every item.
mod linker;
mod output;
mod plan;
mod source;

// Writing.
mod emit;
mod glue;

#[cfg(test)]
mod tests;

pub(crate) use error::NotLinkable;
use items::Space;
pub(crate) use job::Job;
use job::Part;
use linker::Linker;
use source::Replacement;

/// Links the parts. The result is not validated.
pub(crate) fn link(job: &Job<'_>) -> Result<Vec<u8>, NotLinkable> {
    let mut linker = plan::plan(job)?;
    linker.provider_and_adapter()?;
    linker.guest()?;
    Ok(linker.output.finish())
}

impl Linker<'_> {
    /// Writes the core instances of adapter and provider: their modules, the imports of those, and
    /// what runs when they start. Their exports and types are not needed.
    fn provider_and_adapter(&mut self) -> Result<(), NotLinkable> {
        let parts = [self.provider.as_ref().map(|_| Part::Provider), Some(Part::Adapter)];
        for part in parts.into_iter().flatten() {
            let instances = self.source(part).items.all(Space::CoreInstance).len();
            for index in 0..instances as u32 {
                self.need(part, (Space::CoreInstance, index))?;
            }
        }
        Ok(())
    }

    /// Writes the guest in its order. Types and aliases of functions are written when they are
    /// needed: many only served calls that are replaced.
    fn guest(&mut self) -> Result<(), NotLinkable> {
        let items = self.guest.items.clone();
        for step in &items.steps {
            match step {
                items::Step::Item(id) => {
                    let on_demand = match (id.0, items.get(*id)?) {
                        (Space::Type | Space::Func, items::Item::Alias(_) | items::Item::Type(_)) => true,
                        _ => matches!(
                            self.guest.replacements.get(id),
                            Some(Replacement::Answered(_) | Replacement::Placeholder)
                        ),
                    };
                    if !on_demand {
                        self.need(Part::Guest, *id)?;
                    }
                }
                items::Step::Custom(section) => match section.as_known() {
                    wasmparser::KnownCustom::ComponentName(names) => self.write_names(names),
                    _ => {
                        let section = wasm_encoder::CustomSection {
                            name: section.name().into(),
                            data: section.data().into(),
                        };
                        self.output.section(&section);
                    }
                },
            }
        }
        Ok(())
    }
}
