//! Writes the build-time configuration into a core module: the adapter's or a provider's.
//!
//! A module keeps a static of zero bytes for it and exports where it lies, as globals: the
//! address `kvfs_config` and the capacity `kvfs_config_len`. Composition adds an active data segment
//! with lines `key=value`; the zero after them ends the text. Nothing written means defaults.

use crate::error::ComposeError;
use crate::provider::{MAX_MEMORY_BYTES, MIN_MEMORY_BYTES};
use std::fmt;
use std::str::FromStr;
use wasm_encoder::{ConstExpr, DataCountSection, DataSection, Module, RawSection};
use wasmparser::{DataKind, ExternalKind, Operator, Parser, Payload};

/// Longest name of a volume, in bytes: its length is one byte in the store's keys.
pub const MAX_VOLUME_NAME_BYTES: usize = 255;

/// When what was written is committed to the store.
///
/// A commit at the end of the program is durable in every mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// With every operation.
    Strict,
    /// With the close of a file and every change of a directory.
    #[default]
    Close,
    /// When much has gathered, on sync, and at the end.
    Lazy,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strict => "strict",
            Self::Close => "close",
            Self::Lazy => "lazy",
        })
    }
}

impl FromStr for Mode {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "strict" => Ok(Self::Strict),
            "close" => Ok(Self::Close),
            "lazy" => Ok(Self::Lazy),
            other => Err(ConfigError::UnknownMode { mode: other.to_owned() }),
        }
    }
}

/// Why options cannot be written into the adapter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no such mode.
    #[error("no mode `{mode}`; use strict, close or lazy")]
    UnknownMode {
        /// What was asked for.
        mode: String,
    },
    /// A volume's name is empty or too long.
    #[error(
        "a volume's name has 1 to {MAX_VOLUME_NAME_BYTES} bytes, this one has {length_bytes}; choose another"
    )]
    VolumeLength {
        /// The length of the name.
        length_bytes: usize,
    },
    /// A volume's name has a character that does not print.
    #[error("a volume's name has no control characters, {name:?} has; choose another")]
    VolumeCharacters {
        /// The name.
        name: String,
    },
    /// A store in memory of a size that it cannot have.
    #[error(
        "a store in memory has {MIN_MEMORY_BYTES} to {MAX_MEMORY_BYTES} bytes, not {size_bytes}; choose another size"
    )]
    MemorySize {
        /// What was asked for.
        size_bytes: u64,
    },
    /// The name of the directory of a provider is none.
    #[error(
        "a preopened directory's name has 1 to {MAX_VOLUME_NAME_BYTES} bytes and no control characters, {path:?} \
         does not; choose another"
    )]
    FilePath {
        /// What was asked for.
        path: String,
    },
    /// The text is longer than the adapter's static.
    #[error(
        "the configuration has {length_bytes} bytes and the adapter takes {capacity_bytes}; shorten the volume's name"
    )]
    TooLong {
        /// The length of the text, with the zero that ends it.
        length_bytes: usize,
        /// What the adapter has room for.
        capacity_bytes: u32,
    },
}

/// What is fixed in a composition at build time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) mode: Option<Mode>,
    pub(crate) volume: Option<String>,
}

impl Config {
    /// Returns the lines, empty if everything is left at its default.
    pub(crate) fn text(&self) -> Result<String, ConfigError> {
        let mut text = String::new();
        if let Some(mode) = self.mode {
            text += &format!("mode={mode}\n");
        }
        if let Some(name) = &self.volume {
            check_volume(name)?;
            text += &format!("volume={name}\n");
        }
        Ok(text)
    }
}

fn check_volume(name: &str) -> Result<(), ConfigError> {
    if name.is_empty() || name.len() > MAX_VOLUME_NAME_BYTES {
        return Err(ConfigError::VolumeLength { length_bytes: name.len() });
    }
    if name.chars().any(char::is_control) {
        return Err(ConfigError::VolumeCharacters { name: name.to_owned() });
    }
    Ok(())
}

/// Returns the core module with `text` in its configuration.
///
/// # Errors
///
/// [`ConfigError::TooLong`], and [`ComposeError::BadAdapter`] if the module has no place for it.
pub(crate) fn configure(core: &[u8], text: &str) -> Result<Vec<u8>, ComposeError> {
    if text.is_empty() {
        return Ok(core.to_vec());
    }
    let place = Place::find(core)?;
    let length_bytes = text.len() + 1;
    if length_bytes > place.capacity_bytes as usize {
        return Err(ConfigError::TooLong { length_bytes, capacity_bytes: place.capacity_bytes }.into());
    }
    append_data(core, place.address, text.as_bytes())
}

/// Returns the text that a core module was configured with, if it has a place for one.
pub(crate) fn read_config(core: &[u8]) -> Option<String> {
    let place = Place::find(core).ok()?;
    let segments = segments(core).ok()?;
    let (_, text) = segments.into_iter().rev().find(|(address, _)| *address == place.address)?;
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    String::from_utf8(text[..end].to_vec()).ok()
}

struct Place {
    address: u32,
    capacity_bytes: u32,
}

impl Place {
    fn find(core: &[u8]) -> Result<Self, ComposeError> {
        let globals = exported_constants(core)?;
        let get = |name: &str| {
            globals.iter().find(|(known, _)| known == name).map(|(_, value)| *value).ok_or_else(|| {
                ComposeError::BadAdapter {
                    reason: format!("it exports no constant `{name}`, so it takes no configuration"),
                }
            })
        };
        let address = get("kvfs_config")?;
        let length = get("kvfs_config_len")?;
        // A linker exports the address of a static, not what is in it. Where no data lies, the
        // number is the capacity itself.
        let stored = segments(core)?.into_iter().find_map(|(start, data)| {
            let at = length.checked_sub(start)? as usize;
            data.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
        });
        Ok(Self { address, capacity_bytes: stored.unwrap_or(length) })
    }
}

fn constant(expr: &wasmparser::ConstExpr<'_>) -> Option<u32> {
    match expr.get_operators_reader().read() {
        Ok(Operator::I32Const { value }) => Some(value as u32),
        _ => None,
    }
}

/// Lists the exported globals that are constants of 32 bits.
fn exported_constants(core: &[u8]) -> Result<Vec<(String, u32)>, ComposeError> {
    let mut imported = 0;
    let mut globals = Vec::new();
    let mut out = Vec::new();
    for payload in Parser::new(0).parse_all(core) {
        match payload.map_err(|e| bad(&e))? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    if matches!(import.map_err(|e| bad(&e))?.ty, wasmparser::TypeRef::Global(_)) {
                        imported += 1;
                    }
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    globals.push(constant(&global.map_err(|e| bad(&e))?.init_expr));
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.map_err(|e| bad(&e))?;
                    if export.kind == ExternalKind::Global
                        && let Some(own) = export.index.checked_sub(imported)
                        && let Some(Some(value)) = globals.get(own as usize)
                    {
                        out.push((export.name.to_owned(), *value));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(out)
}

/// Lists the active data segments at constant addresses.
fn segments(core: &[u8]) -> Result<Vec<(u32, &[u8])>, ComposeError> {
    let mut out = Vec::new();
    for payload in Parser::new(0).parse_all(core) {
        if let Payload::DataSection(section) = payload.map_err(|e| bad(&e))? {
            for data in section {
                let data = data.map_err(|e| bad(&e))?;
                if let DataKind::Active { memory_index: 0, offset_expr } = &data.kind
                    && let Some(address) = constant(offset_expr)
                {
                    out.push((address, data.data));
                }
            }
        }
    }
    Ok(out)
}

/// Copies a module and adds one active data segment after all others, so that it is applied last.
fn append_data(core: &[u8], address: u32, bytes: &[u8]) -> Result<Vec<u8>, ComposeError> {
    let mut module = Module::new();
    let mut written = false;
    for payload in Parser::new(0).parse_all(core) {
        let payload = payload.map_err(|e| bad(&e))?;
        match &payload {
            Payload::DataCountSection { count, .. } => {
                module.section(&DataCountSection { count: count + 1 });
            }
            Payload::DataSection(section) => {
                let mut out = DataSection::new();
                for data in section.clone() {
                    let data = data.map_err(|e| bad(&e))?;
                    copy_segment(&mut out, &data)?;
                }
                out.active(0, &ConstExpr::i32_const(address as i32), bytes.iter().copied());
                module.section(&out);
                written = true;
            }
            // Only custom sections may follow data.
            Payload::CustomSection(_) | Payload::End(_) if !written && at_end(core, &payload) => {
                let mut out = DataSection::new();
                out.active(0, &ConstExpr::i32_const(address as i32), bytes.iter().copied());
                module.section(&out);
                written = true;
                copy_section(&mut module, core, &payload);
            }
            _ => copy_section(&mut module, core, &payload),
        }
    }
    Ok(module.finish())
}

/// Returns true if nothing but custom sections follows a payload, itself included.
fn at_end(core: &[u8], payload: &Payload<'_>) -> bool {
    let Some((_, range)) = payload.as_section() else { return true };
    Parser::new(0).parse_all(core).filter_map(Result::ok).all(|later| match later.as_section() {
        Some((id, later)) => later.start < range.start || id == 0,
        None => true,
    })
}

fn copy_section(module: &mut Module, core: &[u8], payload: &Payload<'_>) {
    if let Some((id, range)) = payload.as_section() {
        module.section(&RawSection { id, data: &core[range.start as usize..range.end as usize] });
    }
}

fn copy_segment(out: &mut DataSection, data: &wasmparser::Data<'_>) -> Result<(), ComposeError> {
    match &data.kind {
        DataKind::Passive => {
            out.passive(data.data.iter().copied());
        }
        DataKind::Active { memory_index, offset_expr } => {
            let offset = constant(offset_expr).ok_or_else(|| ComposeError::BadAdapter {
                reason: "it has data at an address that is not constant".into(),
            })?;
            out.active(*memory_index, &ConstExpr::i32_const(offset as i32), data.data.iter().copied());
        }
    }
    Ok(())
}

fn bad(error: &wasmparser::BinaryReaderError) -> ComposeError {
    ComposeError::BadAdapter { reason: format!("at byte {}: {}", error.offset(), error.message()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITH_DATA: &str = r#"(module
        (import "env" "g" (global i32))
        (memory (export "memory") 1)
        (global (export "kvfs_config") i32 (i32.const 1024))
        (global (export "kvfs_config_len") i32 (i32.const 2048))
        (data (i32.const 2048) "\40\00\00\00")
        (data "passive")
        (func (data.drop 1)))"#;

    fn with(text: &str) -> Vec<u8> {
        let out = configure(&wat::parse_str(WITH_DATA).unwrap(), text).unwrap();
        wasmparser::validate(&out).unwrap();
        out
    }

    #[test]
    fn what_is_written_can_be_read_back() {
        let text = Config { mode: Some(Mode::Lazy), volume: Some("große Dinge".into()) }.text().unwrap();
        assert_eq!(text, "mode=lazy\nvolume=große Dinge\n");
        assert_eq!(read_config(&with(&text)).unwrap(), text);
    }

    #[test]
    fn defaults_change_no_byte() {
        let core = wat::parse_str(WITH_DATA).unwrap();
        assert_eq!(configure(&core, &Config::default().text().unwrap()).unwrap(), core);
        assert_eq!(read_config(&core), None);
    }

    #[test]
    fn the_capacity_is_read_from_where_the_linker_says_it_lies() {
        let core = wat::parse_str(WITH_DATA).unwrap();
        with(&"x".repeat(0x3f));
        let error = configure(&core, &"x".repeat(0x40)).unwrap_err();
        assert!(matches!(
            error,
            ComposeError::Config(ConfigError::TooLong { length_bytes: 0x41, capacity_bytes: 0x40 })
        ));
    }

    #[test]
    fn a_module_without_data_gets_a_section() {
        let core = r#"(module (memory 1)
            (global (export "kvfs_config") i32 (i32.const 64))
            (global (export "kvfs_config_len") i32 (i32.const 100))
            (@custom "a" "x"))"#;
        let out = configure(&wat::parse_str(core).unwrap(), "mode=lazy\n").unwrap();
        wasmparser::validate(&out).unwrap();
        assert_eq!(read_config(&out).as_deref(), Some("mode=lazy\n"));
    }

    #[test]
    fn a_module_without_a_place_is_refused() {
        let error = configure(&wat::parse_str("(module (memory 1))").unwrap(), "mode=lazy\n").unwrap_err();
        assert!(error.to_string().contains("kvfs_config"), "{error}");
    }

    #[test]
    fn names_of_volumes_are_checked() {
        let volume = |name: &str| Config { mode: None, volume: Some(name.into()) }.text();
        assert!(volume(&"v".repeat(255)).is_ok());
        assert!(matches!(volume(""), Err(ConfigError::VolumeLength { length_bytes: 0 })));
        assert!(matches!(volume(&"v".repeat(256)), Err(ConfigError::VolumeLength { length_bytes: 256 })));
        assert!(matches!(volume("a\nmode=lazy"), Err(ConfigError::VolumeCharacters { .. })));
        assert!("eager".parse::<Mode>().is_err());
    }
}
