//! `--audit-file`: the audit log of a run, in a file of the host.

use crate::runtime::imports;
use anyhow::{Context, Result, bail};
use kvfs_host::{AnyStore, Audited, StoreError};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use wasmtime::component::Component;

/// The file.
pub(super) struct AuditFile(File);

/// Opens the file. `is_logged` says whether the guest was composed with a log that goes to its
/// store.
///
/// # Errors
/// Says why there would be nothing in the file.
pub(super) fn audit_file(path: &Path, is_logged: bool, component: &Component) -> Result<AuditFile> {
    if !is_logged {
        bail!("it keeps no audit log beside its volumes; compose it with --audit changes or --audit all");
    }
    if !imports(component, "kvfs:store/kv-store@") {
        bail!(
            "its store is inside it, and takes the audit log; run it without --audit-file, and read the log with \
             `kvfs audit --store file:DIR`"
        );
    }
    let file = OpenOptions::new().append(true).create(true).open(path);
    Ok(AuditFile(file.with_context(|| format!("cannot write the audit log to {}", path.display()))?))
}

impl AuditFile {
    /// Puts the file before a store: it takes the lines.
    pub(super) fn before(self, store: AnyStore) -> Audited<AnyStore> {
        let file = Mutex::new(self.0);
        Audited::new(store, move |event| {
            let line = format!("{}\n", event.line);
            let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            file.write_all(line.as_bytes())
                .map_err(|error| StoreError::Unavailable(format!("the file of the audit log: {error}")))
        })
    }
}
