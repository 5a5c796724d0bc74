//! The spinner and the progress bar.

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use kvfs_compose::{Packing, Visible};
use std::time::Duration;

/// Shows on a terminal that something takes its time; dropped, it is gone.
pub(crate) struct Busy(ProgressBar);

impl Busy {
    pub(crate) fn new(what: &'static str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(what).with_style(Self::spinner());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// Says what is being done now.
    pub(crate) fn doing(&self, what: &'static str) {
        self.0.set_message(what);
    }

    /// Clears the line for output, and draws it again below.
    pub(crate) fn aside<T>(&self, output: impl FnOnce() -> T) -> T {
        self.0.suspend(output)
    }

    /// Shows a bar while a tree is packed, and the spinner again afterwards.
    pub(crate) fn packing(&self, packing: Packing<'_>) {
        let bar = &self.0;
        if packing.entries_done == 0 {
            bar.set_length(packing.bytes);
            bar.set_message(format!("packing {}", Visible(packing.path)));
            if let Ok(style) =
                ProgressStyle::with_template("{msg} [{wide_bar}] {bytes}/{total_bytes} ({elapsed})")
            {
                bar.set_style(style.progress_chars("=> "));
            }
        }
        bar.set_position(packing.bytes_done);
        if packing.entries_done == packing.entries {
            bar.set_message("composing");
            bar.set_style(Self::spinner());
        }
    }

    /// Returns whether somebody sees it.
    pub(crate) fn is_seen(&self) -> bool {
        !self.0.is_hidden()
    }

    /// Shows a bar of bytes done, with their rate and the time that remains.
    pub(crate) fn bytes(&self, what: &'static str, done: u64, total: u64) {
        let bar = &self.0;
        if bar.length() != Some(total) || bar.message() != what {
            bar.set_length(total);
            bar.set_message(what);
            bar.reset_eta();
            if let Ok(style) = ProgressStyle::with_template(
                "{msg} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec}, {eta} left",
            ) {
                bar.set_style(style.progress_chars("=> "));
            }
        }
        bar.set_position(done);
    }

    /// Shows how much is done of something that has no known end.
    pub(crate) fn counting(&self, what: &'static str, done: u64) {
        self.0.set_message(format!("{what}: {done}"));
    }

    /// Shows how much is done of entries with bytes that have no known end, and the rate.
    pub(crate) fn amount(&self, what: &'static str, entries: u64, bytes: u64) {
        let seconds = self.0.elapsed().as_secs_f64().max(0.001);
        let (amount, rate) = (HumanBytes(bytes), HumanBytes((bytes as f64 / seconds) as u64));
        self.0.set_message(format!("{what}: {entries} entries, {amount}, {rate}/s"));
    }

    fn spinner() -> ProgressStyle {
        ProgressStyle::with_template("{spinner} {msg} ({elapsed})")
            .unwrap_or_else(|_| ProgressStyle::default_spinner())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
