//! Prints a program's observations: one line `label: value` each, the same on every run.
//!
//! Handles, inode numbers and times differ by nature and have no text; programs print how they
//! relate.

use crate::wasi::bindings::wasi::filesystem::types::{
    DescriptorFlags, DescriptorType, DirectoryEntry, ErrorCode, filesystem_error_code,
};
use crate::wasi::{Descriptor, InputStream, OutputStream, StreamError, print, print_error};

/// Up to this many bytes are printed in full; more are shown by length and checksum.
const MAX_TEXT_BYTES: usize = 80;

/// Prints one observation. Within a program each label is used once.
pub(crate) fn say(label: &str, value: impl Shown) {
    if let Err(error) = print(&format!("{label}: {}\n", value.shown())) {
        print_error(&format!("standard output: {error}\n"));
    }
}

/// Returns the result of a step that only prepares the test. If the step fails, ends the program
/// with a message on standard error that the runner knows: then nothing was observed, on either
/// side.
pub(crate) fn must<T>(what: &str, outcome: Result<T, impl Shown>) -> T {
    match outcome {
        Ok(value) => value,
        Err(error) => {
            print_error(&format!("set-up: {what}: {}\n", error.shown()));
            core::arch::wasm32::unreachable()
        }
    }
}

/// A value with a text that does not change from run to run.
pub(crate) trait Shown {
    fn shown(&self) -> String;
}

impl<T: Shown, E: Shown> Shown for Result<T, E> {
    fn shown(&self) -> String {
        match self {
            Ok(value) => value.shown(),
            Err(error) => format!("error {}", error.shown()),
        }
    }
}

impl<T: Shown> Shown for Option<T> {
    fn shown(&self) -> String {
        self.as_ref().map_or_else(|| "none".to_owned(), Shown::shown)
    }
}

impl<T: Shown> Shown for Vec<T> {
    fn shown(&self) -> String {
        let items: Vec<String> = self.iter().map(Shown::shown).collect();
        format!("[{}]", items.join(", "))
    }
}

/// Bytes of a file.
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Shown for Bytes {
    fn shown(&self) -> String {
        if self.0.len() <= MAX_TEXT_BYTES {
            return format!("\"{}\"", self.0.escape_ascii());
        }
        // FNV-1a.
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        let hash = self.0.iter().fold(0xcbf2_9ce4_8422_2325, step);
        format!("{} bytes, {hash:016x}", self.0.len())
    }
}

impl Shown for (Vec<u8>, bool) {
    fn shown(&self) -> String {
        format!("{}, end {}", Bytes(self.0.clone()).shown(), self.1)
    }
}

impl Shown for () {
    fn shown(&self) -> String {
        "ok".to_owned()
    }
}

impl Shown for ErrorCode {
    fn shown(&self) -> String {
        self.name().to_owned()
    }
}

impl Shown for StreamError {
    fn shown(&self) -> String {
        match self {
            Self::Closed => "closed".to_owned(),
            Self::LastOperationFailed(error) => {
                let code = filesystem_error_code(error).shown();
                let text = if error.to_debug_string().is_empty() { "without" } else { "with" };
                format!("failed with code {code}, {text} a text")
            }
        }
    }
}

impl Shown for DirectoryEntry {
    fn shown(&self) -> String {
        format!("{} {}", self.type_.shown(), self.name)
    }
}

macro_rules! shown_by_debug {
    ($($type:ty),*) => {$(
        impl Shown for $type {
            fn shown(&self) -> String {
                format!("{self:?}")
            }
        }
    )*};
}
shown_by_debug!(bool, u32, u64, usize, DescriptorType, DescriptorFlags);

macro_rules! shown_as_it_is {
    ($($type:ty),*) => {$(
        impl Shown for $type {
            fn shown(&self) -> String {
                (*self).to_string()
            }
        }
    )*};
}
shown_as_it_is!(&str, String);

/// Handles: their existence is all there is to print.
macro_rules! shown_as_ok {
    ($($type:ty),*) => {$(
        impl Shown for $type {
            fn shown(&self) -> String {
                "ok".to_owned()
            }
        }
    )*};
}
shown_as_ok!(
    Descriptor,
    InputStream,
    OutputStream,
    crate::wasi::bindings::wasi::filesystem::types::DirectoryEntryStream
);
