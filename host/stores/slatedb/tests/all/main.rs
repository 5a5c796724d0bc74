//! The store over memory, over a directory and over a server of S3's protocol.

mod model;
