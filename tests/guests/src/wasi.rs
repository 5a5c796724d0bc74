//! The bindings, and the few calls that every program makes.

pub(crate) use bindings::wasi::filesystem::types::{
    Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags,
};
pub(crate) use bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};

/// The bindings that wit-bindgen generates for the world.
pub(crate) mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit", "wit"],
        world: "kvfs:guests/guest",
        generate_all,
        pub_export_macro: true,
    });
}

/// Returns the directory preopened as `/`.
pub(crate) fn root() -> Result<Descriptor, String> {
    let preopens = bindings::wasi::filesystem::preopens::get_directories();
    let root = preopens.into_iter().find(|(_, path)| path == "/");
    root.map(|(directory, _)| directory).ok_or_else(|| "no preopen at /".to_owned())
}

/// Returns nanoseconds since an arbitrary moment.
pub(crate) fn now_nanoseconds() -> u64 {
    bindings::wasi::clocks::monotonic_clock::now()
}

pub(crate) fn stdin() -> InputStream {
    bindings::wasi::cli::stdin::get_stdin()
}

pub(crate) fn stdout() -> OutputStream {
    bindings::wasi::cli::stdout::get_stdout()
}

pub(crate) fn print(text: &str) -> Result<(), String> {
    write_all(&stdout(), text.as_bytes())
}

/// Prints to standard error; a failure has no place to be reported.
pub(crate) fn print_error(text: &str) {
    let _ = write_all(&bindings::wasi::cli::stderr::get_stderr(), text.as_bytes());
}

/// Writes in pieces of the size that one call takes.
pub(crate) fn write_all(stream: &OutputStream, bytes: &[u8]) -> Result<(), String> {
    for piece in bytes.chunks(4096) {
        stream.blocking_write_and_flush(piece).map_err(stream_error)?;
    }
    Ok(())
}

pub(crate) fn stream_error(error: StreamError) -> String {
    match error {
        StreamError::Closed => "stream closed".to_owned(),
        StreamError::LastOperationFailed(error) => error.to_debug_string(),
    }
}

/// Adds to an error which call failed.
pub(crate) trait Context<T> {
    fn context(self, call: &str) -> Result<T, String>;
}

impl<T> Context<T> for Result<T, ErrorCode> {
    fn context(self, call: &str) -> Result<T, String> {
        self.map_err(|code| format!("{call}: {code:?}"))
    }
}
