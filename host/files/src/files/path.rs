//! Paths in a volume.

/// Returns a path as the engine takes it: from the root on.
pub(crate) fn inner(path: &str) -> &str {
    match path.trim_start_matches('/') {
        "" => ".",
        path => path,
    }
}

/// Appends a name to a path, with one slash between them.
pub(crate) fn join(path: &mut String, name: &str) {
    if !path.is_empty() && !path.ends_with('/') {
        path.push('/');
    }
    path.push_str(name);
}
