//! A component that is called again and again and keeps notes in files.

use std::cell::RefCell;

use bindings::exports::kvfs::guests::notes::{Change, Guest, GuestJournal, Journal, JournalBorrow, Note};
use bindings::wasi::filesystem::preopens::get_directories;
use bindings::wasi::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorType, ErrorCode, OpenFlags, PathFlags,
};

mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit", "../wit"],
        world: "kvfs:guests/reactor",
        generate_all,
        pub_export_macro: true,
    });
}

struct Notes;

bindings::export!(Notes with_types_in bindings);

/// A file with one line for each note, open as long as the value lives.
struct Book {
    file: Descriptor,
    lines: RefCell<Vec<String>>,
}

fn root() -> Result<Descriptor, ErrorCode> {
    get_directories().into_iter().next().map(|(root, _)| root).ok_or(ErrorCode::NoEntry)
}

fn open(name: &str, how: OpenFlags) -> Result<Descriptor, ErrorCode> {
    root()?.open_at(PathFlags::empty(), name, how, DescriptorFlags::READ | DescriptorFlags::WRITE)
}

fn append(name: &str, text: &str) -> Result<u64, ErrorCode> {
    let file = open(name, OpenFlags::CREATE)?;
    let size = file.stat()?.size;
    file.write(text.as_bytes(), size)?;
    Ok(file.stat()?.size)
}

fn note(name: &str) -> Result<Note, ErrorCode> {
    Ok(Note { name: name.to_owned(), size: root()?.stat_at(PathFlags::empty(), name)?.size })
}

fn apply(name: &str, change: &Change) -> Result<(), ErrorCode> {
    match change {
        Change::Add(text) => append(name, text).map(drop),
        Change::Clear => open(name, OpenFlags::CREATE | OpenFlags::TRUNCATE).map(drop),
        Change::Cut(size) => open(name, OpenFlags::empty())?.set_size(*size),
    }
}

fn text(code: ErrorCode) -> String {
    code.name().to_owned()
}

impl bindings::Guest for Notes {
    fn count(byte: u8) -> u64 {
        append("count", &char::from(byte).to_string()).unwrap_or(0)
    }
}

impl Guest for Notes {
    type Journal = Book;

    fn touch() {
        // The caller looks for the file: there is no other answer.
        let _ = append("touched", "");
    }

    fn append(name: String, text_: String) -> Result<u64, String> {
        append(&name, &text_).map_err(text)
    }

    fn read(name: String) -> Option<String> {
        let file = open(&name, OpenFlags::empty()).ok()?;
        let (bytes, _) = file.read(1 << 16, 0).ok()?;
        String::from_utf8(bytes).ok()
    }

    fn all() -> Vec<Note> {
        let Ok(listing) = root().and_then(|root| root.read_directory()) else { return Vec::new() };
        let mut notes = Vec::new();
        while let Ok(Some(entry)) = listing.read_directory_entry() {
            if entry.type_ == DescriptorType::RegularFile {
                notes.extend(note(&entry.name));
            }
        }
        notes.sort_by(|a, b| a.name.cmp(&b.name));
        notes
    }

    fn apply(name: String, changes: Vec<Change>) -> Result<Note, String> {
        changes.iter().try_for_each(|change| apply(&name, change)).map_err(text)?;
        note(&name).map_err(text)
    }

    fn record_numbers(
        a: u8,
        b: i8,
        c: u16,
        d: i16,
        e: u32,
        f: i32,
        g: u64,
        h: i64,
        i: f32,
        j: f64,
        k: char,
        l: bool,
        m: (u8, u8, u8, u8, u8),
    ) -> u64 {
        let line = format!("{a} {b} {c} {d} {e} {f} {g} {h} {i} {j} {k} {l} {m:?}\n");
        append("numbers", &line).unwrap_or(0)
    }
}

impl GuestJournal for Book {
    fn new(name: String) -> Self {
        match open(&name, OpenFlags::CREATE) {
            Ok(file) => Self { file, lines: RefCell::default() },
            Err(_) => core::arch::wasm32::unreachable(),
        }
    }

    fn write(&self, line: String) -> Result<u64, String> {
        let end = self.file.stat().map_err(text)?.size;
        self.file.write(format!("{line}\n").as_bytes(), end).map_err(text)?;
        self.lines.borrow_mut().push(line);
        Ok(self.lines.borrow().len() as u64)
    }

    fn lines(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }

    fn merge(one: JournalBorrow<'_>, other: Journal) -> Journal {
        for line in &one.get::<Self>().lines() {
            let _ = other.get::<Self>().write(line.clone());
        }
        other
    }
}
