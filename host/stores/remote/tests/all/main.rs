//! Tests of the runtime.

mod runtime;
