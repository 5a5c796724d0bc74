//! A moment, as text.

use std::fmt;

/// A moment: nanoseconds within a second since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time {
    /// Seconds since 1970, negative before.
    pub seconds: i64,
    /// Below 1,000,000,000.
    pub nanoseconds: u32,
}

/// The latest second that RFC 3339 can write: the end of the year 9999.
const LATEST_SECONDS: i64 = 253_402_300_799;
const DAY_SECONDS: i64 = 86_400;

/// The length of a second's text, without the fraction.
const SECOND_BYTES: usize = "1970-01-01T00:00:00".len();

/// The text of the last second that was written: most events are in the same one.
#[derive(Debug, Default)]
pub(crate) struct SecondCache {
    seconds: Option<i64>,
    text: [u8; SECOND_BYTES],
}

impl SecondCache {
    /// Appends a moment as RFC 3339, with nine digits of the fraction. A moment that it cannot
    /// write becomes the nearest that it can.
    pub(crate) fn push(&mut self, out: &mut Vec<u8>, time: Time) {
        let seconds = time.seconds.clamp(0, LATEST_SECONDS);
        if self.seconds != Some(seconds) {
            (self.seconds, self.text) = (Some(seconds), second(seconds));
        }
        out.extend_from_slice(&self.text);
        let mut fraction = *b".000000000Z";
        put_digits(&mut fraction, 1, 9, u64::from(time.nanoseconds.min(999_999_999)));
        out.extend_from_slice(&fraction);
    }
}

/// Writes the moment as the log does.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        SecondCache::default().push(&mut text, *self);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

fn second(seconds: i64) -> [u8; SECOND_BYTES] {
    let (days, second) = (seconds / DAY_SECONDS, seconds % DAY_SECONDS);
    // Days are counted from the 1st of March of the year 0, in eras of 400 years, so that the leap
    // day is the last of a year (Howard Hinnant, "chrono-compatible low-level date algorithms").
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let mut text = *b"0000-00-00T00:00:00";
    let fields = [
        (0, 4, year),
        (5, 2, month),
        (8, 2, day),
        (11, 2, second / 3_600),
        (14, 2, second / 60 % 60),
        (17, 2, second % 60),
    ];
    for (at, digits, value) in fields {
        put_digits(&mut text, at, digits, value.unsigned_abs());
    }
    text
}

fn put_digits(text: &mut [u8], at: usize, digits: usize, mut value: u64) {
    for place in text.iter_mut().skip(at).take(digits).rev() {
        *place = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(seconds: i64, nanoseconds: u32) -> String {
        let mut out = Vec::new();
        SecondCache::default().push(&mut out, Time { seconds, nanoseconds });
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn moments_are_written_as_date_does() {
        // `date -u -d @SECONDS +%FT%T`
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_709_251_199, "2024-02-29T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
            (1_796_000_000, "2026-11-30T00:53:20"),
            (LATEST_SECONDS, "9999-12-31T23:59:59"),
        ] {
            assert_eq!(text(seconds, 7), format!("{expected}.000000007Z"));
        }
    }

    #[test]
    fn moments_that_have_no_text_become_the_nearest() {
        assert_eq!(text(-1, 0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(text(i64::MAX, u32::MAX), "9999-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn a_second_of_its_own_is_not_the_last_ones() {
        let mut cache = SecondCache::default();
        let mut out = Vec::new();
        for seconds in [5, 5, 6] {
            cache.push(&mut out, Time { seconds, nanoseconds: 0 });
        }
        assert!(String::from_utf8(out).unwrap().ends_with("00:05.000000000Z1970-01-01T00:00:06.000000000Z"));
    }
}
