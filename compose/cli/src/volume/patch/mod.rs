//! `kvfs diff --patch`: differences as a patch that git and patch(1) take.

mod name;
mod paint;

use crate::text_diff::{MAX_TEXT_BYTES, MAX_TEXT_LINES, Side, compare, is_binary};
use anyhow::Result;
use kvfs::volumes::{Changed, Difference};
use kvfs::{Follow, Kind};
use kvfs_host::Files;
use name::{bare, side};
use paint::{Painter, Part};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// Two volumes, whose differences are written as a patch.
pub(super) struct Patch {
    pub(super) first: Files,
    pub(super) second: Files,
    pub(super) context_lines: usize,
}

/// A file of one side: its path, its kind and its bytes.
struct There {
    path: String,
    kind: Kind,
    content: Content,
}

enum Content {
    Bytes(Vec<u8>),
    /// More than are compared.
    TooMany(u64),
}

/// Both sides of a file. `None`: that volume has no such file.
struct Pair {
    first: Option<There>,
    second: Option<There>,
}

impl Patch {
    /// Writes all differences, in their order.
    pub(super) fn write(&mut self, found: &[Difference]) -> Result<()> {
        let mut painter = Painter::new();
        let moved = Moved::of(found);
        // A file can only take the place of a directory that is empty.
        let (gone, rest): (Vec<_>, Vec<_>) =
            found.iter().partition(|difference| moved.goes_first(difference));
        for difference in gone.into_iter().chain(rest) {
            self.one(difference, &moved, &mut painter)?;
        }
        painter.flush()
    }

    fn one(&mut self, difference: &Difference, moved: &Moved<'_>, painter: &mut Painter) -> Result<()> {
        let path = difference.path.as_str();
        let before = match &difference.change {
            Changed::Added => None,
            Changed::Removed => Some(path.to_owned()),
            Changed::Modified(what) if !what.bytes && !what.kind => return Ok(()),
            Changed::Modified(_) => Some(moved.before(path)),
            Changed::Renamed { from, .. } => Some(from.clone()),
        };
        let after = (difference.change != Changed::Removed).then(|| path.to_owned());
        if difference.kind != Kind::Directory {
            return self.file(before, after, painter);
        }
        match (&difference.change, before) {
            (Changed::Added, _) => only_in('b', path, painter),
            (Changed::Removed, _) => only_in('a', path, painter),
            (Changed::Renamed { from, .. }, _) => self.moved_directory(from, path, moved, painter),
            // A directory in the place of a file.
            (Changed::Modified(_), before) => {
                self.file(before, None, painter)?;
                only_in('b', path, painter)
            }
        }
    }

    /// Writes the files of a renamed directory, of which nothing else is told.
    fn moved_directory(
        &mut self,
        from: &str,
        to: &str,
        moved: &Moved<'_>,
        painter: &mut Painter,
    ) -> Result<()> {
        let mut directories = vec![to.to_owned()];
        while let Some(directory) = directories.pop() {
            let mut entries = Vec::new();
            self.second.each_entry(&directory, &mut |entry| {
                entries.push(entry);
                ControlFlow::Continue(())
            })?;
            entries.sort_by(|one, other| one.name.cmp(&other.name));
            for entry in entries {
                let path = format!("{directory}/{}", entry.name);
                if entry.kind == Kind::Directory {
                    // One that was renamed itself has its own line.
                    if !moved.directories.contains_key(path.as_str()) {
                        directories.push(path);
                    }
                } else if !moved.told.contains(path.as_str()) {
                    let old = format!("{from}{}", path.strip_prefix(to).unwrap_or_default());
                    head(Some(&old), Some(&path), painter)?;
                    renamed(&old, &path, painter)?;
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, before: Option<String>, after: Option<String>, painter: &mut Painter) -> Result<()> {
        let first = before.map(|path| there(&mut self.first, path)).transpose()?;
        let second = after.map(|path| there(&mut self.second, path)).transpose()?;
        match (first, second) {
            (Some(first), Some(second)) if first.kind != second.kind => {
                if first.kind == Kind::Directory {
                    only_in('a', &first.path, painter)?;
                } else {
                    self.pair(&Pair { first: Some(first), second: None }, painter)?;
                }
                self.pair(&Pair { first: None, second: Some(second) }, painter)
            }
            (first, second) => self.pair(&Pair { first, second }, painter),
        }
    }

    fn pair(&self, pair: &Pair, painter: &mut Painter) -> Result<()> {
        let path = |there: &Option<There>| there.as_ref().map(|there| there.path.clone());
        let (old, new) = (path(&pair.first), path(&pair.second));
        head(old.as_deref(), new.as_deref(), painter)?;
        match (&pair.first, &pair.second) {
            (None, Some(new)) => painter.line(Part::Head, "new file mode ", mode(new.kind))?,
            (Some(old), None) => painter.line(Part::Head, "deleted file mode ", mode(old.kind))?,
            (Some(old), Some(new)) => {
                if new.kind == Kind::Symlink {
                    // Or else patch(1) takes it for a file, and refuses to change a link.
                    painter.line(Part::Head, "old mode ", mode(old.kind))?;
                    painter.line(Part::Head, "new mode ", mode(new.kind))?;
                }
                if old.path != new.path {
                    renamed(&old.path, &new.path, painter)?;
                }
            }
            (None, None) => {}
        }
        let names = (
            old.map_or_else(|| "/dev/null".to_owned(), |path| side('a', &path)),
            new.map_or_else(|| "/dev/null".to_owned(), |path| side('b', &path)),
        );
        self.content(pair, &names, painter)
    }

    fn content(&self, pair: &Pair, (old, new): &(String, String), painter: &mut Painter) -> Result<()> {
        let (before, after) = match (bytes(&pair.first), bytes(&pair.second)) {
            (Ok(before), Ok(after)) => (before, after),
            (Err(size_bytes), _) | (_, Err(size_bytes)) => {
                let line = format!(
                    "Files {old} and {new} differ; not shown: {size_bytes} bytes are more than {MAX_TEXT_BYTES}"
                );
                return painter.line(Part::Head, &line, b"");
            }
        };
        if before == after {
            return Ok(());
        }
        if is_binary(before) || is_binary(after) {
            return painter.line(Part::Head, &format!("Binary files {old} and {new} differ"), b"");
        }
        let Some(hunks) = compare(before, after, self.context_lines) else {
            let line = format!("Files {old} and {new} differ; not shown: more than {MAX_TEXT_LINES} lines");
            return painter.line(Part::Head, &line, b"");
        };
        painter.line(Part::Head, &format!("--- {old}"), b"")?;
        painter.line(Part::Head, &format!("+++ {new}"), b"")?;
        for hunk in hunks {
            painter.line(Part::Hunk, &hunk.head(), b"")?;
            for line in hunk.lines {
                let part = match line.side {
                    Side::Both => Part::Plain,
                    Side::First => Part::Removed,
                    Side::Second => Part::Added,
                };
                let mark = line.side.mark().to_string();
                match line.bytes.strip_suffix(b"\n") {
                    Some(bytes) => painter.line(part, &mark, bytes)?,
                    None => {
                        painter.line(part, &mark, line.bytes)?;
                        painter.line(Part::Plain, "\\ No newline at end of file", b"")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Where renamed directories were, and the paths that are told of.
struct Moved<'d> {
    directories: BTreeMap<&'d str, &'d str>,
    told: BTreeSet<&'d str>,
    /// A file has the place of a directory, or the other way round.
    replaced: bool,
}

impl<'d> Moved<'d> {
    fn of(found: &'d [Difference]) -> Self {
        let mut moved = Self { directories: BTreeMap::new(), told: BTreeSet::new(), replaced: false };
        for difference in found {
            let path = difference.path.as_str();
            moved.replaced |= matches!(&difference.change, Changed::Modified(what) if what.kind);
            match &difference.change {
                Changed::Renamed { from, .. } if difference.kind == Kind::Directory => {
                    moved.directories.insert(path, from);
                }
                // It is renamed with its directory only.
                Changed::Modified(what) if !what.bytes && !what.kind => {}
                Changed::Removed => {}
                _ => drop(moved.told.insert(path)),
            }
        }
        moved
    }

    /// Whether it was in a directory that a file has replaced.
    fn goes_first(&self, difference: &Difference) -> bool {
        difference.change == Changed::Removed && self.replaced
    }

    /// The renamed directory that is nearest above a path; empty if there is none.
    fn holder(&self, path: &str) -> &'d str {
        let mut above = path;
        while let Some(slash) = above.rfind('/') {
            above = &above[..slash];
            if let Some((holder, _)) = self.directories.get_key_value(above) {
                return holder;
            }
        }
        ""
    }

    /// The path in the first volume of what has a path in the second one, and was not renamed itself.
    fn before(&self, path: &str) -> String {
        let holder = self.holder(path);
        match self.directories.get(holder) {
            Some(from) => format!("{from}{}", path.strip_prefix(holder).unwrap_or_default()),
            None => path.to_owned(),
        }
    }
}

/// The bytes of a side, none if it has no such file, or their number if there are too many.
fn bytes(there: &Option<There>) -> Result<&[u8], u64> {
    match there.as_ref().map(|there| &there.content) {
        None => Ok(&[]),
        Some(Content::Bytes(bytes)) => Ok(bytes),
        Some(Content::TooMany(size_bytes)) => Err(*size_bytes),
    }
}

fn there(files: &mut Files, path: String) -> Result<There> {
    let stat = files.stat(&path, Follow::No)?;
    let content = match stat.kind {
        Kind::Directory => Content::Bytes(Vec::new()),
        Kind::Symlink => Content::Bytes(files.read_link(&path)?.into_bytes()),
        Kind::File if stat.size > MAX_TEXT_BYTES => Content::TooMany(stat.size),
        Kind::File => Content::Bytes(files.read(&path, MAX_TEXT_BYTES)?),
    };
    Ok(There { path, kind: stat.kind, content })
}

/// Volumes have no permissions: these are what git gives to a new file and to a link.
fn mode(kind: Kind) -> &'static [u8] {
    match kind {
        Kind::Symlink => b"120000",
        _ => b"100644",
    }
}

fn head(old: Option<&str>, new: Option<&str>, painter: &mut Painter) -> Result<()> {
    let (old, new) = (old.or(new).unwrap_or_default(), new.or(old).unwrap_or_default());
    let line = format!("diff --git {} {}", side('a', old), side('b', new));
    painter.line(Part::Head, &line, b"")
}

fn renamed(old: &str, new: &str, painter: &mut Painter) -> Result<()> {
    painter.line(Part::Head, &format!("rename from {}", bare(old)), b"")?;
    painter.line(Part::Head, &format!("rename to {}", bare(new)), b"")
}

/// Tells of a directory, which a patch cannot have.
fn only_in(which: char, path: &str, painter: &mut Painter) -> Result<()> {
    painter.line(Part::Head, &format!("Only in {which}: {}/", bare(path)), b"")
}
