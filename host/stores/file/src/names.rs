//! The names of the store's files.

/// The greatest epoch: files with greater numbers are not the store's. Each opening takes one
/// epoch, and so does each new segment.
pub(crate) const MAX_EPOCH: u64 = (1 << 48) - 1;

/// The name of an epoch's segment.
pub(crate) fn segment_name(epoch: u64) -> String {
    format!("{epoch:016x}.kvfs")
}

/// The name of an epoch's lease.
pub(crate) fn lease_name(epoch: u64) -> String {
    format!("{epoch:016x}.lease")
}

/// The name of the table that an epoch's segment lists first.
pub(crate) fn table_name(epoch: u64) -> String {
    format!("{epoch:016x}.table")
}

/// The name of the mark of an epoch's segment.
pub(crate) fn mark_name(epoch: u64) -> String {
    format!("{epoch:016x}.mark")
}

/// The meaning of a name in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    Segment(u64),
    Lease(u64),
    Table(u64),
    Mark(u64),
}

impl Name {
    pub(crate) fn epoch(self) -> u64 {
        match self {
            Self::Segment(epoch) | Self::Lease(epoch) | Self::Table(epoch) | Self::Mark(epoch) => epoch,
        }
    }

    pub(crate) fn segment(self) -> Option<u64> {
        match self {
            Self::Segment(epoch) => Some(epoch),
            Self::Lease(_) | Self::Table(_) | Self::Mark(_) => None,
        }
    }

    /// Returns the name itself.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Segment(epoch) => segment_name(epoch),
            Self::Lease(epoch) => lease_name(epoch),
            Self::Table(epoch) => table_name(epoch),
            Self::Mark(epoch) => mark_name(epoch),
        }
    }
}

/// Parses a name; `None` if it is not the store's.
pub(crate) fn parse_name(name: &str) -> Option<Name> {
    let (number, kind) = name.split_once('.')?;
    let epoch = u64::from_str_radix(number, 16).ok().filter(|&epoch| epoch <= MAX_EPOCH)?;
    let parsed = match kind {
        "kvfs" => Name::Segment(epoch),
        "lease" => Name::Lease(epoch),
        "table" => Name::Table(epoch),
        "mark" => Name::Mark(epoch),
        _ => return None,
    };
    // Each has one spelling: `1.kvfs` and `+0…1.kvfs` are somebody else's.
    (parsed.text() == name).then_some(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_spelling() {
        assert_eq!(parse_name("00000000000000ff.kvfs"), Some(Name::Segment(255)));
        assert_eq!(parse_name("0000000000000001.lease"), Some(Name::Lease(1)));
        assert_eq!(parse_name("0000000000000001.table"), Some(Name::Table(1)));
        assert_eq!(parse_name("0000000000000001.mark"), Some(Name::Mark(1)));
        assert_eq!(parse_name("0000ffffffffffff.lease"), Some(Name::Lease(MAX_EPOCH)));
        for name in [
            "1.kvfs",
            "00000000000000FF.kvfs",
            "+000000000000001.kvfs",
            "0000000000000001.x",
            "0001000000000000.kvfs",
            "ffffffffffffffff.lease",
            "kvfs",
            "",
        ] {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }
}
