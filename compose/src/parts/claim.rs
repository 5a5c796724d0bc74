//! The statement of a result about its parts, from which they can be composed again: two custom
//! sections at its end.
//!
//! `kvfs` is text: the version, the way of joining, the configuration of the file system and of the
//! provider. `kvfs-parts` tells how to extract the guest, and a provider that does not come with
//! the library, from the bytes before. Each is a sequence of ranges of the result and of bytes kept
//! for it. Core modules and inner components are in the result unchanged, so little is kept: the
//! types and names of a guest that was linked.
//!
//! The statement is not trusted: users of a result compose the parts again (see
//! [`recompose`](crate::recompose())).

use super::mark::Mark;
use super::pieces::{Pieces, Writer};
use crate::error::ComposeError;
use crate::limits::MAX_KEPT_BYTES;
use crate::wasm::sections::{custom, read_number, sections, write_number};
use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use std::borrow::Cow;
use std::io::Read;
use std::ops::Range;
use wasm_encoder::{ComponentSection, CustomSection};

/// Name of the custom section with the text.
pub(crate) const MARK: &str = "kvfs";

/// Name of the custom section with the pieces.
const PIECES: &str = "kvfs-parts";

/// The version of the format of the pieces.
const FORM: u8 = 1;

/// The parts of a result that do not come with the library.
pub(crate) struct Parts<'a> {
    pub(crate) guest: &'a [u8],
    /// A provider that does not come with the library; empty without one.
    pub(crate) provider: &'a [u8],
    /// The range of all images in the result, one after the other.
    pub(crate) images: Range<usize>,
}

/// Appends both sections to a result.
///
/// # Errors
///
/// [`ComposeError::TooMuchToKeep`], and [`ComposeError::Join`] if the sections cannot be read back.
pub(crate) fn append(result: &mut Vec<u8>, mark: &Mark, parts: &Parts<'_>) -> Result<(), ComposeError> {
    let mut writer = Writer::new(result);
    writer.part(parts.guest);
    writer.part(parts.provider);
    writer.range(parts.images.clone());
    let Writer { mut table, kept, .. } = writer;
    let kept_bytes = kept.len() as u64;
    if kept_bytes > MAX_KEPT_BYTES {
        return Err(ComposeError::TooMuchToKeep { kept_bytes, max_bytes: MAX_KEPT_BYTES });
    }
    let mut data = vec![FORM];
    write_number(&mut data, table.len());
    data.append(&mut table);
    write_number(&mut data, kept.len());
    // Compressing from memory to memory does not fail.
    let _ = DeflateEncoder::new(kept.as_slice(), Compression::default()).read_to_end(&mut data);
    for (name, data) in [(MARK, mark.text().into_bytes()), (PIECES, data)] {
        CustomSection { name: name.into(), data: data.into() }.append_to_component(result);
    }
    // The result would run without the sections, but it could not be composed again.
    match Claimed::read(result) {
        Some(claimed) if claimed.mark == *mark => Ok(()),
        _ => Err(ComposeError::join("the parts", "what was written of them cannot be read back")),
    }
}

/// The parts that a result states.
pub(crate) struct Claimed<'a> {
    pub(crate) mark: Mark,
    guest: Pieces<'a>,
    provider: Pieces<'a>,
    /// All images, one after the other.
    pub(crate) images: &'a [u8],
    /// The kept bytes of all pieces.
    kept: Vec<u8>,
}

impl<'a> Claimed<'a> {
    /// Reads both sections; `None` if they are missing or not in the format of [`append`].
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (body, text, data) = split(bytes)?;
        let mark = Mark::parse(std::str::from_utf8(text).ok()?);
        let [form, data @ ..] = data else { return None };
        if *form != FORM {
            return None;
        }
        let mut reader = data;
        let table_bytes = read_number(&mut reader)?;
        let mut table = reader.split_off(..table_bytes)?;
        let kept_bytes = read_number(&mut reader)?;
        let mut kept = Vec::new();
        DeflateDecoder::new(reader).take(MAX_KEPT_BYTES).read_to_end(&mut kept).ok()?;
        let mut used = 0;
        let guest = Pieces::read(&mut table, &mut used, body)?;
        let provider = Pieces::read(&mut table, &mut used, body)?;
        let images = Pieces::read(&mut table, &mut used, body)?.whole()?;
        let is_whole = table.is_empty() && kept.len() == kept_bytes && kept.len() == used;
        if !is_whole || mark.has_own_provider() == (provider.length == 0) {
            return None;
        }
        Some(Self { mark, guest, provider, images, kept })
    }

    /// Assembles the guest.
    pub(crate) fn guest(&self) -> Cow<'a, [u8]> {
        self.guest.put_together(&self.kept)
    }

    /// Assembles a provider that does not come with the library; empty without one.
    pub(crate) fn provider(&self) -> Cow<'a, [u8]> {
        self.provider.put_together(&self.kept)
    }
}

/// Returns the text of a section `kvfs` anywhere at the outermost level.
pub(crate) fn mark_text(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let sections = sections(bytes)?;
    let mut named = sections.iter().filter_map(|section| custom(bytes, section));
    named.find(|(name, _)| *name == MARK.as_bytes()).map(|(_, data)| String::from_utf8_lossy(data))
}

/// Returns true if a file has both sections at its end, whatever their content.
pub(crate) fn is_marked(bytes: &[u8]) -> bool {
    split(bytes).is_some()
}

/// Splits a result into the bytes before the sections and the data of both.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let sections = sections(bytes)?;
    let [.., mark, pieces] = sections.as_slice() else { return None };
    let (mark_name, text) = custom(bytes, mark)?;
    let (pieces_name, data) = custom(bytes, pieces)?;
    let named = mark_name == MARK.as_bytes() && pieces_name == PIECES.as_bytes();
    if named { Some((bytes.get(..mark.starts)?, text, data)) } else { None }
}

#[cfg(test)]
mod tests {
    use super::super::mark::OWN_PROVIDER;
    use super::*;
    use crate::options::Link;

    fn component(sections: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        for (id, data) in sections {
            bytes.push(*id);
            write_number(&mut bytes, data.len());
            bytes.extend_from_slice(data);
        }
        bytes
    }

    fn mark() -> Mark {
        Mark {
            version: "1.2.3".into(),
            link: Link::Core,
            shared: vec!["a:b".into()],
            config: "mode=lazy\nmount=/\tro\timage:0:5\n".into(),
            provider: "provider=memory\nsize=65536\n".into(),
        }
    }

    #[test]
    fn parts_are_read_as_they_were_written_and_big_sections_are_not_kept_twice() {
        let (module, inner) = ([7; 5000], [8; 6000]);
        let guest = component(&[(7, b"types"), (1, &module), (4, &inner), (11, b"exports")]);
        for result in [
            component(&[(4, b"adapter"), (4, &guest), (5, b"instances")]),
            component(&[(4, &inner), (7, b"other types"), (1, &module)]),
        ] {
            let mut bytes = result.clone();
            append(&mut bytes, &mark(), &Parts { guest: &guest, provider: &[], images: 9..9 }).unwrap();
            assert!(bytes.len() < result.len() + 300, "{}", bytes.len() - result.len());
            let claimed = Claimed::read(&bytes).unwrap();
            assert_eq!((claimed.guest().as_ref(), claimed.provider().len()), (guest.as_slice(), 0));
            assert_eq!(claimed.mark, mark());
        }
    }

    #[test]
    fn a_provider_of_its_own_is_found_too() {
        let (guest, provider) = (component(&[(1, &[1; 100])]), component(&[(1, &[2; 100]), (7, b"types")]));
        let mut bytes = component(&[(4, &guest), (1, &[2; 100])]);
        let mark = Mark { provider: format!("{OWN_PROVIDER}\n"), ..mark() };
        append(&mut bytes, &mark, &Parts { guest: &guest, provider: &provider, images: 9..9 }).unwrap();
        let claimed = Claimed::read(&bytes).unwrap();
        assert_eq!(claimed.provider().as_ref(), provider.as_slice());
        assert!(claimed.mark.has_own_provider());
    }

    #[test]
    fn what_reading_would_not_take_is_not_written() {
        let whole = component(&[(1, &[1; 100])]);
        // 13 bytes: the header, and the section's identifier and length.
        let mut types = vec![7; MAX_KEPT_BYTES as usize - 13];
        let most = component(&[(7, &types)]);
        assert_eq!(most.len() as u64, MAX_KEPT_BYTES);
        let append = |guest: &[u8], mark: &Mark| {
            let mut bytes = whole.clone();
            let parts = Parts { guest, provider: &[], images: 9..9 };
            super::append(&mut bytes, mark, &parts).map(|()| bytes)
        };
        let written = append(&most, &mark()).unwrap();
        assert!(Claimed::read(&written).unwrap().guest() == most.as_slice());
        types.push(7);
        assert!(matches!(
            append(&component(&[(7, &types)]), &mark()),
            Err(ComposeError::TooMuchToKeep { .. })
        ));
        // A name with a line end adds a line.
        let two = Mark { shared: vec!["a:b\nlink=core".into()], ..Mark::default() };
        assert!(matches!(append(b"", &two), Err(ComposeError::Join { .. })));
    }

    #[test]
    fn pieces_that_lead_out_of_the_file_are_no_parts() {
        let guest = component(&[(1, &[1; 100])]);
        let mut whole = component(&[(4, &guest)]);
        append(&mut whole, &mark(), &Parts { guest: &guest, provider: &[], images: 20..40 }).unwrap();
        assert!(Claimed::read(&whole).is_some());
        // Nothing that is cut or changed panics.
        for length in 0..whole.len() {
            assert!(Claimed::read(&whole[..length]).is_none(), "{length}");
        }
        for at in 0..whole.len() {
            for flip in [1, 0x7f, 0x80, 0xff] {
                let mut changed = whole.clone();
                changed[at] ^= flip;
                let _ = Claimed::read(&changed);
            }
        }
    }
}
