//! The file of a mark, beside the store: two slots, written alternately.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::mark::{MARK_BYTES, MARK_FORM, Mark};

/// Bytes of a slot. Two of them share a sector, so a disk that tears sectors may lose both; the
/// check is weaker then, never wrong.
const SLOT_BYTES: usize = 64;

const FILE_BYTES: usize = 2 * SLOT_BYTES;

/// A mark file that is being written.
#[derive(Debug)]
pub(super) struct MarkFile {
    path: PathBuf,
    /// Open once something was written.
    file: Option<File>,
    /// The file has a whole mark, so only one slot is written at a time.
    is_whole: bool,
}

/// Reads the mark at `path`; `None` if there is no file, or no whole mark in it.
///
/// # Errors
/// The system's: a mark that cannot be read is not taken for a missing one. `Unsupported` if a later
/// version wrote it.
pub fn read_mark(path: impl AsRef<Path>) -> io::Result<Option<Mark>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::with_capacity(FILE_BYTES);
    file.take(FILE_BYTES as u64).read_to_end(&mut bytes)?;
    let slots = || bytes.chunks(SLOT_BYTES).filter_map(|slot| slot.get(..MARK_BYTES));
    if let Some(form) = slots().find_map(Mark::later_form) {
        let text = format!(
            "a newer kvfs wrote this mark (form {form}; this one knows form {MARK_FORM}); update this one"
        );
        return Err(io::Error::new(ErrorKind::Unsupported, text));
    }
    Ok(slots().filter_map(Mark::decode).max_by_key(|mark| mark.applies))
}

impl MarkFile {
    /// `found` is what [`read_mark`] found at the path.
    pub(super) fn new(path: PathBuf, found: Option<Mark>) -> Self {
        Self { path, file: None, is_whole: found.is_some() }
    }

    /// Notes a mark. The system has it when this returns, so it outlives the process; a crash of
    /// the machine may lose it.
    pub(super) fn write(&mut self, mark: &Mark) -> io::Result<()> {
        let slot = slot(mark);
        if self.is_whole {
            let start = (mark.applies % 2) * SLOT_BYTES as u64;
            return self.write_at(start, &slot);
        }
        self.replace(mark)
    }

    /// Notes a mark and forgets those before, even later ones and those of other stores.
    pub(super) fn replace(&mut self, mark: &Mark) -> io::Result<()> {
        let slot = slot(mark);
        // In both slots: a slot of zeros would leave nothing if this one were damaged.
        self.write_at(0, &[slot, slot].concat())?;
        self.is_whole = true;
        Ok(())
    }

    fn write_at(&mut self, start: u64, bytes: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let file = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .create(true)
                    .truncate(false)
                    .open(&self.path)?;
                none.insert(file)
            }
        };
        file.seek(SeekFrom::Start(start))?;
        file.write_all(bytes)
    }
}

fn slot(mark: &Mark) -> [u8; SLOT_BYTES] {
    let mut slot = [0; SLOT_BYTES];
    slot[..MARK_BYTES].copy_from_slice(&mark.encode());
    slot
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(applies: u64) -> Mark {
        Mark { applies, ..Mark::first().unwrap() }
    }

    #[test]
    fn the_newest_whole_slot_counts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mark");
        assert_eq!(read_mark(&path).unwrap(), None);
        let mut file = MarkFile::new(path.clone(), None);
        for applies in 1..6 {
            file.write(&mark(applies)).unwrap();
            assert_eq!(read_mark(&path).unwrap().unwrap().applies, applies);
        }
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(whole.len(), FILE_BYTES);
        // The fifth is in the second slot.
        let mut damaged = whole.clone();
        damaged[SLOT_BYTES + 20] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert_eq!(read_mark(&path).unwrap().unwrap().applies, 4);
        damaged[20] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert_eq!(read_mark(&path).unwrap(), None);
        for cut in 0..FILE_BYTES {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let found = read_mark(&path).unwrap().map(|mark| mark.applies);
            let expected = match cut {
                _ if cut >= SLOT_BYTES + MARK_BYTES => Some(5),
                _ if cut >= MARK_BYTES => Some(4),
                _ => None,
            };
            assert_eq!(found, expected, "cut to {cut} bytes");
        }
        // A longer file is read no further.
        std::fs::write(&path, [whole, vec![9; 1000]].concat()).unwrap();
        assert_eq!(read_mark(&path).unwrap().unwrap().applies, 5);
    }

    #[test]
    fn a_replaced_mark_is_the_only_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mark");
        let mut file = MarkFile::new(path.clone(), None);
        file.write(&mark(8)).unwrap();
        file.write(&mark(9)).unwrap();
        file.replace(&mark(3)).unwrap();
        assert_eq!(read_mark(&path).unwrap().unwrap().applies, 3);
        assert!(read_mark(directory.path()).is_err(), "a directory is no missing mark");
    }
}
