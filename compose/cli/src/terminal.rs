//! The one place that writes to standard output and standard error; lints keep it so.
//!
//! Messages contain names and errors that come from guests, files and stores. Every line goes
//! through [`Visible`], so no message can forget to escape them. The output of a guest itself is
//! passed on as it is.

use anyhow::{Context, Result};
use clap::Parser;
use kvfs_compose::Visible;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// Nobody reads standard output any more: a pipe to `head` is closed, for one.
#[derive(Debug)]
struct ClosedOutput;

impl std::fmt::Display for ClosedOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("standard output was closed")
    }
}

impl std::error::Error for ClosedOutput {}

/// Returns whether something failed since nobody reads standard output any more. Then there is nothing to
/// tell, and what was asked for is done.
pub(crate) fn is_closed_output(error: &anyhow::Error) -> bool {
    let is_it = |cause: &io::Error| cause.get_ref().is_some_and(|inner| inner.is::<ClosedOutput>());
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(is_it)
}

/// Tells why the command failed, unless it only has no reader any more, and returns its exit code.
pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    if is_closed_output(error) {
        return ExitCode::SUCCESS;
    }
    complain(error);
    ExitCode::FAILURE
}

/// Writes lines to standard output. A closed pipe is not an error.
pub(crate) fn say<L: Display>(lines: impl IntoIterator<Item = L>) -> Result<()> {
    let text: String = lines.into_iter().map(|line| format!("{}\n", Visible(line))).collect();
    write_out(&text)
}

/// Writes bytes as they are, for programs. Nothing is escaped.
pub(crate) fn say_bytes(bytes: &[u8]) -> Result<()> {
    match stdout(bytes) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to standard output"),
    }
}

fn write_out(text: &str) -> Result<()> {
    say_bytes(text.as_bytes())
}

/// Writes one line of fields, with tabs between them and none in them.
pub(crate) fn say_fields<F: Display>(fields: &[F]) -> Result<()> {
    let fields: Vec<String> = fields.iter().map(|field| Visible(field).to_string()).collect();
    write_out(&format!("{}\n", fields.join("\t")))
}

/// Writes fields as they are, each with a zero byte behind it, for programs. Nothing is escaped.
pub(crate) fn say_null_ended(fields: &[&str]) -> Result<()> {
    write_out(&fields.iter().map(|field| format!("{field}\0")).collect::<String>())
}

/// Returns whether standard output is a terminal: somebody watches.
#[expect(clippy::disallowed_methods, reason = "it is only asked what it is")]
pub(crate) fn on_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Returns whether standard output shows colours: it is a terminal that has them, and NO_COLOR is not set.
pub(crate) fn colours() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    on_terminal() && !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Writes JSON on one line, for [`say`]. What `say` would escape is escaped as JSON does it.
pub(crate) fn json_line(value: &impl Display) -> String {
    let mut line = String::new();
    for c in value.to_string().chars() {
        match c {
            ' '..='~' => line.push(c),
            _ => line.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}"))),
        }
    }
    line
}

/// Tells the user why the command failed, on one line.
pub(crate) fn complain(error: &anyhow::Error) {
    warn(one_line(&with_causes(error)));
}

/// Writes an error with its causes. An error of the libraries has its cause in its own text, which
/// is said once.
pub(crate) fn with_causes(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Tells the user something on one line of standard error.
pub(crate) fn warn(message: impl Display) {
    stderr(format!("kvfs: {}\n", Visible(message)).as_bytes());
}

/// Tells the user something on standard error, and below it, indented, lines that are not the
/// command's own.
pub(crate) fn warn_with<L: Display>(message: impl Display, lines: impl IntoIterator<Item = L>) {
    let lines: String = lines.into_iter().map(|line| format!("    {}\n", Visible(line))).collect();
    stderr(format!("kvfs: {}:\n{lines}", Visible(message)).as_bytes());
}

/// Joins the lines of a message with colons.
pub(crate) fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(": ")
}

/// Sends panics and logs through here. KVFS_LOG sets the level of the log, or levels of targets
/// such as `kvfs=debug,wasmtime=info`.
pub(crate) fn start() {
    std::panic::set_hook(Box::new(|panic| warn(one_line(&format!("{panic}; please report it")))));
    let asked = std::env::var("KVFS_LOG").ok().and_then(|asked| asked.parse().ok());
    let targets = asked.unwrap_or_else(|| Targets::new().with_default(LevelFilter::ERROR));
    // Without colours: an event is escaped whole.
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Log);
    tracing_subscriber::registry().with(lines.with_filter(targets)).init();
}

/// Says what is wrong with the arguments of a command, or prints its `--help` or `--version`, and
/// exits.
pub(crate) fn usage<C: Parser>(error: &clap::Error, args: &[OsString]) -> ! {
    if !error.use_stderr() {
        error.exit();
    }
    // The error quotes arguments, and an argument may contain line ends. Parsing the escaped
    // arguments gives the same error with no line end but clap's own.
    let shown = args.iter().map(|arg| Visible(arg.to_string_lossy()).to_string());
    let text = match C::try_parse_from(shown) {
        Err(same) => same.render().to_string(),
        Ok(_) => one_line(&error.render().to_string()),
    };
    let lines: String = text.lines().map(|line| format!("{}\n", Visible(line))).collect();
    stderr(lines.as_bytes());
    std::process::exit(error.exit_code())
}

/// Standard output for the bytes of files, which are written as they are.
pub(crate) struct Output;

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        stdout(bytes).map(|()| bytes.len())
    }

    #[expect(clippy::disallowed_methods, reason = "the one place")]
    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

/// Writes the log to standard error, one event at a time.
struct Log;

impl Write for Log {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        stderr(format!("{}\n", Visible(text.trim_end_matches('\n'))).as_bytes());
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place")]
fn stdout(text: &[u8]) -> io::Result<()> {
    io::stdout().write_all(text).map_err(|error| match error.kind() {
        // A store on a network may have broken pipes too: they are errors.
        io::ErrorKind::BrokenPipe => io::Error::new(error.kind(), ClosedOutput),
        _ => error,
    })
}

#[expect(clippy::disallowed_methods, reason = "the one place")]
fn stderr(text: &[u8]) {
    // There is nowhere left to report a failure to.
    let _ = io::stderr().write_all(text);
}

#[cfg(test)]
mod tests {
    use super::with_causes;
    use anyhow::anyhow;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read it: {cause}; check the path")]
    struct Quoting {
        #[source]
        cause: std::io::Error,
    }

    #[test]
    fn a_cause_that_its_error_quotes_is_said_once() {
        let cause = std::io::Error::other("gone");
        let error = anyhow!(Quoting { cause }).context("guest.wasm");
        assert_eq!(with_causes(&error), "guest.wasm: cannot read it: gone; check the path");
        assert_eq!(with_causes(&anyhow!("inner").context("outer")), "outer: inner");
    }
}
