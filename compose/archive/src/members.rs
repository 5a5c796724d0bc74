//! The entries of an archive, each with the extended headers, long names and maps of holes before
//! it.

use crate::header::{Block, Header, kind, more_pieces};
use crate::records::{EntryRecords, Record, effective, parse, refusal};
use crate::sparse::{Front, MAX_PIECES, Map, Sparse};
use crate::stream::{BLOCK_BYTES, Stream};
use kvfs::Timestamp;
use std::io::Read;

/// Most bytes of an extended header or a long name.
const MAX_EXTENDED_BYTES: u64 = 16 << 20;

/// Why reading an archive ended.
#[derive(Debug)]
pub enum Fault {
    /// An error of the file or of decompressing it.
    Stream(std::io::Error),
    /// The archive is cut off.
    Ended,
    /// The archive is damaged.
    Damaged(String),
    /// The archive has something that is not supported.
    Refused(String),
}

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A directory with its list in an incremental archive.
    DumpedDirectory,
    /// A symbolic link.
    Symlink,
    /// A hard link.
    Link,
    /// A pipe.
    Fifo,
    /// A device.
    Device,
    /// The rest of a file that starts in another archive.
    Continuation,
    /// Of this byte, which no known format has.
    Other(u8),
}

/// An entry.
pub struct Member {
    /// Its kind.
    pub kind: Kind,
    /// Its path as it stands in the archive.
    pub path: Vec<u8>,
    /// The target of a link; empty for other kinds.
    pub target: Vec<u8>,
    /// The time of modification.
    pub modified: Timestamp,
    /// The bits of its mode that say who may do what, if there are any.
    pub mode: Option<u32>,
    /// The number of its owner, if there is one.
    pub owner: Option<i64>,
    /// The archive has extended attributes of it.
    pub has_attributes: bool,
    /// Bytes of its data in the archive.
    pub stored_bytes: u64,
    /// Its holes.
    pub sparse: Sparse,
    /// A file in this directory that an incremental archive left out.
    pub left_out: Option<String>,
}

/// Reads the entries one after the other.
pub struct Members {
    stream: Stream,
    /// Records about all entries that follow: few and short, since each entry goes through them. A
    /// global header replaces those of the one before it.
    global: Vec<Record>,
    /// Bytes up to the next header: the rest of the last entry, and the rest of its last block.
    left: u64,
    padding: u64,
    /// True if its start is that of an archive.
    has_header: bool,
    /// True once the blocks of zeros at the end of an archive were read.
    has_end: bool,
}

/// The headers before an entry that are about it.
#[derive(Default)]
struct Before {
    records: Vec<Record>,
    long_name: Option<Vec<u8>>,
    long_target: Option<Vec<u8>>,
}

impl Members {
    /// Reads an archive from its start on.
    pub fn new(stream: Stream) -> Self {
        Self { stream, global: Vec::new(), left: 0, padding: 0, has_header: false, has_end: false }
    }

    /// Returns whether its start is that of an archive.
    pub fn has_header(&self) -> bool {
        self.has_header
    }

    /// Returns whether the blocks of zeros at the end of an archive were read.
    pub fn has_end(&self) -> bool {
        self.has_end
    }

    /// Returns the next entry; `None` at the end. Skips the unread data of the last one.
    ///
    /// # Errors
    /// See [`Fault`].
    #[expect(clippy::should_implement_trait, reason = "an iterator would go on after an error")]
    pub fn next(&mut self) -> Result<Option<Member>, Fault> {
        let mut before = Before::default();
        loop {
            self.pass(self.left + self.padding)?;
            (self.left, self.padding) = (0, 0);
            let Some(block) = self.block()? else { return Ok(None) };
            if block.iter().all(|byte| *byte == 0) {
                self.has_end = true;
                return Ok(None);
            }
            let header = Header(&block);
            if !header.is_whole() {
                return Err(Fault::Damaged("archive header checksum mismatch".to_owned()));
            }
            self.has_header = true;
            match header.kind() {
                kind::RECORDS | kind::SOLARIS_RECORDS => before.records = self.records(&header)?,
                kind::GLOBAL_RECORDS => {
                    let records = self.records(&header)?;
                    if let Some(reason) = refusal(&records) {
                        return Err(Fault::Refused(reason.to_owned()));
                    }
                    self.global = effective(records).map_err(Fault::Refused)?;
                }
                kind::LONG_NAME => before.long_name = Some(self.long(&header)?),
                kind::LONG_TARGET => before.long_target = Some(self.long(&header)?),
                // Is about the archive, and has no numbers.
                kind::LABEL => {}
                _ => return self.member(&header, before).map(Some),
            }
        }
    }

    fn member(&mut self, header: &Header<'_>, before: Before) -> Result<Member, Fault> {
        let said = EntryRecords::by(self.global.iter().chain(&before.records)).map_err(Fault::Refused)?;
        let mut sparse = said.sparse;
        let path = sparse.name.take().or(said.path).or(before.long_name).unwrap_or_else(|| header.name());
        let target = said.target.or(before.long_target).unwrap_or_else(|| header.target().to_owned());
        let kind = kind_of(header.kind(), &path);
        let modified = match said.modified {
            Some(time) => time,
            None => Timestamp { seconds: header.modified().map_err(Fault::Damaged)?, nanoseconds: 0 },
        };
        let stored_bytes = match kind {
            // Some programs write the size of the target of a link, or the size that a directory
            // may grow to.
            Kind::Link | Kind::Symlink | Kind::Directory | Kind::Fifo | Kind::Device => 0,
            _ => match said.size_bytes {
                Some(size) => size,
                None => header.size_bytes().map_err(Fault::Damaged)?,
            },
        };
        if header.kind() == kind::SPARSE && header.is_gnu() {
            let name = String::from_utf8_lossy(&path);
            let in_header = |reason| Fault::Damaged(format!("`{name}` has holes, and in their map {reason}"));
            let (mut map, mut more) = header.pieces().map_err(in_header)?;
            while more {
                let block = self.block()?.ok_or(Fault::Ended)?;
                let pieces = more_pieces(&block).map_err(in_header)?;
                map.extend(pieces.0);
                more = pieces.1;
                if map.len() > 2 * MAX_PIECES {
                    return Err(Fault::Refused(format!(
                        "`{name}` has holes, and more than {MAX_PIECES} pieces"
                    )));
                }
            }
            sparse = Sparse::in_header(map, header.whole_size_bytes().map_err(in_header)?);
        }
        self.announce(stored_bytes);
        Ok(Member {
            kind,
            path,
            target,
            modified,
            mode: header.mode(),
            owner: header.owner(),
            has_attributes: said.has_attributes,
            stored_bytes,
            sparse,
            left_out: said.left_out,
        })
    }

    /// Reads some data of the last entry; 0 bytes at its end.
    ///
    /// # Errors
    /// [`Fault::Stream`], and [`Fault::Ended`] if the archive ends before.
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize, Fault> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let Some(into) = into.get_mut(..room).filter(|into| !into.is_empty()) else { return Ok(0) };
        match self.stream.read(into).map_err(Fault::Stream)? {
            0 => Err(Fault::Ended),
            read => {
                self.left -= read as u64;
                Ok(read)
            }
        }
    }

    /// Reads where the data of the last entry, a file with holes, belongs. What [`Members::read`] gives
    /// from then on are the pieces, one after the other.
    ///
    /// # Errors
    /// As [`Members::read`], and [`Fault::Damaged`] for a map that is not whole.
    pub fn map(&mut self, sparse: Sparse) -> Result<Map, Fault> {
        let mut front = Front::default();
        while sparse.has_map_in_front() && !front.is_whole() {
            let mut block = [0; BLOCK_BYTES];
            let mut length = 0;
            while let Some(room) = block.get_mut(length..).filter(|room| !room.is_empty()) {
                match self.read(room)? {
                    0 => break,
                    read => length += read,
                }
            }
            front.feed(block.get(..length).unwrap_or_default()).map_err(Fault::Damaged)?;
        }
        sparse.map(front, self.left).map_err(Fault::Damaged)
    }

    /// Reads the data of the last entry.
    ///
    /// # Errors
    /// As [`Members::read`].
    pub fn stored(&mut self) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        let read = (&mut self.stream).take(self.left).read_to_end(&mut bytes).map_err(Fault::Stream)?;
        self.left -= read as u64;
        if self.left > 0 { Err(Fault::Ended) } else { Ok(bytes) }
    }

    /// Reads the rest behind the end: see [`Stream::finish`].
    ///
    /// # Errors
    /// As there.
    pub fn finish(self) -> Result<(), Fault> {
        self.stream.finish().map_err(Fault::Stream)
    }

    fn records(&mut self, header: &Header<'_>) -> Result<Vec<Record>, Fault> {
        parse(&self.extended(header)?).map_err(Fault::Refused)
    }

    /// Reads a long name, up to a zero byte.
    fn long(&mut self, header: &Header<'_>) -> Result<Vec<u8>, Fault> {
        let mut bytes = self.extended(header)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        bytes.truncate(end);
        Ok(bytes)
    }

    /// Reads the data of an entry that is about another one.
    fn extended(&mut self, header: &Header<'_>) -> Result<Vec<u8>, Fault> {
        let size = header.size_bytes().map_err(Fault::Damaged)?;
        if size > MAX_EXTENDED_BYTES {
            let reason =
                format!("an extended header has {size} bytes, and at most {MAX_EXTENDED_BYTES} are read");
            return Err(Fault::Refused(reason));
        }
        self.announce(size);
        self.stored()
    }

    fn announce(&mut self, size: u64) {
        self.left = size;
        self.padding = size.wrapping_neg() % BLOCK_BYTES as u64;
    }

    /// Reads a block; `None` if the archive ends before it.
    fn block(&mut self) -> Result<Option<Block>, Fault> {
        let mut block = [0; BLOCK_BYTES];
        let mut length = 0;
        while length < BLOCK_BYTES {
            match self.stream.read(&mut block[length..]).map_err(Fault::Stream)? {
                0 if length == 0 => return Ok(None),
                0 => return Err(Fault::Ended),
                read => length += read,
            }
        }
        Ok(Some(block))
    }

    fn pass(&mut self, count: u64) -> Result<(), Fault> {
        let passed = std::io::copy(&mut (&mut self.stream).take(count), &mut std::io::sink());
        if passed.map_err(Fault::Stream)? < count { Err(Fault::Ended) } else { Ok(()) }
    }
}

fn kind_of(byte: u8, path: &[u8]) -> Kind {
    match byte {
        // Archives from before there was a kind for directories mark them by the slash.
        kind::OLD_FILE | kind::FILE | kind::CONTIGUOUS if path.ends_with(b"/") => Kind::Directory,
        // A file with holes in another format than GNU's has its map in records, or none.
        kind::OLD_FILE | kind::FILE | kind::CONTIGUOUS | kind::SPARSE => Kind::File,
        kind::LINK => Kind::Link,
        kind::SYMLINK => Kind::Symlink,
        kind::CHARACTER_DEVICE | kind::BLOCK_DEVICE => Kind::Device,
        kind::DIRECTORY => Kind::Directory,
        kind::FIFO => Kind::Fifo,
        kind::DUMPED_DIRECTORY => Kind::DumpedDirectory,
        kind::CONTINUATION => Kind::Continuation,
        other => Kind::Other(other),
    }
}
