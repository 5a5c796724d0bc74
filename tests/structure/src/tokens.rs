//! Finds paths in the tokens of macro calls, which are not Rust yet.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path and its line.
pub(crate) struct TokenPath {
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
}

/// Finds the paths in `tokens`: those of two or more names, and single names that are a type's or
/// are called. Other single names may be variables.
pub(crate) fn paths(tokens: TokenStream) -> Vec<TokenPath> {
    let mut found = Vec::new();
    scan(&[], tokens, &mut found);
    found
}

/// Finds the paths in `tokens`. `prefix` stands before each of them in the list of a `use`.
fn scan(prefix: &[String], tokens: TokenStream, found: &mut Vec<TokenPath>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => scan(&[], group.stream(), found),
            TokenTree::Ident(first) => {
                let start = at;
                let mut path = prefix.to_vec();
                path.push(name_of(first));
                while let Some(TokenTree::Ident(next)) = behind_colons(&tokens, at) {
                    path.push(name_of(next));
                    at += 3;
                }
                match behind_colons(&tokens, at) {
                    Some(TokenTree::Group(list)) if list.delimiter() == Delimiter::Brace => {
                        scan(&path, list.stream(), found);
                        at += 3;
                    }
                    _ if is_new_name(prefix, &tokens, start) => {}
                    _ if starts_path(&tokens, start) && is_name(&path, tokens.get(at + 1)) => {
                        found.push(TokenPath { path, line: first.span().start().line });
                    }
                    _ => {}
                }
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
        at += 1;
    }
}

/// The token behind the `::` that follows the one at `at`.
fn behind_colons(tokens: &[TokenTree], at: usize) -> Option<&TokenTree> {
    (is_punct(tokens.get(at + 1), ':') && is_punct(tokens.get(at + 2), ':')).then(|| tokens.get(at + 3))?
}

/// Returns whether a path starts at `at`: no field, method or lifetime, no variable of a macro, no
/// rest of a longer path.
fn starts_path(tokens: &[TokenTree], at: usize) -> bool {
    let before = |steps: usize| at.checked_sub(steps).map(|place| &tokens[place]);
    match before(1) {
        Some(TokenTree::Punct(punct)) => match punct.as_char() {
            '.' => is_punct(before(2), '.'),
            ':' => !is_punct(before(2), ':'),
            '\'' => false,
            '$' => matches!(&tokens[at], TokenTree::Ident(name) if name == "crate"),
            _ => true,
        },
        _ => true,
    }
}

/// Returns whether the name at `at` is the new one in `old as new`, in the list behind `prefix`.
fn is_new_name(prefix: &[String], tokens: &[TokenTree], at: usize) -> bool {
    let before = at.checked_sub(1).map(|before| &tokens[before]);
    !prefix.is_empty() && matches!(before, Some(TokenTree::Ident(word)) if word == "as")
}

/// Returns whether `path` names an item, as far as one can tell before the macro runs.
fn is_name(path: &[String], next: Option<&TokenTree>) -> bool {
    let [only] = path else { return true };
    let is_called = match next {
        Some(TokenTree::Group(group)) => group.delimiter() == Delimiter::Parenthesis,
        next => is_punct(next, '!'),
    };
    is_called || only.starts_with(char::is_uppercase)
}

fn is_punct(token: Option<&TokenTree>, expected: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == expected)
}

/// The name without `r#`.
pub(crate) fn name_of(name: &proc_macro2::Ident) -> String {
    let name = name.to_string();
    name.strip_prefix("r#").map_or(name.clone(), str::to_owned)
}
