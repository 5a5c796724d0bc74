//! A program that is run, with its sizes and ways.

use std::fmt;

use clap::ValueEnum;

/// Stands in front of each script.
const PYTHON_TIMING: &str = include_str!("../../../python/bench/timing.py");

/// How large a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Class {
    /// For the tests of the bench itself.
    #[value(hide = true)]
    Tiny,
    /// A few minutes.
    Quick,
    /// Under half an hour on two cores.
    Usual,
    /// Hours, and tens of GB of memory and disk.
    Full,
}

/// A guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guest {
    /// Programs on raw WASI, in Rust.
    Rust,
    /// CPython.
    Python,
}

impl Guest {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Rust, Self::Python];
}

impl fmt::Display for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "rust",
            Self::Python => "python",
        })
    }
}

/// What a size counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeOf {
    /// Bytes of a file.
    Bytes,
    /// Files.
    Files,
    /// Modules of a wheel.
    Modules,
    /// Volumes of a store.
    Volumes,
    /// Layers below the top one.
    Layers,
    /// Nothing: the program has one size.
    Nothing,
}

/// A program with its sizes.
pub struct Workload {
    /// The name that selects it.
    pub name: &'static str,
    /// The words above its table.
    pub title: &'static str,
    /// The guest that runs it.
    pub guest: Guest,
    /// The program's name, or its script.
    pub(super) program: &'static str,
    /// A program that fills the store in a process of its own before the measured one starts, cold.
    pub(super) prepare: Option<&'static str>,
    /// What a size counts.
    pub size_of: SizeOf,
    /// The sizes of each [`Class`], from the smallest class.
    pub(super) sizes: [&'static [u64]; 4],
    /// The numbers that the program gets for a size.
    pub(super) numbers: fn(u64) -> Vec<u64>,
    /// How often a process runs the program, each time on empty files.
    pub repeats: u32,
    /// The ways by their names.
    pub(super) ways: &'static [&'static str],
}

impl Workload {
    /// Returns the sizes of a class.
    pub fn sizes(&self, class: Class) -> &'static [u64] {
        self.sizes[class as usize]
    }

    /// Returns the names of the ways.
    pub fn ways(&self) -> &'static [&'static str] {
        self.ways
    }

    /// Returns whether another process fills the store before.
    pub fn is_cold(&self) -> bool {
        self.prepare.is_some()
    }

    /// Returns the numbers that the program gets for a size.
    pub fn numbers(&self, size: u64) -> Vec<u64> {
        (self.numbers)(size)
    }

    /// Returns the guest's arguments for a size.
    pub fn arguments(&self, size: u64) -> Vec<String> {
        self.arguments_of(self.program, size)
    }

    /// Returns the arguments of the program that fills the store.
    pub fn preparing_arguments(&self, size: u64) -> Option<Vec<String>> {
        let program = self.prepare?;
        let mut arguments = self.arguments_of(program, size);
        // The number of accesses at random means nothing to it.
        arguments.pop();
        Some(arguments)
    }

    fn arguments_of(&self, program: &str, size: u64) -> Vec<String> {
        let mut arguments = match (self.guest, program) {
            (Guest::Rust, "nothing") => vec![program.to_owned()],
            (Guest::Rust, _) => vec!["bench".to_owned(), program.to_owned()],
            (Guest::Python, script) => vec!["-c".to_owned(), format!("{}{script}", PYTHON_TIMING)],
        };
        arguments.extend(self.numbers(size).iter().map(u64::to_string));
        arguments
    }

    /// Writes a size as people do.
    pub fn size_text(&self, size: u64) -> String {
        match self.size_of {
            SizeOf::Bytes => bytes_text(size),
            SizeOf::Files => format!("{} files", count_text(size)),
            SizeOf::Modules => format!("{} modules", count_text(size)),
            SizeOf::Volumes => format!("{} volumes", count_text(size)),
            SizeOf::Layers => format!("{} layers below", count_text(size)),
            SizeOf::Nothing => String::new(),
        }
    }
}

/// Writes a number of bytes in the largest unit of which it is a whole number.
pub fn bytes_text(bytes: u64) -> String {
    const UNITS: [(u32, &str); 3] = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = UNITS.iter().find(|(shift, _)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    whole.map_or_else(|| format!("{bytes} B"), |(shift, unit)| format!("{} {unit}", bytes >> shift))
}

/// Writes a number with a comma before every three digits.
pub fn count_text(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_do() {
        let texts: Vec<_> = [0, 500, 64 << 10, 4 << 20, (4 << 20) + 1, 4 << 30].map(bytes_text).into();
        assert_eq!(texts, ["0 B", "500 B", "64 KiB", "4 MiB", "4194305 B", "4 GiB"]);
        let texts: Vec<_> = [0, 999, 1000, 100_000, 1_234_567].map(count_text).into();
        assert_eq!(texts, ["0", "999", "1,000", "100,000", "1,234,567"]);
    }
}
