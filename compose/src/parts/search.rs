//! Finds the images and the code of the adapter in a result.

use crate::error::ComposeError;
use crate::wasm::embed::read_images;
use crate::wasm::sections::sections;
use std::ops::Range;
use wasmparser::{Parser, Payload};

/// Returns the range of a result that has the images of the adapter's component.
///
/// Modules of guest and provider may look as if they had images, and may come before the adapter.
/// So the bytes are compared.
pub(crate) fn find_images(result: &[u8], adapter: &[u8]) -> Result<Range<usize>, ComposeError> {
    // Every module in the adapter's component is the library's.
    let Some((_, given)) = all_images(adapter).next() else { return Ok(0..0) };
    let found = all_images(result).find(|(_, images)| *images == given);
    let found = found.map(|(starts, images)| starts..starts + images.len());
    found.ok_or_else(|| ComposeError::join("the images", "they are not where the adapter looks for them"))
}

/// Lists the images of all modules of a component, with their offsets.
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

/// Returns true if a result has the unchanged code of one of these modules.
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
    // The adapter is in the result, in a component of it, or in a component of that.
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
