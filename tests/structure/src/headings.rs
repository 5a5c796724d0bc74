//! Reads a file's own headings: its documentation, and the floors in which it declares modules.

use crate::crates::{Floor, ModuleNo};
use std::collections::HashMap;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, Item, Lit, Meta};

/// The groups in which `items` declare modules with files.
pub(crate) fn floors(text: &str, items: &[Item], modules: &HashMap<usize, ModuleNo>) -> Vec<Floor> {
    let lines: Vec<&str> = text.lines().collect();
    let mut floors: Vec<Floor> = Vec::new();
    let mut above = 0;
    let mut follows_module = false;
    for item in items {
        let (start, end) = (item.span().start().line, item.span().end().line);
        let gap: Vec<&str> = lines[above.min(start - 1)..start - 1].iter().map(|line| line.trim()).collect();
        above = end;
        let Item::Mod(declared) = item else {
            follows_module = false;
            continue;
        };
        let Some(&module) = modules.get(&start) else {
            // A module of tests, or one written in place.
            follows_module &= declared.content.is_none();
            continue;
        };
        match floors.last_mut() {
            Some(floor) if follows_module && gap.is_empty() => floor.modules.push(module),
            _ => floors.push(Floor { name: comment_above(&gap), modules: vec![module] }),
        }
        follows_module = true;
    }
    floors
}

/// The comment at the end of `gap`, without its slashes.
fn comment_above(gap: &[&str]) -> String {
    let lines: Vec<&str> = gap
        .iter()
        .rev()
        .map_while(|line| line.strip_prefix("//").filter(|rest| !rest.starts_with('/')).map(str::trim))
        .collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
}

/// The first sentence of a file's documentation.
pub(crate) fn summary(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| string_of(attribute, "doc"));
    let lines: Vec<String> =
        lines.map(|line| line.trim().to_owned()).take_while(|line| !line.is_empty()).collect();
    let text = lines.join(" ");
    text.split_once(". ").map_or(text.trim_end_matches('.'), |(first, _)| first).to_owned()
}

/// The string of an attribute such as `#[path = "file.rs"]`.
pub(crate) fn string_of(attribute: &Attribute, name: &str) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    let Expr::Lit(literal) = &pair.value else { return None };
    match &literal.lit {
        Lit::Str(text) if pair.path.is_ident(name) => Some(text.value()),
        _ => None,
    }
}
