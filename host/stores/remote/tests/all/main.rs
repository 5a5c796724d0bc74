//! Tests of the runtime, and of writing behind.

mod near;
mod server;

mod behind;
mod engine;
mod openers;
mod rounds;
mod runtime;
