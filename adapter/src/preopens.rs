//! The preopened directories: one, `/`.

use crate::Adapter;
use crate::bindings::exports::wasi::filesystem::preopens::{Descriptor, Guest};
use crate::descriptor::Object;

impl Guest for Adapter {
    fn get_directories() -> Vec<(Descriptor, String)> {
        // The volume is opened when the descriptor is used, where a failure has a code to be told by.
        vec![(Descriptor::new(Object::root()), "/".to_owned())]
    }
}
