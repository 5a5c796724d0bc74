//! What is shown of an entry, for people and programs.

use kvfs::{Kind, Stat, Timestamp};
use serde_json::{Value, json};

/// The letter of a kind, as `ls -l` has it.
pub(super) fn letter(kind: Kind) -> char {
    match kind {
        Kind::File => '-',
        Kind::Directory => 'd',
        Kind::Symlink => 'l',
    }
}

/// The word of a kind.
pub(super) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "directory",
        Kind::Symlink => "symlink",
    }
}

/// What programs are told of an entry. Times are seconds, and nanoseconds beside them.
pub(super) fn json(path: &str, stat: &Stat, target: Option<&str>) -> Value {
    let time = |time: Timestamp| json!([time.seconds, time.nanoseconds]);
    json!({
        "path": path,
        "kind": kind(stat.kind),
        "inode": stat.ino.0,
        "links": stat.nlink,
        "size": stat.size,
        "accessed": time(stat.atime),
        "modified": time(stat.mtime),
        "changed": time(stat.ctime),
        "target": target,
    })
}

/// A time as `2026-11-29 07:00:00`, in UTC.
pub(super) fn time(time: Timestamp) -> String {
    // Days since 0000-03-01 in eras of 400 years, so that the leap day ends a year: Howard Hinnant's
    // "chrono-compatible low-level date algorithms" has the derivation.
    let days = i128::from(time.seconds).div_euclid(86_400) + 719_468;
    let second = time.seconds.rem_euclid(86_400);
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) = (day_of_year - (153 * shifted + 2) / 5 + 1, (shifted + 2) % 12 + 1);
    let year = year_of_era + era * 400 + i128::from(month <= 2);
    let (hours, minutes, seconds) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hours:02}:{minutes:02}:{seconds:02}")
}

/// A time with its nanoseconds, in UTC.
pub(super) fn exact_time(at: Timestamp) -> String {
    format!("{}.{:09}", time(at), at.nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_every_year() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (-1, "1969-12-31 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_709_164_799, "2024-02-28 23:59:59"),
            (1_709_251_200, "2024-03-01 00:00:00"),
            (4_107_542_400, "2100-03-01 00:00:00"),
            (253_402_300_800, "10000-01-01 00:00:00"),
        ] {
            assert_eq!(time(Timestamp { seconds, nanoseconds: 5 }), text);
        }
        time(Timestamp { seconds: i64::MIN, nanoseconds: 0 });
        time(Timestamp { seconds: i64::MAX, nanoseconds: 0 });
    }
}
