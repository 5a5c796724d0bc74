//! Descriptors, streams and listings of the guest, as the log knows them.

use super::active::{settle, start, take_dropped, tell, transfer};
use super::masks;
use crate::bindings::exports::wasi::filesystem::types::ErrorCode;
use kvfs_audit::{Line, MAX_TEXT_BYTES, Span};
use std::cell::Cell;
use std::rc::Rc;

/// Most bytes of paths that open descriptors keep together. The events of a descriptor beyond have
/// its number alone; the event that opened it has the path.
const MAX_PATHS_BYTES: usize = 4 << 20;

/// An open file or directory: its number and its path.
struct File {
    number: u64,
    /// The path that it was opened by; `None` without room for it.
    path: Option<Box<str>>,
    is_for_changes: bool,
}

thread_local! {
    static LAST_NUMBER: Cell<u64> = const { Cell::new(0) };
    static PATHS_BYTES: Cell<usize> = const { Cell::new(0) };
}

fn next_number() -> u64 {
    LAST_NUMBER.set(LAST_NUMBER.get().saturating_add(1));
    LAST_NUMBER.get()
}

impl File {
    fn new(path: Option<String>, is_for_changes: bool) -> Rc<Self> {
        let room = MAX_PATHS_BYTES.saturating_sub(PATHS_BYTES.get());
        let path = path.filter(|path| path.len() <= room).map(String::into_boxed_str);
        PATHS_BYTES.set(PATHS_BYTES.get() + path.as_ref().map_or(0, |path| path.len()));
        Rc::new(Self { number: next_number(), path, is_for_changes })
    }

    /// Adds the number and the path, joined with the rest.
    #[inline(never)]
    fn write(&self, line: &mut Line<'_>, rest: &str) {
        line.number("fd", self.number);
        match &self.path {
            Some(path) => masks::path(line, "path", path, rest),
            None if !rest.is_empty() => masks::text(line, "path", rest),
            None => {}
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let bytes = self.path.as_ref().map_or(0, |path| path.len());
        PATHS_BYTES.set(PATHS_BYTES.get().saturating_sub(bytes));
    }
}

/// A descriptor, as the log knows it. Writes the event of its close.
pub(crate) struct Opened(Rc<File>);

impl Opened {
    /// The preopened root, if there is a log.
    pub(crate) fn root() -> Option<Self> {
        start().then(|| Self(File::new(Some("/".to_owned()), false)))
    }

    /// A file or directory opened by a path from here.
    pub(crate) fn open(&self, path: &str, is_for_changes: bool) -> Self {
        let base = self.0.path.as_deref().filter(|base| base.len() + 1 + path.len() <= MAX_TEXT_BYTES);
        let joined = base.map(|base| format!("{base}{}{path}", if base.ends_with('/') { "" } else { "/" }));
        Self(File::new(joined, is_for_changes))
    }

    pub(crate) fn number(&self) -> u64 {
        self.0.number
    }

    /// Writes an event of a call on it, with a path from here or an empty one.
    pub(crate) fn tell<T>(
        &self,
        (op, is_change): (&'static str, bool),
        path: &str,
        outcome: &Result<T, ErrorCode>,
        mut more: impl FnMut(&mut Line<'_>, Option<&T>),
    ) {
        tell(op, is_change, result_of(outcome), &mut |line: &mut Line<'_>| {
            self.0.write(line, path);
            more(line, outcome.as_ref().ok());
        });
    }

    /// Adds the second path of a call, which starts here.
    #[inline(never)]
    pub(crate) fn write_second(&self, line: &mut Line<'_>, path: &str) {
        line.number("to_fd", self.0.number);
        masks::path(line, "to", self.0.path.as_deref().unwrap_or_default(), path);
    }

    /// Writes a read or a write at an offset.
    #[inline(never)]
    pub(crate) fn transfer(
        &self,
        op: &'static str,
        is_change: bool,
        offset: u64,
        moved: Result<u64, ErrorCode>,
    ) {
        let span = Span { op, fd: self.0.number, stream: 0, offset: Some(offset) };
        let bytes = *moved.as_ref().unwrap_or(&0);
        transfer(span, is_change, bytes, result_of(&moved), &mut |line: &mut Line<'_>| {
            self.0.write(line, "")
        });
    }

    /// A new stream, `None` only in adapters without a log.
    pub(crate) fn flow(&self, offset: Option<u64>) -> Option<Flow> {
        Some(Flow { file: self.0.clone(), stream: next_number(), offset: Cell::new(offset) })
    }

    pub(crate) fn listed(&self) -> Listed {
        Listed { file: self.0.clone(), entries: Cell::new(0), result: Cell::new("ok") }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let result = take_dropped().map_or("ok", |code| code.name());
        tell("close", self.0.is_for_changes, result, &mut |line: &mut Line<'_>| self.0.write(line, ""));
    }
}

/// A stream, as the log knows it.
pub(crate) struct Flow {
    file: Rc<File>,
    stream: u64,
    /// The next byte; `None` for appending.
    offset: Cell<Option<u64>>,
}

impl Flow {
    /// Writes a read or a write.
    #[inline(never)]
    pub(crate) fn transfer(&self, op: &'static str, is_change: bool, bytes: u64, result: &'static str) {
        let offset = self.offset.get();
        self.offset.set(offset.map(|offset| offset.saturating_add(bytes)));
        let span = Span { op, fd: self.file.number, stream: self.stream, offset };
        transfer(span, is_change, bytes, result, &mut |line: &mut Line<'_>| {
            self.file.write(line, "");
            if offset.is_none() {
                line.flag("append");
            }
        });
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        match take_dropped() {
            Some(code) => {
                tell("close-stream", true, code.name(), &mut |line: &mut Line<'_>| self.file.write(line, ""))
            }
            None => settle(),
        }
    }
}

/// A listing, as the log knows it. Writes its event when the listing ends.
pub(crate) struct Listed {
    file: Rc<File>,
    entries: Cell<u64>,
    result: Cell<&'static str>,
}

impl Listed {
    /// Notes the answer of one call.
    pub(crate) fn listed<T>(&self, entry: &Result<Option<T>, ErrorCode>) {
        match entry {
            Ok(Some(_)) => self.entries.set(self.entries.get().saturating_add(1)),
            Ok(None) => {}
            Err(_) => self.result.set(result_of(entry)),
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        take_dropped();
        tell("read-directory", false, self.result.get(), &mut |line: &mut Line<'_>| {
            self.file.write(line, "");
            line.number("entries", self.entries.get());
        });
    }
}

/// Returns the result as the log writes it.
fn result_of<T>(outcome: &Result<T, ErrorCode>) -> &'static str {
    match outcome {
        Ok(_) => "ok",
        Err(code) => code.name(),
    }
}

/// Writes an event of a call about a volume as a whole: the path of its mount, and the name of one of
/// its own if the call has one.
#[cfg(feature = "volume-control")]
#[inline(never)]
pub(crate) fn control(
    (op, is_change): (&'static str, bool),
    (mount, name): (&str, &str),
    result: &'static str,
) {
    if !start() {
        return;
    }
    tell(op, is_change, result, &mut |line: &mut Line<'_>| {
        masks::text(line, "path", mount);
        if !name.is_empty() {
            masks::text(line, "name", name);
        }
    });
}

/// Returns why no change of a volume as a whole may be made now.
#[cfg(feature = "volume-control")]
pub(crate) fn refusal_of_control() -> Option<kvfs::Error> {
    if start() { super::active::refusal() } else { None }
}
