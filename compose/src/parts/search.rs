//! Finds the library's own content in a result: the images that were given to the adapter, and the adapter's code.

use crate::error::ComposeError;
use crate::wasm::embed::read_images;
use crate::wasm::sections::sections;
use std::ops::Range;
use wasmparser::{Parser, Payload};

/// Returns where in a result the images are that its adapter was given.
///
/// Guest and provider may have modules that look as if they had images, and may come before the adapter. So the place is
/// one where these very bytes are.
pub(crate) fn find_images(result: &[u8], adapter: &[u8]) -> Result<Range<usize>, ComposeError> {
    // In the adapter's component there are no modules but the library's.
    let Some((_, given)) = all_images(adapter).next() else { return Ok(0..0) };
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
