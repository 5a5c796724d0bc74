//! What a result says of its parts, so that the same can be made of them again: two custom sections at its end.
//!
//! `kvfs` is text: the version, how it is joined, the configuration of the file system and of the provider. `kvfs-parts`
//! says how to get the guest, and a provider that does not come with the library, out of the bytes before: each is a
//! sequence of pieces of the result and of bytes kept for it. Core modules and inner components are in the result as they
//! were, so what is kept is small: the types and names of a guest that was linked.
//!
//! Nothing of it is believed. Whoever uses a result composes the parts again (see [`recompose`](crate::recompose)).

use crate::adapter::AdapterComponent;
use crate::compose::Link;
use crate::embed::read_images;
use crate::error::ComposeError;
use crate::provider::Provider;
use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;
use std::ops::Range;
use wasm_encoder::{ComponentSection, CustomSection};
use wasmparser::{Parser, Payload};

/// Name of the custom section with the text.
pub(crate) const MARK: &str = "kvfs";

/// Name of the custom section with the pieces.
const PIECES: &str = "kvfs-parts";

/// The form of the pieces.
const FORM: u8 = 1;

/// Sections that a result has byte for byte from its parts: custom ones, core modules, components.
const KEPT_WHOLE: [u8; 3] = [0, 1, 4];

/// A section that is shorter is kept instead of looked up.
const SHORT_BYTES: usize = 64;

/// Most bytes that are kept beside what the result has: a part's types and names.
const KEPT_BYTES_MAX: u64 = 64 << 20;

/// A line of the text: guest and file system are linked at core level.
const LINKED: &str = "link=core";

/// A line of the text: the provider is a component of its own.
const OWN_PROVIDER: &str = "provider=component";

/// Keys of the lines that are not the file system's own.
const NOT_CONFIG: [&str; 7] = ["version", "link", "share", "provider", "size", "path", "bucket"];

/// What a result says of itself. Anybody can write that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The version of kvfs that made it.
    pub(crate) version: String,
    pub(crate) link: Link,
    /// Packages that guest and provider share.
    pub(crate) shared: Vec<String>,
    /// The configuration of the file system: lines `key=value`.
    pub(crate) config: String,
    /// The lines of the provider; empty if the store is the host's.
    pub(crate) provider: String,
}

impl Mark {
    /// Reads the text of a section `kvfs`.
    pub(crate) fn parse(text: &str) -> Self {
        let mut mark = Self { version: "unknown".into(), ..Self::default() };
        for line in text.lines() {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            match key {
                "version" => value.clone_into(&mut mark.version),
                _ if line == LINKED => mark.link = Link::Core,
                "share" => mark.shared.push(value.to_owned()),
                _ => {
                    let lines = if NOT_CONFIG.contains(&key) { &mut mark.provider } else { &mut mark.config };
                    *lines += line;
                    *lines += "\n";
                }
            }
        }
        mark
    }

    fn text(&self) -> String {
        let mut text = format!("version={}\n", self.version);
        if self.link == Link::Core {
            text += LINKED;
            text += "\n";
        }
        text.extend(self.shared.iter().map(|package| format!("share={package}\n")));
        text + &self.config + &self.provider
    }

    /// Whether the provider is a component of its own.
    pub(crate) fn has_own_provider(&self) -> bool {
        self.provider.lines().any(|line| line == OWN_PROVIDER)
    }

    /// Returns where the store is. A provider of its own comes without its bytes.
    ///
    /// # Errors
    ///
    /// None for lines that this version does not know.
    pub(crate) fn provider(&self) -> Option<Provider> {
        match self.provider.as_str() {
            "" => Some(Provider::Host),
            _ if self.has_own_provider() => Some(Provider::Component(Vec::new())),
            lines => Provider::of_config(lines),
        }
    }
}

/// Returns the lines that say which provider it is.
pub(crate) fn provider_lines(provider: &Provider) -> String {
    match provider {
        Provider::Component(_) => format!("{OWN_PROVIDER}\n"),
        other => other.config(),
    }
}

/// What a result is made of, beside what comes with the library.
pub(crate) struct Parts<'a> {
    pub(crate) guest: &'a [u8],
    /// A provider of its own; empty without one.
    pub(crate) provider: &'a [u8],
    /// Where in the result all images lie, one behind the other.
    pub(crate) images: Range<usize>,
}

/// Writes both sections behind a result.
///
/// # Errors
///
/// [`ComposeError::TooMuchToKeep`]; and [`ComposeError::Join`] if what was written could not be read back.
pub(crate) fn append(result: &mut Vec<u8>, mark: &Mark, parts: &Parts<'_>) -> Result<(), ComposeError> {
    let mut writer = Writer { places: places(result), body: result, table: Vec::new(), kept: Vec::new() };
    writer.part(parts.guest);
    writer.part(parts.provider);
    writer.range(parts.images.clone());
    let Writer { mut table, kept, .. } = writer;
    let kept_bytes = kept.len() as u64;
    if kept_bytes > KEPT_BYTES_MAX {
        return Err(ComposeError::TooMuchToKeep { kept_bytes, max_bytes: KEPT_BYTES_MAX });
    }
    let mut data = vec![FORM];
    number(&mut data, table.len());
    data.append(&mut table);
    number(&mut data, kept.len());
    // Reading from memory and compressing it do not fail.
    let _ = DeflateEncoder::new(kept.as_slice(), Compression::default()).read_to_end(&mut data);
    for (name, data) in [(MARK, mark.text().into_bytes()), (PIECES, data)] {
        CustomSection { name: name.into(), data: data.into() }.append_to_component(result);
    }
    // What runs does not depend on it, and yet a result of which nothing can be made again is none.
    match Claimed::read(result) {
        Some(claimed) if claimed.mark == *mark => Ok(()),
        _ => Err(ComposeError::join("the parts", "what was written of them cannot be read back")),
    }
}

/// Returns where in a result the images are that its adapter was given.
///
/// Guest and provider may have modules that look as if they had images, and may come before the adapter. So the place is
/// one where these very bytes are.
pub(crate) fn find_images(result: &[u8], adapter: &AdapterComponent) -> Result<Range<usize>, ComposeError> {
    // In the adapter's component there are no modules but the library's.
    let Some((_, given)) = all_images(&adapter.bytes).next() else { return Ok(0..0) };
    let found = all_images(result).find(|(_, images)| *images == given);
    let found = found.map(|(starts, images)| starts..starts + images.len());
    found.ok_or_else(|| ComposeError::join("the images", "they are not where the adapter looks for them"))
}

/// Lists what all modules of a component have in the place of images, and where.
fn all_images(component: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let payloads = Parser::new(0).parse_all(component).map_while(Result::ok);
    payloads.filter_map(|payload| {
        let Payload::ModuleSection { unchecked_range: range, .. } = payload else { return None };
        let starts = usize::try_from(range.start).ok()?;
        let module = component.get(starts..usize::try_from(range.end).ok()?)?;
        let images = read_images(module)?;
        Some((starts + (images.as_ptr().addr() - module.as_ptr().addr()), images))
    })
}

/// Whether the code of one of these modules is in a result, as it is.
pub(crate) fn has_code_of(result: &[u8], modules: &[&[u8]]) -> bool {
    const CODE: u8 = 10;
    let code = |module: &[u8]| {
        let sections = sections(module).unwrap_or_default();
        sections.into_iter().find(|section| section.id == CODE).map(|section| section.body)
    };
    let wanted: Vec<&[u8]> = modules
        .iter()
        .filter_map(|module| module.get(code(module)?))
        .filter(|code| !code.is_empty())
        .collect();
    // The adapter is in the result, or in a component of it, or in one of that.
    let mut waiting = vec![(result, 0)];
    while let Some((component, depth)) = waiting.pop() {
        for section in sections(component).unwrap_or_default() {
            let Some(body) = component.get(section.body) else { continue };
            match section.id {
                1 if code(body)
                    .and_then(|code| body.get(code))
                    .is_some_and(|code| wanted.contains(&code)) =>
                {
                    return true;
                }
                4 if depth < 2 => waiting.push((body, depth + 1)),
                _ => {}
            }
        }
    }
    false
}

/// What a result says it is made of.
pub(crate) struct Claimed<'a> {
    pub(crate) mark: Mark,
    guest: Pieces<'a>,
    provider: Pieces<'a>,
    /// All images, one behind the other.
    pub(crate) images: &'a [u8],
    /// What the pieces keep.
    kept: Vec<u8>,
}

impl<'a> Claimed<'a> {
    /// Reads both sections; none if they are not there, or not what [`append`] writes.
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
        DeflateDecoder::new(reader).take(KEPT_BYTES_MAX).read_to_end(&mut kept).ok()?;
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

    /// Puts the guest together.
    pub(crate) fn guest(&self) -> Cow<'a, [u8]> {
        self.guest.put_together(&self.kept)
    }

    /// Puts a provider of its own together; empty without one.
    pub(crate) fn provider(&self) -> Cow<'a, [u8]> {
        self.provider.put_together(&self.kept)
    }
}

/// Returns the text of a section `kvfs`, wherever it stands at the outermost level.
pub(crate) fn mark_text(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let sections = sections(bytes)?;
    let mut named = sections.iter().filter_map(|section| custom(bytes, section));
    named.find(|(name, _)| *name == MARK.as_bytes()).map(|(_, data)| String::from_utf8_lossy(data))
}

/// Whether a result has both sections at its end, whatever is in them.
pub(crate) fn is_marked(bytes: &[u8]) -> bool {
    split(bytes).is_some()
}

/// Takes a result apart: what is before the sections, and what is in them.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let sections = sections(bytes)?;
    let [.., mark, pieces] = sections.as_slice() else { return None };
    let (mark_name, text) = custom(bytes, mark)?;
    let (pieces_name, data) = custom(bytes, pieces)?;
    let named = mark_name == MARK.as_bytes() && pieces_name == PIECES.as_bytes();
    if named { Some((bytes.get(..mark.starts)?, text, data)) } else { None }
}

/// A section of the outermost level.
struct Section {
    id: u8,
    /// Where it starts, its identifier included.
    starts: usize,
    /// What is in it.
    body: Range<usize>,
}

/// Lists the sections of the outermost level; none for what is no wasm, or is cut off.
fn sections(bytes: &[u8]) -> Option<Vec<Section>> {
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

/// Returns name and data of a custom section.
fn custom<'a>(bytes: &'a [u8], section: &Section) -> Option<(&'a [u8], &'a [u8])> {
    let mut data = bytes.get(section.body.clone()).filter(|_| section.id == 0)?;
    let length = read_number(&mut data)?;
    Some((data.split_off(..length)?, data))
}

/// Sections that can be pointed to, by what they are and how long.
type Places = HashMap<(u8, usize), Vec<Range<usize>>>;

fn places(bytes: &[u8]) -> Places {
    let mut places = Places::new();
    for section in sections(bytes).unwrap_or_default() {
        if KEPT_WHOLE.contains(&section.id) && section.body.len() >= SHORT_BYTES {
            places.entry((section.id, section.body.len())).or_default().push(section.body);
        }
    }
    places
}

struct Writer<'a> {
    body: &'a [u8],
    places: Places,
    /// For each part: how many pieces, then for each piece how many kept bytes come first, and offset and length of what
    /// is copied after them.
    table: Vec<u8>,
    kept: Vec<u8>,
}

impl Writer<'_> {
    fn part(&mut self, part: &[u8]) {
        const COMPONENT: u8 = 4;
        // Joined as a component, the part is in the result whole.
        let copies: Vec<(Range<usize>, usize)> = match self.find(COMPONENT, part) {
            Some(offset) => vec![(0..part.len(), offset)],
            None => {
                let sections = sections(part).unwrap_or_default().into_iter();
                let copies = sections.filter_map(|section| {
                    let offset = self.find(section.id, part.get(section.body.clone())?)?;
                    Some((section.body, offset))
                });
                copies.collect()
            }
        };
        number(&mut self.table, copies.len());
        let mut done = 0;
        for (range, offset) in copies {
            let kept = part.get(done..range.start).unwrap_or_default();
            self.kept.extend_from_slice(kept);
            [kept.len(), offset, range.len()].into_iter().for_each(|n| number(&mut self.table, n));
            done = range.end;
        }
        let kept = part.get(done..).unwrap_or_default();
        self.kept.extend_from_slice(kept);
        number(&mut self.table, kept.len());
    }

    /// Notes a part that is a range of the result.
    fn range(&mut self, range: Range<usize>) {
        let copies = usize::from(!range.is_empty());
        number(&mut self.table, copies);
        if copies > 0 {
            [0, range.start, range.len()].into_iter().for_each(|n| number(&mut self.table, n));
        }
        number(&mut self.table, 0);
    }

    fn find(&self, id: u8, bytes: &[u8]) -> Option<usize> {
        let mut same = self.places.get(&(id, bytes.len()))?.iter();
        same.find(|range| self.body.get((*range).clone()) == Some(bytes)).map(|range| range.start)
    }
}

/// A part: bytes that are kept, and bytes of the result, in turns.
struct Pieces<'a> {
    pieces: Vec<(Range<usize>, &'a [u8])>,
    length: usize,
}

impl<'a> Pieces<'a> {
    /// Reads a part's entry of the table, and counts in `used` what it takes of the kept bytes.
    fn read(table: &mut &[u8], used: &mut usize, body: &'a [u8]) -> Option<Self> {
        let mut found = Self { pieces: Vec::new(), length: 0 };
        let mut copies = read_number(table)?;
        loop {
            let kept = *used..used.checked_add(read_number(table)?)?;
            *used = kept.end;
            let copied = if copies == 0 {
                &[]
            } else {
                let (offset, length) = (read_number(table)?, read_number(table)?);
                body.get(offset..offset.checked_add(length)?)?
            };
            found.length = found.length.checked_add(kept.len())?.checked_add(copied.len())?;
            found.pieces.push((kept, copied));
            // Nothing is in two parts or twice in one, so that a short file cannot ask for much memory.
            if found.length > body.len() + KEPT_BYTES_MAX as usize {
                return None;
            }
            if copies == 0 {
                return Some(found);
            }
            copies -= 1;
        }
    }

    /// Returns the one range of the result that the part is, or nothing.
    fn whole(&self) -> Option<&'a [u8]> {
        match self.pieces.as_slice() {
            [(none, copied), (last, _)] if none.is_empty() && last.is_empty() => Some(copied),
            [(last, _)] if last.is_empty() => Some(&[]),
            _ => None,
        }
    }

    fn put_together(&self, kept: &[u8]) -> Cow<'a, [u8]> {
        if let Some(whole) = self.whole() {
            return Cow::Borrowed(whole);
        }
        let mut part = Vec::with_capacity(self.length);
        for (range, copied) in &self.pieces {
            part.extend_from_slice(kept.get(range.clone()).unwrap_or_default());
            part.extend_from_slice(copied);
        }
        Cow::Owned(part)
    }
}

/// Writes a number as WebAssembly does.
fn number(out: &mut Vec<u8>, value: usize) {
    wasm_encoder::Encode::encode(&(value as u64), out);
}

/// Reads a number of up to 64 bits, however it is padded.
fn read_number(bytes: &mut &[u8]) -> Option<usize> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn component(sections: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        for (id, data) in sections {
            bytes.push(*id);
            number(&mut bytes, data.len());
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
        // Beside what is in it: the header, and the section's identifier and length.
        let mut types = vec![7; KEPT_BYTES_MAX as usize - 13];
        let most = component(&[(7, &types)]);
        assert_eq!(most.len() as u64, KEPT_BYTES_MAX);
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
        // A line more than was meant.
        let two = Mark { shared: vec!["a:b\nlink=core".into()], ..Mark::default() };
        assert!(matches!(append(b"", &two), Err(ComposeError::Join { .. })));
    }

    #[test]
    fn pieces_that_lead_out_of_the_file_are_no_parts() {
        let guest = component(&[(1, &[1; 100])]);
        let mut whole = component(&[(4, &guest)]);
        append(&mut whole, &mark(), &Parts { guest: &guest, provider: &[], images: 20..40 }).unwrap();
        assert!(Claimed::read(&whole).is_some());
        // Whatever is cut or changed: an answer, and no panic.
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
