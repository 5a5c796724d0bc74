//! Counts what long work has done, and names what could not be held.

use std::ops::ControlFlow;

/// Names that are kept of each kind of loss. The rest is counted.
pub const MAX_NAMED: usize = 10;

/// Names that are kept of entries with other names than they had: those who look for them need them.
pub const MAX_NAMED_ESCAPED: usize = 1000;

/// What one side cannot hold of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Loss {
    /// Devices: left out.
    Devices,
    /// Pipes: left out.
    Pipes,
    /// Sockets: left out.
    Sockets,
    /// Names that are longer than a volume takes: left out, directories with all that is in them.
    Names,
    /// Symbolic links whose targets are longer than a volume takes, or empty: left out.
    Targets,
    /// Hard links to something that was left out: left out.
    Links,
    /// Extended attributes. The file itself is held.
    Attributes,
    /// Owners: entries that belong to another user than the first one. The file itself is held.
    Owners,
    /// Modes other than `rw-r--r--` of files and `rwxr-xr-x` of directories. The file itself is held.
    Modes,
    /// Names that are not UTF-8, which WASI cannot express, or would be taken for such a one. The entry is
    /// held, under the name that [`volume_name`](crate::volume_name) gives.
    Escaped,
    /// Symbolic links whose targets have such names. The link is held, with the names in its place.
    EscapedTargets,
    /// The other way round, names that a file system of the host takes only as UTF-8. The entry is there,
    /// under the name that it has in the volume.
    KeptEscaped,
}

impl Loss {
    const ALL: [Self; 12] = [
        Self::Devices,
        Self::Pipes,
        Self::Sockets,
        Self::Names,
        Self::Targets,
        Self::Links,
        Self::Attributes,
        Self::Owners,
        Self::Modes,
        Self::Escaped,
        Self::EscapedTargets,
        Self::KeptEscaped,
    ];

    /// Returns whether whole entries are left out, and not a property of them.
    pub fn is_of_entries(self) -> bool {
        self < Self::Attributes
    }

    /// Returns whether entries are held under other names than they had.
    pub fn is_of_names(self) -> bool {
        self >= Self::Escaped
    }

    /// Returns words for it, such as `names that are too long`.
    pub fn words(self) -> &'static str {
        match self {
            Self::Devices => "devices",
            Self::Pipes => "pipes",
            Self::Sockets => "sockets",
            Self::Names => "names that are too long",
            Self::Targets => "symbolic links whose targets are too long or empty",
            Self::Links => "hard links to what was left out",
            Self::Attributes => "entries with extended attributes",
            Self::Owners => "entries of other owners",
            Self::Modes => "entries with modes of their own",
            Self::Escaped => "names that are not UTF-8",
            Self::EscapedTargets => "targets of symbolic links that are not UTF-8",
            Self::KeptEscaped => "names that this file system does not take",
        }
    }
}

/// How often something was lost, and where first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// How often.
    pub count: u64,
    /// The first paths, at most [`MAX_NAMED`], with bytes escaped that are not UTF-8. Of names that are held
    /// as others, at most [`MAX_NAMED_ESCAPED`], each with the other behind ` -> `.
    pub named: Vec<String>,
}

/// What an import, an export or a copy has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Files written.
    pub files: u64,
    /// Directories made, or found there.
    pub directories: u64,
    /// Symbolic links made.
    pub symlinks: u64,
    /// Further names of files and links.
    pub hard_links: u64,
    /// Files and links that were there already, with the same size and time.
    pub unchanged: u64,
    /// Bytes of files written, without holes.
    pub bytes: u64,
    lost: [Lost; Loss::ALL.len()],
}

impl Report {
    /// Returns the number of entries that were dealt with.
    pub fn entries(&self) -> u64 {
        self.files + self.directories + self.symlinks + self.hard_links + self.unchanged
    }

    /// Lists what was lost, each kind that was.
    pub fn lost(&self) -> impl Iterator<Item = (Loss, &Lost)> {
        Loss::ALL.into_iter().zip(&self.lost).filter(|(_, lost)| lost.count > 0)
    }

    /// Returns the number of entries that were left out.
    pub fn left_out(&self) -> u64 {
        self.lost().filter(|(loss, _)| loss.is_of_entries()).map(|(_, lost)| lost.count).sum()
    }

    pub(crate) fn lose(&mut self, loss: Loss, path: impl FnOnce() -> String) {
        let place = Loss::ALL.iter().position(|each| *each == loss);
        if let Some(lost) = place.and_then(|place| self.lost.get_mut(place)) {
            lost.count += 1;
            let most = if loss.is_of_names() { MAX_NAMED_ESCAPED } else { MAX_NAMED };
            if lost.named.len() < most {
                lost.named.push(path());
            }
        }
    }

    /// Counts the mode of a file or directory that is lost.
    pub(crate) fn lose_mode(&mut self, mode: u32, is_directory: bool, path: impl FnOnce() -> String) {
        if mode & 0o7777 != if is_directory { 0o755 } else { 0o644 } {
            self.lose(Loss::Modes, path);
        }
    }
}

/// Is told what is done: after each entry, and now and then inside of a large file. It may end the
/// work, which is then [`FilesError::Stopped`](crate::FilesError::Stopped).
pub type Progress<'p> = dyn FnMut(&Report) -> ControlFlow<()> + 'p;

/// Writes a path of the host, with the bytes escaped that are not UTF-8.
pub(crate) fn shown(path: &[u8]) -> String {
    let chunks = path.utf8_chunks();
    chunks.map(|chunk| format!("{}{}", chunk.valid(), chunk.invalid().escape_ascii())).collect()
}

pub(crate) fn tell(progress: &mut Progress<'_>, report: &Report) -> Result<(), crate::FilesError> {
    match progress(report) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(crate::FilesError::Stopped),
    }
}
