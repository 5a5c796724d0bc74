//! Programs on raw WASI 0.2. One component holds them all; its first argument names the one to run.
//!
//! A program prints to standard output, and its error ends the component with status 1.

mod bench;
mod wasi;

use wasi::bindings::wasi::cli::environment;

/// A program: takes the arguments after its name.
type Program = fn(&[String]) -> Result<(), String>;

const PROGRAMS: [(&str, Program); 2] = [("bench", bench::run), ("nothing", |_| Ok(()))];

struct Guests;

impl wasi::bindings::exports::wasi::cli::run::Guest for Guests {
    fn run() -> Result<(), ()> {
        let arguments = environment::get_arguments();
        let name = arguments.get(1).map_or("", String::as_str);
        let result = match PROGRAMS.iter().find(|(known, _)| *known == name) {
            Some((_, program)) => program(&arguments[2..]),
            None => Err(format!("no program named {name:?}")),
        };
        result.map_err(|error| wasi::print_error(&format!("{name}: {error}\n")))
    }
}

wasi::bindings::export!(Guests with_types_in wasi::bindings);
