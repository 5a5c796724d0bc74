//! Programs that speak http, TCP and UDP, and keep what they receive in files.
//!
//! The first argument names the program, the others are the addresses of its servers. A program
//! prints its observations as lines `label: value`, the same on every run and on every file system.

mod client;
mod errors;
mod files;
mod sockets;
mod timeouts;

use bindings::wasi::cli::{environment, stderr, stdout};

mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit", "../wit"],
        world: "kvfs:guests/network",
        generate_all,
        pub_export_macro: true,
    });
}

struct Network;

bindings::export!(Network with_types_in bindings);

/// A program's outcome; the error is the message for standard error.
type Outcome<T = ()> = Result<T, String>;

impl bindings::exports::wasi::cli::run::Guest for Network {
    fn run() -> Result<(), ()> {
        let arguments = environment::get_arguments();
        let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
        let outcome = match words.as_slice() {
            ["http/get", server] => client::get(server),
            ["http/post", server] => client::post(server),
            ["http/together", server] => client::together(server),
            ["http/errors", refused, cut, chunked, ended] => errors::errors(refused, cut, chunked, ended),
            ["http/timeouts", full, silent, stalled] => timeouts::timeouts(full, silent, stalled),
            ["sockets/tcp"] => sockets::tcp(),
            ["sockets/udp"] => sockets::udp(),
            ["sockets/udp", server] => sockets::udp_with(server),
            _ => Err("no such program".to_owned()),
        };
        outcome.map_err(|error| {
            let line = format!("{}: {error}\n", words.first().copied().unwrap_or_default());
            let _ = stderr::get_stderr().blocking_write_and_flush(line.as_bytes());
        })
    }
}

/// Prints one observation.
fn say(label: &str, value: impl std::fmt::Debug) {
    let line = format!("{label}: {value:?}\n");
    let _ = stdout::get_stdout().blocking_write_and_flush(line.as_bytes());
}

/// Adds to an error which step failed.
trait Step<T> {
    fn step(self, what: &str) -> Outcome<T>;
}

impl<T, E: std::fmt::Debug> Step<T> for Result<T, E> {
    fn step(self, what: &str) -> Outcome<T> {
        self.map_err(|error| format!("{what}: {error:?}"))
    }
}
