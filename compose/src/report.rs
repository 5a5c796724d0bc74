//! The report of a composition.

use crate::bridge::{Job, Lifecycle};
use crate::mounts::Mounted;
use crate::parts::{AdapterComponent, Guest};
use crate::visible::Visible;
use std::fmt;

/// The report of a composition: what it did with every import and export of the guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// True if the guest was a core module, and was made a component first.
    pub was_core_module: bool,
    /// True if guest and adapter are linked as core modules.
    pub linked: bool,
    /// Why they are composed as components although [`Link::Core`](crate::Link::Core) was chosen.
    pub not_linked: Option<String>,
    /// Where the store is, and what the host has to provide for it.
    pub store: String,
    /// The mounts in the order of their paths; empty if the one volume is the root.
    pub mounted: Vec<Mounted>,
    /// Imports that the file system answers.
    pub virtualized: Vec<String>,
    /// Imports that the host answers, with handles of the file system's `wasi:io`.
    pub bridged: Vec<Wrapped>,
    /// Imports that the host answers as before.
    pub passed_through: Vec<String>,
    /// Interfaces that commit at the end of a program or a call: `wasi:cli/exit`, if imported, and
    /// exports.
    pub committing: Vec<String>,
    /// The imports of the result.
    pub imports: Vec<String>,
    /// The size of the result.
    pub size_bytes: usize,
    /// The bytes of it that composition added to the guest.
    pub added_bytes: usize,
}

/// An interface that a bridge wraps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wrapped {
    /// The interface's name.
    pub interface: String,
    /// The number of functions with code in the bridge: those that take or return handles of
    /// `wasi:io`.
    pub shims: usize,
    /// The number of its functions.
    pub functions: usize,
}

impl Report {
    /// Reports what linking did with a guest.
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

    /// Reports what composing did with a guest, given the jobs of its bridge and its envelope.
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

    /// Returns a line per fact.
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
    /// Writes a line per fact, escaped by [`Visible`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().iter().try_for_each(|line| writeln!(f, "{}", Visible(line)))
    }
}

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} of {} functions)", self.interface, self.shims, self.functions)
    }
}
