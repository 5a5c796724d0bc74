//! Adds paths to findings.

use super::picture::Picture;
use super::report::Report;
use crate::limits::MAX_PATH_BYTES;
use crate::stored::key::{KeySpace, tag};
use crate::types::InodeNo;
use std::collections::BTreeMap;

/// One name of each inode, with its directory.
type NamesOf<'p> = BTreeMap<InodeNo, (InodeNo, &'p str)>;

pub(super) fn name(picture: &Picture, keys: &KeySpace, report: &mut Report) {
    if report.findings.is_empty() {
        return;
    }
    let names_of: NamesOf<'_> =
        picture.dentries.iter().map(|(dir, name, entry)| (entry.ino, (*dir, name.as_str()))).collect();
    for finding in &mut report.findings {
        let Some((tag, rest)) = keys.split(&finding.key) else { continue };
        let Some((ino, _)) = rest.split_first_chunk::<8>() else { continue };
        let ino = InodeNo(u64::from_be_bytes(*ino));
        finding.path = match tag {
            tag::INODE | tag::EXTENT => path(&names_of, ino, None),
            tag::DENTRY => path(&names_of, ino, keys.dentry_name(ino, &finding.key)),
            _ => None,
        };
    }
}

/// Returns the path of an inode, or of a name in it; `None` if parents form a ring, or if the path
/// is too long for operations.
fn path(names_of: &NamesOf<'_>, ino: InodeNo, name: Option<&str>) -> Option<String> {
    let (mut names, mut bytes, mut at) = (Vec::from_iter(name), 0, ino);
    while at != InodeNo::ROOT {
        let (dir, name) = names_of.get(&at)?;
        bytes += name.len() + 1;
        if bytes > MAX_PATH_BYTES {
            return None;
        }
        names.push(name);
        at = *dir;
    }
    names.reverse();
    Some(format!("/{}", names.join("/")))
}
