//! Scripted calls with handles that are plain numbers: valid, used-up and invented ones.
//!
//! A script is a list of operations separated by `;`, each a word and its operands. `h3` is the
//! handle that operation 3 made, `x4ff00000` is a literal number; anything else is a decimal number
//! or a path. Every operation is printed before it runs and its result after it, so the output of a
//! script that traps shows where.

use core::fmt::Write;

use crate::wasi::{OutputStream, stdout, write_all};

/// The raw imports, as a program could call them without a bindings generator.
mod raw {
    #[link(wasm_import_module = "wasi:cli/stdin@0.2.12")]
    unsafe extern "C" {
        #[link_name = "get-stdin"]
        pub(super) fn stdin() -> u32;
    }
    #[link(wasm_import_module = "wasi:cli/stdout@0.2.12")]
    unsafe extern "C" {
        #[link_name = "get-stdout"]
        pub(super) fn stdout() -> u32;
    }
    #[link(wasm_import_module = "wasi:cli/stderr@0.2.12")]
    unsafe extern "C" {
        #[link_name = "get-stderr"]
        pub(super) fn stderr() -> u32;
    }
    #[link(wasm_import_module = "wasi:clocks/monotonic-clock@0.2.12")]
    unsafe extern "C" {
        #[link_name = "subscribe-duration"]
        pub(super) fn clock(nanoseconds: u64) -> u32;
    }
    #[link(wasm_import_module = "wasi:filesystem/preopens@0.2.12")]
    unsafe extern "C" {
        #[link_name = "get-directories"]
        pub(super) fn directories(result: *mut u8);
    }
    #[link(wasm_import_module = "wasi:filesystem/types@0.2.12")]
    unsafe extern "C" {
        #[link_name = "[method]descriptor.open-at"]
        pub(super) fn open(
            d: u32,
            flags: u32,
            path: *const u8,
            len: usize,
            open: u32,
            access: u32,
            result: *mut u8,
        );
        #[link_name = "[method]descriptor.read-via-stream"]
        pub(super) fn input(d: u32, offset: u64, result: *mut u8);
        #[link_name = "[method]descriptor.write-via-stream"]
        pub(super) fn output(d: u32, offset: u64, result: *mut u8);
        #[link_name = "[method]descriptor.append-via-stream"]
        pub(super) fn append(d: u32, result: *mut u8);
        #[link_name = "[method]descriptor.read-directory"]
        pub(super) fn listing(d: u32, result: *mut u8);
        #[link_name = "[method]descriptor.stat"]
        pub(super) fn stat(d: u32, result: *mut u8);
        #[link_name = "[method]descriptor.get-type"]
        pub(super) fn get_type(d: u32, result: *mut u8);
        #[link_name = "[method]descriptor.sync"]
        pub(super) fn sync(d: u32, result: *mut u8);
        #[link_name = "[method]descriptor.set-size"]
        pub(super) fn set_size(d: u32, size: u64, result: *mut u8);
        #[link_name = "[method]descriptor.read"]
        pub(super) fn pread(d: u32, len: u64, offset: u64, result: *mut u8);
        #[link_name = "[method]descriptor.write"]
        pub(super) fn pwrite(d: u32, bytes: *const u8, len: usize, offset: u64, result: *mut u8);
        #[link_name = "[method]descriptor.is-same-object"]
        pub(super) fn same(d: u32, other: u32) -> u32;
        #[link_name = "[method]descriptor.rename-at"]
        pub(super) fn rename(
            d: u32,
            a: *const u8,
            a_len: usize,
            to: u32,
            b: *const u8,
            b_len: usize,
            result: *mut u8,
        );
        #[link_name = "[method]directory-entry-stream.read-directory-entry"]
        pub(super) fn entry(listing: u32, result: *mut u8);
        #[link_name = "filesystem-error-code"]
        pub(super) fn code(error: u32, result: *mut u8);
        #[link_name = "[resource-drop]descriptor"]
        pub(super) fn drop_descriptor(handle: u32);
        #[link_name = "[resource-drop]directory-entry-stream"]
        pub(super) fn drop_listing(handle: u32);
    }
    #[link(wasm_import_module = "wasi:io/error@0.2.12")]
    unsafe extern "C" {
        #[link_name = "[method]error.to-debug-string"]
        pub(super) fn describe(error: u32, result: *mut u8);
        #[link_name = "[resource-drop]error"]
        pub(super) fn drop_error(handle: u32);
    }
    #[link(wasm_import_module = "wasi:io/poll@0.2.12")]
    unsafe extern "C" {
        #[link_name = "poll"]
        pub(super) fn poll(list: *const u32, len: usize, result: *mut u8);
        #[link_name = "[method]pollable.ready"]
        pub(super) fn ready(pollable: u32) -> u32;
        #[link_name = "[method]pollable.block"]
        pub(super) fn block(pollable: u32);
        #[link_name = "[resource-drop]pollable"]
        pub(super) fn drop_pollable(handle: u32);
    }
    #[link(wasm_import_module = "wasi:io/streams@0.2.12")]
    unsafe extern "C" {
        #[link_name = "[method]input-stream.read"]
        pub(super) fn read(s: u32, len: u64, result: *mut u8);
        #[link_name = "[method]input-stream.blocking-read"]
        pub(super) fn blocking_read(s: u32, len: u64, result: *mut u8);
        #[link_name = "[method]input-stream.skip"]
        pub(super) fn skip(s: u32, len: u64, result: *mut u8);
        #[link_name = "[method]input-stream.blocking-skip"]
        pub(super) fn blocking_skip(s: u32, len: u64, result: *mut u8);
        #[link_name = "[method]input-stream.subscribe"]
        pub(super) fn subscribe_input(s: u32) -> u32;
        #[link_name = "[resource-drop]input-stream"]
        pub(super) fn drop_input(handle: u32);
        #[link_name = "[method]output-stream.check-write"]
        pub(super) fn check_write(s: u32, result: *mut u8);
        #[link_name = "[method]output-stream.write"]
        pub(super) fn write(s: u32, bytes: *const u8, len: usize, result: *mut u8);
        #[link_name = "[method]output-stream.blocking-write-and-flush"]
        pub(super) fn blocking_write(s: u32, bytes: *const u8, len: usize, result: *mut u8);
        #[link_name = "[method]output-stream.flush"]
        pub(super) fn flush(s: u32, result: *mut u8);
        #[link_name = "[method]output-stream.blocking-flush"]
        pub(super) fn blocking_flush(s: u32, result: *mut u8);
        #[link_name = "[method]output-stream.write-zeroes"]
        pub(super) fn zeroes(s: u32, len: u64, result: *mut u8);
        #[link_name = "[method]output-stream.blocking-write-zeroes-and-flush"]
        pub(super) fn blocking_zeroes(s: u32, len: u64, result: *mut u8);
        #[link_name = "[method]output-stream.subscribe"]
        pub(super) fn subscribe_output(s: u32) -> u32;
        #[link_name = "[method]output-stream.splice"]
        pub(super) fn splice(s: u32, from: u32, len: u64, result: *mut u8);
        #[link_name = "[method]output-stream.blocking-splice"]
        pub(super) fn blocking_splice(s: u32, from: u32, len: u64, result: *mut u8);
        #[link_name = "[resource-drop]output-stream"]
        pub(super) fn drop_output(handle: u32);
    }
}

/// The memory that calls write their results to.
#[repr(align(8))]
struct Area([u8; 128]);

impl Area {
    fn byte(&self, at: usize) -> u8 {
        self.0[at]
    }

    fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.0[at..at + 4].try_into().unwrap())
    }

    fn long(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.0[at..at + 8].try_into().unwrap())
    }

    /// Takes a list that a call allocated, with its address and length at an offset.
    fn list<T: Copy>(&self, at: usize) -> Vec<T> {
        let (address, length) = (self.word(at) as *mut T, self.word(at + 4) as usize);
        // SAFETY: the canonical ABI allocated it with this length through `cabi_realloc`, which is
        // this program's allocator. An empty list may have any address.
        if length == 0 { Vec::new() } else { unsafe { Vec::from_raw_parts(address, length, length) } }
    }
}

/// The result of an operation on a handle that an earlier operation failed to make.
const NO_HANDLE: &str = "left out";

struct Machine {
    /// The handle that each operation made; 0 (no handle) if it made none.
    made: Vec<u32>,
    area: Area,
}

pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let script = arguments.first().ok_or("no script")?;
    // One stream for all output: a new handle could take the number of a dropped one.
    let out: OutputStream = stdout();
    let mut machine = Machine { made: Vec::new(), area: Area([0; 128]) };
    let mut text = String::new();
    for (number, operation) in script.split(';').enumerate() {
        let words: Vec<&str> = operation.split(' ').collect();
        let _ = write!(text, "{number} {}:", words[0]);
        write_all(&out, text.as_bytes())?;
        text.clear();
        machine.made.push(0);
        let result = match machine.step(words[0], &words[1..]) {
            Err(reason) if reason == NO_HANDLE => reason,
            other => other?,
        };
        let _ = writeln!(text, " {result}");
    }
    write_all(&out, text.as_bytes())
}

impl Machine {
    /// Stores the handle that this operation made.
    fn keep(&mut self, handle: u32) -> String {
        if let Some(place) = self.made.last_mut() {
            *place = handle;
        }
        "made".to_owned()
    }

    fn handle(&self, word: &str) -> Result<u32, String> {
        let handle = match word.split_at_checked(1) {
            Some(("h", number)) => number.parse().ok().and_then(|n: usize| self.made.get(n).copied()),
            Some(("x", number)) => u32::from_str_radix(number, 16).ok(),
            _ => None,
        };
        match handle {
            Some(0) if word.starts_with('h') => Err(NO_HANDLE.to_owned()),
            handle => handle.ok_or_else(|| format!("{word:?} is not a handle")),
        }
    }

    fn step(&mut self, operation: &str, words: &[&str]) -> Result<String, String> {
        let word = |at: usize| words.get(at).copied().unwrap_or("");
        let number = |at: usize| word(at).parse::<u64>().unwrap_or(0);
        let area: *mut u8 = (&raw mut self.area.0).cast();
        self.area.0.fill(0xa5);
        // SAFETY: the other side checks all numbers, and the results fit the area.
        unsafe {
            match operation {
                "nothing" => return Ok(String::new()),
                "stdin" => return Ok(self.keep(raw::stdin())),
                "stdout" => return Ok(self.keep(raw::stdout())),
                "stderr" => return Ok(self.keep(raw::stderr())),
                "clock" => return Ok(self.keep(raw::clock(number(0)))),
                "root" => {
                    raw::directories(area);
                    let all: Vec<[u32; 3]> = self.area.list(0);
                    return Ok(all.first().map_or("none".to_owned(), |[handle, ..]| self.keep(*handle)));
                }
                "poll" => {
                    let list: Vec<u32> = words.iter().map(|w| self.handle(w)).collect::<Result<_, _>>()?;
                    raw::poll(list.as_ptr(), list.len(), area);
                    return Ok(format!("{:?}", self.area.list::<u32>(0)));
                }
                _ => {}
            }
            let it = self.handle(word(0))?;
            match operation {
                "open" => {
                    let path = word(1);
                    raw::open(it, 1, path.as_ptr(), path.len(), number(2) as u32, number(3) as u32, area);
                    Ok(self.made_or_code())
                }
                "input" => {
                    raw::input(it, number(1), area);
                    Ok(self.made_or_code())
                }
                "output" => {
                    raw::output(it, number(1), area);
                    Ok(self.made_or_code())
                }
                "append" => {
                    raw::append(it, area);
                    Ok(self.made_or_code())
                }
                "listing" => {
                    raw::listing(it, area);
                    Ok(self.made_or_code())
                }
                "stat" => {
                    raw::stat(it, area);
                    let area = &self.area;
                    Ok(match area.byte(0) {
                        0 => {
                            format!("type {}, {} names, {} bytes", area.byte(8), area.long(16), area.long(24))
                        }
                        _ => format!("code {}", area.byte(8)),
                    })
                }
                "type" => {
                    raw::get_type(it, area);
                    Ok(format!("{} {}", self.area.byte(0), self.area.byte(1)))
                }
                "sync" => {
                    raw::sync(it, area);
                    Ok(self.done_or_code())
                }
                "set-size" => {
                    raw::set_size(it, number(1), area);
                    Ok(self.done_or_code())
                }
                "pread" => {
                    raw::pread(it, number(1), number(2), area);
                    Ok(match self.area.byte(0) {
                        0 => format!("{} end {}", shown(&self.area.list(4)), self.area.byte(12)),
                        _ => format!("code {}", self.area.byte(4)),
                    })
                }
                "pwrite" => {
                    let bytes = pattern(number(1));
                    raw::pwrite(it, bytes.as_ptr(), bytes.len(), number(2), area);
                    Ok(match self.area.byte(0) {
                        0 => format!("{}", self.area.long(8)),
                        _ => format!("code {}", self.area.byte(8)),
                    })
                }
                // Writes from any address, given as a number.
                "pwrite-from" => {
                    raw::pwrite(it, number(1) as *const u8, number(2) as usize, number(3), area);
                    Ok(format!("{} {}", self.area.byte(0), self.area.long(8)))
                }
                "write-from" | "blocking-write-from" => {
                    let write = if operation == "write-from" { raw::write } else { raw::blocking_write };
                    write(it, number(1) as *const u8, number(2) as usize, area);
                    Ok(format!("{}", self.area.byte(0)))
                }
                "same" => Ok(raw::same(it, self.handle(word(1))?).to_string()),
                "rename" => {
                    let (from, to) = (word(1), word(3));
                    let there = self.handle(word(2))?;
                    raw::rename(it, from.as_ptr(), from.len(), there, to.as_ptr(), to.len(), area);
                    Ok(self.done_or_code())
                }
                "entry" => {
                    raw::entry(it, area);
                    Ok(match (self.area.byte(0), self.area.byte(4)) {
                        (0, 0) => "none".to_owned(),
                        (0, _) => format!("{} {}", self.area.byte(8), shown(&self.area.list(12))),
                        (_, code) => format!("code {code}"),
                    })
                }
                "code" => {
                    raw::code(it, area);
                    Ok(if self.area.byte(0) == 0 { "none".to_owned() } else { self.area.byte(1).to_string() })
                }
                "describe" => {
                    raw::describe(it, area);
                    let text = String::from_utf8_lossy(&self.area.list::<u8>(0)).into_owned();
                    Ok(text.lines().next().unwrap_or_default().to_owned())
                }
                "ready" => Ok(raw::ready(it).to_string()),
                "block" => {
                    raw::block(it);
                    Ok(String::new())
                }
                "read" => {
                    raw::read(it, number(1), area);
                    Ok(self.bytes_or_failure())
                }
                "blocking-read" => {
                    raw::blocking_read(it, number(1), area);
                    Ok(self.bytes_or_failure())
                }
                "skip" => {
                    raw::skip(it, number(1), area);
                    Ok(self.count_or_failure())
                }
                "blocking-skip" => {
                    raw::blocking_skip(it, number(1), area);
                    Ok(self.count_or_failure())
                }
                "check-write" => {
                    raw::check_write(it, area);
                    Ok(self.count_or_failure())
                }
                "write" => {
                    let bytes = pattern(number(1));
                    raw::write(it, bytes.as_ptr(), bytes.len(), area);
                    Ok(self.done_or_failure())
                }
                "blocking-write" => {
                    let bytes = pattern(number(1));
                    raw::blocking_write(it, bytes.as_ptr(), bytes.len(), area);
                    Ok(self.done_or_failure())
                }
                "flush" => {
                    raw::flush(it, area);
                    Ok(self.done_or_failure())
                }
                "blocking-flush" => {
                    raw::blocking_flush(it, area);
                    Ok(self.done_or_failure())
                }
                "zeroes" => {
                    raw::zeroes(it, number(1), area);
                    Ok(self.done_or_failure())
                }
                "blocking-zeroes" => {
                    raw::blocking_zeroes(it, number(1), area);
                    Ok(self.done_or_failure())
                }
                "splice" => {
                    raw::splice(it, self.handle(word(1))?, number(2), area);
                    Ok(self.count_or_failure())
                }
                "blocking-splice" => {
                    raw::blocking_splice(it, self.handle(word(1))?, number(2), area);
                    Ok(self.count_or_failure())
                }
                "subscribe-input" => Ok(self.keep(raw::subscribe_input(it))),
                "subscribe-output" => Ok(self.keep(raw::subscribe_output(it))),
                "drop-descriptor" => Ok(done(raw::drop_descriptor(it))),
                "drop-listing" => Ok(done(raw::drop_listing(it))),
                "drop-error" => Ok(done(raw::drop_error(it))),
                "drop-pollable" => Ok(done(raw::drop_pollable(it))),
                "drop-input" => Ok(done(raw::drop_input(it))),
                "drop-output" => Ok(done(raw::drop_output(it))),
                _ => Err(format!("no operation {operation}")),
            }
        }
    }

    fn made_or_code(&mut self) -> String {
        match self.area.byte(0) {
            0 => self.keep(self.area.word(4)),
            _ => format!("code {}", self.area.byte(4)),
        }
    }

    fn done_or_code(&self) -> String {
        if self.area.byte(0) == 0 { "done".to_owned() } else { format!("code {}", self.area.byte(1)) }
    }

    fn bytes_or_failure(&mut self) -> String {
        if self.area.byte(0) == 0 { shown(&self.area.list(4)) } else { self.failure(4) }
    }

    fn count_or_failure(&mut self) -> String {
        if self.area.byte(0) == 0 { self.area.long(8).to_string() } else { self.failure(8) }
    }

    fn done_or_failure(&mut self) -> String {
        if self.area.byte(0) == 0 { "done".to_owned() } else { self.failure(4) }
    }

    fn failure(&mut self, at: usize) -> String {
        match self.area.byte(at) {
            0 => format!("failed, error {}", self.keep(self.area.word(at + 4))),
            _ => "closed".to_owned(),
        }
    }
}

fn done((): ()) -> String {
    "done".to_owned()
}

/// Bytes to write, in a pattern that repeats only after 251 bytes.
fn pattern(length: u64) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

/// Shows a length and a checksum (FNV-1a).
fn shown(bytes: &Vec<u8>) -> String {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    format!("{} bytes {:016x}", bytes.len(), bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}
