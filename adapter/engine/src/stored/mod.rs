//! The stored bytes: keys, records, and images of volumes.

pub(crate) mod tag;

pub(crate) mod layer_name;

pub(crate) mod key;

pub(crate) mod record;

pub(crate) mod image;
