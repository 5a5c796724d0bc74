//! The sections of a wasm file.

use std::ops::Range;

/// A section of the outermost level.
pub(crate) struct Section {
    pub(crate) id: u8,
    /// The offset of its identifier.
    pub(crate) starts: usize,
    /// The range of its content.
    pub(crate) body: Range<usize>,
}

/// Lists the sections of the outermost level; `None` for a file that is no wasm or is cut off.
pub(crate) fn sections(bytes: &[u8]) -> Option<Vec<Section>> {
    let mut rest = bytes.strip_prefix(b"\0asm")?.get(4..)?;
    let mut found = Vec::new();
    while let [id, tail @ ..] = rest {
        let starts = bytes.len() - rest.len();
        rest = tail;
        let length = read_number(&mut rest)?;
        let body_starts = bytes.len() - rest.len();
        rest.split_off(..length)?;
        found.push(Section { id: *id, starts, body: body_starts..body_starts + length });
    }
    Some(found)
}

/// Returns the name and the data of a custom section.
pub(crate) fn custom<'a>(bytes: &'a [u8], section: &Section) -> Option<(&'a [u8], &'a [u8])> {
    let mut data = bytes.get(section.body.clone()).filter(|_| section.id == 0)?;
    let length = read_number(&mut data)?;
    Some((data.split_off(..length)?, data))
}

/// Writes a number in LEB128.
pub(crate) fn write_number(out: &mut Vec<u8>, value: usize) {
    wasm_encoder::Encode::encode(&(value as u64), out);
}

/// Reads a number of up to 64 bits in LEB128, padded or not.
pub(crate) fn read_number(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return usize::try_from(value).ok();
        }
    }
    None
}
