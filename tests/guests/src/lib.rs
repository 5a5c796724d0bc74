//! Programs on raw WASI 0.2, all in one component. The first argument names the one to run.
//!
//! `list` prints the names of the [`programs`] that report what they observe of the file system, so
//! that a runner can compare file systems. A program prints to standard output. Its error ends the
//! component with status 1 and goes to standard error.

mod bench;
mod endless;
mod files;
mod handles;
mod paths;
mod programs;
mod say;
mod script;
mod wasi;

use wasi::bindings::wasi::cli::environment;

struct Guests;

impl wasi::bindings::exports::wasi::cli::run::Guest for Guests {
    fn run() -> Result<(), ()> {
        let arguments = environment::get_arguments();
        let name = arguments.get(1).map_or("", String::as_str);
        let result = match (name, programs::find(name)) {
            (_, Some(program)) => wasi::root().and_then(|root| program(&root)),
            ("bench", _) => bench::run(&arguments[2..]),
            ("endless", _) => {
                wasi::root().and_then(|root| endless::run(&root, arguments.get(2).map_or("", String::as_str)))
            }
            ("handles", _) => handles::run(&arguments[2..]),
            ("paths", _) => wasi::root().and_then(|root| paths::run(root, &arguments[2..])),
            ("script", _) => wasi::root().and_then(|root| script::run(root, &arguments[2..])),
            ("nothing", _) => Ok(()),
            ("list", _) => programs::names().try_for_each(|name| wasi::print(&format!("{name}\n"))),
            _ => Err(format!("no program named {name:?}")),
        };
        result.map_err(|error| wasi::print_error(&format!("{name}: {error}\n")))
    }
}

wasi::bindings::export!(Guests with_types_in wasi::bindings);
