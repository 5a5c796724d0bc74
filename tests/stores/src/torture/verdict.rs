//! What the look at a store found.

use serde_json::{Value, json};

/// What a process found that opened a store and read all of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdict {
    /// The first error of any call, in words.
    pub(super) error: Option<String>,
    pub(super) open_failed: bool,
    pub(super) open_millis: f64,
    /// Keys that must have a value.
    pub(super) expected: u64,
    /// Of those, keys that `get` gives a right value for.
    pub(super) right: u64,
    /// Keys with a value that nobody wrote, by `get` or `scan`, and keys that nobody wrote.
    pub(super) wrong: u64,
    /// Of those, values that the file system would take for whole ones.
    pub(super) unnoticed: u64,
    /// Keys with a value from before the last durable apply.
    pub(super) stale: u64,
    /// Keys without a value that must have one, and without an error.
    pub(super) vanished: u64,
    /// Keys that were removed and have a value.
    pub(super) came_back: u64,
    /// Calls that failed after the opening.
    pub(super) failed_calls: u64,
    /// Panics that came out of a call, or ended a thread of the library's.
    pub(super) panics: u64,
    /// Whether the library's own check was content; `None`: it has none, or could not be asked.
    pub(super) check: Option<bool>,
    /// The last apply that is there.
    pub(super) mark: u64,
    /// Whether all keys are as that apply left them.
    pub(super) whole: bool,
}

impl Verdict {
    /// Returns whether any call said that something is wrong.
    pub(super) fn told(&self) -> bool {
        self.open_failed || self.failed_calls > 0
    }

    /// Returns whether something durable is gone and no call said anything.
    pub(super) fn lost_silently(&self) -> bool {
        self.stale + self.vanished + self.came_back > 0 && !self.told() && self.panics == 0
    }

    /// Returns whether everything is as it must be of a store that nothing was done to.
    pub(super) fn sound(&self) -> bool {
        let bad = self.wrong + self.stale + self.vanished + self.came_back + self.panics;
        bad == 0 && !self.told() && self.right == self.expected && self.whole
    }

    /// Returns the part of the keys that can be read.
    pub(super) fn readable(&self) -> f64 {
        if self.expected == 0 { 1.0 } else { self.right as f64 / self.expected as f64 }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "error": self.error, "open_failed": self.open_failed, "open_millis": self.open_millis,
            "expected": self.expected, "right": self.right, "wrong": self.wrong,
            "unnoticed": self.unnoticed, "stale": self.stale, "vanished": self.vanished,
            "came_back": self.came_back, "failed_calls": self.failed_calls, "panics": self.panics,
            "check": self.check, "mark": self.mark, "whole": self.whole,
        })
    }

    /// Reads what [`Verdict::to_json`] wrote; `None` if it is something else.
    pub(super) fn of_json(value: &Value) -> Option<Self> {
        let number = |name: &str| value.get(name)?.as_u64();
        Some(Self {
            error: value.get("error")?.as_str().map(str::to_owned),
            open_failed: value.get("open_failed")?.as_bool()?,
            open_millis: value.get("open_millis")?.as_f64()?,
            expected: number("expected")?,
            right: number("right")?,
            wrong: number("wrong")?,
            unnoticed: number("unnoticed")?,
            stale: number("stale")?,
            vanished: number("vanished")?,
            came_back: number("came_back")?,
            failed_calls: number("failed_calls")?,
            panics: number("panics")?,
            check: value.get("check")?.as_bool(),
            mark: number("mark")?,
            whole: value.get("whole")?.as_bool()?,
        })
    }
}
