//! Build-time configuration: reads what composition wrote into the module.
//!
//! A module that links this crate exports three constants: `kvfs_config`, the address of a zeroed
//! static, `kvfs_config_len`, its length in bytes, and `kvfs_config_version`. Composition adds a
//! data segment with lines `key=value` at that address; the first zero byte ends the text. If
//! nothing is written, everything is at its default.
//!
//! With the feature `image` there is one more, `kvfs_image`: the address of two four-byte numbers
//! in the module's byte order. They are the address and the length of a blob that composition
//! placed behind the module's initial memory. Zeros mean that there is none.

use std::cell::UnsafeCell;

/// Room for the configuration, with the zero byte that ends it.
const CAPACITY_BYTES: usize = 32 << 10;

/// A static that is written from outside before the program starts, and never afterwards.
#[repr(transparent)]
struct ConfigBytes(UnsafeCell<[u8; CAPACITY_BYTES]>);

#[allow(unsafe_code)]
// SAFETY: a component has one thread, and nothing in it writes here.
unsafe impl Sync for ConfigBytes {}

/// Composition writes lines `key=value` here, by a data segment of its own. Zeros mean defaults.
#[allow(unsafe_code, non_upper_case_globals)]
#[unsafe(no_mangle)]
static kvfs_config: ConfigBytes = ConfigBytes(UnsafeCell::new([0; CAPACITY_BYTES]));

/// The length of `kvfs_config` in bytes, which composition reads from the module's data.
#[allow(unsafe_code, non_upper_case_globals)]
#[unsafe(no_mangle)]
static kvfs_config_len: u32 = CAPACITY_BYTES as u32;

/// The version of the configuration that this module reads. Composition checks it before it writes
/// a key that an older module would ignore at a loss. 1: `audit`.
#[allow(unsafe_code, non_upper_case_globals)]
#[unsafe(no_mangle)]
static kvfs_config_version: u32 = 1;

/// Returns the lines; empty if everything is at its default.
///
/// Composition has checked them. A key that the module does not know was written for a later
/// version of the module; ignore it.
// Volatile, or the compiler would take the zeros it sees for the content. Byte by byte, or it would
// unroll the copy into one instruction per byte.
#[allow(unsafe_code)]
pub fn text() -> String {
    let start: *const u8 = kvfs_config.0.get().cast();
    // SAFETY: the static is valid for reads of its whole length and is not written while the
    // program runs.
    let byte_at = |index: usize| unsafe { std::ptr::read_volatile(start.add(index)) };
    let bytes: Vec<u8> = (0..CAPACITY_BYTES).map(byte_at).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(feature = "image")]
mod blob {
    use std::cell::UnsafeCell;

    /// The address of a blob and its length. Written from outside before the program starts, and
    /// never afterwards.
    #[repr(transparent)]
    struct BlobLocation(UnsafeCell<[u32; 2]>);

    #[allow(unsafe_code)]
    // SAFETY: a component has one thread, and nothing in it writes here.
    unsafe impl Sync for BlobLocation {}

    /// Composition writes the blob's address and length here, by a data segment of its own.
    #[allow(unsafe_code, non_upper_case_globals)]
    #[unsafe(no_mangle)]
    static kvfs_image: BlobLocation = BlobLocation(UnsafeCell::new([0; 2]));

    /// Returns the blob that composition placed in this module's memory, if any. It is never
    /// copied.
    #[allow(unsafe_code)]
    pub fn image() -> Option<&'static [u8]> {
        // SAFETY: the static is valid for reads and is not written while the program runs.
        // Volatile, or the compiler would take the zeros it sees for the content.
        let [address, length] = unsafe { std::ptr::read_volatile(kvfs_image.0.get()) };
        if address == 0 {
            return None;
        }
        let start: *const u8 = std::ptr::with_exposed_provenance(address as usize);
        // SAFETY: composition puts the blob behind the module's initial memory and enlarges that
        // memory by as much. The allocator takes only memory from `memory.grow`, so nobody writes
        // there.
        Some(unsafe { std::slice::from_raw_parts(start, length as usize) })
    }
}

#[cfg(feature = "image")]
pub use blob::image;
