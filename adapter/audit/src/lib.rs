//! The audit log: what a guest did to files, as JSON lines in records of a store.
//!
//! The file system writes with [`Log`] and [`record`]. Hosts and tools read with [`Reader`].
//! Nothing here does I/O, so it runs in a component, a test and a tool alike. `adapter/AUDIT.md`
//! describes the lines.
//!
//! ```
//! use kvfs_audit::{Level, Log, Settings, Time};
//!
//! let mut log = Log::new(&Settings::new(Level::All));
//! if let Some(mut line) = log.begin("unlink-file-at", Time { seconds: 0, nanoseconds: 5 }) {
//!     line.number("fd", 1);
//!     line.path("path", "/", "a\nb");
//!     line.end("ok");
//! }
//! let line = r#"{"n":1,"t":"1970-01-01T00:00:00.000000005Z","op":"unlink-file-at","fd":1,"path":"/a\nb","result":"ok"}"#;
//! assert_eq!(log.lines(), format!("{line}\n").as_bytes());
//! ```

#![warn(missing_docs)]

// The ground.
mod escape;
mod key;
mod settings;
mod time;

// One line, one record.
mod line;
pub mod record;

// Many.
mod log;
mod reader;

pub use key::{KEY_BYTES, Key, MAX_RUN, RunId, first_free, first_key, key_end, run_range};
pub use line::{Line, MAX_TEXT_BYTES, whole_lines};
pub use log::{BUFFER_BYTES, Log, MAX_LINE_BYTES, Span};
pub use reader::{Found, Reader};
pub use settings::{BadSettings, DEFAULT_MAX_BYTES, Level, Settings};
pub use time::Time;
