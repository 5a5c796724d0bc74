//! Tests of the whole: guests, conformance, benches
