//! What composition fixed at build time, as options of the engine.

use kvfs::{Mode, Options};

/// Returns how the volume is to be opened. Composition has checked the lines; what is unknown here was
/// written for a later version and is left out.
pub(crate) fn options() -> Options {
    let mut options = Options::default();
    for line in kvfs_wasm_config::text().lines() {
        match line.split_once('=') {
            Some(("mode", "strict")) => options.mode = Mode::Strict,
            Some(("mode", "close")) => options.mode = Mode::Close,
            Some(("mode", "lazy")) => options.mode = Mode::Lazy,
            Some(("volume", name)) => options.volume = name.to_owned(),
            _ => {}
        }
    }
    options
}
