//! The ways a library can end a program, with a file still open.

use std::fs::File;
use std::io::{self, Write};

pub(crate) fn exit_code() -> io::Result<()> {
    let mut file = File::create("/open")?;
    file.write_all(b"written before the end")?;
    std::process::exit(9)
}

pub(crate) fn panic() -> io::Result<()> {
    std::fs::write("/closed", "kept")?;
    std::panic::set_hook(Box::new(|_| eprintln!("the panic")));
    panic!()
}
