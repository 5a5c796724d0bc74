//! Content of a store, volume by volume, as far as its keys and superblocks tell.

use kvfs_host::{Amount, AnyStore, Entry, StoreError, SyncStore};
use std::collections::BTreeMap;

/// Bounds of one page of a scan.
const PAGE_ENTRIES: u32 = 4096;
const PAGE_BYTES: u32 = 4 << 20;

/// Calls `call` with each entry of a store.
pub(super) fn each(
    store: &AnyStore,
    mut call: impl FnMut(&Entry) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut start = Vec::new();
    loop {
        let page = store.scan(&start, b"", PAGE_ENTRIES, PAGE_BYTES)?;
        let Some(last) = page.last() else { return Ok(()) };
        if last.key[..] < start[..] {
            return Err(StoreError::Corrupt("a scan gave keys out of order".into()));
        }
        start = [&last.key[..], b"\0"].concat();
        page.iter().try_for_each(&mut call)?;
    }
}

/// A volume, as its records tell.
#[derive(Default)]
pub(super) struct Found {
    pub(super) amount: Amount,
    /// Major and minor version.
    pub(super) format: Option<(u16, u16)>,
    pub(super) files: u64,
    pub(super) directories: u64,
    pub(super) links: u64,
    /// Sum of the sizes of the files.
    pub(super) content_bytes: u64,
    /// The latest time of change of a file or directory, in seconds since 1970.
    pub(super) changed_seconds: Option<i64>,
    /// Records that are damaged.
    pub(super) damaged: u64,
    /// The records are a layer, on which volumes of other names stand.
    pub(super) is_layer: bool,
}

/// The contents of a store.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) volumes: BTreeMap<Vec<u8>, Found>,
    /// Layers that volumes share, or that are to be freed.
    pub(super) layers: Amount,
    /// Audit logs beside the volumes.
    pub(super) audit: Amount,
    /// Entries that belong to nothing known.
    pub(super) others: Amount,
    pub(super) total: Amount,
}

// FORMAT.md: where the fields of records are.
const MAGIC: (usize, &[u8]) = (16, b"\x6b\x76\x66\x73\x00\x66\x73\x01");
const FORMAT_AT: usize = 24;
const KIND_AT: usize = 16;
const SIZE_AT: usize = 24;
const CHANGED_AT: usize = 80;

const SUPERBLOCK: &[u8] = &[0];
const INODE: u8 = 0x10;
const LAYER: u8 = 0x03;
const TAGS: [u8; 9] = [0x00, 0x01, 0x02, LAYER, INODE, 0x11, 0x20, 0x30, 0x31];

/// The first byte of the names of layers, with which no volume's name begins.
const NO_VOLUME: u8 = 0;

/// Bytes before a key in a store that is sealed and is looked at without its key.
const SEALED_ENTRIES: u8 = 2;

/// Reads all of a store. `is_sealed`: it lies there sealed, and its records cannot be read.
pub(super) fn contents(store: &AnyStore, is_sealed: bool) -> Result<Contents, StoreError> {
    let mut contents = Contents::default();
    let (audit_start, audit_end) = kvfs_audit::key_end();
    each(store, |entry| {
        add(&mut contents.total, entry);
        let key = match (is_sealed, entry.key.split_first()) {
            (false, _) => &entry.key[..],
            (true, Some((&SEALED_ENTRIES, key))) => key,
            (true, _) => b"",
        };
        if (&audit_start[..]..&audit_end[..]).contains(&key) {
            add(&mut contents.audit, entry);
        } else if key.first().is_some_and(|length| *length > 0) && key.get(1) == Some(&NO_VOLUME) {
            add(&mut contents.layers, entry);
        } else if let Some((name, tag, rest)) = of_volume(key) {
            let found = contents.volumes.entry(name.to_vec()).or_default();
            add(&mut found.amount, entry);
            if !is_sealed {
                found.read(tag, rest, &entry.key, &entry.value);
            }
        } else {
            add(&mut contents.others, entry);
        }
        Ok(())
    })?;
    Ok(contents)
}

fn add(amount: &mut Amount, entry: &Entry) {
    amount.entries += 1;
    amount.bytes += (entry.key.len() + entry.value.len()) as u64;
}

/// Splits the key of a record into the name of its volume, the tag and the rest.
fn of_volume(key: &[u8]) -> Option<(&[u8], u8, &[u8])> {
    let (&length, rest) = key.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(length))?;
    let (&tag, rest) = rest.split_first()?;
    (length > 0 && TAGS.contains(&tag)).then_some((name, tag, rest))
}

impl Found {
    fn read(&mut self, tag: u8, rest: &[u8], key: &[u8], value: &[u8]) {
        self.is_layer |= tag == LAYER && rest.is_empty();
        let is_superblock = [tag] == *SUPERBLOCK && rest.is_empty();
        if !is_superblock && tag != INODE {
            return;
        }
        // A tombstone above an image is an inode without a body.
        if self.read_record(is_superblock, key, value).is_none() {
            self.damaged += 1;
        }
    }

    fn read_record(&mut self, is_superblock: bool, key: &[u8], value: &[u8]) -> Option<()> {
        use xxhash_rust::xxh64::xxh64;
        let (sum, body) = value.split_first_chunk::<8>()?;
        if *sum != xxh64(body, xxh64(key, 0)).to_be_bytes() {
            return None;
        }
        if is_superblock {
            let (at, magic) = MAGIC;
            if value.get(at..at + magic.len())? != magic {
                return None;
            }
            let (major, minor) = value.get(FORMAT_AT..)?.split_first_chunk::<2>()?;
            self.format = Some((u16::from_be_bytes(*major), u16::from_be_bytes(*minor.first_chunk()?)));
            return Some(());
        }
        let Some(kind) = value.get(KIND_AT) else { return Some(()) };
        let size = u64::from_be_bytes(*value.get(SIZE_AT..)?.first_chunk()?);
        match kind {
            1 => {
                self.files += 1;
                self.content_bytes = self.content_bytes.saturating_add(size);
            }
            2 => self.directories += 1,
            3 => self.links += 1,
            _ => return Some(()),
        }
        let changed = i64::from_be_bytes(*value.get(CHANGED_AT..)?.first_chunk()?);
        self.changed_seconds = self.changed_seconds.max(Some(changed));
        Some(())
    }
}
