//! Inspects wasm files.

use crate::audit::Audit;
use crate::error::ComposeError;
use crate::fixed::{fixed_mounts, lines, own_volumes};
use crate::options::Link;
use crate::parts::{self, Claimed};
use crate::recompose::make_again;
use crate::visible::Visible;
use crate::wasm::Outline;
use std::fmt;
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// The kind of a wasm file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A core module.
    CoreModule,
    /// A component.
    Component,
    /// A component whose parts this build can compose again.
    Composed {
        /// The version of kvfs that made it, as the file states.
        version: String,
        /// The options fixed at build time, as lines `key=value`; empty if every option has its
        /// default.
        config: String,
        /// True if guest and file system are linked at core level.
        linked: bool,
        /// True if this build makes exactly this file of its parts. Otherwise another build made
        /// it, or it was changed since: give a store only to the result of
        /// [`recompose`](crate::recompose()).
        is_same: bool,
    },
}

/// The result of [`inspect`](crate::inspect()): what a wasm file is, and what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// The kind of the file.
    pub kind: Kind,
    /// Warnings for whoever runs it: it imports the store itself, or states something false.
    pub warnings: Vec<String>,
    /// The size of the file.
    pub size_bytes: usize,
    /// Where the store of a composed component is, and what the host has to provide for it.
    pub store: Option<String>,
    /// The mounts of a composed component, described.
    pub mounts: Vec<String>,
    /// Imported interfaces and functions; of a core module, the modules it imports from.
    pub imports: Vec<String>,
    /// Exported interfaces and functions.
    pub exports: Vec<String>,
    /// The sizes of the core modules inside, in the order of the file.
    pub core_modules_bytes: Vec<usize>,
    /// The features that it needs beyond WebAssembly 1.0, by wasmparser's names.
    pub features: Vec<String>,
}

/// Inspects a file.
///
/// Its statements are not trusted: its parts are composed again to find out whether it is a
/// composition.
///
/// # Errors
///
/// [`ComposeError::NotWasm`] and [`ComposeError::Invalid`].
///
/// # Cost
///
/// Validates the file once, and a few more times for each feature that it needs.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, ComposeError> {
    let outline = Outline::read(bytes)?;
    let features = features(bytes)?;
    let mut core_modules_bytes = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|e| ComposeError::invalid(&e))?;
        if let Payload::ModuleSection { unchecked_range, .. } = payload {
            core_modules_bytes.push((unchecked_range.end - unchecked_range.start) as usize);
        }
    }
    let mut warnings = Vec::new();
    let mut found = Inspection {
        kind: if outline.is_component { Kind::Component } else { Kind::CoreModule },
        warnings: Vec::new(),
        size_bytes: bytes.len(),
        store: None,
        mounts: Vec::new(),
        imports: outline.imports.clone(),
        exports: outline.exports.clone(),
        core_modules_bytes,
        features,
    };
    let claims = parts::mark_text(bytes).is_some();
    let made = if claims { Some(make_again(bytes)) } else { None };
    match (made, Claimed::read(bytes)) {
        (Some(Ok(made)), Some(claimed)) => {
            if !made.is_same() {
                warnings.push(OTHER_BUILD.to_owned());
            }
            warnings.extend(made.check_store().err().map(|error| error.to_string()));
            found.store = Some(made.provider.to_string());
            found.mounts = fixed_mounts(bytes).iter().map(ToString::to_string).collect();
            found.kind = Kind::Composed {
                version: claimed.mark.version.clone(),
                config: lines(&claimed),
                linked: claimed.mark.link == Link::Core,
                is_same: made.is_same(),
            };
        }
        (Some(Err(error)), _) => {
            warnings.push(format!("it states that kvfs composed it, which is not true: {error}"))
        }
        _ => {}
    }
    if !matches!(found.kind, Kind::Composed { .. })
        && let Some(interface) = outline.store_import()
    {
        let interface = interface.to_owned();
        let warning = ComposeError::AsksForStore { interface }.to_string();
        if !warnings.iter().any(|known| known.ends_with(&warning)) {
            warnings.push(warning);
        }
    }
    found.warnings = warnings;
    Ok(found)
}

/// The warning for a result that this build would make differently.
const OTHER_BUILD: &str = "this build of kvfs makes other bytes of the same parts: another build made it, or it was \
                           changed since; `kvfs run` runs the bytes of this build";

/// Lists the features without which a file does not validate.
fn features(bytes: &[u8]) -> Result<Vec<String>, ComposeError> {
    let validate = |features| Validator::new_with_features(features).validate_all(bytes).map(drop);
    let all = WasmFeatures::all();
    validate(all).map_err(|e| ComposeError::invalid(&e))?;

    // Bisection: most files need few features, so large groups can be ruled out at once.
    let mut left = all;
    let mut needed = Vec::new();
    let candidates: Vec<_> =
        all.iter_names().filter(|(_, feature)| !WasmFeatures::MVP.contains(*feature)).collect();
    let mut groups = vec![candidates];
    while let Some(mut group) = groups.pop() {
        let without = group.iter().fold(left, |left, (_, feature)| left.difference(*feature));
        if validate(without).is_ok() {
            left = without;
        } else if let [(name, _)] = group[..] {
            needed.push(name.to_lowercase().replace('_', "-"));
        } else {
            groups.push(group.split_off(group.len() / 2));
            groups.push(group);
        }
    }
    Ok(needed)
}

impl Inspection {
    /// Returns a line per fact.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        match &self.kind {
            Kind::CoreModule => lines.push("a core module".to_owned()),
            Kind::Component => lines.push("a component".to_owned()),
            Kind::Composed { version, config, linked, .. } => {
                let joined = if *linked { "linked" } else { "composed" };
                lines.push(format!("a component {joined} by kvfs {version}"));
                // Mounts have a list of their own, the log has a line, and the store's line has the
                // options of the provider.
                let own = |line: &&str| {
                    let of = [
                        "audit=",
                        "volume-control=",
                        "mount=",
                        "rule=",
                        "limits=",
                        "provider=",
                        "size=",
                        "path=",
                        "bucket=",
                        "server=",
                        "token=",
                    ];
                    !of.iter().any(|key| line.starts_with(key))
                };
                let audit = config.lines().find_map(|line| Audit::of_line(line.strip_prefix("audit=")?));
                let controlled = own_volumes(config);
                let config = config.lines().filter(own).collect::<Vec<_>>().join(", ");
                lines
                    .push(format!("configuration: {}", if config.is_empty() { "defaults" } else { &config }));
                lines.extend(audit.map(|audit| format!("audit log: {audit}")));
                lines.extend(controlled.map(|volumes| {
                    format!(
                        "volume control: the guest makes up to {volumes} snapshots and forks of each volume"
                    )
                }));
            }
        }
        lines.extend(self.warnings.iter().map(|warning| format!("warning: {warning}")));
        lines.push(format!("size: {} bytes", self.size_bytes));
        let modules: Vec<_> = self.core_modules_bytes.iter().map(usize::to_string).collect();
        if !modules.is_empty() {
            lines.push(format!("core modules: {} bytes", modules.join(", ")));
        }
        let needs = if self.features.is_empty() { "nothing".into() } else { self.features.join(", ") };
        lines.push(format!("needs: {needs}"));
        lines.extend(self.store.iter().map(|store| format!("store: {store}")));
        let mut list = |title: &str, items: &[String]| {
            lines.push(format!("{title}:{}", if items.is_empty() { " nothing" } else { "" }));
            lines.extend(items.iter().map(|item| format!("  {item}")));
        };
        if !self.mounts.is_empty() {
            list("mounts", &self.mounts);
        }
        list("imports", &self.imports);
        list("exports", &self.exports);
        lines
    }
}

impl fmt::Display for Inspection {
    /// Writes a line per fact, escaped by [`Visible`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().iter().try_for_each(|line| writeln!(f, "{}", Visible(line)))
    }
}
