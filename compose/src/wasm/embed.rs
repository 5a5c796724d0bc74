//! Writes configuration and images into a core module, the adapter's or a provider's.
//!
//! A module has a static of zero bytes for its configuration, and exports its address and capacity
//! as the globals `kvfs_config` and `kvfs_config_len`. Composition adds an active data segment with
//! lines `key=value`, ended by a zero byte. An empty text means defaults.
//!
//! Images lie behind the module's initial memory, whose minimum grows by their size. A module that
//! takes images exports `kvfs_image`, the address of a static of two 32-bit numbers: composition
//! writes the images' address and length there. A runtime that maps initial memory copy-on-write,
//! as wasmtime does, reads only the pages of an image that the guest asks for.

use crate::error::{ComposeError, ConfigError, MountError};
use std::borrow::Cow;
use wasm_encoder::{ConstExpr, DataCountSection, DataSection, MemorySection, Module, RawSection};
use wasmparser::{DataKind, ExternalKind, Operator, Parser, Payload};

/// Bytes of a page of memory.
const PAGE_BYTES: u64 = 64 << 10;

/// Most pages of a 32-bit memory.
const MAX_PAGES: u64 = 1 << 16;

/// Returns the core module with `text` in its configuration.
///
/// # Errors
///
/// [`ConfigError::TooLong`], and [`ComposeError::BadAdapter`] if the module has no static for it.
pub(crate) fn configure(core: &[u8], text: &str) -> Result<Vec<u8>, ComposeError> {
    embed(core, text, &[]).map(Cow::into_owned)
}

/// Returns the core module with `text` in its configuration and `images` in its memory.
///
/// # Errors
///
/// As [`configure`], and [`MountError::TooLarge`].
pub(crate) fn embed<'a>(core: &'a [u8], text: &str, images: &[u8]) -> Result<Cow<'a, [u8]>, ComposeError> {
    let mut additions = Additions::default();
    if !text.is_empty() {
        let target = ConfigStatic::find(core)?;
        let length_bytes = text.len() + 1;
        if length_bytes > target.capacity_bytes as usize {
            let capacity_bytes = target.capacity_bytes;
            return Err(ConfigError::TooLong { length_bytes, capacity_bytes }.into());
        }
        additions.data.push((target.address, Cow::Borrowed(text.as_bytes())));
    }
    if !images.is_empty() {
        let (address, pages) = behind_memory(core, images.len() as u64)?;
        let pair = [address, images.len() as u32].map(u32::to_le_bytes).concat();
        additions.data.push((exported(core, "kvfs_image")?, Cow::Owned(pair)));
        additions.data.push((address, Cow::Borrowed(images)));
        additions.memory_pages = pages;
    }
    if additions.data.is_empty() { Ok(Cow::Borrowed(core)) } else { additions.apply(core).map(Cow::Owned) }
}

/// Returns the version of the configuration that a core module reads; 0 for one that does not say.
pub(crate) fn config_version(core: &[u8]) -> Result<u32, ComposeError> {
    let globals = exported_constants(core)?;
    let version = globals.iter().find(|(name, _)| name == "kvfs_config_version");
    version.map_or(Ok(0), |(_, constant)| number(core, *constant))
}

/// Returns the text that a core module was configured with, if any.
pub(crate) fn read_config(core: &[u8]) -> Option<String> {
    let target = ConfigStatic::find(core).ok()?;
    let text = written_to(&segments(core).ok()?, target.address)?;
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    String::from_utf8(text[..end].to_vec()).ok()
}

/// Returns the images that a core module was given, if any.
pub(crate) fn read_images(core: &[u8]) -> Option<&[u8]> {
    let segments = segments(core).ok()?;
    let pair = written_to(&segments, exported(core, "kvfs_image").ok()?)?;
    let address = u32::from_le_bytes(pair.get(..4)?.try_into().ok()?);
    let length = u32::from_le_bytes(pair.get(4..8)?.try_into().ok()?);
    written_to(&segments, address).filter(|images| images.len() == length as usize)
}

/// Returns the content of the last segment at an address: segments are applied in their order.
fn written_to<'a>(segments: &[(u32, &'a [u8])], address: u32) -> Option<&'a [u8]> {
    segments.iter().rev().find(|(start, _)| *start == address).map(|(_, data)| *data)
}

/// Returns the address of the end of a module's initial memory, and the number of pages for this
/// many bytes.
fn behind_memory(core: &[u8], size_bytes: u64) -> Result<(u32, u64), ComposeError> {
    for payload in Parser::new(0).parse_all(core) {
        if let Payload::MemorySection(section) = payload.map_err(|e| bad(&e))? {
            let Some(memory) = section.into_iter().next() else { break };
            let memory = memory.map_err(|e| bad(&e))?;
            let pages = size_bytes.div_ceil(PAGE_BYTES);
            let most = memory.maximum.unwrap_or(MAX_PAGES).min(MAX_PAGES);
            let address = u32::try_from(memory.initial * PAGE_BYTES).ok();
            return match address {
                Some(address) if memory.initial + pages < most => Ok((address, pages)),
                _ => {
                    let max_bytes = most.saturating_sub(memory.initial + 1) * PAGE_BYTES;
                    Err(MountError::TooLarge { size_bytes, max_bytes }.into())
                }
            };
        }
    }
    Err(ComposeError::BadAdapter { reason: "it has no memory of its own".into() })
}

/// Returns the value of an exported constant.
fn exported(core: &[u8], name: &str) -> Result<u32, ComposeError> {
    let globals = exported_constants(core)?;
    let found = globals.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
    let missing = || ComposeError::BadAdapter { reason: format!("it exports no constant `{name}`") };
    found.ok_or_else(missing)
}

/// The static of a module that takes its configuration.
struct ConfigStatic {
    address: u32,
    capacity_bytes: u32,
}

impl ConfigStatic {
    fn find(core: &[u8]) -> Result<Self, ComposeError> {
        let address = exported(core, "kvfs_config")?;
        let length = exported(core, "kvfs_config_len")?;
        Ok(Self { address, capacity_bytes: number(core, length)? })
    }
}

/// Returns the number behind an exported constant. The linker exports the address of a static that
/// holds it. A constant that points to no data is the number itself.
fn number(core: &[u8], constant: u32) -> Result<u32, ComposeError> {
    let stored = segments(core)?.into_iter().find_map(|(start, data)| {
        let at = constant.checked_sub(start)? as usize;
        data.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
    });
    Ok(stored.unwrap_or(constant))
}

fn constant(expr: &wasmparser::ConstExpr<'_>) -> Option<u32> {
    match expr.get_operators_reader().read() {
        Ok(Operator::I32Const { value }) => Some(value as u32),
        _ => None,
    }
}

/// Lists the exported globals that are 32-bit constants.
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

/// Additions to a copy of a module.
#[derive(Default)]
struct Additions<'a> {
    /// Active data segments with their addresses. They come last, so that they are applied last.
    data: Vec<(u32, Cow<'a, [u8]>)>,
    /// Pages by which the memory's minimum grows.
    memory_pages: u64,
}

impl Additions<'_> {
    fn apply(&self, core: &[u8]) -> Result<Vec<u8>, ComposeError> {
        let mut module = Module::new();
        let mut written = false;
        for payload in Parser::new(0).parse_all(core) {
            let payload = payload.map_err(|e| bad(&e))?;
            match &payload {
                Payload::MemorySection(section) if self.memory_pages > 0 => {
                    module.section(&self.memories(section.clone())?);
                }
                Payload::DataCountSection { count, .. } => {
                    module.section(&DataCountSection { count: count + self.data.len() as u32 });
                }
                Payload::DataSection(section) => {
                    let mut out = DataSection::new();
                    for data in section.clone() {
                        copy_segment(&mut out, &data.map_err(|e| bad(&e))?)?;
                    }
                    self.segments(&mut out);
                    module.section(&out);
                    written = true;
                }
                // Only custom sections may follow data.
                Payload::CustomSection(_) | Payload::End(_) if !written && at_end(core, &payload) => {
                    let mut out = DataSection::new();
                    self.segments(&mut out);
                    module.section(&out);
                    written = true;
                    copy_section(&mut module, core, &payload);
                }
                _ => copy_section(&mut module, core, &payload),
            }
        }
        Ok(module.finish())
    }

    fn segments(&self, out: &mut DataSection) {
        for (address, bytes) in &self.data {
            out.active(0, &ConstExpr::i32_const(*address as i32), bytes.iter().copied());
        }
    }

    fn memories(&self, section: wasmparser::MemorySectionReader<'_>) -> Result<MemorySection, ComposeError> {
        let mut out = MemorySection::new();
        for (index, memory) in section.into_iter().enumerate() {
            let memory = memory.map_err(|e| bad(&e))?;
            out.memory(wasm_encoder::MemoryType {
                minimum: memory.initial + if index == 0 { self.memory_pages } else { 0 },
                maximum: memory.maximum,
                memory64: memory.memory64,
                shared: memory.shared,
                page_size_log2: memory.page_size_log2,
            });
        }
        Ok(out)
    }
}

/// Returns true if this payload and all that follow are custom sections.
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
    fn a_configuration_can_be_read_back() {
        let text = "mode=lazy\nvolume=große Dinge\n";
        assert_eq!(read_config(&with(text)).unwrap(), text);
    }

    #[test]
    fn defaults_change_no_byte() {
        let core = wat::parse_str(WITH_DATA).unwrap();
        assert_eq!(configure(&core, "").unwrap(), core);
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

    const WITH_IMAGE: &str = r#"(module
        (memory (export "memory") 2 8)
        (global (export "kvfs_config") i32 (i32.const 1024))
        (global (export "kvfs_config_len") i32 (i32.const 100))
        (global (export "kvfs_image") i32 (i32.const 2048))
        (data (i32.const 131064) "last"))"#;

    #[test]
    fn images_lie_behind_the_initial_memory_and_the_static_says_where() {
        let core = wat::parse_str(WITH_IMAGE).unwrap();
        let images: Vec<u8> = (0..70_000_u32).map(|i| i as u8 | 1).collect();
        let out = embed(&core, "mode=lazy\n", &images).unwrap();
        wasmparser::validate(&out).unwrap();
        assert_eq!(read_images(&out), Some(images.as_slice()));
        assert_eq!(read_config(&out).as_deref(), Some("mode=lazy\n"));
        let found = segments(&out).unwrap();
        assert_eq!(
            written_to(&found, 2048),
            Some([2 << 16, 70_000_u32].map(u32::to_le_bytes).concat().as_slice())
        );
        assert!(found.iter().any(|(address, data)| *address == 2 << 16 && data.len() == 70_000));
        // Two pages more, and those that are grown later come behind them.
        let text = wasmprinter::print_bytes(&out).unwrap();
        assert!(text.contains("(memory (;0;) 4 8)"), "{text}");
    }

    #[test]
    fn images_that_leave_no_room_are_refused() {
        let core = wat::parse_str(WITH_IMAGE).unwrap();
        assert!(embed(&core, "", &vec![1; 5 << 16]).is_ok());
        let error = embed(&core, "", &vec![1; (5 << 16) + 1]).unwrap_err();
        assert!(error.to_string().contains("at most 327680 fit"), "{error}");
    }

    #[test]
    fn a_module_without_a_place_for_images_is_refused() {
        let error = embed(&wat::parse_str(WITH_DATA).unwrap(), "", b"x").unwrap_err();
        assert!(error.to_string().contains("kvfs_image"), "{error}");
        assert_eq!(read_images(&with("mode=lazy\n")), None);
    }
}
