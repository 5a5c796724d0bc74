//! Tells what a wasm file is.

use crate::embed::read_config;
use crate::error::ComposeError;
use crate::guest::{LINKED_MARK, Outline, STORE};
use crate::mounts::fixed_mounts;
use crate::names::InterfaceName;
use crate::provider::Provider;
use std::fmt;
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// What kind of file it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A core module.
    CoreModule,
    /// A component.
    Component,
    /// A component that composition made.
    Composed {
        /// The version of kvfs that did.
        version: String,
        /// What was fixed at build time: lines `key=value`, empty if everything is at its default.
        config: String,
        /// True if guest and file system are linked at core level.
        linked: bool,
    },
}

/// What a wasm file is and needs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// What kind of file it is.
    pub kind: Kind,
    /// The size of the file.
    pub size_bytes: usize,
    /// Where the store of a composed component is, and what the host has to give it.
    pub store: Option<String>,
    /// The mounts of a composed component, described.
    pub mounts: Vec<String>,
    /// Imported interfaces and functions; of a core module, the modules it imports from.
    pub imports: Vec<String>,
    /// Exported interfaces and functions.
    pub exports: Vec<String>,
    /// The sizes of the core modules inside, in the order of the file.
    pub core_modules_bytes: Vec<usize>,
    /// The features that a runtime must have beyond those of WebAssembly 1.0, by wasmparser's names.
    pub features: Vec<String>,
}

/// Returns the lines `key=value` that a composition was configured with, empty if everything is at
/// its default, and `None` for anything that composition did not make. Where a provider is inside, its
/// lines are among them.
///
/// # Cost
///
/// Reads over the file once, and validates nothing.
pub fn configuration(bytes: &[u8]) -> Option<String> {
    let modules = Parser::new(0).parse_all(bytes).map_while(Result::ok).filter_map(|payload| match payload {
        Payload::ModuleSection { unchecked_range, .. } => {
            read_config(bytes.get(unchecked_range.start as usize..unchecked_range.end as usize)?)
        }
        _ => None,
    });
    modules.reduce(|all, text| all + &text)
}

/// Returns the provider that a composed component has inside, if it is one that comes with the library.
///
/// # Cost
///
/// As [`configuration`].
pub fn fixed_provider(bytes: &[u8]) -> Option<Provider> {
    Outline::read(bytes).ok()?.mark?;
    Provider::of_config(&configuration(bytes)?)
}

/// Inspects a file.
///
/// # Errors
///
/// [`ComposeError::NotWasm`] and [`ComposeError::Invalid`].
///
/// # Cost
///
/// Validates the file once, and again a few times for each feature that it needs.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, ComposeError> {
    let outline = Outline::read(bytes)?;
    let mut core_modules_bytes = Vec::new();
    let mut config = String::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|e| ComposeError::invalid(&e))?;
        if let Payload::ModuleSection { unchecked_range, .. } = payload {
            let module = &bytes[unchecked_range.start as usize..unchecked_range.end as usize];
            core_modules_bytes.push(module.len());
            config += &read_config(module).unwrap_or_default();
        }
    }
    let is_of_host = outline.imports.iter().any(|name| InterfaceName::parse(name).base == STORE);
    let store = outline.mark.as_ref().map(|_| match Provider::of_config(&config) {
        _ if is_of_host => Provider::Host,
        Some(provider) => provider,
        None => Provider::Component(Vec::new()),
    });
    let kind = match &outline.mark {
        Some(mark) => Kind::Composed {
            version: mark.lines().find_map(|l| l.strip_prefix("version=")).unwrap_or("unknown").to_owned(),
            config,
            linked: mark.contains(LINKED_MARK),
        },
        None if outline.is_component => Kind::Component,
        None => Kind::CoreModule,
    };
    Ok(Inspection {
        kind,
        size_bytes: bytes.len(),
        store: store.map(|store| store.to_string()),
        mounts: fixed_mounts(bytes).iter().map(ToString::to_string).collect(),
        imports: outline.imports,
        exports: outline.exports,
        core_modules_bytes,
        features: features(bytes)?,
    })
}

/// Finds the features without which a file does not validate.
fn features(bytes: &[u8]) -> Result<Vec<String>, ComposeError> {
    let validate = |features| Validator::new_with_features(features).validate_all(bytes).map(drop);
    let all = WasmFeatures::all();
    validate(all).map_err(|e| ComposeError::invalid(&e))?;

    // Whole groups are taken away first: most features are needed by no file.
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

impl fmt::Display for Inspection {
    /// Writes one line per fact, each ended.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::CoreModule => writeln!(f, "a core module")?,
            Kind::Component => writeln!(f, "a component")?,
            Kind::Composed { version, config, linked } => {
                let joined = if *linked { "linked" } else { "composed" };
                writeln!(f, "a component {joined} by kvfs {version}")?;
                // Mounts have a list of their own, and the store's line says what a provider was told.
                let own = |line: &&str| {
                    let of = ["mount=", "provider=", "size=", "path=", "bucket="];
                    !of.iter().any(|key| line.starts_with(key))
                };
                let lines = config.lines().filter(own);
                let config = lines.collect::<Vec<_>>().join(", ");
                writeln!(f, "configuration: {}", if config.is_empty() { "defaults" } else { &config })?;
            }
        }
        writeln!(f, "size: {} bytes", self.size_bytes)?;
        let modules: Vec<_> = self.core_modules_bytes.iter().map(usize::to_string).collect();
        if !modules.is_empty() {
            writeln!(f, "core modules: {} bytes", modules.join(", "))?;
        }
        writeln!(
            f,
            "needs: {}",
            if self.features.is_empty() { "nothing".into() } else { self.features.join(", ") }
        )?;
        if let Some(store) = &self.store {
            writeln!(f, "store: {store}")?;
        }
        if !self.mounts.is_empty() {
            writeln!(f, "mounts:")?;
            self.mounts.iter().try_for_each(|mount| writeln!(f, "  {mount}"))?;
        }
        for (title, names) in [("imports", &self.imports), ("exports", &self.exports)] {
            writeln!(f, "{title}:{}", if names.is_empty() { " nothing" } else { "" })?;
            names.iter().try_for_each(|name| writeln!(f, "  {name}"))?;
        }
        Ok(())
    }
}
