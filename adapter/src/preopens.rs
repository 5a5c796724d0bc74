//! The preopened directories: one, `/`.

use crate::adapter::Adapter;
use crate::bindings::exports::wasi::filesystem::preopens::{Descriptor, Guest};
use crate::root::Root;

impl Guest for Adapter {
    fn get_directories() -> Vec<(Descriptor, String)> {
        // The volume is opened when the descriptor is used, where a failure has a code to be told by.
        vec![(Descriptor::new(Root::root()), "/".to_owned())]
    }
}
