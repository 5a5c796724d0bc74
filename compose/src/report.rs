//! Tells what a composition did.

use crate::bridge::{Job, Lifecycle};
use crate::mounts::Mounted;
use crate::parts::{AdapterComponent, Guest};
use crate::visible::Visible;
use std::fmt;

/// What was done with every import and export of the guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// True if the guest was a core module and was made a component first.
    pub was_core_module: bool,
    /// True if guest and adapter are linked as core modules.
    pub linked: bool,
    /// Why they are composed as components although linking was asked for.
    pub not_linked: Option<String>,
    /// Where the store is, and what the host has to give it.
    pub store: String,
    /// What is mounted, in the order of the paths; empty if there is the one volume, at the root.
    pub mounted: Vec<Mounted>,
    /// Imports that the file system answers now.
    pub virtualized: Vec<String>,
    /// Imports that stay the host's but speak the file system's `wasi:io`.
    pub bridged: Vec<Wrapped>,
    /// Imports that stay the host's as they are.
    pub passed_through: Vec<String>,
    /// `wasi:cli/exit`, if imported, and exports: what commits when a program or a call ends.
    pub committing: Vec<String>,
    /// What the result imports.
    pub imports: Vec<String>,
    /// The size of the result.
    pub size_bytes: usize,
    /// How much of it composition added to the guest.
    pub added_bytes: usize,
}

/// An interface that goes through a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wrapped {
    /// The interface's name.
    pub interface: String,
    /// How many functions have code in the bridge, as they take or return handles of `wasi:io`.
    pub shims: usize,
    /// How many functions it has.
    pub functions: usize,
}

impl Report {
    /// Tells what linking did with a guest.
    pub(crate) fn of_linked(
        guest: &Guest<'_>,
        adapter: &AdapterComponent,
        imports: Vec<String>,
        size_bytes: usize,
    ) -> Self {
        let mut report = Self {
            linked: true,
            was_core_module: guest.was_core,
            imports,
            size_bytes,
            added_bytes: size_bytes.saturating_sub(guest.bytes.len()),
            ..Self::default()
        };
        for import in &guest.imports {
            let list = if adapter.exports.iter().any(|export| export.pairs_with(import)) {
                &mut report.virtualized
            } else if import.is_wasi02("wasi:cli") && import.base == "wasi:cli/exit" {
                &mut report.committing
            } else {
                &mut report.passed_through
            };
            list.push(import.full.clone());
        }
        report.committing.extend(guest.exports.iter().map(|name| name.full.clone()));
        report
    }

    /// Tells what composing did with a guest, by the jobs of its bridge and its envelope.
    pub(crate) fn of_composed(
        guest: &Guest<'_>,
        adapter: &AdapterComponent,
        (bridge, envelope): (&Job<'_>, &Job<'_>),
        imports: Vec<String>,
        size_bytes: usize,
    ) -> Self {
        let mut report = Self {
            was_core_module: guest.was_core,
            imports,
            size_bytes,
            added_bytes: size_bytes.saturating_sub(guest.bytes.len()),
            ..Self::default()
        };
        for import in &guest.imports {
            let wrap = bridge.wraps.iter().find(|wrap| wrap.target == import.full);
            match wrap {
                _ if adapter.exports.iter().any(|export| export.pairs_with(import)) => {
                    report.virtualized.push(import.full.clone());
                }
                Some(wrap) if wrap.lifecycle != Lifecycle::Untouched => {
                    report.committing.push(import.full.clone());
                }
                Some(wrap) => report.bridged.push(Wrapped {
                    interface: import.full.clone(),
                    shims: bridge.shim_count(wrap),
                    functions: wrap.functions(&guest.resolve).count(),
                }),
                None => report.passed_through.push(import.full.clone()),
            }
        }
        report.committing.extend(envelope.wraps.iter().map(|wrap| wrap.target.clone()));
        report
    }

    /// Says it in lines, one per fact.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.was_core_module {
            lines.push("made a component of the core module, with the preview1 adapter".to_owned());
        }
        if self.linked {
            lines.push("linked: file calls are core-wasm calls".to_owned());
        }
        lines.extend(self.not_linked.iter().map(|reason| format!("composed instead of linked: {reason}")));
        lines.push(format!("store: {}", self.store));
        let mut list = |title: &str, items: &[String]| {
            lines.push(format!("{title}:{}", if items.is_empty() { " nothing" } else { "" }));
            lines.extend(items.iter().map(|item| format!("  {item}")));
        };
        if !self.mounted.is_empty() {
            list("mounted", &self.mounted.iter().map(Mounted::to_string).collect::<Vec<_>>());
        }
        list("virtualized", &self.virtualized);
        if !self.linked {
            list("bridged", &self.bridged.iter().map(Wrapped::to_string).collect::<Vec<_>>());
        }
        list("passed through", &self.passed_through);
        list("commits at the end of", &self.committing);
        list("the result imports", &self.imports);
        lines
    }
}

impl fmt::Display for Report {
    /// Writes one line per fact, each ended, with what the guest's makers chose written as [`Visible`] does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().iter().try_for_each(|line| writeln!(f, "{}", Visible(line)))
    }
}

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} of {} functions)", self.interface, self.shims, self.functions)
    }
}
