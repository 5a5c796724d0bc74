//! What is shown of a volume, for people and programs.

use kvfs::volumes::VolumeInfo;
use serde_json::{Value, json};
use std::fmt::Write;

/// What can be done with a volume, in a word; `None` for one that cannot be read.
pub(super) fn state(info: Option<&VolumeInfo>) -> &'static str {
    match info {
        None => "damaged",
        Some(info) if info.read_only => "ro",
        Some(_) => "rw",
    }
}

/// What programs are told of a volume.
pub(super) fn json(info: &VolumeInfo) -> Value {
    let (used, quota) = (info.used, info.quota);
    json!({
        "name": info.name,
        "uuid": uuid(info),
        "state": state(Some(info)),
        "bytes": used.bytes,
        "files": used.inodes,
        "names": used.names,
        "max_bytes": quota.bytes,
        "max_files": quota.inodes,
        "max_names": quota.names,
        "unchanged": info.unchanged,
        "image": info.image.as_ref().map(ToString::to_string),
    })
}

/// The identity of a volume, in hexadecimal digits.
pub(super) fn uuid(info: &VolumeInfo) -> String {
    info.uuid.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
