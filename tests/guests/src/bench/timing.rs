//! Times operations and prints their lines; positions and names that cost next to nothing to make.

use crate::wasi::bindings::wasi::cli::environment;
use crate::wasi::{Context, Descriptor, now_nanoseconds, print, print_error};

pub(super) const KIB: usize = 1024;
pub(super) const MIB: usize = 1024 * KIB;
/// The size of a page, and of each access at random.
pub(super) const PAGE_BYTES: usize = 4 * KIB;

/// Set where the guest runs on the file system of others, which may lack an operation: it says so in
/// the operation's line, and goes on with the next one.
const GO_ON: &str = "KVFS_BENCH_GO_ON";

/// Times `count` operations one by one.
pub(super) fn measure(
    name: &str,
    count: u64,
    mut operation: impl FnMut(usize) -> Result<(), String>,
) -> Result<(), String> {
    measure_all(name, count, || {
        for i in 0..count as usize {
            operation(i).map_err(|error| format!("operation {i}: {error}"))?;
        }
        Ok(())
    })
}

/// Times one action that counts as `count` operations.
pub(super) fn measure_all(
    name: &str,
    count: u64,
    action: impl FnOnce() -> Result<(), String>,
) -> Result<(), String> {
    let start = now_nanoseconds();
    let done = action();
    let nanoseconds = now_nanoseconds() - start;
    match done {
        Ok(()) => print(&format!("{name}\t{count}\t{nanoseconds}\n")),
        Err(error) if environment::get_environment().iter().any(|(variable, _)| variable == GO_ON) => {
            print_error(&format!("{name}: {error}\n"));
            print(&format!("{name}\tunsupported\n"))
        }
        Err(error) => Err(format!("{name}: {error}")),
    }
}

/// Numbers below a bound, spread evenly, with no order that a file system could guess. Always the
/// same ones.
pub(super) struct Scattered(u64);

impl Scattered {
    pub(super) fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        // Marsaglia's xorshift, of 64 bits.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// A name with a number, written in place: a new `String` a name would cost as much as a `stat`.
pub(super) struct Name(String);

impl Name {
    const DIGITS: usize = 8;

    pub(super) fn new(prefix: &str) -> Self {
        Self(format!("{prefix}-{}", "0".repeat(Self::DIGITS)))
    }

    pub(super) fn of(&mut self, mut number: u64) -> &str {
        let mut digits = [b'0'; Self::DIGITS];
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
        self.0.truncate(self.0.len() - Self::DIGITS);
        self.0.extend(digits.map(char::from));
        &self.0
    }
}

/// Writes all of `bytes` at an offset. A file system may take less in one call.
pub(super) fn pwrite(file: &Descriptor, bytes: &[u8], offset: u64) -> Result<(), String> {
    let mut done = 0;
    while done < bytes.len() {
        let written = file.write(&bytes[done..], offset + done as u64).context("write")?;
        if written == 0 {
            return Err("write took nothing".to_owned());
        }
        done += written as usize;
    }
    Ok(())
}

/// Reads `length` bytes at an offset and checks the first and the last one of each answer.
pub(super) fn pread(file: &Descriptor, length: u64, offset: u64, byte: u8) -> Result<(), String> {
    let mut done = 0;
    while done < length {
        let (bytes, _) = file.read(length - done, offset + done).context("read")?;
        match (bytes.first(), bytes.last()) {
            (Some(first), Some(last)) if *first == byte && *last == byte => done += bytes.len() as u64,
            (Some(_), _) => return Err(format!("wrong bytes at {}", offset + done)),
            (None, _) => return Err(format!("the file ends at {}", offset + done)),
        }
    }
    Ok(())
}
