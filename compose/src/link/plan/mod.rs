//! Plans the replacements of items and the glue, before anything is written.

mod adapter;
mod calls;
mod exports;
mod groups;
mod imports;
mod mixed;
mod planner;
mod store;

use super::error::NotLinkable;
use super::handles::KINDS;
use super::items::Items;
use super::job::Job;
use super::linker::Linker;
use super::output::Output;
use super::source::Source;
use planner::Planner;
use std::collections::HashMap;

pub(super) fn plan<'a>(job: &'a Job<'a>) -> Result<Linker<'a>, NotLinkable> {
    let mut planner = Planner {
        job,
        guest: Items::read(&job.guest.bytes)?,
        adapter: Items::read(&job.adapter.bytes)?,
        provider: job.provider.map(Items::read).transpose()?,
        replacements: HashMap::new(),
        glue: Vec::new(),
        lifts: HashMap::new(),
        kinds: HashMap::new(),
        kinds_by_name: HashMap::new(),
        destructors: vec![None; KINDS as usize],
    };
    planner.check_guest()?;
    planner.plan_adapter_exports()?;
    planner.plan_adapter_items()?;
    let operations = planner.operations();
    let mixed = planner.mixed()?;
    planner.plan_guest_types();
    planner.plan_guest_calls()?;
    planner.plan_guest_exports()?;
    planner.plan_shared_imports()?;

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
    for ((part, id), replacement) in planner.replacements {
        linker.source_mut(part).replacements.insert(id, replacement);
    }
    Ok(linker)
}
