//! The preopened directories: one, `/`.

use crate::adapter::Adapter;
use crate::bindings::exports::wasi::filesystem::preopens::{Descriptor, Guest};
use crate::calls::Node;

impl Guest for Adapter {
    fn get_directories() -> Vec<(Descriptor, String)> {
        // The volume is opened at the first use of the descriptor, which can report a failure by
        // its code.
        vec![(Descriptor::new(Node::root()), "/".to_owned())]
    }
}
