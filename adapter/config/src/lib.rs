//! What composition fixed at build time, read out of the places it writes it to.
//!
//! A module that links this crate exports two constants: `kvfs_config`, the address of a static of zero
//! bytes, and `kvfs_config_len`, how many there are. Composition adds a data segment with lines
//! `key=value` at that address; the zero behind them ends the text. Nothing written means defaults.
//!
//! With the feature `image` there is a third, `kvfs_image`: the address of two numbers of four bytes in the
//! module's order, where a blob lies that composition has placed behind the module's initial memory, and how
//! many bytes it has. Zeros mean that there is none.

use std::cell::UnsafeCell;

/// Bytes that the configuration may take, the zero that ends it included.
const CAPACITY_BYTES: usize = 32 << 10;

/// A static that is written from outside, before the program starts, and never after.
#[repr(transparent)]
struct Place(UnsafeCell<[u8; CAPACITY_BYTES]>);

#[allow(unsafe_code)]
// SAFETY: a component has one thread, and nothing in it writes here.
unsafe impl Sync for Place {}

/// Where composition writes lines `key=value`, by a data segment of its own. Zeros mean defaults.
#[allow(unsafe_code, non_upper_case_globals)]
#[unsafe(no_mangle)]
static kvfs_config: Place = Place(UnsafeCell::new([0; CAPACITY_BYTES]));

/// How many bytes there are at `kvfs_config`; composition reads it from the module's data.
#[allow(unsafe_code, non_upper_case_globals)]
#[unsafe(no_mangle)]
static kvfs_config_len: u32 = CAPACITY_BYTES as u32;

/// Returns the lines, empty if everything is at its default.
///
/// Composition has checked them. A key that is unknown to the module was written for a later version of
/// it and is to be left out.
// Volatile, or the compiler would take the zeros it sees for the content; byte by byte, or it would
// unroll the copy into as many instructions as there are bytes.
#[allow(unsafe_code)]
pub fn text() -> String {
    let start: *const u8 = kvfs_config.0.get().cast();
    // SAFETY: the static is valid for reads of its whole length and is not written while we run.
    let byte_at = |index: usize| unsafe { std::ptr::read_volatile(start.add(index)) };
    let bytes: Vec<u8> = (0..CAPACITY_BYTES).map(byte_at).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(feature = "image")]
mod blob {
    use std::cell::UnsafeCell;

    /// Where a blob lies, and its length. Written from outside, before the program starts, and never after.
    #[repr(transparent)]
    struct Place(UnsafeCell<[u32; 2]>);

    #[allow(unsafe_code)]
    // SAFETY: a component has one thread, and nothing in it writes here.
    unsafe impl Sync for Place {}

    /// Where composition writes the address and the length of the blob, by a data segment of its own.
    #[allow(unsafe_code, non_upper_case_globals)]
    #[unsafe(no_mangle)]
    static kvfs_image: Place = Place(UnsafeCell::new([0; 2]));

    /// Returns the blob that composition has placed in this module's memory, if it has. It is never copied.
    #[allow(unsafe_code)]
    pub fn image() -> Option<&'static [u8]> {
        // SAFETY: the static is valid for reads and is not written while we run. Volatile, or the compiler
        // would take the zeros that it sees for the content.
        let [address, length] = unsafe { std::ptr::read_volatile(kvfs_image.0.get()) };
        if address == 0 {
            return None;
        }
        let start: *const u8 = std::ptr::with_exposed_provenance(address as usize);
        // SAFETY: composition puts the blob behind the module's initial memory, which it makes larger by as
        // much: the allocator takes only what `memory.grow` gives, so that nobody writes there.
        Some(unsafe { std::slice::from_raw_parts(start, length as usize) })
    }
}

#[cfg(feature = "image")]
pub use blob::image;
