//! Links the adapter's core module with the guest's, so that a file call is a core-wasm call.
//!
//! The result is the guest's component with the adapter's core modules in it. Everything the guest has
//! stays; where it lowered a function of `wasi:filesystem` or `wasi:io`, it now gets a function of a
//! generated *glue* module that calls the adapter's core function. `LINKING.md` of this crate tells
//! the whole story; the steps are files:
//!
//! | step | file |
//! |---|---|
//! | take components apart, follow items to their origin | `items`, `trace` |
//! | decide for every item of the parts what becomes of it | `plan` |
//! | see to it that both sides mean the same by a function | `shape` |
//! | write items into the result, each before the first that needs it | `emit`, `output` |
//! | the table of handles | `handles`, `handles.wat` |
//! | glue: one function, its values, its handles of both kinds, its strings | `function`, `copy`, `mixed`, `text.wat` |
//! | bytes of files: from where they lie to where they go | `direct` |
//! | commit at exit and when an export returns | `lifecycle` |

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

// The result while it is written, and what becomes of every item.
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
    /// Writes the core instances of the parts that serve: their modules, what those import, and what
    /// runs when they start. What they export is not needed, nor its types.
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

    /// Writes the guest in its order. Types and names of functions follow when they are needed: many
    /// only served the calls that are gone.
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
